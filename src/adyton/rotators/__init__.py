"""Rotators: what puts new values into use (``docs/spec/rotation.md``, section 4).

Third parties add one by an entry point of the group ``adyton.rotators`` that names a class
without arguments which is a ``rotating.Rotator``.
"""

from typing import Final, cast

from adyton.plugins import Plugins
from adyton.rotating import Rotator

__all__ = ["names", "open_rotator"]

_ROTATORS: Final = Plugins(
    "rotator",
    "adyton.rotators",
    "adyton.rotators",
    {
        "random": "RandomRotator",
        "postgresql": "PostgresqlRotator",
        "redis": "RedisRotator",
        "webhook": "WebhookRotator",
        "program": "ProgramRotator",
    },
    {"postgresql": "postgres", "redis": "redis"},
)


def names() -> tuple[str, ...]:
    """The rotators that can be used here, built-in and installed."""
    return _ROTATORS.names()


def open_rotator(name: str) -> Rotator:
    """The rotator of a name.

    Raises:
        InvalidInput: There is none.
        ConfigurationError: What it needs is not installed, or a plug-in is broken.
    """
    return cast("Rotator", _ROTATORS.open(name))
