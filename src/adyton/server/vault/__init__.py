"""The API that Vault's and OpenBao's clients speak (``docs/spec/vault-api.md``)."""
