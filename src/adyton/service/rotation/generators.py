"""Making new values: texts, words, identifiers, key pairs.

All randomness is that of the operating system; keys are made by ``cryptography``.
"""

import ipaddress
import math
import secrets
import string
import uuid
from collections.abc import Callable, Mapping
from functools import cache
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.x509.oid import NameOID

from adyton.canonical import canonical_json
from adyton.errors import InvalidInput
from adyton.model import CONTENT_JSON, CONTENT_TEXT
from adyton.rotating import Generated, known, needed, number

_BITS: Final = 64
"""What a value must have of entropy at the least (NIST SP 800-131A asks 112 of keys; a text
that is tried online, with throttling, may have less)."""
_ALPHABETS: Final = {
    "alnum": string.ascii_letters + string.digits,
    "letters": string.ascii_letters,
    "digits": string.digits,
    "hex": "0123456789abcdef",
    "url": string.ascii_letters + string.digits + "-_",
    "ascii": "".join(map(chr, range(0x21, 0x7F))),
}
_CURVES: Final[dict[str, Callable[[], ec.EllipticCurve]]] = {
    "p256": ec.SECP256R1,
    "p384": ec.SECP384R1,
    "p521": ec.SECP521R1,
}
_Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
_PEM: Final = serialization.Encoding.PEM


def generate(kind: str, options: Mapping[str, str]) -> Generated:
    """Make a new value.

    Raises:
        InvalidInput: There is no such generator, or an option can't be used.
    """
    return _generator(kind)(options)


def check(kind: str, options: Mapping[str, str]) -> None:
    """Check a generator's options, by making a value that is dropped.

    Raises:
        InvalidInput: As :func:`generate`.
    """
    generate(kind, options)


def _generator(kind: str) -> Callable[[Mapping[str, str]], Generated]:
    found = GENERATORS.get(kind)
    if found is None:
        raise InvalidInput(
            "there is no such generator", hint=f"Known are {', '.join(sorted(GENERATORS))}."
        )
    return found


def _text(options: Mapping[str, str]) -> Generated:
    known(options, "length", "alphabet", "characters")
    length = number(options, "length", 32, 1, 4096)
    name = options.get("alphabet", "alnum")
    characters = options.get("characters") or _ALPHABETS.get(name, "")
    if not characters:
        raise InvalidInput(
            "the alphabet is not known", hint=f"Known are {', '.join(_ALPHABETS)}; or 'characters'."
        )
    if len(set(characters)) != len(characters) or not characters.isprintable():
        raise InvalidInput("a character is there twice, or is not printable")
    _enough(length * math.log2(len(characters)), "Make it longer, or take more characters.")
    return _plain("".join(secrets.choice(characters) for _ in range(length)))


def _enough(bits: float, hint: str) -> None:
    if bits < _BITS:
        raise InvalidInput(f"the values would have less than {_BITS} bits of entropy", hint=hint)


@cache
def _word_list() -> tuple[str, ...]:
    """The EFF's long list: 7,776 words (CC BY 3.0 US), as xkcdpass brings it."""
    from xkcdpass import xkcd_password  # noqa: PLC0415 - few processes make words

    path = xkcd_password.locate_wordfile("eff-long")
    found: list[str] = xkcd_password.generate_wordlist(
        wordfile=path, min_length=1, max_length=99, valid_chars="[a-z-]"
    )
    return tuple(sorted(set(found)))


def _words(options: Mapping[str, str]) -> Generated:
    known(options, "words", "separator")
    count = number(options, "words", 6, 1, 64)
    words = _word_list()
    _enough(count * math.log2(len(words)), "Take more words.")
    separator = options.get("separator", "-")
    return _plain(separator.join(secrets.choice(words) for _ in range(count)))


def _uuid(options: Mapping[str, str]) -> Generated:
    known(options)
    return _plain(str(uuid.uuid4()))


def _plain(text: str) -> Generated:
    return Generated(text.encode(), CONTENT_TEXT)


def _document(**members: str) -> Generated:
    return Generated(canonical_json(members), CONTENT_JSON)


def _ssh(options: Mapping[str, str]) -> Generated:
    known(options, "type", "bits", "comment")
    kind = options.get("type", "ed25519")
    key: _Private
    if kind == "ed25519":
        key = ed25519.Ed25519PrivateKey.generate()
    elif kind == "rsa":
        key = _rsa_key(options)
    elif kind in _CURVES:
        key = ec.generate_private_key(_CURVES[kind]())
    else:
        raise InvalidInput("the type of SSH key is not ed25519, rsa, p256, p384 or p521")
    comment = options.get("comment", "")
    if not comment.isprintable():
        raise InvalidInput("the comment has control characters")
    public = key.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    private = key.private_bytes(
        _PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    return _document(
        private_key=private.decode(), public_key=f"{public.decode()} {comment}".rstrip()
    )


def _rsa_key(options: Mapping[str, str]) -> rsa.RSAPrivateKey:
    bits = number(options, "bits", 3072, 2048, 8192)
    if bits % 256:
        raise InvalidInput("the bits of an RSA key are not a multiple of 256")
    return rsa.generate_private_key(65537, bits)


def _pair(key: "_Private | x25519.X25519PrivateKey") -> dict[str, str]:
    private = key.private_bytes(
        _PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(_PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return {"private_key": private.decode(), "public_key": public.decode()}


def _x25519(options: Mapping[str, str]) -> Generated:
    known(options)
    return _document(**_pair(x25519.X25519PrivateKey.generate()))


def _rsa(options: Mapping[str, str]) -> Generated:
    known(options, "bits")
    return _document(**_pair(_rsa_key(options)))


def _ecdsa(options: Mapping[str, str]) -> Generated:
    known(options, "curve")
    return _document(**_pair(_ec_key(options)))


def _ec_key(options: Mapping[str, str]) -> ec.EllipticCurvePrivateKey:
    curve = _CURVES.get(options.get("curve", "p256"))
    if curve is None:
        raise InvalidInput("the curve is not p256, p384 or p521")
    return ec.generate_private_key(curve())


def _tls(options: Mapping[str, str]) -> Generated:
    """A key with the request for its certificate (PKCS #10, RFC 2986)."""
    known(options, "type", "bits", "curve", "common_name", "names")
    kind = options.get("type", "ecdsa")
    if kind not in {"ecdsa", "rsa"}:
        raise InvalidInput("the type of TLS key is not ecdsa or rsa")
    key = _rsa_key(options) if kind == "rsa" else _ec_key(options)
    common = needed(options, "common_name")
    try:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
        names = [_name(n.strip()) for n in options.get("names", "").split(",") if n.strip()]
        builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    except ValueError:
        raise InvalidInput("a name for the certificate can't be used in one") from None
    request = builder.sign(key, hashes.SHA256())
    return _document(csr=request.public_bytes(_PEM).decode(), **_pair(key))


def _name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


GENERATORS: Final[dict[str, Callable[[Mapping[str, str]], Generated]]] = {
    "text": _text,
    "words": _words,
    "uuid": _uuid,
    "ssh": _ssh,
    "x25519": _x25519,
    "rsa": _rsa,
    "ecdsa": _ecdsa,
    "tls": _tls,
}
