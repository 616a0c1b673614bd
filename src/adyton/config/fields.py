"""What a setting is: its type, unit, range and help, and how text becomes its value."""

import dataclasses
import functools
import re
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

T = TypeVar("T")

_MARK: Final = "adyton.setting"
_TIMES: Final = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_SIZES: Final = {
    "": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9,
    "kib": 2**10, "mib": 2**20, "gib": 2**30, "k": 2**10, "m": 2**20, "g": 2**30,
}  # fmt: skip
_MOST: Final = 10**18
_UNIT_SECONDS: Final = {"seconds": 1.0, "days": 86_400.0}
_BOOLEANS: Final = {
    "true": True, "yes": True, "on": True, "1": True,
    "false": False, "no": False, "off": False, "0": False,
}  # fmt: skip


class BadValue(Exception):
    """A value is not what a setting takes; the text says what it takes."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for one setting beside its type.

    Attributes:
        help: One line: what it decides.
        unit: ``seconds``, ``days`` or ``bytes``: text such as ``30s`` and ``32MiB`` is then taken
            too. Anything else is only shown.
        at_least: Smallest value.
        at_most: Largest value.
        environment: The environment variable; by default ``ADYTON_SECTION_KEY``.
        flag: The flag of the command line that sets it, for messages and the reference.
        secret: Refused in the file, never shown.
        check: Returns what is wrong with a value of the right type, or an empty text.
    """

    help: str
    unit: str = ""
    at_least: float | None = None
    at_most: float | None = None
    environment: str = ""
    flag: str = ""
    secret: bool = False
    check: Callable[[Any], str] | None = None


