"""Write ``vectors/translog/*.json``; run it as ``python tests/translog/generate_vectors.py``.

Nothing here comes from the package: hashing is :mod:`naive`, signatures are made with
``cryptography``, and texts are put together by hand from ``docs/spec/translog.md``.
"""

import base64
import hashlib
import json
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

sys.path.insert(0, str(Path(__file__).parents[1]))
from translog import naive

FOLDER = Path(__file__).parents[2] / "vectors" / "translog"
STORE = bytes(range(16))
ORIGIN = f"adyton/{STORE.hex()}/0"
SEED = bytes(range(32))
OTHER_SEED = bytes(range(32, 64))


def b64(data):
    return base64.b64encode(data).decode()


def hexes(hashes):
    return [one.hex() for one in hashes]


def public(seed):
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def key_id(name, seed):
    return hashlib.sha256(name.encode() + b"\n\x01" + public(seed)).digest()[:4]


def vkey(name, seed):
    return f"{name}+{key_id(name, seed).hex()}+{b64(bytes([1]) + public(seed))}"


def line(name, seed, text):
    signature = Ed25519PrivateKey.from_private_bytes(seed).sign(text.encode())
    return f"\u2014 {name} {b64(key_id(name, seed) + signature)}\n"


def checkpoint_text(size, root, origin=ORIGIN):
    return f"{origin}\n{size}\n{b64(root)}\n"


def note(text, name=ORIGIN, seed=SEED):
    return f"{text}\n{line(name, seed, text)}"


def merkle():
    data = [bytes([at]) * at for at in range(14)]
    hashes = [naive.leaf(one) for one in data]
    sizes = range(len(data) + 1)
    return {
        "leaves": hexes(data),
        "roots": [naive.mth(hashes[:size]).hex() for size in sizes],
        "inclusion": [
            {"index": m, "size": n, "proof": hexes(naive.path(m, hashes[:n]))}
            for n in sizes
            for m in range(n)
        ],
        "consistency": [
            {"old": m, "new": n, "proof": hexes(naive.consistency(m, hashes[:n]))}
            for n in sizes
            for m in range(n + 1)
        ],
    }


def tiles():
    """Leaf n of the tree is n as 8 bytes, big-endian."""
    hashes = [naive.leaf(at.to_bytes(8, "big")) for at in range(65_536 + 300)]
    cases = []
    for size in (1, 255, 256, 257, 512, 1000, 65_535, 65_536, 65_537, 65_836):
        found = naive.tiles(hashes[:size])
        cases.append(
            {
                "size": size,
                "root": naive.mth(hashes[:size]).hex(),
                "tiles": len(found),
                "sha256": hashlib.sha256(
                    b"".join(b"".join(found[place]) for place in sorted(found))
                ).hexdigest(),
            }
        )
    return {
        "trees": cases,
        "paths": {
            "tile/0/000": [0, 0, 256],
            "tile/0/001.p/7": [0, 1, 7],
            "tile/2/999": [2, 999, 256],
            "tile/1/x001/000": [1, 1000, 256],
            "tile/63/x001/x234/067.p/255": [63, 1234067, 255],
            "tile/entries/x001/x234/067": [None, 1234067, 256],
            "tile/entries/000.p/1": [None, 0, 1],
        },
        "bundle": {"entries": ["", "00", "0102ff"], "bytes": "000000010000030102ff"},
    }


