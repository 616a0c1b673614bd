"""Rotators: what puts new values into use (``docs/spec/rotation.md``, section 4).

Third parties add one by an entry point of the group ``adyton.rotators`` that names a class
without arguments which is a ``rotating.Rotator``.
"""

from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Final, cast

from adyton.errors import ConfigurationError, InvalidInput
from adyton.rotating import Rotator

__all__ = ["names", "open_rotator"]

ENTRY_POINTS: Final = "adyton.rotators"

# These come first, as with roots. They are loaded on use: their libraries are extras.
_BUILT_IN: Final = {
    "random": "RandomRotator",
    "postgresql": "PostgresqlRotator",
    "redis": "RedisRotator",
    "webhook": "WebhookRotator",
    "program": "ProgramRotator",
}
_LIBRARIES: Final = {"postgresql": "postgres", "redis": "redis"}


def names() -> tuple[str, ...]:
    """The rotators that can be used here, built-in and installed."""
    return tuple(sorted({*_BUILT_IN, *(point.name for point in _points())}))


def open_rotator(name: str) -> Rotator:
    """The rotator of a name.

    Raises:
        InvalidInput: There is none.
        ConfigurationError: What it needs is not installed, or a plug-in is broken.
    """
    if name in _BUILT_IN:
        try:
            module = import_module(f"adyton.rotators.{name}")
        except ImportError:
            raise ConfigurationError(
                f"the rotator '{name}' needs a library that is not installed",
                hint=f"Run: pip install 'adyton[{_LIBRARIES.get(name, name)}]'",
            ) from None
        return cast("Rotator", getattr(module, _BUILT_IN[name])())
    points = [point for point in _points() if point.name == name]
    if not points:
        raise InvalidInput("there is no such rotator", hint=f"Known are {', '.join(names())}.")
    if len({point.value for point in points}) > 1:
        raise ConfigurationError(
            "several packages offer a rotator of one name",
            hint="Uninstall all but the one that you mean.",
        )
    try:
        return cast("Rotator", points[0].load()())
    except Exception as error:  # whatever a foreign module does when it is imported
        raise ConfigurationError(
            f"the plug-in of a rotator can't be loaded: {type(error).__name__}",
            hint="Install what it needs, or another version of it.",
        ) from error


def _points() -> list[EntryPoint]:
    return [point for point in entry_points(group=ENTRY_POINTS) if point.name not in _BUILT_IN]
