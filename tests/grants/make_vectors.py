"""Make ``vectors/grants/ledger.json``, by the MessagePack specification and hashlib alone.

python tests/grants/make_vectors.py > vectors/grants/ledger.json
"""

import hashlib
import json
import struct
import sys

OBJECTS = [
    ("member", "ann", {
        "id": "MEMBER-ID-OF-ANN-0000001", "kind": "person", "entities": ["e-1"],
        "logins": ["userpass:ann"], "created_us": 1764000000000000,
    }),
    ("member", "bobby", {
        "id": "MEMBER-ID-OF-BOBBY-00001", "kind": "user", "user": "bob",
        "created_us": 1764000000000001,
    }),
    ("role", "mine", {"rights": ["list", "read"]}),
    ("grant", "GRANT-ID-000000000000001", {
        "member": "ann", "member_id": "MEMBER-ID-OF-ANN-0000001", "path": "app/",
        "role": "viewer", "created_us": 1764000000000002, "created_by": "local:alice",
        "expires_us": 1790000000000000,
        "conditions": {
            "networks": ["10.0.0.0/8"], "window": "mon-fri 08:00-18:00",
            "timezone": "Europe/Berlin", "reads": 300,
        },
    }),
    ("grant", "GRANT-ID-000000000000002", {
        "member": "bobby", "member_id": "MEMBER-ID-OF-BOBBY-00001", "path": "/",
        "rights": ["read"], "deny": True, "created_us": 1764000000000003,
        "created_by": "local:alice",
    }),
    ("grant-uses", "GRANT-ID-000000000000001", {"count": 2}),
    ("access-request", "REQUEST-ID-0000000000001", {
        "member": "ann", "member_id": "MEMBER-ID-OF-ANN-0000001", "right": "read",
        "path": "app/\u00e9", "reason": "why", "created_us": 1764000000000004,
        "expires_us": 1764000003600004, "state": "approved", "decided_by": "local:alice",
        "used": 1,
    }),
]  # fmt: skip


def packed(value):
    if value is True:
        return b"\xc3"
    if isinstance(value, bytes):
        return b"\xc4" + bytes([len(value)]) + value
    if isinstance(value, int):
        if value < 128:
            return bytes([value])
        if value < 65_536:
            return b"\xcd" + struct.pack(">H", value)
        return b"\xcf" + struct.pack(">Q", value)
    if isinstance(value, str):
        data = value.encode()
        head = bytes([0xA0 | len(data)]) if len(data) < 32 else b"\xd9" + bytes([len(data)])
        return head + data
    if isinstance(value, list):
        return bytes([0x90 | len(value)]) + b"".join(map(packed, value))
    pairs = (packed(key) + packed(one) for key, one in value.items())
    return bytes([0x80 | len(value)]) + b"".join(pairs)


def main():
    made, total = [], 0
    for kind, ident, value in OBJECTS:
        body = packed([1, ident, value])
        digest = hashlib.sha256(kind.encode() + b"\x00" + body).hexdigest()
        total = (total + int(digest, 16)) % 2**256
        made.append(
            {"kind": kind, "id": ident, "value": value, "body": body.hex(), "digest": digest}
        )
    found = {
        "spec": "docs/spec/grants.md, section 3", "objects": made, "sum": f"{total:064x}",
    }  # fmt: skip
    sys.stdout.write(json.dumps(found, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
