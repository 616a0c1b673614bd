"""Users' own roots that are given at this moment: in locked memory and nowhere else."""

import threading
from collections.abc import Callable

from adyton.crypto.aead import AeadKey
from adyton.crypto.secretbytes import SecretBytes
from adyton.errors import DecryptionFailed, UserRootAway, UserRootRefused
from adyton.ports import Clock
from adyton.rows import UserKeyRow
from adyton.service.userkeys import UserKeys
from adyton.service.userroot import layers


def refused() -> UserRootRefused:
    """The refusal of a key that does not open the user's keys."""
    return UserRootRefused(
        "the key does not open this user's keys",
        hint="It was changed meanwhile, or is another user's: look with 'adyton user root show'.",
    )


def away() -> UserRootAway:
    """The refusal of whatever needs a user's keys while the user's own root is away."""
    return UserRootAway(
        "the user's own root is away, and nothing of this user opens without it",
        hint="Whoever holds it gives it with 'adyton user root give'.",
    )


class _Given:
    """One user root key.

    Attributes:
        user: The user's index.
        key: The key.
        until_us: When it is taken away by itself.
        keys: The user's opened keys, once somebody has asked for them.
        trial: Whether it is tried, and does not count yet.
    """

    __slots__ = ("key", "keys", "root", "trial", "until_us", "user", "user_id")

    def __init__(
        self,
        user: bytes,
        user_id: str,
        root: bytes,
        key: SecretBytes,
        until_us: int,
        *,
        trial: bool,
    ) -> None:
        self.user = user
        self.user_id = user_id
        self.root = root
        self.key = key
        self.until_us = until_us
        self.trial = trial
        self.keys: UserKeys | None = None

    def __repr__(self) -> str:
        return "<Given>"


class GivenRoots:
    """What users have given, by the id of the user root key.

    Args:
        store: The store's id.
        clock: Tells the time.

    Attributes:
        any: Whether there is one: the only thing that others ever have to look at.
        ended: Users whose root's time is over, and of whom no record tells it yet.
        on_end: Called with the user's id when a root's time is over.
    """

    def __init__(self, store: bytes, clock: Clock | None) -> None:
        self._store = store
        self._clock = clock
        self._roots: dict[bytes, _Given] = {}
        self._lock = threading.RLock()
        self.any = False
        self.ended: list[str] = []
        self.on_end: Callable[[str], None] = lambda _: None

    def __repr__(self) -> str:
        return "<GivenRoots>"

    # -- giving and taking ----------------------------------------------------------------------

    def put(
        self,
        user: bytes,
        user_id: str,
        root: bytes,
        key: SecretBytes,
        until_us: int,
        *,
        trial: bool = False,
    ) -> None:
        """Hold a copy of a user root key until a time.

        On trial it opens what is stored, and nothing is kept open; one that is given stays so.
        """
        with self._lock:
            known = self._roots.get(root)
            if known is not None:
                if not trial:
                    known.until_us, known.trial = until_us, False
                return
            kept = SecretBytes(key.writable())
            self._roots[root] = _Given(user, user_id, root, kept, until_us, trial=trial)
            self.any = True

    def drop(self, root: bytes) -> None:
        """Wipe one user root key."""
        with self._lock:
            found = self._roots.pop(root, None)
            self.any = bool(self._roots)
            if found is not None:
                found.key.wipe()
                found.keys = None

    def take(self, user: bytes) -> bool:
        """Wipe what a user has given; whether there was anything."""
        with self._lock:
            gone = [root for root, given in self._roots.items() if given.user == user]
            for root in gone:
                self.drop(root)
        return bool(gone)

    def wipe(self) -> None:
        """Wipe all."""
        with self._lock:
            for root in list(self._roots):
                self.drop(root)

    # -- what is given --------------------------------------------------------------------------

    def until_us(self, root: bytes) -> int:
        """Until when a user root key is given; 0 if it is not."""
        found = self._find(root)
        return 0 if found is None or found.trial else found.until_us

    def users(self) -> list[tuple[bytes, str]]:
        """Users whose own root is given: index and id."""
        self.sweep()
        with self._lock:
            return [(one.user, one.user_id) for one in self._roots.values() if not one.trial]

    def sweep(self) -> None:
        """Take away what has had its time."""
        if self.any:
            for root in list(self._roots):
                self._find(root)

    def _find(self, root: bytes) -> _Given | None:
        found = self._roots.get(root)
        if found is None or (self._clock and found.until_us > self._clock.now_us()):
            return found
        with self._lock:
            if self._roots.get(root) is not found:
                return None
            self.drop(root)
            self.ended.append(found.user_id)
        self.on_end(found.user_id)
        return None

    # -- keys -----------------------------------------------------------------------------------

    def cached(self, user_id: str) -> UserKeys | None:
        """A user's opened keys, if they are closed by a root of the user's own that is given."""
        for given in list(self._roots.values()):
            if given.user_id == user_id and given.keys is not None:
                return given.keys if self._find(given.root) is given else None
        return None

    def keep(self, keys: UserKeys) -> None:
        """Keep a user's opened keys for as long as the root is given."""
        with self._lock:
            given = self._roots.get(keys.own_root)
            if given is not None and given.user == keys.user and not given.trial:
                given.keys = keys

    def forget(self, user_id: str | None = None) -> None:
        """Have users' keys opened anew, of one user or all; the roots stay."""
        with self._lock:
            for given in self._roots.values():
                if user_id in (None, given.user_id):
                    given.keys = None

    def open(self, master: AeadKey, row: UserKeyRow) -> SecretBytes:
        """Open a user key in two layers.

        Raises:
            UserRootAway: The user's own root is not given.
            IntegrityError: The row was changed, or is not the user's.
        """
        root = layers.root_of(row.wrapped)
        given = self._find(root)
        if given is None or given.user != row.user:
            raise away()
        inner = layers.open_outer(master, self._store, row)
        return self._open_inner(self._cipher(given), row, root, inner)

    def _cipher(self, given: _Given) -> AeadKey:
        """A user root key for use; it can't be taken away and wiped while it is copied.

        Raises:
            UserRootAway: It was taken away.
        """
        with self._lock:
            if self._roots.get(given.root) is not given:
                raise away()
            return AeadKey(given.key)

    def _open_inner(self, key: AeadKey, row: UserKeyRow, root: bytes, inner: bytes) -> SecretBytes:
        return layers.open_inner(key, self._store, row.user, row.version, root, inner)

    def proves(self, master: AeadKey, row: UserKeyRow, key: SecretBytes) -> None:
        """A key must open a user key that is stored, before it counts for anything.

        Raises:
            UserRootRefused: It does not.
            IntegrityError: The row was changed in its outer layer.
        """
        root = layers.root_of(row.wrapped)
        inner = layers.open_outer(master, self._store, row)
        try:
            self._open_inner(AeadKey(key), row, root, inner).wipe()
        except DecryptionFailed:
            raise refused() from None

    def seal(self, master: AeadKey, place: UserKeyRow, root: bytes, key: SecretBytes) -> UserKeyRow:
        """A row with a user key in both layers.

        Raises:
            UserRootAway: The user root key is not given.
        """
        given = self._find(root)
        if given is None or given.user != place.user:
            raise away()
        inner = layers.seal_inner(
            self._cipher(given), self._store, place.user, place.version, root, key
        )
        return layers.seal_outer(master, self._store, place, root, inner)
