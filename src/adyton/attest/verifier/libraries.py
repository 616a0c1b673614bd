"""Libraries that only some platforms need: those of the extra ``attest``."""

from importlib import import_module
from types import ModuleType

from adyton.errors import AttestationError


def cbor2() -> ModuleType:
    """The library for CBOR.

    Raises:
        AttestationError: It is not installed.
    """
    return _found("cbor2")


def dcap_qvl() -> ModuleType:
    """The library for quotes of SGX and TDX.

    Raises:
        AttestationError: It is not installed.
    """
    return _found("dcap_qvl")


def _found(name: str) -> ModuleType:
    try:
        return import_module(name)
    except ImportError:
        raise AttestationError(
            f"evidence of this platform is checked by the package {name.replace('_', '-')}",
            rule="library",
            hint="Install adyton[attest].",
        ) from None
