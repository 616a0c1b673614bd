# What the operator may do for the namespace "shop".
path "secret/data/shop/*" {
  capabilities = ["create", "read", "update", "delete"]
}
path "secret/metadata/shop/*" {
  capabilities = ["create", "read", "update", "delete", "list"]
}
