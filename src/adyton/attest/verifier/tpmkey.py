"""The attestation key of a TPM: its public area and its signatures (TPM 2.0 part 2, 11.3 and 12.2).

Read here so that a client needs no library of the TPM.
"""

from hashlib import sha256
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from adyton.attest.verifier.reading import Reader, malformed
from adyton.errors import AttestationError

_RSA, _ECC = 0x0001, 0x0023
_SHA256, _SHA384 = 0x000B, 0x000C
_NULL: Final = 0x0010
_RSASSA, _RSAPSS, _ECDSA = 0x0014, 0x0016, 0x0018
_HASHES: Final[dict[int, hashes.HashAlgorithm]] = {
    _SHA256: hashes.SHA256(),
    _SHA384: hashes.SHA384(),
}
_CURVES: Final[dict[int, ec.EllipticCurve]] = {3: ec.SECP256R1(), 4: ec.SECP384R1()}
_FIXED_TPM, _FIXED_PARENT, _ORIGIN = 1 << 1, 1 << 4, 1 << 5
_RESTRICTED, _DECRYPT, _SIGN = 1 << 16, 1 << 17, 1 << 18
_WANTED: Final = _FIXED_TPM | _FIXED_PARENT | _ORIGIN | _RESTRICTED | _SIGN
_RSA_BITS: Final = frozenset((2048, 3072, 4096))
_F4: Final = 65_537


class AttestationKey(NamedTuple):
    """An attestation key.

    Attributes:
        name: Its name: the algorithm and the digest of its public area.
        key: The key.
        scheme: By which it signs.
        digest: The hash that it signs.
    """

    name: bytes
    key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey
    scheme: int
    digest: int

    @property
    def hash(self) -> hashes.HashAlgorithm:
        """The hash that it signs."""
        return _HASHES[self.digest]

    def check(self, signature: bytes, signed: bytes) -> None:
        """Check a signature (TPMT_SIGNATURE).

        Raises:
            AttestationError: It is wrong.
        """
        reader = Reader(signature, "big", "the signature")
        if (reader.number(2), reader.number(2)) != (self.scheme, self.digest):
            raise malformed("the signature is not of the key's scheme")
        try:
            if isinstance(self.key, ec.EllipticCurvePublicKey):
                first, second = _number(reader.sized()), _number(reader.sized())
                reader.end()
                made = encode_dss_signature(first, second)
                self.key.verify(made, signed, ec.ECDSA(self.hash))
            else:
                made = reader.sized()
                reader.end()
                self.key.verify(made, signed, self._padding(), self.hash)
        except (InvalidSignature, ValueError):
            raise AttestationError("the quote's signature is wrong", rule="signature") from None

    def _padding(self) -> padding.AsymmetricPadding:
        if self.scheme == _RSASSA:
            return padding.PKCS1v15()
        return padding.PSS(padding.MGF1(self.hash), padding.PSS.AUTO)


def parse(public: bytes) -> AttestationKey:
    """The key of a public area (TPMT_PUBLIC).

    Raises:
        AttestationError: It is none, or not one that signs quotes alone and never leaves its TPM.
    """
    reader = Reader(public, "big", "the attestation key")
    kind, named_by, attributes = reader.number(2), reader.number(2), reader.number(4)
    reader.sized()
    if named_by != _SHA256:
        raise malformed("the attestation key is not named by SHA-256")
    if attributes & _WANTED != _WANTED or attributes & _DECRYPT:
        raise AttestationError(
            "the key that signed is not a restricted signing key that is fixed to its TPM",
            rule="ak",
        )
    symmetric, scheme, digest = reader.number(2), reader.number(2), reader.number(2)
    if symmetric != _NULL or digest not in _HASHES:
        raise malformed("the attestation key's scheme is unknown")
    key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey
    if kind == _ECC and scheme == _ECDSA:
        curve = _CURVES.get(reader.number(2))
        if curve is None or reader.number(2) != _NULL:
            raise malformed("the attestation key's curve is unknown")
        numbers = _number(reader.sized()), _number(reader.sized())
        key = _ecc(curve, *numbers)
    elif kind == _RSA and scheme in {_RSASSA, _RSAPSS}:
        bits, exponent = reader.number(2), reader.number(4)
        modulus = _number(reader.sized())
        if bits not in _RSA_BITS or modulus.bit_length() != bits or exponent not in {0, _F4}:
            raise malformed("the attestation key is no RSA key of a known size")
        key = _rsa(modulus)
    else:
        raise malformed("the attestation key is of an unknown kind")
    reader.end()
    return AttestationKey(
        named_by.to_bytes(2, "big") + sha256(public).digest(), key, scheme, digest
    )


def _ecc(curve: ec.EllipticCurve, x: int, y: int) -> ec.EllipticCurvePublicKey:
    try:
        return ec.EllipticCurvePublicNumbers(x, y, curve).public_key()
    except ValueError:
        raise malformed("the attestation key is no point of its curve") from None


def _rsa(modulus: int) -> rsa.RSAPublicKey:
    try:
        return rsa.RSAPublicNumbers(_F4, modulus).public_key()
    except ValueError:
        raise malformed("the attestation key is no RSA key") from None


def _number(data: bytes) -> int:
    return int.from_bytes(data, "big")
