"""Evidence from a TPM 2.0: a quote of its PCRs by a restricted key, with the firmware's log.

The attestation key is derived from the endorsement seed by a fixed template: the same TPM makes the
same key, and so the same name, until it is cleared by its maker's means. It is made once in a
process and kept as a saved context, because real TPMs take a second for it.
"""

import os
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from tpm2_pytss import ESAPI, TSS2_Exception
from tpm2_pytss.constants import ESYS_TR, TPMA_OBJECT
from tpm2_pytss.types import TPM2B_DATA, TPM2B_PUBLIC, TPML_PCR_SELECTION

from adyton.attest import _files
from adyton.attest.options import EvidenceOptions, split_pcrs
from adyton.errors import RootError
from adyton.evidence import Parts
from adyton.roots import _tpm

KERNEL_LOG: Final = Path("/sys/kernel/security/tpm0/binary_bios_measurements")
_MAX_LOG: Final = 1024 * 1024
_TRIES: Final = 3
_TEMPLATE: Final = "ecc256:ecdsa-sha256:null"
_ATTRIBUTES: Final = (
    TPMA_OBJECT.FIXEDTPM
    | TPMA_OBJECT.FIXEDPARENT
    | TPMA_OBJECT.SENSITIVEDATAORIGIN
    | TPMA_OBJECT.USERWITHAUTH
    | TPMA_OBJECT.RESTRICTED
    | TPMA_OBJECT.SIGN_ENCRYPT
    | TPMA_OBJECT.NODA
)


class TpmEvidence:
    """Quotes of the machine's TPM.

    Args:
        options: How it is reached, which PCRs it quotes, and what goes with the quote.

    Raises:
        ConfigurationError: The file of certificates can't be read.
    """

    platform = "tpm"

    def __init__(self, options: EvidenceOptions) -> None:
        self._tcti = options.tcti
        self._bank, self._pcrs = split_pcrs(options.pcrs)
        self._certificates = _files.certificates(options.certificates)
        self._log = options.event_log
        self._kept: Any = None

    def produce(self, report_data: bytes) -> Parts:
        """A quote; what it is bound to is the SHA-256 of the report data.

        Raises:
            ServerUnavailable: The TPM gives none now.
        """
        try:
            with _tpm.connected(self._tcti) as esapi:
                return self._quote(esapi, sha256(report_data).digest())
        except RootError as error:
            raise _files.unavailable(error.message) from None

    def _quote(self, esapi: ESAPI, data: bytes) -> Parts:
        key = self._key(esapi)
        try:
            public, _, _ = esapi.read_public(key)
            for _ in range(_TRIES):
                pcrs = self._values(esapi)
                selection = TPML_PCR_SELECTION.parse(
                    f"{self._bank}:{','.join(map(str, self._pcrs))}"
                )
                quoted, signature = esapi.quote(key, selection, TPM2B_DATA(data))
                if self._values(esapi) == pcrs:  # nothing was measured in between
                    return Parts(
                        bytes(quoted),
                        signature.marshal(),
                        public.publicArea.marshal(),
                        pcrs,
                        self._event_log(),
                        self._certificates,
                    )
        finally:
            esapi.flush_context(key)
        raise _files.unavailable("the TPM's PCRs keep changing")

    def _key(self, esapi: ESAPI) -> ESYS_TR:
        if self._kept is not None:
            try:
                return esapi.context_load(self._kept)
            except TSS2_Exception:  # the TPM was restarted, or is another one
                self._kept = None
        template = TPM2B_PUBLIC.parse(_TEMPLATE, objectAttributes=_ATTRIBUTES)
        handle, _, _, _, _ = esapi.create_primary(None, template, ESYS_TR.ENDORSEMENT)
        self._kept = esapi.context_save(handle)
        return handle

    def _values(self, esapi: ESAPI) -> dict[str, bytes]:
        found = {}
        for pcr in self._pcrs:
            _, _, values = esapi.pcr_read(TPML_PCR_SELECTION.parse(f"{self._bank}:{pcr}"))
            if len(values) != 1:
                raise _files.unavailable(f"the TPM has no bank {self._bank}")
            found[f"{self._bank}:{pcr}"] = bytes(values[0])
        return found

    def _event_log(self) -> bytes:
        if self._log is not None:
            return _files.content(self._log, _MAX_LOG)
        return _files.content(KERNEL_LOG, _MAX_LOG) if os.access(KERNEL_LOG, os.R_OK) else b""
