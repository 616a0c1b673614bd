"""What authentic evidence says, before anything is judged by a policy."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

Fact: TypeAlias = str | int | bool | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Claims:
    """Claims whose signatures lead to a root.

    Attributes:
        platform: ``tpm``, ``sev-snp``, ``tdx``, ``sgx`` or ``nitro``.
        report_data: The 64 bytes that the evidence is bound to, or the 32 of a TPM.
        debug: Whether the platform lets somebody look inside.
        facts: What was measured, by the names of ``docs/spec/attestation.md``, section 4.
        issued_at: When the evidence was made, where it says so itself.
        collateral_at: When the oldest part of its collateral was issued, where there is any.
        pcrs: Values of PCRs in hexadecimal digits.
        events: Digests in hexadecimal digits that were extended into each PCR, if a log shows it.
    """

    platform: str
    report_data: bytes
    debug: bool
    facts: Mapping[str, Fact]
    issued_at: dt.datetime | None = None
    collateral_at: dt.datetime | None = None
    pcrs: Mapping[str, str] = field(default_factory=dict)
    events: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
