"""The root ``shamir:``: a key in shares that several people hold (``docs/spec/roots.md``).

The key exists in memory only, while the root is open. The store keeps, beside the wrapped master
key, what is needed to tell right shares from wrong ones.
"""

import os
import re
from collections.abc import Sequence
from typing import Final, Self

from adyton.crypto import shares
from adyton.crypto.aead import AeadKey
from adyton.crypto.gathering import Gathering
from adyton.crypto.secretbytes import SecretBytes
from adyton.crypto.shares import SET_BYTES, Share, ShareSet
from adyton.errors import ConfigurationError, InvalidInput, RootLocked
from adyton.roots._asking import Ask
from adyton.roots._local import KIND_SHAMIR, LocalRoot

_NUMBERS: Final = re.compile(r"([0-9]{1,3})/([0-9]{1,3})")
_MAX_WRONG: Final = 10


class ShamirRoot(LocalRoot):
    """Wraps the master key under a key that k of n shares make.

    Args:
        ask: Asks a person for a share when a wrapped key has to be opened; None where the shares
            come in another way.
    """

    _kind_byte = KIND_SHAMIR

    def __init__(self, ask: Ask | None = None) -> None:
        super().__init__()
        self._ask = ask
        self._key: AeadKey | None = None
        self._set: ShareSet | None = None

    @classmethod
    def create(cls, threshold: int, count: int) -> tuple[Self, list[Share]]:
        """Make a new key and its shares; the shares are nowhere else.

        Raises:
            InvalidInput: The numbers make no sense.
        """
        key, known, made = shares.new_set(threshold, count, os.urandom(SET_BYTES))
        with key:
            return cls.of_key(key, known), made

    @classmethod
    def of_key(cls, key: SecretBytes, known: ShareSet) -> Self:
        """The open root of a key that was put together; the caller keeps and wipes the key."""
        root = cls()
        root._unlock(key, known)
        return root

    @classmethod
    def from_uri(cls, rest: str, *, create: bool, ask: Ask | None) -> Self:
        """Open ``shamir:`` or ``shamir:K/N``; the numbers matter only when a store is made.

        Raises:
            ConfigurationError: Something else follows the colon, or a new root is wanted, whose
                shares nobody would be told here.
            InvalidInput: The numbers make no sense.
        """
        numbers_of(rest)
        if create:
            raise ConfigurationError(
                "the shares of a new root 'shamir:' have to be handed out, which is not done here",
                hint="Make the store with 'adyton init --root shamir:3/5', over sys/init, or with "
                "ShamirRoot.create(3, 5) as its root.",
            )
        return cls(ask)

    def wrap(self, key: SecretBytes, context: bytes) -> bytes:
        """Wrap a key.

        Raises:
            RootLocked: The shares have not been entered.
            RootUnavailable: The root was closed, or opened before a fork.
        """
        cipher, known = self._key, self._set
        self._check_usable()
        if cipher is None or known is None:
            raise self._wants_shares()
        return self._seal(cipher, self._header(known.pack()), key, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> SecretBytes:
        """Open a wrapped key into locked memory, asking for shares where none were entered.

        Raises:
            RootLocked: Shares of another set, another context, damaged bytes, or no shares.
            RootUnavailable: The root was closed, or opened before a fork.
        """
        known, box = self._parsed(wrapped)
        if self._set is None:
            self.choose([wrapped])
        cipher = self._key
        self._check_usable()
        if cipher is None or self._set != known:
            raise self._locked()
        return self._open(cipher, self._header(known.pack()), box, context)

    def choose(self, wrapped: Sequence[bytes]) -> int:
        """Which of several wrapped keys is this root's; asks for shares of any of them.

        Raises:
            RootLocked: None is, or the shares were wrong too often.
        """
        sets = [self._parsed(one)[0] for one in wrapped]
        if self._set is None:
            self._gather(sets)
        if self._set not in sets:
            raise self._locked()
        return sets.index(self._set)

    def describe(self) -> dict[str, str]:
        """Kind and, once open, how many shares there are and are needed."""
        found = {"kind": self.kind}
        if self._set is not None:
            found |= {"threshold": str(self._set.threshold), "shares": str(self._set.total)}
        return found

    @property
    def known(self) -> ShareSet | None:
        """The set of shares, once they were entered."""
        return self._set

    def close(self) -> None:
        """Forget the key. May be called again."""
        super().close()
        self._key = None

    def _unlock(self, key: SecretBytes, known: ShareSet) -> None:
        self._key = AeadKey(key)
        self._set = known

    def _parsed(self, wrapped: bytes) -> tuple[ShareSet, bytes]:
        self._check_usable()
        found = set_of(wrapped)
        if found is None:
            self._split(wrapped)  # names the root that made it, if it is another
            raise self._locked()
        return found

    def _gather(self, sets: Sequence[ShareSet]) -> None:
        ask = self._ask
        if ask is None:
            raise self._wants_shares()
        gathering = Gathering(sets)
        wrong = 0
        trouble = ""
        try:
            newest = sets[-1]
            while True:
                wanted = f"Share {gathering.progress(newest) + 1} of {newest.threshold}"
                with ask(f"{trouble}{wanted}") as text, text.borrow() as view:
                    try:
                        newest = gathering.enter(shares.parse(view))
                    except InvalidInput as error:
                        wrong += 1
                        if wrong >= _MAX_WRONG:
                            raise RootLocked(error.message, hint=error.hint) from None
                        trouble = f"{error.message}. "
                        continue
                trouble = ""
                if gathering.complete(newest):
                    break
            with gathering.key(newest) as key:
                self._unlock(key, newest)
        finally:
            gathering.wipe()

    def _wants_shares(self) -> RootLocked:
        return RootLocked(
            "the shares of the root have not been entered",
            hint="Enter them with 'adyton unseal' at a server, or where a command asks for them.",
        )


def set_of(wrapped: bytes) -> tuple[ShareSet, bytes] | None:
    """The set of shares that opens a wrapped key, and the box; None if another root made it."""
    if wrapped[:2] != bytes((KIND_SHAMIR, 0x01)):
        return None
    return ShareSet.unpack(wrapped[2:])


def read_set(wrapped: bytes) -> ShareSet | None:
    """The set of shares that opens a wrapped key."""
    found = set_of(wrapped)
    return None if found is None else found[0]


def numbers_of(rest: str) -> tuple[int, int] | None:
    """Threshold and number of shares of what follows ``shamir:``; None where none are given.

    Raises:
        ConfigurationError: Something else follows the colon.
        InvalidInput: The numbers make no sense.
    """
    if not rest:
        return None
    found = _NUMBERS.fullmatch(rest)
    if found is None:
        # The text is not shown: it may be a share in the wrong place.
        raise ConfigurationError(
            "what follows 'shamir:' is not how many shares are needed, and how many there are",
            hint="Write it as in 'shamir:3/5'. Shares are asked for, and never stand in a URI.",
        )
    threshold, count = int(found[1]), int(found[2])
    shares.check_numbers(threshold, count)
    return threshold, count
