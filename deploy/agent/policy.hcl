# What the program's agent may read.
path "secret/data/shop/database" {
  capabilities = ["read"]
}
