"""How evidence is made: read from the configuration, given to the platforms."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_BANKS: Final = frozenset(("sha1", "sha256", "sha384", "sha512"))
_PCRS: Final = re.compile(r"([a-z0-9]+):([0-9]{1,2}(?:\+[0-9]{1,2})*)", re.ASCII)


@dataclass(frozen=True, slots=True)
class EvidenceOptions:
    """Options of all platforms.

    Attributes:
        platform: ``auto``, ``tpm``, ``tsm``, ``gramine``, the name of a plug-in, or ``none``.
        tcti: How the TPM is reached; empty for the system's way.
        pcrs: What the TPM quotes, as ``sha256:0+7``.
        event_log: The firmware's log; None for the kernel's.
        certificates: PEM file of the key that signs and its issuers.
        collateral: JSON file of Intel's collateral.
        tsm: Where Linux offers reports.
        gramine: Where Gramine offers quotes.
    """

    platform: str = "none"
    tcti: str = ""
    pcrs: str = "sha256:0+1+2+3+4+5+6+7"
    event_log: Path | None = None
    certificates: Path | None = None
    collateral: Path | None = None
    tsm: Path = Path("/sys/kernel/config/tsm/report")
    gramine: Path = Path("/dev/attestation")


def split_pcrs(text: str) -> tuple[str, tuple[int, ...]]:
    """Bank and PCRs, ascending, of ``BANK:N+N``.

    Raises:
        ValueError: It is not such a text.
    """
    found = _PCRS.fullmatch(text)
    numbers = sorted({int(number) for number in found[2].split("+")}) if found else []
    if found is None or found[1] not in _BANKS or numbers[-1] > 23:
        raise ValueError(text)
    return found[1], tuple(numbers)
