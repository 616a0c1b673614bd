"""The key hierarchy in memory: master key, the store's own keys, users' keys.

Root of trust → master key → store keys and user keys → subkeys and data keys
(``docs/spec/envelope.md``, section 4). Opened user keys are kept in a bounded cache that is
changed only when a transaction has committed.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple
from weakref import WeakValueDictionary

from adyton.crypto import context as ctx
from adyton.crypto.aead import AeadKey, new_key
from adyton.crypto.kdf import IndexKey
from adyton.crypto.secretbytes import SecretBytes
from adyton.errors import IntegrityError, RootLocked, UserRootAway
from adyton.ports import Clock, RootOfTrust, Rows, SettlingRoot, SlotChooser, Transaction
from adyton.rows import MasterKeyRow, StoreKeyRow, SubkeyRow, UserKeyRow, UserRow
from adyton.service.userkeys import AuditKey, Purpose, Stay, UserKeys, unknown_key
from adyton.service.userroot import layers
from adyton.service.userroot.given import GivenRoots

SYSTEM_USER: Final = bytes(16)
"""The reserved user index under which the store's own records are kept."""

USER_INDEX_KEY: Final = "user-index"
SYSTEM_AUDIT_KEY: Final = "system-audit"
LOG_SIGNING_KEY: Final = "log-signing"
STORE_KEYS: Final = (USER_INDEX_KEY, SYSTEM_AUDIT_KEY, LOG_SIGNING_KEY)

MASTER_WRAPS: Final = "master-wraps"
"""Setting: upper bound of how often the current master key has wrapped."""

DEFAULT_CACHED_USERS: Final = 10_000


def _nothing() -> None:
    return


class NewMaster(NamedTuple):
    """A version of the master key that is written, and not yet the current one."""

    version: int
    key: AeadKey
    created_us: int


