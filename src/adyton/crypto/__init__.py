"""Pure cryptographic rooms: bytes in, bytes out.

Every AEAD, HKDF, HMAC and Argon2id call of Adyton is in this package
(``docs/spec/envelope.md``), all of them the primitives of ``cryptography``.
"""
