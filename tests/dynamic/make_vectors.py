"""Make ``vectors/dynamic/records.json``: what is sealed of dynamic credentials.

By the MessagePack specification and ``docs/spec/dynamic.md`` alone; nothing of Adyton is used.

Usage: make_vectors.py > vectors/dynamic/records.json
"""

import json
import sys

RECORDS = [
    ("dynamic-connection", "db", {
        "connection": {
            "issuer": "postgresql",
            "settings": {"database": "shop", "host": "db.internal", "port": "5432"},
            "admin": "db/issuer",
            "allowed_roles": ["reader"],
        },
    }),
    ("dynamic-connection", ".mounts/database_1a2b3c4d/db", {
        "connection": {
            "issuer": "postgresql", "settings": {"host": "h"}, "admin": "", "allowed_roles": ["*"],
        },
        "login": b'{"password":"p","username":"u"}',
    }),
    ("dynamic-role", "reader", {
        "connection": "db", "member_of": ["app_read"], "creation": [], "renewal": [],
        "revocation": ["DROP ROLE {{name}}"], "ttl": 3600, "max_ttl": 86400,
    }),
    ("dynamic-lease", "reader/abcdefghijklmnopqrstuvwx23", {
        "role": "reader", "connection": "db", "issuer": "postgresql",
        "place": "db.internal:5432/shop", "settings": {"host": "db.internal"},
        "username": "adyton-reader-abcdefghijklmnopqrstuvwx23", "state": "live",
        "issued_us": 1767225600000000, "expires_us": 1767229200000000,
        "max_us": 1767312000000000, "ttl": 3600, "renewed_us": 1767226000000000,
        "revocation": ["DROP ROLE {{name}}"], "token": "00" * 32, "attempts": 1,
        "error": "PostgreSQL can't be reached as admin",
    }),
    ("dynamic-count", "all", {"leases": 7}),
    ("dynamic-of-token", "reader/abcdefghijklmnopqrstuvwx23", {}),
    ("rotation-folder", "db/", {
        "policy": {
            "every": 2592000, "cron": "", "timezone": "UTC", "window": "", "rotator": "random",
            "settings": {}, "admin": "", "generator": "text", "options": {}, "grace": 3600,
            "retries": 5,
        },
    }),
]  # fmt: skip


def sized(count, small, small_most, *wider):
    """A head with a count: in one byte, or one of the wider forms."""
    if count <= small_most:
        return bytes([small | count])
    for code, width in wider:
        if count < 1 << 8 * width:
            return bytes([code]) + count.to_bytes(width, "big")
    raise ValueError(count)


def pack(value):
    """One value in its shortest form."""
    if isinstance(value, int):
        if 0 <= value < 128:
            return bytes([value])
        return sized(value, 0, -1, (0xCC, 1), (0xCD, 2), (0xCE, 4), (0xCF, 8))
    if isinstance(value, bytes):
        return sized(len(value), 0, -1, (0xC4, 1), (0xC5, 2)) + value
    if isinstance(value, str):
        text = value.encode()
        return sized(len(text), 0xA0, 31, (0xD9, 1), (0xDA, 2)) + text
    if isinstance(value, list):
        return sized(len(value), 0x90, 15, (0xDC, 2)) + b"".join(map(pack, value))
    pairs = b"".join(pack(key) + pack(each) for key, each in value.items())
    return sized(len(value), 0x80, 15, (0xDE, 2)) + pairs


def vectors():
    """All of them."""
    return [
        {"kind": kind, "id": ident, "body": pack([1, ident, value]).hex()}
        for kind, ident, value in RECORDS
    ]


if __name__ == "__main__":
    json.dump(vectors(), sys.stdout, indent=1)
    sys.stdout.write("\n")
