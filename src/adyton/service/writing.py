"""Making new versions inside a group, many with few statements."""

import hmac
from operator import attrgetter

from adyton.actions import Action
from adyton.crypto.secretbytes import SecretBytes
from adyton.errors import IntegrityError, InvalidInput, ValueTooLarge, VersionConflict
from adyton.model import Caller, State
from adyton.rows import SecretRow, VersionRow
from adyton.service import secretmeta
from adyton.service.commit import Scope
from adyton.service.core import Core
from adyton.service.journal import Draft
from adyton.service.lifecycle import plan
from adyton.service.rotation.folders import adopt
from adyton.service.secretmeta import DEFAULT_MAX_VERSIONS, Meta, Version
from adyton.service.sharing.follow import follow
from adyton.service.userkeys import UserKeys
from adyton.service.values import Item
from adyton.transfer import PortableSecret


def missing_value() -> IntegrityError:
    """The refusal of a version whose row is gone though its metadata says that it lives."""
    return IntegrityError(
        "a stored value is missing though its secret's metadata says that it lives",
        hint="Run 'adyton audit verify', and restore the store from a backup.",
    )


def open_checked(
    keys: UserKeys,
    name: bytes,
    version: Version,
    key_version: int,
    wrapped: bytes | None,
    box: bytes | None,
) -> SecretBytes:
    """Open a value that is the very one its metadata was sealed with.

    Raises:
        IntegrityError: It is missing, or was changed, moved or put back.
    """
    if wrapped is None or box is None:
        raise missing_value()
    if not hmac.compare_digest(box[-16:], version.tag):
        raise IntegrityError(
            "a stored value is not the one that its metadata was written with",
            hint="Run 'adyton audit verify', and restore the store from a backup.",
        )
    return keys.open_value(name, version.version, key_version, wrapped, box)


