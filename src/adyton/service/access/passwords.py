"""Passwords: Argon2id (RFC 9106) on worker threads, with a bounded queue.

The parameters are OWASP's recommendation: 19 MiB, two passes, one lane. An unknown user costs as
much as a wrong password.
"""

import os
from collections.abc import Callable
from typing import Final

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from adyton.errors import InvalidInput
from adyton.service.aside import Threads
from adyton.service.ticket import Aside

MEMORY_KIB: Final = 19 * 1024
PASSES: Final = 2
MAX_BYTES: Final = 1_024
_LENGTH: Final = 32
_SALT: Final = 16


def hash_password(password: bytes) -> str:
    """A password's hash in PHC form; takes some 20 milliseconds.

    Raises:
        InvalidInput: The password is empty or too long.
    """
    check_length(password)
    made = Argon2id(
        salt=os.urandom(_SALT), length=_LENGTH, iterations=PASSES, lanes=1, memory_cost=MEMORY_KIB
    )
    return made.derive_phc_encoded(password)


def matches(password: bytes, encoded: str) -> bool:
    """Whether a password is the one of a hash."""
    try:
        Argon2id.verify_phc_encoded(password, encoded)
    except (InvalidKey, ValueError):
        return False
    return True


def check_length(password: bytes) -> None:
    """Refuse a password that is empty, or longer than anybody types.

    Raises:
        InvalidInput: It is.
    """
    if not password:
        raise InvalidInput("missing password")
    if len(password) > MAX_BYTES:
        raise InvalidInput(f"a password has at most {MAX_BYTES} bytes")


def _plain(guess: Callable[[], bool]) -> bool:
    return guess()


class Hasher:
    """Hashes on threads of its own, so that logins do not stop everything else.

    Args:
        threads: How many hash at once; 0 for one less than there are processors, up to four.
        waiting: How many more may wait; a login beyond is refused at once.
    """

    def __init__(self, threads: int = 0, waiting: int = 64) -> None:
        threads = threads or max(1, min(4, (os.cpu_count() or 1) - 1))
        self._threads = Threads("argon2", threads, waiting, "too many logins at once", nice=15)
        self._dummy = ""

    def hash(self, password: bytes) -> Aside[str]:
        """A password's hash.

        Raises:
            LimitExceeded: Too many wait already.
        """
        return self._threads.run(lambda: hash_password(password))

    def verify(
        self,
        password: bytes,
        encoded: str | None,
        attempt: Callable[[Callable[[], bool]], bool] = _plain,
    ) -> Aside[bool]:
        """Whether a password is right; False, after the same work, where there is no user.

        Args:
            password: The password.
            encoded: The user's hash, or None.
            attempt: Does the work on the thread, or refuses it.

        Raises:
            LimitExceeded: Too many wait already, or it is refused.
        """

        def check() -> bool:
            if not self._dummy:  # at the first login of all, whether there is such a user or not
                self._dummy = hash_password(os.urandom(16))
            if encoded is not None:
                return matches(password, encoded)
            matches(password, self._dummy)
            return False

        return self._threads.run(lambda: attempt(check))

    def close(self) -> None:
        """End the threads."""
        self._threads.close()
