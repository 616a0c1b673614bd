"""Make ``vectors/links/records.json``, by the MessagePack specification alone.

PYTHONPATH=tests python tests/links/make_records.py > vectors/links/records.json
"""

import json
import sys

from grants.make_vectors import packed

IDENT = "000102030405060708090a0b0c0d0e0f"
OLD = {
    "accessor": "ACCESSOR-OF-A-LINK-00001", "proof_hash": bytes(range(32)),
    "created_us": 1764000000000000, "expires_us": 1764086400000000, "tries": 5, "size": 300,
}  # fmt: skip
RECORDS = {
    "of before secrets were named": OLD | {"passphrase": True, "note": "for carol"},
    "of a secret": OLD | {"secret": "app/db"},
    "of a secret, with all": OLD | {"passphrase": True, "note": "n", "secret": "app/\u00e9"},
}


def main():
    made = [
        {
            "name": name,
            "id": IDENT,
            "value": value | {"proof_hash": value["proof_hash"].hex()},
            "body": packed([1, IDENT, value]).hex(),
        }
        for name, value in RECORDS.items()
    ]
    found = {"spec": "docs/spec/links.md, section 3", "records": made}
    sys.stdout.write(json.dumps(found, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