class Batch:
    """Versions that are sealed one by one and written together.

    Args:
        core: The open store.
        scope: The group that carries them.
        caller: Who writes.
        keys: The user's keys, for as many wraps as there will be items.
    """

    def __init__(self, core: Core, scope: Scope, caller: Caller, keys: UserKeys) -> None:
        self._core = core
        self._scope = scope
        self._caller = caller
        self._keys = keys
        self._rows: list[SecretRow] = []
        self._names: list[str] = []
        self._present: set[bytes] | None = None
        self._new: list[str] = []

    async def prefetch(self) -> None:
        """For many items: learn at once which names exist, instead of asking for each."""
        self._present = await self._scope.tx.names(self._keys.user)

    async def add(self, item: Item, action: Action, *, reason: str = "") -> tuple[Meta, int | None]:
        """Seal one item as its secret's next version.

        Returns:
            The secret's new metadata, and its stored time of last access.

        Raises:
            VersionConflict: The item's check-and-set version is not the current one.
            IntegrityError: What is stored of the secret was changed.
        """
        keys, now = self._keys, self._scope.now_us
        index = keys.index(item.name)
        old = None
        if self._present is None or index in self._present:
            old = await self._scope.tx.metadata(keys.user, index)
        if old is None:
            if item.cas:
                raise conflict()
            self._new.append(item.name)
            meta = secretmeta.empty(item.name, now)
            before = plan.NEVER
            number = 1
        else:
            meta = secretmeta.open_meta(keys, old)
            before = plan.times_of(meta)
            if item.cas is not None and item.cas != meta.current:
                raise conflict()
            if item.cas is None and meta.engine.get("cas_required"):
                raise cas_required()
            await self._scope.tx.move_to_versions(keys.user, index)
            number = meta.versions[-1].version + 1 if meta.versions else 1
        wrapped, box = keys.seal_value(index, number, item.value)
        meta.versions.append(
            Version(
                number,
                now,
                self._caller.actor,
                State.LIVE,
                len(box) - 29,
                item.content_type,
                box[-16:],
                _ends_us(meta, item, now),
            )
        )
        meta.current = number
        _apply(meta, item, now)
        await self._prune(index, meta)
        await plan.follow(self._core, self._scope, keys, index, before, meta)
        self.seal(index, meta, wrapped, box, action, reason)
        return meta, None if old is None else old.accessed_us

    async def put_whole(self, index: bytes, secret: PortableSecret) -> int:
        """Seal a secret that comes with its history, under a name that is free.

        Returns:
            Bytes of its values.
        """
        self._new.append(secret.name)
        keys = self._keys
        meta = Meta(
            secretmeta.FORMAT,
            secret.name,
            0,
            secret.current.version,
            secret.created_us,
            secret.updated_us,
            secret.expires_us,
            secret.max_versions or DEFAULT_MAX_VERSIONS,
            list(secret.tags),
            secret.attributes,
            secret.rotation,
            [],
        )
        wrapped = box = tag = b""
        older: list[VersionRow] = []
        for version in secret.versions[-meta.max_versions :]:
            if wrapped:
                older.append(
                    VersionRow(index, meta.versions[-1].version, keys.current, wrapped, box)
                )
            wrapped = box = tag = b""
            if version.value is not None:
                wrapped, box = keys.seal_value(index, version.version, version.value)
                tag = box[-16:]
            meta.versions.append(
                Version(
                    version.version,
                    version.created_us,
                    version.created_by or self._caller.actor,
                    version.state,
                    0 if version.value is None else len(version.value),
                    version.content_type,
                    tag,
                    # A bundle does not tell when; not after the secret's last change.
                    secret.updated_us if version.state == State.DELETED else 0,
                )
            )
        if older:
            await self._scope.tx.put_versions(keys.user, older)
        await plan.follow(self._core, self._scope, keys, index, plan.NEVER, meta)
        self.seal(index, meta, wrapped, box, Action.SECRET_IMPORT, "", secret.updated_us)
        return sum(version.size for version in meta.versions)

    def seal(
        self,
        index: bytes,
        meta: Meta,
        wrapped: bytes,
        box: bytes,
        action: Action,
        reason: str,
        updated_us: int | None = None,
    ) -> None:
        """Seal changed metadata beside its current value, and record the change."""
        keys, scope = self._keys, self._scope
        meta.revision += 1
        meta.updated_us = scope.now_us if updated_us is None else updated_us
        sealed, digest = secretmeta.seal(keys, index, meta)
        self._rows.append(
            SecretRow(
                index, meta.current, keys.meta_current, sealed, None, keys.current, wrapped, box
            )
        )
        self._names.append(meta.name)
        scope.record(
            Draft(
                self._caller,
                action,
                keys,
                keys.user_id,
                meta.name,
                meta.current,
                reason=reason,
                name_index=index,
                digest=digest,
            )
        )

    async def write(self) -> None:
        """Write all that was sealed, in the order of the table's key: pages are touched once."""
        self._rows.sort(key=attrgetter("name"))
        await self._scope.tx.put_secrets(self._keys.user, self._rows, new=bool(self._new))
        await follow(self._core, self._scope, self._caller, self._keys, self._names)
        if self._new:
            await adopt(self._scope, self._caller, self._keys, self._new)
        self._rows, self._names, self._new = [], [], []

    async def _prune(self, index: bytes, meta: Meta) -> None:
        surplus = len(meta.versions) - meta.max_versions
        if surplus > 0 and not await self._core.holds.check_growth(
            self._scope, self._keys, meta.name, len(meta.versions)
        ):
            gone = [version.version for version in meta.versions[:surplus]]
            del meta.versions[:surplus]
            await self._scope.tx.delete_versions(self._keys.user, index, gone)


def _apply(meta: Meta, item: Item, now_us: int) -> None:
    if item.tags is not None:
        meta.tags = list(item.tags)
    if item.attributes is not None:
        meta.attributes = item.attributes
    if not item.keep_expiry:
        meta.expires_us = item.expires_us
    elif meta.expires_us is not None and meta.expires_us <= now_us:
        meta.expires_us = None  # what has ended is as if it were not there: this begins anew
    if item.max_versions is not None:
        meta.max_versions = item.max_versions
    elif item.engine is not None:
        own = int(meta.engine.get("max_versions", "0"))
        meta.max_versions = own or item.engine.max_versions or DEFAULT_MAX_VERSIONS


def _ends_us(meta: Meta, item: Item, now_us: int) -> int:
    """When a new version ends by itself: by its secret's setting or its mount's, the shorter."""
    if item.engine is None:
        return 0
    own = int(meta.engine.get("delete_version_after", "0"))
    times = [seconds for seconds in (own, item.engine.delete_version_after) if seconds > 0]
    return now_us + min(times) * 1_000_000 if times else 0


def cas_required() -> InvalidInput:
    """The refusal of a write without check-and-set where the secret wants one."""
    return InvalidInput(
        "check-and-set parameter required for this call",
        hint="Give the version that is to be followed (cas), or 0 if there must be none.",
    )


def too_much(most_bytes: int) -> ValueTooLarge:
    """The refusal of what would be more than an answer may hold."""
    return ValueTooLarge(
        f"the values have more than {most_bytes} bytes together", hint="Ask for fewer at once."
    )


def conflict() -> VersionConflict:
    """The refusal of a check-and-set."""
    return VersionConflict(
        "check-and-set: the secret is not at the expected version",
        hint="Read it again, then write with the version you have read.",
    )
