"""Requests before they are sent: paths, queries and bodies, each encoded in one place."""

import secrets
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode

import msgspec

from adyton.model import UserId, check_cas, secret_name, user_id

_encode: Final = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True, repr=False)
class Call:
    """One request.

    Attributes:
        method: Its method.
        target: Path and query below ``/v1/``, encoded.
        body: Its body as JSON, or none.
        extra: Headers of its own.
        key: Its ``Idempotency-Key``; with one, the server does a write once however often the
            request arrives.
        safe: Whether sending it twice is the same as sending it once.
        patient: Whether the server may work for long before it answers.
    """

    method: str
    target: str
    body: bytes | None = None
    extra: tuple[tuple[str, str], ...] = ()
    key: str = ""
    safe: bool = False
    patient: bool = False

    def headers(self, token: str, namespace: str) -> list[tuple[str, str]]:
        """Its headers, the token with them."""
        found = [
            # Vault's mark of a request that no browser was tricked into.
            ("X-Vault-Request", "true"),
            ("Accept", "application/json"),
            # Compressed answers could grow without bound while they are unpacked.
            ("Accept-Encoding", "identity"),
            *self.extra,
        ]
        if token:
            found.append(("X-Vault-Token", token))
        if namespace and not self.target.startswith("adyton/"):  # there the path names the user
            found.append(("X-Vault-Namespace", namespace))
        if self.key:
            found.append(("Idempotency-Key", self.key))
        if self.body is not None:
            found.append(("Content-Type", "application/json"))
        return found


def read(target: str, body: object = None, *, method: str = "GET", patient: bool = False) -> Call:
    """A request that changes nothing, so that it may be repeated.

    Args:
        target: Path and query.
        body: What to send as JSON; None for nothing.
        method: Its method.
        patient: Whether the server may work for long.
    """
    encoded = None if body is None else _encode(body)
    return Call(method, target, encoded, safe=True, patient=patient)


def write(
    target: str,
    body: object = None,
    *,
    method: str = "POST",
    cas: int | None = None,
    patient: bool = False,
) -> Call:
    """A request that changes something: a fresh ``Idempotency-Key`` makes it safe to repeat.

    Args:
        target: Path and query.
        body: What to send as JSON; None for nothing.
        method: Its method.
        cas: Check-and-set, as a conditional header (RFC 9110, section 13.1).
        patient: Whether the server may work for long.

    Raises:
        InvalidInput: ``cas`` is no version number.
    """
    encoded = None if body is None else _encode(body)
    condition = (("If-Match", f'"{cas}"'),) if check_cas(cas) else (("If-None-Match", "*"),)
    extra = () if cas is None else condition
    key = secrets.token_hex(16)
    return Call(method, target, encoded, extra, key, safe=True, patient=patient)


def once(
    target: str,
    body: object = None,
    *,
    method: str = "POST",
    safe: bool = False,
    patient: bool = False,
) -> Call:
    """A request to a part of the server that knows no such keys: repeated only where it is safe."""
    encoded = None if body is None else _encode(body)
    return Call(method, target, encoded, safe=safe, patient=patient)


def of_user(user: UserId, *parts: str) -> str:
    """A path below a user's namespace."""
    return "/".join(("adyton/users", quote(user_id(user), safe=""), *parts))


def of_secret(user: UserId, kind: str, name: str) -> str:
    """The path of one secret: folders are segments of the path.

    Raises:
        InvalidName: The name or the user id breaks a rule.
    """
    segments = secret_name(name).split("/")
    return of_user(user, kind, "/".join(quote(segment, safe="") for segment in segments))


def query(**parameters: object) -> str:
    """A query; what is None, False or empty is left out, a list becomes several."""
    pairs = [
        (name, "true" if each is True else str(each))
        for name, value in parameters.items()
        for each in (value if isinstance(value, list | tuple) else (value,))
        if each is not None and each is not False and each != ""
    ]
    return f"?{urlencode(pairs, quote_via=quote)}" if pairs else ""


def given(**members: object) -> dict[str, object]:
    """A body of what is given: members that are None or UNSET are left out."""
    return {
        name: value
        for name, value in members.items()
        if value is not None and value is not msgspec.UNSET
    }


def with_null(body: dict[str, object], **members: object) -> dict[str, object]:
    """A body with members of which None says something; what is UNSET is left out."""
    more = {name: value for name, value in members.items() if value is not msgspec.UNSET}
    return body | more
