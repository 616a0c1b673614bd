"""Which keys of TLS were attested, and connections that are made to no other.

What a server shows in TLS is known once the handshake is done, before a byte of a request is sent:
so there it is looked at, and a connection to a key that was not attested ends.
"""

import ssl
import threading
import time
from collections.abc import Callable
from hashlib import sha256
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from adyton.attest.verifier.certificates import UNREADABLE
from adyton.errors import AttestationError

_NONE: Final = b""


class Unattested(ssl.SSLError):
    """A connection showed a key that was not attested."""


class Pins:
    """The key that was attested last, and until when that counts. Safe to use from any thread.

    Args:
        seconds: For how long.
        clock: Tells the time in seconds, going only forward.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._key = _NONE
        self._ends = 0.0

    @property
    def fresh(self) -> bool:
        """Whether a key was attested not too long ago."""
        with self._lock:
            return self._key != _NONE and self._clock() < self._ends

    def learn(self, key: bytes, replace: Callable[[], None]) -> None:
        """Take on a key that was attested.

        Args:
            key: The key.
            replace: Gives up connections to the former one; called before the new one counts.
        """
        with self._lock:
            if self._key not in {_NONE, key}:
                replace()
            self._key, self._ends = key, self._clock() + self._seconds

    def expire(self) -> None:
        """Let nothing count any more; what comes next has to be attested again."""
        with self._lock:
            self._ends = 0.0

    def check(self, certificate: bytes | None) -> None:
        """Let a connection go on, or end it.

        Raises:
            Unattested: Its key is not the one that was attested.
        """
        with self._lock:
            if self._key == _NONE or key_of(certificate) != self._key:
                raise Unattested(1, "the server's key was not attested")

    def watch(self, context: ssl.SSLContext) -> None:
        """Check each connection that is made by a context, when its handshake is done."""
        check = self.check

        class Socket(ssl.SSLSocket):
            def do_handshake(self, block: bool = False) -> None:
                super().do_handshake(block)
                check(self.getpeercert(binary_form=True))

        class Object(ssl.SSLObject):
            def do_handshake(self) -> None:
                super().do_handshake()
                check(self.getpeercert(binary_form=True))

        context.sslsocket_class = Socket
        context.sslobject_class = Object


def key_of(certificate: bytes | None) -> bytes:
    """SHA-256 of the SubjectPublicKeyInfo of a certificate in DER.

    Raises:
        AttestationError: There is none, or it can't be read.
    """
    try:
        if certificate is None:
            raise ValueError
        key = x509.load_der_x509_certificate(certificate).public_key()
        return sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
    except UNREADABLE:
        raise AttestationError("the connection shows no readable certificate", rule="tls") from None


def unattested(error: BaseException) -> bool:
    """Whether a failure to connect is one of a key that was not attested."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, Unattested):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
