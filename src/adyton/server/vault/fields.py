"""Reading fields of a request as Vault's clients write them: loosely typed, clearly refused."""

import ipaddress
import re
from collections.abc import Mapping
from typing import Any, Final

from adyton.errors import InvalidInput
from adyton.service.access.policy import policy_names

_UNITS: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION: Final = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h|d))+", re.ASCII)
_PART: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)", re.ASCII)
_MOST: Final = 10**18
_MAX_SECONDS: Final = 100 * 366 * 86_400

Body = Mapping[str, Any]

ROLE_TYPES: Final = frozenset({"batch", "service", "default-batch", "default-service"})
"""Kinds of tokens that a token role, or a login method, can give."""


def wrong_token_type(text: str) -> InvalidInput:
    """The refusal of a kind of token that there is not."""
    return InvalidInput(f"invalid 'token_type' value \"{text[:50]}\"")


def seconds(value: object, name: str) -> int:
    """A time: whole seconds as a number or text, or Go's form such as ``1h30m``.

    Raises:
        InvalidInput: It is none of these, or out of range.
    """
    found: float | None = None
    if (isinstance(value, int) and not isinstance(value, bool)) or (
        isinstance(value, float) and value.is_integer()
    ):
        found = value
    elif isinstance(value, str):
        text = value.strip()
        if not text:
            found = 0
        elif len(text) <= 20 and re.fullmatch(r"-?[0-9]+", text, re.ASCII):
            found = int(text)
        elif len(text) <= 64 and _DURATION.fullmatch(text):
            found = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    elif value is None:
        found = 0
    if found is None:
        raise InvalidInput(
            f'error converting input for field "{name}": it is not a time',
            hint="Write seconds as a number, or a text such as 90s, 1h or 1h30m.",
        )
    if not 0 <= found <= _MAX_SECONDS:
        raise InvalidInput(f"{name} is negative or too long")
    return int(found)


def integer(value: object, name: str) -> int:
    """A whole number of at most 18 digits, also as text.

    Raises:
        InvalidInput: It is not one.
    """
    found = None
    is_text = isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,18}", value, re.ASCII)
    if isinstance(value, int) and not isinstance(value, bool):
        found = value
    elif is_text or (isinstance(value, float) and value.is_integer()):
        found = int(value)  # type: ignore[call-overload] # text or number
    if found is not None and abs(found) < _MOST:
        return found
    raise InvalidInput(f'error converting input for field "{name}": expected a whole number')


def count(value: object, name: str) -> int:
    """How often something may be done; 0 for any number of times.

    Raises:
        InvalidInput: It is no whole number, or negative.
    """
    found = integer(value, name)
    if found < 0:
        raise InvalidInput(f"{name} cannot be negative")
    return found


def boolean(value: object, name: str) -> bool:
    """A truth value, also as text or number.

    Raises:
        InvalidInput: It is not one.
    """
    if isinstance(value, bool):
        return value
    text = str(value).lower() if isinstance(value, int | str) else ""
    if text in {"1", "t", "true"}:
        return True
    if text in {"0", "f", "false", ""}:
        return False
    raise InvalidInput(f'error converting input for field "{name}": expected true or false')


def text(body: Body, name: str, default: str = "") -> str:
    """A text; absent or null is the default.

    Raises:
        InvalidInput: It is neither text nor a number.
    """
    value = body.get(name)
    if value is None:
        return default
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    raise InvalidInput(f'error converting input for field "{name}": expected text')


def strings(value: object, name: str) -> list[str]:
    """A list of texts, also as one text with commas.

    Raises:
        InvalidInput: It is neither.
    """
    if value is None:
        return []
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    if isinstance(value, list) and all(isinstance(part, str | int) for part in value):
        return [str(part) for part in value]
    raise InvalidInput(f'error converting input for field "{name}": expected a list of texts')


def policies(value: object, name: str) -> list[str]:
    """A list of policies' names in their canonical form, also as one text with commas.

    Raises:
        InvalidInput: It is neither.
    """
    return policy_names(strings(value, name))


def networks(value: object, name: str) -> list[str]:
    """A list of IP networks.

    Raises:
        InvalidInput: One is not a network.
    """
    found = strings(value, name)
    for text in found:
        try:
            ipaddress.ip_network(text, strict=False)
        except ValueError:
            raise InvalidInput(f"{name} holds {text!r}, which is not a network") from None
    return found


def members(value: object, name: str) -> Body:
    """An object; absent or null is an empty one.

    Raises:
        InvalidInput: It is not one.
    """
    if value is None:
        return {}
    if isinstance(value, dict):
        return value
    raise InvalidInput(f'error converting input for field "{name}": expected an object')


def string_map(value: object, name: str) -> dict[str, str] | None:
    """An object of texts, or None.

    Raises:
        InvalidInput: It is not one.
    """
    if value is None:
        return None
    if isinstance(value, dict) and all(isinstance(v, str | int | float) for v in value.values()):
        return {
            str(k): ("true" if v else "false") if isinstance(v, bool) else str(v)
            for k, v in value.items()
        }
    raise InvalidInput(f'error converting input for field "{name}": expected texts by name')


def integers(value: object, name: str) -> list[int]:
    """A list of whole numbers, also as texts or one text with commas.

    Raises:
        InvalidInput: It is neither.
    """
    if isinstance(value, int | float):
        value = [value]
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    if not isinstance(value, list):
        raise InvalidInput(f'error converting input for field "{name}": expected a list')
    return [integer(part, name) for part in value]
