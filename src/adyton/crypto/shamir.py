"""Shamir's secret sharing over GF(2^8) (``docs/spec/roots.md``, section 5).

The field is that of AES (FIPS 197, section 4.2): polynomials over GF(2) modulo
x^8 + x^4 + x^3 + x + 1. Each byte of the secret is the constant term of a random polynomial of
degree k - 1, and a share is the value of all these polynomials at one point x from 1 to 255, as
in HashiCorp's Vault and OpenBao.

A secret is only ever multiplied by a number that is public, a point or what follows from points.
Such a product is a sum of masked constants: no table is indexed by a secret, and no branch
depends on one. Below that, Python adds and shifts small numbers in the same way whatever they
are, as far as Python promises anything.
"""

from collections.abc import Sequence
from typing import Final

from adyton.crypto.secretbytes import SecretBytes

MAX_SHARES: Final = 255
_MODULUS: Final = 0x11B


def _times_x(a: int) -> int:
    a <<= 1
    return a ^ (-(a >> 8) & _MODULUS)


def multiply(a: int, b: int) -> int:
    """The product of two elements of the field."""
    product = 0
    for _ in range(8):
        product ^= -(b & 1) & a
        a, b = _times_x(a), b >> 1
    return product


def inverse(a: int) -> int:
    """The inverse of an element, a^254; that of zero is zero."""
    result = 1
    for _ in range(7):  # 254 = 2 + 4 + ... + 128
        a = multiply(a, a)
        result = multiply(result, a)
    return result


def split(
    secret: SecretBytes, threshold: int, count: int, coefficients: SecretBytes
) -> list[SecretBytes]:
    """Split a secret into shares, of which any ``threshold`` make it again.

    Args:
        secret: The secret.
        threshold: How many shares are needed, from 1.
        count: How many are made, up to 255: the values at the points 1, 2, ... ``count``.
        coefficients: Uniformly random bytes, ``threshold - 1`` times as many as the secret has.

    Raises:
        ValueError: The numbers do not fit each other.
    """
    size = len(secret)
    if not 1 <= threshold <= count <= MAX_SHARES:
        raise ValueError("a threshold from 1 to the number of shares, which is at most 255")
    if len(coefficients) != size * (threshold - 1):
        raise ValueError("there must be a random byte for each byte and each higher coefficient")
    with secret.borrow() as constant, coefficients.borrow() as random:
        terms = [constant, *(random[at : at + size] for at in range(0, len(random), size))]
        return [_evaluate(terms, point, size) for point in range(1, count + 1)]


def combine(shares: Sequence[tuple[int, SecretBytes]]) -> SecretBytes:
    """The value at zero of the polynomials of lowest degree through some shares.

    It is the secret if these are as many of its shares as it needs; else it is some other value.

    Args:
        shares: Points and the values there, all of one size.

    Raises:
        ValueError: There is none, a point is out of range or there twice, or sizes differ.
    """
    points = [point for point, _ in shares]
    if not points or len(set(points)) != len(points):
        raise ValueError("shares of different points are needed")
    if not all(1 <= point <= MAX_SHARES for point in points):
        raise ValueError("a share's point is from 1 to 255")
    size = len(shares[0][1])
    if any(len(value) != size for _, value in shares):
        raise ValueError("the shares are not of one size")
    secret = SecretBytes.sized(size)
    for point, value in shares:
        weight = 1  # Lagrange's basis at zero; subtraction is exclusive or
        for other in points:
            if other != point:
                weight = multiply(weight, multiply(other, inverse(other ^ point)))
        with value.borrow() as view:
            _add_product(secret.writable(), view, weight)
    return secret


def _evaluate(terms: Sequence[memoryview], point: int, size: int) -> SecretBytes:
    """The polynomials' values at a point, by Horner's rule."""
    value = SecretBytes.sized(size)
    view = value.writable()
    view[:] = terms[-1]
    for term in reversed(terms[:-1]):
        product = SecretBytes.sized(size)
        with product:
            _add_product(product.writable(), view, point)
            _add_product(product.writable(), term, 1)
            view[:] = product.writable()
    return value


def _add_product(target: memoryview, value: memoryview, factor: int) -> None:
    """Add a secret times a public number to a buffer."""
    # Multiplication by a fixed number is linear: what each bit of the secret contributes.
    m0 = factor
    m1 = _times_x(m0)
    m2 = _times_x(m1)
    m3 = _times_x(m2)
    m4 = _times_x(m3)
    m5 = _times_x(m4)
    m6 = _times_x(m5)
    m7 = _times_x(m6)
    for at in range(len(target)):
        b = value[at]
        target[at] ^= (
            -(b & 1) & m0
            ^ -(b >> 1 & 1) & m1
            ^ -(b >> 2 & 1) & m2
            ^ -(b >> 3 & 1) & m3
            ^ -(b >> 4 & 1) & m4
            ^ -(b >> 5 & 1) & m5
            ^ -(b >> 6 & 1) & m6
            ^ -(b >> 7 & 1) & m7
        )
