"""The form of secrets that are logged in with: a JSON object of ``username`` and ``password``."""

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from adyton.canonical import canonical_json
from adyton.errors import LeaseError, RotationError
from adyton.model import CONTENT_JSON, CONTENT_TEXT
from adyton.rotating import Generated


class Login(NamedTuple):
    """Who logs in, and how."""

    username: str
    password: str

    def __repr__(self) -> str:
        return "<Login>"


class _Members(msgspec.Struct):
    username: str
    password: str


def login_of(
    value: bytes | None,
    what: str,
    fails: type[RotationError] | type[LeaseError] = RotationError,
) -> Login:
    """Read a login.

    Raises:
        RotationError: The value is none; or another class, if one is given.
    """
    try:
        found = msgspec.json.decode(value or b"", type=_Members)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise fails(
            f"{what} is not a JSON object with 'username' and 'password'",
            hint="Write it so, then try again.",
        ) from None
    if "\x00" in found.username + found.password or not found.username or not found.password:
        raise fails(f"{what} has an empty member, or a zero byte")
    return Login(found.username, found.password)


def made(username: str, generate: Callable[[], Generated]) -> Generated:
    """A login with a new password.

    Raises:
        RotationError: The generator makes no texts.
    """
    value = generate()
    if value.content_type != CONTENT_TEXT:
        raise RotationError("a password is a text", hint="Use the generator text, words or uuid.")
    return Generated(
        canonical_json({"username": username, "password": value.value.decode()}), CONTENT_JSON
    )
