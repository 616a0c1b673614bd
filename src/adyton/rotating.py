"""The seam of rotators: what puts a new value of a secret into use elsewhere.

Every step may come again after a crash, with the same token and the same values, and has to be
done once all the same. A rotator is called on a thread, and keeps nothing between calls.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from adyton.errors import InvalidInput, RotationError

_HOST: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}|[0-9A-Fa-f:.]{2,45}", re.ASCII)
"""One name or address. Libraries read more into other texts: several hosts, files, options."""
_SOCKET: Final = re.compile(r"(/[A-Za-z0-9_-][A-Za-z0-9._-]*)+", re.ASCII)
"""The folder of a socket of this machine."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What rotators may touch: the operator's word, whatever a policy says.

    Attributes:
        targets: Patterns of ``host:port`` that may be connected to, such as ``db.internal:5432``.
            Sockets of this machine need ``*``, or one that is no pattern.
        programs: Folder of the programs that may be run; None for none.
        seconds: Most seconds for one step.
    """

    targets: tuple[str, ...] = ("*",)
    programs: Path | None = None
    seconds: float = 30.0

    def allow(self, host: str, port: int) -> None:
        """Pass if a place may be connected to.

        Raises:
            RotationError: It is not among the targets.
        """
        place = f"{host}:{port}"
        if _HOST.fullmatch(host):
            place = place.lower()
            allowed = any(fnmatchcase(place, pattern.lower()) for pattern in self.targets)
        else:
            listed = "*" in self.targets or place in self.targets
            allowed = listed and _SOCKET.fullmatch(host) is not None
        if not allowed:
            raise RotationError(
                "rotators may not connect to the place that the policy names",
                hint="The operator lists places in the setting rotation.targets.",
            )


class Generated(NamedTuple):
    """A new value."""

    value: bytes
    content_type: str

    def __repr__(self) -> str:
        return "<Generated>"


@dataclass(frozen=True, slots=True, repr=False)
class Turn:
    """One rotation as its rotator sees it.

    Attributes:
        token: Names the rotation; the same whenever a step comes again.
        settings: The policy's settings.
        bounds: What may be touched.
        admin: The value of the secret that lets the rotator in, or None.
        former: The current value before the rotation, or None for none.
        new: The value that is to become current; empty in ``create``.
    """

    token: str
    settings: Mapping[str, str]
    bounds: Bounds
    admin: bytes | None = None
    former: bytes | None = None
    new: bytes = b""


class Rotator(Protocol):
    """What puts new values into use.

    Each method but ``check`` raises ``RotationError`` where the step can't be done now, with a
    text that holds nothing secret.
    """

    def check(self, settings: Mapping[str, str], *, admin: bool) -> None:
        """Check a policy's settings, and whether it names an admin's secret.

        Raises:
            InvalidInput: They can't be used.
        """

    def create(self, turn: Turn, generate: Callable[[], Generated]) -> Generated:
        """Make the new value; nothing changes elsewhere yet."""

    def set(self, turn: Turn) -> None:
        """Make the new value work beside the former one."""

    def test(self, turn: Turn) -> None:
        """Pass only if the new value works."""

    def retire(self, turn: Turn) -> None:
        """Make the former value stop working."""

    def undo(self, turn: Turn) -> None:
        """Make the new value stop working, whether it was set or not; the former one works on."""


def known(settings: Mapping[str, str], *names: str) -> None:
    """Refuse settings that a rotator or generator does not know.

    Raises:
        InvalidInput: There is one.
    """
    if set(settings) - set(names):
        raise InvalidInput(
            "there is a setting that is not known here",
            hint=f"Known are {', '.join(names)}." if names else "None are known.",
        )


def needed(settings: Mapping[str, str], name: str) -> str:
    """A setting that must be there.

    Raises:
        InvalidInput: It is not.
    """
    value = settings.get(name, "")
    if not value:
        raise InvalidInput(f"the setting '{name}' is missing")
    return value


def one_host(settings: Mapping[str, str], *, sockets: bool = False) -> str:
    """The setting ``host``, which must be one name or address.

    Args:
        settings: The settings.
        sockets: Whether it may also be the folder of a socket of this machine.

    Raises:
        InvalidInput: It is missing, or none.
    """
    host = needed(settings, "host")
    if not _HOST.fullmatch(host) and not (sockets and _SOCKET.fullmatch(host)):
        raise InvalidInput("the setting 'host' is not one name or address of a host")
    return host


def number(settings: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    """A setting that is a whole number.

    Raises:
        InvalidInput: It is not one, or out of bounds.
    """
    text = settings.get(name, str(default))
    if text.isascii() and text.isdigit() and len(text) < 10 and least <= int(text) <= most:
        return int(text)
    raise InvalidInput(f"the setting '{name}' is not a whole number from {least} to {most}")
