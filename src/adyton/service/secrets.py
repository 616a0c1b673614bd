"""Reading and writing secrets, one at a time or in batches (DESIGN section 4)."""

from collections.abc import Iterable, Sequence
from typing import Final

from adyton.actions import Action
from adyton.errors import (
    AdytonError,
    IntegrityError,
    InvalidInput,
    LimitExceeded,
    UserRootAway,
)
from adyton.model import Caller, SecretMetadata, UserId, check_cas, secret_name
from adyton.rows import SecretRow
from adyton.service import secretmeta, writing
from adyton.service.commit import Scope
from adyton.service.core import Core
from adyton.service.journal import Draft
from adyton.service.secretmeta import not_found
from adyton.service.userkeys import UserKeys
from adyton.service.values import Item
from adyton.values import Secret

_MANY: Final = 256
"""Items in a batch from which on it pays to read all of a user's names at once."""


class Secrets:
    """Operations on values.

    Args:
        core: The open store.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    # -- reading --------------------------------------------------------------------------------

    async def get(
        self, caller: Caller, user: UserId, name: str, version: int | None = None
    ) -> Secret:
        """Open one version of a secret; released when its record is durable."""
        core = self._core
        draft = Draft(caller, Action.SECRET_GET)
        try:
            keys = core.keys_at_hand(caller, user)
            index = None if keys is None else core.opened.index(keys, name)
            if keys is not None and index is not None and version is None:
                # The hot path, written out: one select, three openings, one record.
                draft.user_id = keys.user_id
                draft.name = name
                row = await core.storage.secret(keys.user, index)
                if row is None:
                    raise not_found()
                try:
                    secret = self._release(keys, draft, row)
                except IntegrityError:
                    secret = await self._open(draft, None)
            else:
                draft.user_id = core.authorise(caller, user)
                draft.name = secret_name(name)
                secret = await self._open(draft, version)
        except AdytonError as error:
            raise await core.refuse(draft, error) from None
        try:
            await core.commit.submit(caller.spend, [draft], draft)
        except BaseException:
            secret.wipe()
            raise
        return secret

    async def _open(self, draft: Draft, version: int | None) -> Secret:
        """Open a version with the keys at hand; once more with fresh ones if they don't fit."""
        core = self._core
        keys = core.ring.cached(draft.user_id)
        if keys is not None:
            try:
                return await self._open_with(keys, draft, version)
            except IntegrityError:
                # A rotation may have come between reading the keys and reading the row.
                pass
        keys = await core.keys(draft.user_id, fresh=True)
        if keys is None:
            raise not_found()
        return await self._open_with(keys, draft, version)

    async def _open_with(self, keys: UserKeys, draft: Draft, version: int | None) -> Secret:
        row = await self._core.storage.secret(keys.user, keys.index(draft.name))
        if row is None:
            raise not_found()
        if version is not None and version != row.current:
            return await self._open_older(keys, draft, row.name, version)
        return self._release(keys, draft, row)

    def _release(self, keys: UserKeys, draft: Draft, row: SecretRow) -> Secret:
        """Open a row's current version, and say so in the draft."""
        core = self._core
        index = row.name
        meta = core.opened.open(keys, row)
        found = meta.readable(None, core.clock.now_us())
        value = writing.open_checked(
            keys, index, found, row.key_version, row.wrapped_key, row.value
        )
        draft.keys = keys
        draft.version = found.version
        draft.touch = index
        accessed = core.commit.state.accessed.get((keys.user, index), row.accessed_us)
        return Secret(value, meta, found.version, found.content_type, accessed)

    async def _open_older(self, keys: UserKeys, draft: Draft, index: bytes, version: int) -> Secret:
        core = self._core
        async with core.storage.snapshot() as rows:
            row = await rows.secret(keys.user, index)
            older = await rows.version(keys.user, index, version)
        if row is None:
            raise not_found()
        if row.current == version:  # it became so in between
            return self._release(keys, draft, row)
        meta = secretmeta.open_meta(keys, row)
        found = meta.readable(version, core.clock.now_us())
        if older is None:
            raise writing.missing_value()
        value = writing.open_checked(
            keys, index, found, older.key_version, older.wrapped_key, older.value
        )
        draft.keys = keys
        draft.version = version
        draft.touch = index
        accessed = core.accessed(keys.user, index, row.accessed_us)
        return Secret(value, meta, version, found.content_type, accessed)

    async def get_many(
        self,
        caller: Caller,
        user: UserId,
        names: Iterable[str],
        *,
        most_bytes: int | None = None,
    ) -> dict[str, Secret]:
        """Open the current versions of several secrets, one record each, in one commit.

        Names that don't exist are recorded as refused and left out of the result.

        Raises:
            ValueTooLarge: The values have more than ``most_bytes`` bytes together.
        """
        core = self._core
        first = Draft(caller, Action.SECRET_GET)
        async with core.guard(first):
            user_id = core.authorise(caller, user)
            first.user_id = user_id
            wanted = [secret_name(name) for name in dict.fromkeys(names)]
            self._check_batch(len(wanted))
        found: dict[str, Secret] = {}
        drafts: list[Draft] = []
        total = 0
        try:
            for name in wanted:
                draft = Draft(caller, Action.SECRET_GET, None, user_id, name)
                try:
                    found[name] = secret = await self._open(draft, None)
                    total += secret.info.size
                    drafts.append(draft)
                except (IntegrityError, UserRootAway) as error:
                    await core.own(draft)
                    await core.commit.submit(drafts=[*drafts, draft.refused(error)])
                    raise
                except AdytonError as error:
                    await core.own(draft)
                    drafts.append(draft.refused(error))
                if most_bytes is not None and total > most_bytes:
                    raise await core.refuse(first, writing.too_much(most_bytes))  # noqa: TRY301
            if drafts:
                await core.record(*drafts)
        except BaseException:
            for secret in found.values():
                secret.wipe()
            raise
        return found

    # -- writing --------------------------------------------------------------------------------

    async def set(self, caller: Caller, user: UserId, item: Item) -> SecretMetadata:
        """Write a new version of a secret."""
        return (await self.set_many(caller, user, [item]))[0]

    async def set_many(
        self, caller: Caller, user: UserId, items: Sequence[Item]
    ) -> list[SecretMetadata]:
        """Write new versions of several secrets: all or none, one record each, one commit."""
        core = self._core
        draft = Draft(caller, Action.SECRET_SET)
        async with core.guard(draft):
            user_id = core.authorise(caller, user)
            draft.user_id = user_id
            self._check_batch(len(items))
            names = {secret_name(item.name) for item in items}
            if len(names) != len(items):
                raise InvalidInput("the batch names a secret twice", hint="Write each name once.")
            if len(items) == 1:
                draft.name = items[0].name

        async def work(scope: Scope) -> list[SecretMetadata]:
            keys = await core.keys_to_write(scope, caller, user_id, len(items))
            batch = writing.Batch(core, scope, caller, keys)
            if len(items) >= _MANY:
                await batch.prefetch()
            metas = [await batch.add(item, Action.SECRET_SET) for item in items]
            await batch.write()
            return [
                meta.public(accessed and core.accessed(keys.user, keys.index(meta.name), accessed))
                for meta, accessed in metas
            ]

        return await core.write(draft, work)

    async def rollback(
        self, caller: Caller, user: UserId, name: str, version: int, *, cas: int | None = None
    ) -> SecretMetadata:
        """Write an older version's value as a new version."""
        core = self._core
        draft = Draft(caller, Action.SECRET_ROLLBACK)
        async with core.guard(draft):
            user_id = draft.user_id = core.authorise(caller, user)
            draft.name = secret_name(name)
            draft.version = version
            check_cas(cas)

        async def work(scope: Scope) -> SecretMetadata:
            if await core.keys_in(scope, user_id) is None:
                raise not_found()
            keys = await core.keys_to_write(scope, caller, user_id, 1)
            index = keys.index(name)
            row = await scope.tx.secret(keys.user, index)
            if row is None:
                raise not_found()
            meta = secretmeta.open_meta(keys, row)
            if cas is not None and cas != meta.current:
                raise writing.conflict()
            found = meta.readable(version, scope.now_us)
            if version == row.current:
                source = (row.key_version, row.wrapped_key, row.value)
            else:
                older = await scope.tx.version(keys.user, index, version)
                if older is None:
                    raise writing.missing_value()
                source = (older.key_version, older.wrapped_key, older.value)
            with writing.open_checked(keys, index, found, *source) as value:
                batch = writing.Batch(core, scope, caller, keys)
                new, accessed = await batch.add(
                    Item(name, value.writable(), found.content_type),
                    Action.SECRET_ROLLBACK,
                    reason=f"from version {version}",
                )
                await batch.write()
            return new.public(core.accessed(keys.user, index, accessed))

        return await core.write(draft, work)

    def _check_batch(self, count: int) -> None:
        if count > self._core.limits.max_batch:
            raise LimitExceeded(
                f"{count} names in one call are more than {self._core.limits.max_batch}",
                hint="Split the batch.",
            )
