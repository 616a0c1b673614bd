"""Issuers: what makes dynamic credentials (``docs/spec/dynamic.md``, section 4).

Third parties add one by an entry point of the group ``adyton.issuers`` that names a class
without arguments which is an ``issuing.Issuer``.
"""

from typing import Final, cast

from adyton.issuing import Issuer
from adyton.plugins import Plugins

__all__ = ["names", "open_issuer"]

_ISSUERS: Final = Plugins(
    "issuer",
    "adyton.issuers",
    "adyton.issuers",
    {"postgresql": "PostgresqlIssuer"},
    {"postgresql": "postgres"},
)


def names() -> tuple[str, ...]:
    """The issuers that can be used here, built-in and installed."""
    return _ISSUERS.names()


def open_issuer(name: str) -> Issuer:
    """The issuer of a name.

    Raises:
        InvalidInput: There is none.
        ConfigurationError: What it needs is not installed, or a plug-in is broken.
    """
    return cast("Issuer", _ISSUERS.open(name))
