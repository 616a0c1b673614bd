"""Finds what makes evidence here: one file for each platform, plug-ins by an entry point.

A plug-in is named by an entry point of the group ``adyton.attest``: a class that is called with
:class:`EvidenceOptions` and offers what ``ports.Evidence`` asks for.
"""

import logging
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Final, cast

from adyton.attest.options import EvidenceOptions
from adyton.errors import ConfigurationError
from adyton.ports import Evidence

_log: Final = logging.getLogger("adyton.attest")
ENTRY_POINTS: Final = "adyton.attest"
_BUILT_IN: Final = {"gramine": "GramineEvidence", "tpm": "TpmEvidence", "tsm": "TsmEvidence"}
"""Class by name; its module has that name. They come first: no package can take their names."""
_TPMS: Final = (Path("/dev/tpmrm0"), Path("/dev/tpm0"))


def open_evidence(options: EvidenceOptions) -> Evidence | None:
    """What makes evidence; None where none is wanted, or ``auto`` finds nothing that does.

    Raises:
        ConfigurationError: The platform is unknown, or not the one that the process runs on.
    """
    if options.platform == "none":
        return None
    if options.platform != "auto":
        return _open(options.platform, options)
    for name in found_here(options):
        try:
            return _open(name, options)
        except ConfigurationError as error:
            _log.warning("no evidence of the platform %s: %s", name, error.message)
    _log.warning("attestation.platform is auto, and no platform is found: no evidence is shown")
    return None


def _open(name: str, options: EvidenceOptions) -> Evidence:
    if name in _BUILT_IN:
        try:
            module = import_module(f"adyton.attest.{name}")
        except ImportError:
            raise ConfigurationError(
                f"evidence of the platform '{name}' needs a package that is not installed",
                hint="Install adyton[tpm].",
            ) from None
        return cast("Evidence", getattr(module, _BUILT_IN[name])(options))
    points = list(entry_points(group=ENTRY_POINTS, name=name))
    if len({point.value for point in points}) != 1:
        names = sorted({*_BUILT_IN, *(point.name for point in entry_points(group=ENTRY_POINTS))})
        raise ConfigurationError(
            f"the platform of attestation is unknown, or offered by several packages: {name!r}",
            hint=f"Known are auto, none, {', '.join(names)}.",
        )
    try:
        made = points[0].load()(options)
    except Exception as error:  # whatever a foreign module does
        raise ConfigurationError(
            f"the plug-in {points[0].value} of attestation fails: {type(error).__name__}"
        ) from error
    return cast("Evidence", made)


def found_here(options: EvidenceOptions) -> list[str]:
    """The platforms that this process may run on, as far as their files tell; the best first."""
    found = {
        "tsm": options.tsm.is_dir(),
        "gramine": (options.gramine / "user_report_data").exists(),
        "tpm": bool(options.tcti) or any(path.exists() for path in _TPMS),
    }
    return [name for name, there in found.items() if there]
