"""Evidence from Gramine on SGX: a DCAP quote from its pseudo-files (Gramine, "Attestation").

They are of the whole process: what was written last is what a quote is bound to. So one lock holds
writing and reading together.
"""

import threading
from typing import Final

from adyton.attest import _files
from adyton.attest.options import EvidenceOptions
from adyton.errors import ConfigurationError
from adyton.evidence import REPORT_DATA_BYTES, Parts

_lock: Final = threading.Lock()
_MAX_QUOTE: Final = 64 * 1024
_MAX_COLLATERAL: Final = 512 * 1024


class GramineEvidence:
    """Quotes of the enclave that the process runs in.

    Args:
        options: Where Gramine offers quotes, and Intel's collateral.

    Raises:
        ConfigurationError: The process does not run in an enclave that can be attested by DCAP.
    """

    platform = "sgx"

    def __init__(self, options: EvidenceOptions) -> None:
        self._base = options.gramine
        self._collateral = options.collateral
        try:
            kind = (self._base / "attestation_type").read_bytes().strip()
        except OSError as error:
            raise ConfigurationError(
                f"there is no attestation of Gramine here: {error.strerror}",
                hint='Run under gramine-sgx with sgx.remote_attestation = "dcap".',
            ) from None
        if kind != b"dcap":
            raise ConfigurationError(
                "Gramine offers no attestation by DCAP",
                hint='Set sgx.remote_attestation = "dcap" in its manifest.',
            )

    def produce(self, report_data: bytes) -> Parts:
        """A quote.

        Raises:
            ServerUnavailable: Gramine gives none now.
        """
        if len(report_data) != REPORT_DATA_BYTES:
            raise ValueError(len(report_data))
        with _lock:
            try:
                with (self._base / "user_report_data").open("wb", buffering=0) as file:
                    if file.write(report_data) != REPORT_DATA_BYTES:
                        raise _files.unavailable("Gramine did not take the data whole")
            except OSError as error:
                raise _files.unavailable(f"Gramine takes no data: {error.strerror}") from None
            quote = _files.content(self._base / "quote", _MAX_QUOTE)
        collateral = ""
        if self._collateral is not None:
            collateral = _files.content(self._collateral, _MAX_COLLATERAL).decode(
                "utf-8", "replace"
            )
        return Parts(quote, collateral=collateral)