class Keyring:
    """All opened keys of one store.

    Args:
        store_id: The store's 16 random bytes.
        cached_users: How many users' keys stay open at once.
        clock: Tells the time, which users' own roots need.

    Attributes:
        given: Users' own roots that are given at this moment.
        generation: Counted up whenever keys are forgotten.
        forgotten: Called then, for whoever keeps what those keys have opened.
        loads: How often a user's keys were opened from storage.
    """

    def __init__(
        self,
        store_id: bytes,
        *,
        cached_users: int = DEFAULT_CACHED_USERS,
        clock: Clock | None = None,
    ) -> None:
        self.store_id = store_id
        self.given = GivenRoots(store_id, clock)
        self.masters: dict[int, AeadKey] = {}
        self.master_current = 0
        self.master_created_us = 0
        self.master_wraps = 0
        self.master_wraps_reserved = 0
        self._limit = cached_users
        self._users: OrderedDict[str, UserKeys] = OrderedDict()
        self._stays: WeakValueDictionary[bytes, Stay] = WeakValueDictionary()
        self.generation = 0
        self.forgotten: Callable[[], None] = _nothing
        self.loads = 0
        self._lock = threading.Lock()
        self._user_index: IndexKey
        self.system: UserKeys
        self.signing_seed: SecretBytes

    # -- opening and creating -------------------------------------------------------------------

    @staticmethod
    def master_context(store_id: bytes, version: int) -> bytes:
        """What a wrapped master key is bound to."""
        return ctx.encode(ctx.LABEL_MASTER_KEY, store_id, ctx.u64(version))

    def store_key_context(self, purpose: str, master_version: int) -> bytes:
        """What a wrapped key of the store is bound to."""
        return ctx.encode(
            ctx.LABEL_STORE_KEY, self.store_id, purpose.encode(), ctx.u64(master_version)
        )

    def user_key_context(self, user: bytes, version: int, master_version: int) -> bytes:
        """What a wrapped user key is bound to."""
        return ctx.encode(
            ctx.LABEL_USER_KEY, self.store_id, user, ctx.u64(version), ctx.u64(master_version)
        )

    def subkey_context(self, row: SubkeyRow) -> bytes:
        """What a wrapped subkey is bound to."""
        return ctx.encode(
            ctx.LABEL_USER_SUBKEY,
            self.store_id,
            row.user,
            ctx.u64(row.purpose),
            ctx.u64(row.version),
            ctx.u64(row.key_version),
        )

    def user_id_context(self, user: bytes, meta_version: int) -> bytes:
        """What a sealed user id is bound to."""
        return ctx.encode(ctx.LABEL_USER_ID, self.store_id, user, ctx.u64(meta_version))

    async def create(self, tx: Transaction, root: RootOfTrust, now_us: int) -> None:
        """Make the first master key and the store's own keys."""
        self.adopt(await self.new_master(tx, {0: root}, now_us))
        for purpose in STORE_KEYS:
            with new_key() as key:
                await tx.put_store_key(self.seal_store_key(purpose, key))
        await self.load_store_keys(tx)

    async def new_master(
        self, tx: Transaction, roots: Mapping[int, RootOfTrust], now_us: int
    ) -> "NewMaster":
        """Write a new version of the master key, wrapped in each slot; :meth:`adopt` it later."""
        version = self.master_current + 1
        context = self.master_context(self.store_id, version)
        with new_key() as key:
            for slot, root in roots.items():
                await tx.put_master_key(
                    MasterKeyRow(
                        version, slot, root.kind, root.wrap(key, context), now_us, retired=False
                    )
                )
            return NewMaster(version, AeadKey(key), now_us)

    def adopt(self, new: "NewMaster") -> None:
        """Make a new version of the master key the current one."""
        self.masters[new.version] = new.key
        self.master_current = new.version
        self.master_created_us = new.created_us
        self.master_wraps = 0

    def drop_master(self, version: int) -> None:
        """Forget a destroyed version of the master key."""
        self.masters.pop(version, None)

    def seal_store_key(
        self, purpose: str, key: SecretBytes, master: "NewMaster | None" = None
    ) -> StoreKeyRow:
        """Wrap a key of the store under the current master key, or one that comes to be."""
        version = master.version if master else self.master_current
        sealer = master.key if master else self.masters[version]
        context = self.store_key_context(purpose, version)
        return StoreKeyRow(purpose, version, sealer.seal(key.writable(), context))

    async def unlock(self, rows: Rows, root: RootOfTrust) -> int:
        """Open the master key by the root, then the store's own keys.

        Returns:
            The slot that is the root's.

        Raises:
            RootError: The root refuses or fails.
            IntegrityError: The store holds no master key, or its keys were changed.
        """
        masters = await rows.master_keys()
        if not masters:
            raise IntegrityError("the store holds no master key", hint="Restore a backup.")
        slot, opened = self.open_slot(masters, root)
        self.masters.update(opened)
        self.master_current = masters[-1].version
        self.master_created_us = masters[-1].created_us
        counted = await rows.setting(MASTER_WRAPS)
        self.master_wraps = self.master_wraps_reserved = int.from_bytes(counted or b"", "big")
        await self.load_store_keys(rows)
        return slot

    def open_slot(
        self, masters: list[MasterKeyRow], root: RootOfTrust
    ) -> tuple[int, dict[int, AeadKey]]:
        """The slot that a root opens, and all versions of the master key in it.

        Raises:
            RootLocked: It opens none.
            RootError: It does not answer, or refuses.
        """
        newest = [row for row in masters if row.version == masters[-1].version]
        newest = [row for row in newest if row.kind == root.kind] or newest
        if isinstance(root, SlotChooser):
            newest = [newest[root.choose([row.wrapped for row in newest])]]
        refusal: RootLocked | None = None
        for place in newest:
            try:
                return place.slot, self.open_versions(masters, place.slot, root)
            except RootLocked as error:
                refusal = refusal or error
        raise refusal or IntegrityError("the store holds no master key")

    def open_versions(
        self, masters: list[MasterKeyRow], slot: int, root: RootOfTrust
    ) -> dict[int, AeadKey]:
        """All versions of the master key in a slot, opened by its root.

        Raises:
            RootError: The root refuses or fails.
            IntegrityError: The slot lacks the newest version.
        """
        opened: dict[int, AeadKey] = {}
        for row in masters:
            if row.slot == slot:
                context = self.master_context(self.store_id, row.version)
                with root.unwrap(row.wrapped, context) as key:
                    opened[row.version] = AeadKey(key)
        if not masters or masters[-1].version not in opened:
            raise IntegrityError(f"slot {slot} does not hold the current master key")
        return opened

    @staticmethod
    async def settle(rows: Rows, roots: Mapping[int, RootOfTrust]) -> None:
        """Let roots refuse older stores, where nothing older than one version is needed.

        Raises:
            RootError: A root refuses, or does not answer; the next opening tries again.
        """
        masters = await rows.master_keys()
        for slot, root in roots.items():
            own = [row.wrapped for row in masters if row.slot == slot]
            if len(own) == 1 and isinstance(root, SettlingRoot):
                root.settle(own[0])

    def wipe(self) -> None:
        """Forget every key; nothing can be opened or sealed any more."""
        self.given.wipe()
        self.forget()
        self.masters.clear()
        # The cipher objects go with the last reference, and OpenSSL clears their memory.
        for name in ("_user_index", "system"):
            if hasattr(self, name):
                delattr(self, name)
        if hasattr(self, "signing_seed"):
            self.signing_seed.wipe()

    async def load_store_keys(self, rows: Rows) -> None:
        """Open the keys of the store itself.

        Raises:
            IntegrityError: One is missing or was changed.
        """
        found = {row.purpose: row for row in await rows.store_keys()}
        if set(found) != set(STORE_KEYS):
            raise IntegrityError("the store's own keys are not complete", hint="Restore a backup.")
        opened = {purpose: self.open_store_key(row) for purpose, row in found.items()}
        self._user_index = IndexKey(opened[USER_INDEX_KEY])
        opened[USER_INDEX_KEY].wipe()
        self.signing_seed = opened[LOG_SIGNING_KEY]
        audit = opened[SYSTEM_AUDIT_KEY]
        with new_key() as unused:
            # The store's own namespace records, and holds no secrets.
            self.system = UserKeys(
                self.store_id,
                SYSTEM_USER,
                "",
                wrapping={0: AeadKey(unused)},
                index_key=IndexKey(unused),
                meta={0: AeadKey(unused)},
                audit=AuditKey(audit),
                created_us=0,
                wraps=0,
            )

    def open_store_key(self, row: StoreKeyRow) -> SecretBytes:
        """Open a key of the store.

        Raises:
            IntegrityError: The master version is unknown, or the row was changed.
        """
        return self.master(row.master_version).open_secret(
            row.wrapped, self.store_key_context(row.purpose, row.master_version)
        )

    def master(self, version: int) -> AeadKey:
        """One version of the master key.

        Raises:
            IntegrityError: The version does not exist.
        """
        key = self.masters.get(version)
        if key is None:
            raise unknown_key()
        return key

    # -- users ----------------------------------------------------------------------------------

    def user_index(self, user_id: str) -> bytes:
        """The keyed index of a user id."""
        return self._user_index.index(user_id)

    @property
    def open_users(self) -> int:
        """How many users' keys are open in memory."""
        return len(self._users)

    def cached(self, user_id: str) -> UserKeys | None:
        """A user's keys if they are open."""
        found = self._users.get(user_id)
        return found if found is not None or not self.given.any else self.given.cached(user_id)

    def remember(self, keys: UserKeys, generation: int) -> None:
        """Keep a user's keys open, closing the longest-kept ones over the limit.

        Keys that were read in an older generation are not kept: they may be gone by now.
        """
        with self._lock:
            if generation != self.generation:
                return
            if keys.own_root:
                self.given.keep(keys)
                return
            self._users[keys.user_id] = keys
            self._users.move_to_end(keys.user_id)
            while len(self._users) > self._limit:
                self._users.popitem(last=False)

    def forget(self, user_id: str | None = None) -> None:
        """Close one user's keys, or all."""
        with self._lock:
            self.generation += 1
            self.given.forget(user_id)
            if user_id is None:
                self._users.clear()
            else:
                self._users.pop(user_id, None)
        self.forgotten()

    def stay(self, user: bytes, *, new: bool = False) -> Stay:
        """What all keys of a user share that are in use, by the user's index.

        Args:
            user: The index.
            new: Whether it is a user who has just come.
        """
        with self._lock:
            found = None if new else self._stays.get(user)
            if found is None:
                found = self._stays[user] = Stay()
            return found

    def end_stay(self, user: bytes) -> None:
        """Have nothing released any more that a user's keys of before have opened."""
        with self._lock:
            found = self._stays.pop(user, None)
            if found is not None:
                found.over = True

    async def load_user(self, rows: Rows, user_id: str) -> UserKeys | None:
        """Open a user's keys from storage, or None where the user has no namespace.

        Raises:
            UserRootAway: They are closed by a root of the user's own, which is away.
            IntegrityError: Keys are missing or were changed.
        """
        return await self.load_index(rows, self.user_index(user_id), user_id)

    async def load_open(self, rows: Rows, user: bytes) -> UserKeys | None:
        """As :meth:`load_index`, and None as well while the user's own root is away.

        For whoever goes over all users: nobody's absence holds up the others.

        Raises:
            IntegrityError: Keys are missing or were changed.
        """
        try:
            return await self.load_index(rows, user)
        except UserRootAway:
            return None

    async def load_index(
        self, rows: Rows, user: bytes, user_id: str | None = None
    ) -> UserKeys | None:
        """Open a user's keys by the user's index, and the sealed user id with them.

        Raises:
            UserRootAway: They are closed by a root of the user's own, which is away.
            IntegrityError: Keys are missing or were changed, or the id is not the index's.
        """
        stay = self.stay(user)  # before anything is opened: what ends it then ends these too
        row = await rows.user(user)
        if row is None:
            return None
        self.loads += 1
        key_rows = await rows.user_keys(user)
        own_root = layers.common_root(key_rows)
        subkey_rows = await rows.subkeys(user)
        wrapping = {}
        for key_row in key_rows:
            with self.open_user_key(key_row) as user_key:
                wrapping[key_row.version] = AeadKey(user_key)
        by_purpose: dict[int, dict[int, SecretBytes]] = {purpose: {} for purpose in Purpose}
        for subkey in subkey_rows:
            wrapper = wrapping.get(subkey.key_version)
            if wrapper is None or subkey.purpose not in by_purpose:
                raise unknown_key()
            opened = wrapper.open_secret(subkey.wrapped, self.subkey_context(subkey))
            by_purpose[subkey.purpose][subkey.version] = opened
        if not wrapping or not all(by_purpose.values()):
            raise IntegrityError("a user's keys are not complete", hint="Restore a backup.")
        meta = {version: AeadKey(key) for version, key in by_purpose[Purpose.METADATA].items()}
        opened_id = self._open_user_id(row, meta)
        if self.user_index(opened_id) != user or (user_id or opened_id) != opened_id:
            raise IntegrityError("a user's id is not the one its keys belong to")
        current = key_rows[-1]
        return UserKeys(
            self.store_id,
            user,
            opened_id,
            wrapping=wrapping,
            index_key=IndexKey(by_purpose[Purpose.INDEX][max(by_purpose[Purpose.INDEX])]),
            meta=meta,
            audit=AuditKey(*(key for _, key in sorted(by_purpose[Purpose.AUDIT].items())[::-1])),
            created_us=current.created_us,
            wraps=current.wraps,
            own_root=own_root,
            stay=stay,
        )

    def open_user_key(self, row: UserKeyRow) -> SecretBytes:
        """Open a user key.

        Raises:
            UserRootAway: It is closed by a root of the user's own, which is away.
            IntegrityError: The master version is unknown, or the row was changed.
        """
        master = self.master(row.master_version)
        if layers.root_of(row.wrapped):
            return self.given.open(master, row)
        context = self.user_key_context(row.user, row.version, row.master_version)
        return master.open_secret(row.wrapped, context)

    def seal_user_key(self, row: UserKeyRow, key: SecretBytes, own_root: bytes) -> UserKeyRow:
        """A row with a user key wrapped under the current master key, and by a user's own root.

        Raises:
            UserRootAway: It is to be closed by a root of the user's own, which is away.
        """
        master = self.master(self.master_current)
        row = row._replace(master_version=self.master_current)
        if own_root:
            return self.given.seal(master, row, own_root, key)
        context = self.user_key_context(row.user, row.version, row.master_version)
        return row._replace(wrapped=master.seal(key.writable(), context))

    def _open_user_id(self, row: UserRow, meta: dict[int, AeadKey]) -> str:
        version = max(meta)
        return meta[version].open(row.id_box, self.user_id_context(row.user, version)).decode()