def setting(
    default: T,
    help: str,  # noqa: A002 - the plain word
    *,
    unit: str = "",
    at_least: float | None = None,
    at_most: float | None = None,
    environment: str = "",
    flag: str = "",
    secret: bool = False,
    check: Callable[[Any], str] | None = None,
) -> T:
    """Declare a setting as a field of a frozen dataclass; the arguments are those of ``Rules``."""
    rules = Rules(help, unit, at_least, at_most, environment, flag, secret, check)
    field: Any = dataclasses.field(default=default, metadata={_MARK: rules})
    return typing.cast("T", field)


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of one section."""

    section: str
    name: str
    kind: Any
    default: Any
    rules: Rules
    optional: bool

    @property
    def key(self) -> str:
        """Section and name, as ``server.listen``."""
        return f"{self.section}.{self.name}"

    @property
    def environment(self) -> str:
        """Its environment variable."""
        return self.rules.environment or f"ADYTON_{self.section}_{self.name}".upper()

    @property
    def takes(self) -> str:
        """What it takes, for people."""
        unit = self.rules.unit
        if choices := self._choices():
            return "one of " + ", ".join(choices)
        if unit in _UNIT_SECONDS:
            return f'a time, in {unit} or such as "30s" or "12h"'
        if unit == "bytes":
            return 'a size, in bytes or such as "32MiB"'
        return {
            str: "a text", bool: "true or false", int: "a whole number", float: "a number",
            Path: "a path", tuple: "a list of texts",
        }[typing.get_origin(self.kind) or self.kind]  # fmt: skip

    @property
    def range(self) -> str:
        """Its range, for people; empty if there is none."""
        low, high = self.rules.at_least, self.rules.at_most
        if low is not None and high is not None:
            return f"{_number(low)} to {_number(high)}"
        if low is not None:
            return f"at least {_number(low)}"
        return "" if high is None else f"at most {_number(high)}"

    def shown(self, value: object) -> str:
        """A value for people: with its unit, and never a secret."""
        if value is None or value in ("", ()):
            text = "-"
        elif self.rules.secret:
            text = "(set)"
        elif isinstance(value, bool):
            text = str(value).lower()
        elif isinstance(value, tuple):
            text = " ".join(map(str, value))
        elif isinstance(value, int) and self.rules.unit == "bytes":
            text = _size(value)
        elif isinstance(value, int | float):
            text = f"{_number(value)} {self.rules.unit}".strip()
        else:
            text = str(value)
        return text

    def parse(self, raw: object) -> Any:  # noqa: ANN401 - of the setting's type
        """The value that a text or a value of TOML stands for.

        Raises:
            BadValue: It stands for none; the text says what was expected.
        """
        value = self._typed(raw)
        if isinstance(value, int | float) and not isinstance(value, bool):
            low, high = self.rules.at_least, self.rules.at_most
            if (low is not None and value < low) or (high is not None and value > high):
                raise BadValue(f"{self.shown(value)} is out of range: {self.range}")
        if self.rules.check is not None and (wrong := self.rules.check(value)):
            raise BadValue(wrong)
        return value

    def _choices(self) -> tuple[str, ...]:
        return typing.get_args(self.kind) if typing.get_origin(self.kind) is typing.Literal else ()

    def _typed(self, raw: object) -> Any:  # noqa: ANN401 - of the setting's type
        kind = typing.get_origin(self.kind) or self.kind
        if choices := self._choices():
            found: Any = raw if raw in choices else None
        elif kind is tuple:
            found = _texts(raw)
        elif kind is bool:
            found = _BOOLEANS.get(raw.lower()) if isinstance(raw, str) else raw
            found = found if isinstance(found, bool) else None
        elif kind in {int, float}:
            found = self._numeric(raw)
        elif isinstance(raw, str | Path) and "\0" not in str(raw):
            found = kind(raw)
        else:
            found = None
        if found is None:
            raise BadValue(f"expected {self.takes}")
        return found

    def _numeric(self, raw: object) -> int | float | None:
        unit = self.rules.unit
        if isinstance(raw, str):
            raw = _measured(raw.strip(), unit)
        if isinstance(raw, bool) or not isinstance(raw, int | float):
            return None
        if not -_MOST < raw < _MOST:  # not a number, too
            return None
        if self.kind is int:
            return int(raw) if raw == int(raw) else None
        return float(raw)


def _measured(text: str, unit: str) -> int | float | None:
    """The number that a text stands for, in the unit."""
    match = re.fullmatch(r"(-?[0-9]{1,18}(?:\.[0-9]{1,18})?)\s*([a-zA-Z]*)", text.replace("_", ""))
    if match is None:
        return None
    number = float(match[1]) if "." in match[1] else int(match[1])
    suffix = match[2]
    if not suffix:
        return number
    if unit == "bytes" and suffix.lower() in _SIZES:
        return number * _SIZES[suffix.lower()]
    if unit in _UNIT_SECONDS and suffix in _TIMES:
        return number * _TIMES[suffix] / _UNIT_SECONDS[unit]
    return None


def _texts(raw: object) -> tuple[str, ...] | None:
    if isinstance(raw, str):
        return tuple(raw.split())
    if isinstance(raw, list | tuple) and all(isinstance(each, str) for each in raw):
        return tuple(raw)
    return None


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,g}"


def _size(value: int) -> str:
    for suffix, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if value >= size and value % size == 0:
            return f"{value // size:,} {suffix}"
    return f"{value:,} bytes"


@functools.cache
def settings_of(configuration: type) -> dict[str, Setting]:
    """Every setting of a configuration by its key, section by section."""
    found = {}
    for section, kind in typing.get_type_hints(configuration).items():
        hints = typing.get_type_hints(kind)
        for field in dataclasses.fields(kind):
            hint = hints[field.name]
            parts = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
            plain = next(part for part in parts if part is not types.NoneType)
            made = Setting(
                section, field.name, plain, field.default, field.metadata[_MARK], len(parts) > 1
            )
            found[made.key] = made
    return found


def help_of(configuration: type, key: str) -> str:
    """The help of a setting, as a flag of the command line shows it."""
    found = settings_of(configuration)[key]
    return f"{found.rules.help}  [env var: {found.environment}]"