def notes():
    root = naive.mth([naive.leaf(b"one")])
    text = checkpoint_text(1, root)
    other = "witness.example/w1"
    good = note(text)
    signature = line(ORIGIN, SEED, text)
    foreign = line(other, OTHER_SEED, text)
    flat = bytearray(base64.b64decode(signature.rstrip().split(" ")[2]))
    flat[-1] ^= 1
    forged = f"\u2014 {ORIGIN} {b64(bytes(flat))}\n"
    empty = naive.mth([])
    return {
        "origin": ORIGIN,
        "vkey": vkey(ORIGIN, SEED),
        "seed": SEED.hex(),
        "checkpoints": [
            {"name": "valid", "note": good, "expect": "valid", "size": 1, "root": root.hex()},
            {
                "name": "empty log",
                "note": note(checkpoint_text(0, empty)),
                "expect": "valid",
                "size": 0,
                "root": empty.hex(),
            },
            {
                "name": "unknown key beside",
                "note": good + foreign,
                "expect": "valid",
                "size": 1,
                "root": root.hex(),
            },
            {
                "name": "extension line",
                "note": note(text + "more\n"),
                "expect": "valid",
                "size": 1,
                "root": root.hex(),
            },
            {
                "name": "only an unknown key",
                "note": note(text, other, OTHER_SEED),
                "expect": "lies",
            },
            {
                "name": "right name, wrong key",
                "note": note(text, ORIGIN, OTHER_SEED),
                "expect": "lies",
            },
            {"name": "changed signature", "note": f"{text}\n{forged}", "expect": "lies"},
            {
                "name": "one good and one bad of the same key",
                "note": good + forged,
                "expect": "lies",
            },
            {
                "name": "changed text",
                "note": f"{checkpoint_text(2, root)}\n{signature}",
                "expect": "lies",
            },
            {
                "name": "empty log, wrong root",
                "note": note(checkpoint_text(0, root)),
                "expect": "lies",
            },
            {
                "name": "another log",
                "note": note(checkpoint_text(1, root, "adyton/other/0")),
                "expect": "malformed",
            },
            {
                "name": "leading zero",
                "note": note(text.replace("\n1\n", "\n01\n")),
                "expect": "malformed",
            },
            {
                "name": "signed size",
                "note": note(text.replace("\n1\n", "\n-1\n")),
                "expect": "malformed",
            },
            {
                "name": "size over 63 bits",
                "note": note(checkpoint_text(2**63, root)),
                "expect": "malformed",
            },
            {
                "name": "short root",
                "note": note(checkpoint_text(1, root[:31])),
                "expect": "malformed",
            },
            {"name": "no root", "note": note(f"{ORIGIN}\n1\n"), "expect": "malformed"},
            {"name": "root not canonical", "note": note(text[:-3] + "Z=\n"), "expect": "malformed"},
            {"name": "no signatures", "note": f"{text}\n", "expect": "malformed"},
            {"name": "no blank line", "note": text + signature, "expect": "malformed"},
            {"name": "no final newline", "note": good[:-1], "expect": "malformed"},
            {"name": "carriage return", "note": good.replace("\n", "\r\n"), "expect": "malformed"},
            {
                "name": "hyphen for the dash",
                "note": good.replace("\u2014", "-"),
                "expect": "malformed",
            },
            {"name": "line behind the signatures", "note": good + "more\n", "expect": "malformed"},
            {
                "name": "key name with a plus",
                "note": f"{text}\n\u2014 a+b AAAAAAAA\n",
                "expect": "malformed",
            },
            {
                "name": "signature of a key id only",
                "note": f"{text}\n\u2014 a AAAAAA==\n",
                "expect": "malformed",
            },
        ],
    }


def proof():
    body, salt = b"\x93\x01\xa5alice\xc3", bytes(range(100, 116))
    commitment = hashlib.sha256(b"adyton.audit-commit.v1\x00" + salt + body).digest()
    record = b"\x01" + bytes(16) + bytes(4) + commitment + bytes(12) + b"ciphertext"
    hashes = [naive.leaf(b"%d" % at) for at in range(9)]
    hashes[5] = naive.leaf(record)
    document = {
        "format": "adyton.audit-proof.v1",
        "index": 5,
        "leaf": b64(record),
        "inclusion": [b64(one) for one in naive.path(5, hashes)],
        "checkpoint": note(checkpoint_text(9, naive.mth(hashes))),
        "vkey": vkey(ORIGIN, SEED),
        "salt": b64(salt),
        "body": b64(body),
    }
    return {"vkey": vkey(ORIGIN, SEED), "body": body.hex(), "size": 9, "document": document}


def files():
    """Every vector file: its name and text."""
    made = {"merkle": merkle(), "tiles": tiles(), "notes": notes(), "proof": proof()}
    return {f"{name}.json": json.dumps(value, indent=1) + "\n" for name, value in made.items()}


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in files().items():
        (FOLDER / name).write_text(text)
