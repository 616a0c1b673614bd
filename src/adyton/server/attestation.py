"""Shows evidence of the code that the server runs, bound to its TLS keys.

The format is that of ``docs/spec/attestation.md``.

Making it takes a platform milliseconds to a second, one at a time: it is done beside the event
loop, and of those who ask at once only so many wait.
"""

from collections.abc import Callable, Sequence
from typing import Final

from adyton.errors import AttestationError, InvalidInput
from adyton.evidence import Binding, Document
from adyton.ports import Evidence
from adyton.service.aside import Threads

_WAITING: Final = 32


class Attestation:
    """Evidence of one server, sealed or not.

    Args:
        evidence: What makes it; None where there is none.

    Attributes:
        tls_keys: Tells the digests of the keys that connections show now, that of new ones first.
    """

    def __init__(self, evidence: Evidence | None = None) -> None:
        self._evidence = evidence
        self._threads = None
        if evidence is not None:
            text = "too many ask for evidence at once"
            self._threads = Threads("attest", 1, _WAITING, text)
        self.tls_keys: Callable[[], Sequence[bytes]] = list

    async def document(self, nonce: bytes, tls_key: bytes | None, log_key: str) -> Document:
        """Fresh evidence.

        Args:
            nonce: The caller's.
            tls_key: The key that the caller's connection shows: while certificates change there
                are several, and only those that the server holds are ever vouched for. None for
                that of new connections.
            log_key: The log's verifier key, or empty.

        Raises:
            AttestationError: This server shows none.
            InvalidInput: The key is none of the server's.
            LimitExceeded: Too many ask at once.
            ServerUnavailable: The platform gives none now.
        """
        evidence, threads = self._evidence, self._threads
        if evidence is None or threads is None:
            raise AttestationError(
                "this server shows no evidence of its code",
                rule="none",
                hint="Its operator can turn that on: attestation.platform.",
            )
        held = self.tls_keys()
        if tls_key is not None and tls_key not in held:
            raise InvalidInput(
                "the TLS key is none of this server's",
                hint="Something between you and the server ends TLS, or the certificate changed.",
            )
        shown = tls_key or (held[0] if held else b"")
        binding = Binding(nonce, shown, log_key)
        parts = await threads.run(lambda: evidence.produce(binding.report_data()))
        return Document(evidence.platform, nonce, shown, log_key, parts)
