"""Make ``vectors/tokens/tokens.json``, by PyCryptodome and the standard library alone.

python tests/access/make_vectors.py > vectors/tokens/tokens.json
"""

import base64
import hashlib
import json
import sys
import zlib
from pathlib import Path

from Crypto.Cipher import AES

sys.path.insert(0, str(Path(__file__).parents[1]))
from packing import packed

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
STORE, USER, OTHER = bytes(range(16)), bytes(range(16, 32)), bytes(range(32, 48))
KEY, NONCE = bytes(range(64, 96)), bytes(range(12))
VERSION = 3
BODY = [
    1, bytes(range(96, 128)), ["default", "reader"], "auth/token/create", "token-a-ci", {"a": "b"},
    1_764_000_000_000_000, 3600, "r", ["10.0.0.0/8"], "token auth/token/", "", "e-1",
]  # fmt: skip
LOGIN = [
    1, b"", ["default"], "auth/approle/login", "approle", {"role_name": "x"},
    1_764_000_000_000_000, 2_764_800, "", [], "approle auth/approle/", "auth_approle_00000000", "",
]  # fmt: skip


def base62(number, width):
    digits = ""
    while number:
        number, digit = divmod(number, 62)
        digits = DIGITS[digit] + digits
    return digits.rjust(width, "0")


def checked(body):
    return body + base62(zlib.crc32(body.encode()), 6)


def context(*fields):
    return b"".join(len(field).to_bytes(4, "big") + field for field in fields)


def boxed(body, user, version):
    cipher = AES.new(KEY, AES.MODE_GCM, nonce=NONCE)
    cipher.update(context(b"adyton/v1/batch-token", STORE, user, version.to_bytes(8, "big")))
    sealed, tag = cipher.encrypt_and_digest(packed(body))
    return b"\x01" + NONCE + sealed + tag


def batch(body, *, user=USER, named=USER, version=VERSION, box=None):
    data = named + version.to_bytes(8, "big") + (box or boxed(body, user, version))
    return checked("adb_" + base64.urlsafe_b64encode(data).rstrip(b"=").decode())


def ident(text):
    return hashlib.sha256(b"adyton.token.v1\x00" + text.encode()).hexdigest()


def last_digit(text):
    """The same bytes with unused bits of the last digit set, and the right checksum."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    body = text[:-6]
    return checked(body[:-1] + alphabet[alphabet.index(body[-1]) + 1])


def make():
    good, box = batch(BODY), boxed(BODY, USER, VERSION)
    assert (len(box) + 24) % 3, "its last digit has no spare bits"
    service = checked("adt_" + base62(int.from_bytes(USER + bytes(range(24)), "big"), 54))
    bad = {
        "another namespace is named": batch(BODY, named=OTHER),
        "sealed for another namespace": batch(BODY, user=OTHER),
        "another version of the key is named": batch(None, version=4, box=box),
        "the box is cut": batch(None, box=box[:-1]),
        "the box is longer": batch(None, box=box + b"\x00"),
        "one bit of the ciphertext": batch(None, box=box[:20] + bytes([box[20] ^ 1]) + box[21:]),
        "one bit of the tag": batch(None, box=box[:-1] + bytes([box[-1] ^ 1])),
        "no box": batch(None, box=b"\x01"),
        "written otherwise": last_digit(good),
        "padded": checked(good[:-6] + "="),
        "the checksum": good[:-1] + ("0" if good[-1] != "0" else "1"),
        "a root token": batch([*BODY[:2], ["root"], *BODY[3:]]),
        "a format to come": batch([2, *BODY[1:]]),
        "a field too few": batch(BODY[:-1]),
        "a field too many": batch([*BODY, ""]),
    }
    return {
        "store": STORE.hex(), "user": USER.hex(), "key_version": VERSION, "key": KEY.hex(),
        "service": {"text": service, "id": ident(service)},
        "batch": [
            {"text": text, "id": ident(text), "name": f"batch-{ident(text)[:32]}",
             "body": packed(body).hex()}
            for text, body in ((good, BODY), (batch(LOGIN), LOGIN))
        ],
        "refused": [{"case": case, "text": text} for case, text in bad.items()],
    }  # fmt: skip


def vector_text():
    return json.dumps(make(), indent=1) + "\n"


if __name__ == "__main__":
    sys.stdout.write(vector_text())
