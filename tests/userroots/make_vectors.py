"""Makes vectors/userroots/v1.json by PyCryptodome, from docs/spec/userroots.md alone."""

import hashlib
import json
import struct
from pathlib import Path

from Crypto.Cipher import AES

FILE = Path(__file__).resolve().parents[2] / "vectors/userroots/v1.json"


def made(label, size):
    """Bytes of a name, so that the file is the same each time."""
    return hashlib.shake_256(label.encode()).digest(size)


def u64(number):
    return struct.pack(">Q", number)


def context(label, *fields):
    return b"".join(struct.pack(">I", len(part)) + part for part in (label.encode(), *fields))


def box(key, nonce, plain, aad):
    cipher = AES.new(key, AES.MODE_GCM, nonce=nonce, mac_len=16)
    cipher.update(aad)
    sealed, tag = cipher.encrypt_and_digest(plain)
    return b"\x01" + nonce + sealed + tag


def case(number):
    fields = {
        "store": made(f"store {number}", 16),
        "user": made(f"user {number}", 16),
        "root": made(f"root {number}", 16),
        "root_key": made(f"root key {number}", 32),
        "master_key": made(f"master {number}", 32),
        "user_key": made(f"user key {number}", 32),
    }
    version, master_version = number + 1, 7 * number + 2
    place = (fields["store"], fields["user"], u64(version))
    inner = box(
        fields["root_key"], made(f"inner {number}", 12), fields["user_key"],
        context("adyton/v1/own-user-key", *place, fields["root"]),
    )  # fmt: skip
    outer = box(
        fields["master_key"], made(f"outer {number}", 12), inner,
        context("adyton/v1/own-user-key-outer", *place, u64(master_version), fields["root"]),
    )  # fmt: skip
    user_id = ["alice", "42", "J\u00f6rg"][number]
    wrap = context("adyton/v1/user-root", fields["store"], user_id.encode(), fields["root"])
    return {
        **{name: value.hex() for name, value in fields.items()},
        "version": version,
        "master_version": master_version,
        "inner": inner.hex(),
        "wrapped": (b"\x02" + fields["root"] + outer).hex(),
        "user_id": user_id,
        "wrap_context": wrap.hex(),
    }


def text():
    return json.dumps({"cases": [case(number) for number in range(3)]}, indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), "utf-8")
