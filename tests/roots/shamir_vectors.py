"""Write ``vectors/shamir/v1.json``; run it as ``python tests/roots/shamir_vectors.py``.

Nothing here comes from the package: the field is one of discrete logarithms and long division,
shares are evaluated power by power, and texts are put together by hand from ``docs/spec/roots.md``.
"""

import base64
import hashlib
import json
import struct
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

FOLDER = Path(__file__).parents[2] / "vectors" / "shamir"


def multiply(a, b):
    """Carry-less product, then the remainder of long division by x^8+x^4+x^3+x+1."""
    product = 0
    for bit in range(8):
        if b >> bit & 1:
            product ^= a << bit
    for bit in range(14, 7, -1):
        if product >> bit & 1:
            product ^= 0x11B << (bit - 8)
    return product


POWERS = [1]  # of x+1, which generates the field
while len(POWERS) < 255:
    POWERS.append(multiply(POWERS[-1], 3))
LOGS = {power: at for at, power in enumerate(POWERS)}


def divide(a, b):
    return 0 if a == 0 else POWERS[(LOGS[a] - LOGS[b]) % 255]


def power(a, n):
    return POWERS[LOGS[a] * n % 255]


def share(secret, coefficients, x):
    """The polynomials' values at x: constant terms and coefficients of x, x^2, ..."""
    terms = [secret, *coefficients]
    out = bytearray()
    for column in zip(*terms, strict=True):
        total = 0
        for degree, term in enumerate(column):
            total ^= multiply(term, power(x, degree))
        out.append(total)
    return bytes(out)


def combine(points):
    """Interpolation at zero, byte by byte."""
    out = bytearray()
    for at in range(len(points[0][1])):
        total = 0
        for x, y in points:
            term = y[at]
            for other, _ in points:
                if other != x:
                    term = multiply(term, divide(other, other ^ x))
            total ^= term
        out.append(total)
    return bytes(out)


def encode(*fields):
    return b"".join(struct.pack(">I", len(field)) + field for field in fields)


def packed(set_id, threshold, x, y):
    data = b"\x01" + set_id + bytes([threshold]) + y + bytes([x])
    return data + hashlib.sha256(encode(b"adyton/v1/share-check") + data).digest()[:4]


def text(data):
    letters = base64.b32encode(data).decode().rstrip("=").lower()
    return "ads1-" + "-".join(letters[at : at + 4] for at in range(0, len(letters), 4))


def commitment(set_id, threshold, x, y):
    label = encode(b"adyton/v1/share-commitment", set_id, bytes([threshold, x]))
    return hashlib.sha256(label + y).digest()[:16]


def stream(label, size):
    return hashlib.shake_256(label.encode()).digest(size)


def case(threshold, count):
    name = f"{threshold} of {count}"
    secret, set_id = stream(f"key {name}", 32), stream(f"set {name}", 8)
    coefficients = [stream(f"coefficient {n} {name}", 32) for n in range(1, threshold)]
    values = [share(secret, coefficients, x) for x in range(1, count + 1)]
    assert combine(list(enumerate(values, 1))[-threshold:]) == secret
    shares = [packed(set_id, threshold, x, y) for x, y in enumerate(values, 1)]
    commitments = [commitment(set_id, threshold, x, y) for x, y in enumerate(values, 1)]
    header = b"\x04\x01" + set_id + bytes([threshold, count]) + b"".join(commitments)
    master, context, nonce = stream("master", 32), b"c", stream("nonce", 12)
    sealed = AESGCM(secret).encrypt(nonce, master, encode(b"adyton/v1/root", header, context))
    return {
        "threshold": threshold,
        "count": count,
        "key": secret.hex(),
        "set_id": set_id.hex(),
        "coefficients": b"".join(coefficients).hex(),
        "shares": [
            {"hex": one.hex(), "base64": base64.b64encode(one).decode(), "text": text(one)}
            for one in shares
        ],
        "commitments": [one.hex() for one in commitments],
        "context": context.hex(),
        "master_key": master.hex(),
        "wrapped": (header + b"\x01" + nonce + sealed).hex(),
    }


def vector_text():
    made = {"cases": [case(1, 1), case(2, 2), case(2, 3), case(3, 5), case(5, 9)]}
    return json.dumps(made, indent=1) + "\n"


if __name__ == "__main__":
    (FOLDER / "v1.json").write_text(vector_text())
