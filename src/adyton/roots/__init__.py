"""Roots of trust: what wraps the master key (``docs/spec/roots.md``, DESIGN section 7).

:func:`open_root` makes one from a URI. Third parties add a scheme by an entry point of the
group ``adyton.roots`` that names a class with the classmethod of :class:`RootFactory`.
"""

from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Final, Protocol, cast

from adyton.errors import ConfigurationError
from adyton.ports import RootOfTrust
from adyton.roots._asking import Ask, keep_variables
from adyton.roots.dev import DevRoot
from adyton.roots.keyfile import KeyFileRoot
from adyton.roots.passphrase import Argon2Params, PassphraseRoot
from adyton.roots.shamir import ShamirRoot

__all__ = [
    "Argon2Params",
    "Ask",
    "DevRoot",
    "KeyFileRoot",
    "PassphraseRoot",
    "RootFactory",
    "ShamirRoot",
    "keep_variables",
    "open_root",
    "schemes",
]

ENTRY_POINTS: Final = "adyton.roots"


class RootFactory(Protocol):
    """What a plug-in's class has to offer."""

    def from_uri(self, rest: str, *, create: bool, ask: Ask | None) -> RootOfTrust:
        """Open the root that a URI names; on a class, a classmethod.

        Args:
            rest: What follows ``scheme:``.
            create: Make what the root needs if it is missing.
            ask: Asks a person for a secret, or None where nobody can be asked.

        Raises:
            ConfigurationError: The URI is wrong.
            RootError: The root is missing, refuses or does not answer.
        """


# These come first: an installed package can't take over the scheme of a built-in root. They are
# loaded on use: most processes need one.
_BUILT_IN: Final = {
    "age": "AgeRoot",
    "awskms": "AwsKmsRoot",
    "credential": "CredentialRoot",
    "dev": "DevRoot",
    "gramine": "GramineRoot",
    "keyfile": "KeyFileRoot",
    "passphrase": "PassphraseRoot",
    "pkcs11": "Pkcs11Root",
    "shamir": "ShamirRoot",
    "tpm2": "Tpm2Root",
    "transit": "TransitRoot",
}
"""Class by scheme; its module has the scheme's name."""


def schemes() -> tuple[str, ...]:
    """The schemes that can be opened here, built-in and installed."""
    return tuple(sorted({*_BUILT_IN, *(point.name for point in _points())}))


def open_root(
    uri: str | RootOfTrust, *, create: bool = False, ask: Ask | None = None
) -> RootOfTrust:
    """Open the root of trust that a URI names; a root that is open already is returned as it is.

    Args:
        uri: ``keyfile:PATH``, ``passphrase:``, ``passphrase:env=NAME``, ``passphrase:file=PATH``,
            ``shamir:K/N``, ``dev:``, or one with the scheme of a plug-in.
        create: Make what the root needs if it is missing, such as a key file.
        ask: Asks a person for a secret; it gets the prompt.

    Raises:
        ConfigurationError: The URI is wrong, its scheme is unknown, or a plug-in is broken.
        InvalidInput: The passphrase is too short, or not the same the second time.
        RootUnavailable: The root is missing or does not answer.
        RootLocked: The root is there but is not one, such as a key file of another length.
        RootError: The root refuses.
    """
    if not isinstance(uri, str):
        return uri
    scheme, colon, rest = uri.partition(":")
    factory = _factory(scheme) if colon else None
    if factory is None:
        # The URI is not shown: it may be a passphrase in the wrong place.
        raise ConfigurationError(
            "the root of trust is not named by a URI with a known scheme; known are "
            + ", ".join(f"'{known}:'" for known in schemes()),
            hint="Write it as in 'keyfile:/etc/adyton/master.key'.",
        )
    return factory.from_uri(rest, create=create, ask=ask)


def _points() -> list[EntryPoint]:
    return [p for p in entry_points(group=ENTRY_POINTS) if p.name not in _BUILT_IN]


def _factory(scheme: str) -> RootFactory | None:
    if scheme in _BUILT_IN:
        module = import_module(f"adyton.roots.{scheme}")
        return cast("RootFactory", getattr(module, _BUILT_IN[scheme]))
    points = [point for point in _points() if point.name == scheme]
    if not points:
        return None
    values = {point.value for point in points}
    if len(values) > 1:
        raise ConfigurationError(
            f"several packages offer the root '{scheme}:': {', '.join(sorted(values))}",
            hint="Uninstall all but the one that you mean.",
        )
    try:
        loaded = points[0].load()
    except Exception as error:  # whatever a foreign module does when it is imported
        raise ConfigurationError(
            f"the plug-in {points[0].value} of the root '{scheme}:' can't be loaded: "
            f"{type(error).__name__}",
            hint="Install what it needs, or another version of it.",
        ) from error
    if not callable(getattr(loaded, "from_uri", None)):
        raise ConfigurationError(
            f"the plug-in {points[0].value} of the root '{scheme}:' has no from_uri",
            hint="Install a version of it that fits this Adyton.",
        )
    return cast("RootFactory", loaded)
