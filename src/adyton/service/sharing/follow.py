"""Keeping shares as their secrets are: in the transaction that changes a secret.

What a receiver has holds the SHA-256 of the secret's sealed metadata: a change that did not come
by here would close the share, and open nothing.
"""

from collections.abc import Iterable
from hashlib import sha256
from typing import Final

from adyton.actions import Action
from adyton.errors import LimitExceeded, RootError
from adyton.model import Caller
from adyton.ports import Rows, Transaction
from adyton.service import secretmeta
from adyton.service.commit import Scope
from adyton.service.core import Core
from adyton.service.journal import Draft
from adyton.service.objects import ObjectChanges
from adyton.service.secretmeta import Meta, Version
from adyton.service.sharing.records import ENDED, GIVEN, ITEMS, RECEIVED, Given, Item, Place
from adyton.service.sharing.wraps import changed, hand_over, rewrap
from adyton.service.userkeys import UserKeys

PATH: Final = "shares/"
MAX_ITEMS: Final = 2_000
"""Secrets in one share."""
_PAGE: Final = 500


class Changes:
    """Changes of objects of one user, in as many records as they need.

    Args:
        scope: The group.
        draft: The record; repeated where one does not hold all places.
        keys: The user's keys.
    """

    def __init__(self, scope: Scope, draft: Draft, keys: UserKeys) -> None:
        self._draft = draft
        self._changes = ObjectChanges(scope, keys)
        self.keys = keys

    async def put(self, item: Item) -> None:
        """Write an item."""
        self._changes.put(ITEMS, item.name, item, item.share)
        await self._full()

    async def delete(self, share: str, name: str) -> None:
        """Erase an item that is there."""
        self._changes.delete(ITEMS, name, share)
        await self._full()

    @property
    def objects(self) -> ObjectChanges:
        """For the few other objects."""
        return self._changes

    async def _full(self) -> None:
        if len(self._changes) >= ObjectChanges.MOST:
            await self.write()

    async def write(self) -> None:
        """Write what is left."""
        if len(self._changes):
            draft, own = self._draft, Draft(self._draft.caller, self._draft.action)
            own.user_id, own.name, own.reason = draft.user_id, draft.name, draft.reason
            await self._changes.write(own)


async def make_item(
    tx: Transaction, owner: UserKeys, receiver: UserKeys, share: str, given: Given, index: bytes
) -> Item | None:
    """What a receiver gets of a secret as it is now; None if there is nothing to read.

    Raises:
        IntegrityError: What is stored of the secret was changed.
    """
    row = await tx.secret(owner.user, index)
    if row is None:
        return None
    meta = secretmeta.open_meta(owner, row)
    number = given.version or row.current
    found = meta.at(number)
    key_version, wrapped = row.key_version, row.wrapped_key
    if number != row.current:
        older = await tx.version(owner.user, index, number)
        key_version, wrapped = (
            (0, None) if older is None else (older.key_version, older.wrapped_key)
        )
    if found is None or found.state or wrapped is None:
        return None
    place = Place(owner.user, index, number, share)
    return Item(
        share,
        meta.name,
        index,
        number,
        receiver.current,
        hand_over(owner, receiver, place, key_version, wrapped),
        found.tag,
        sha256(row.meta).digest(),
        found.content_type,
        _ends_us(meta, found),
    )


def _ends_us(meta: Meta, version: Version) -> int:
    times = [time for time in (meta.expires_us, version.deleted_us) if time]
    return min(times) if times else 0


async def follow(
    core: Core, scope: Scope, caller: Caller, owner: UserKeys, names: Iterable[str]
) -> None:
    """Bring all shares of secrets that have changed up to date; quick where there are none.

    Nobody's absence holds up an owner's writing: what a receiver has whose keys can't be opened
    no longer fits, and is refused until it is brought up to date (:func:`catch_up`).

    Raises:
        IntegrityError: What is stored of a secret was changed.
    """
    shares = await GIVEN.all(scope.tx, owner)
    names = list(names) if shares else []
    for share, given in shares.items():
        covered = [name for name in names if given.covers(name)]
        if not covered or not given.open_at(scope.now_us):
            continue
        try:
            receiver = await core.keys_in(scope, given.receiver)
        except RootError:
            if not given.behind and not await is_ended(scope.tx, owner, share):
                given.behind = True
                await put_given(scope, caller, owner, share, given, "the receiver's keys are away")
            continue
        if receiver is None or await RECEIVED.get(scope.tx, receiver, share) is None:
            continue
        if await is_ended(scope.tx, owner, share):
            continue
        if given.behind:
            await catch_up(core, scope, caller, owner, share, given)
        else:
            await _bring(core, scope, caller, owner, share, given, covered)


async def _bring(
    core: Core,
    scope: Scope,
    caller: Caller,
    owner: UserKeys,
    share: str,
    given: Given,
    names: list[str],
) -> None:
    """Make what a receiver has of some secrets what they are now."""
    receiver = await core.keys_to_write(scope, caller, given.receiver, len(names))
    draft = Draft(caller, Action.SHARE_UPDATE, receiver, receiver.user_id, PATH + share)
    changes = Changes(scope, draft, receiver)
    is_new = False
    for name in names:
        known = await ITEMS.get(scope.tx, receiver, name, share) is not None
        item = await make_item(scope.tx, owner, receiver, share, given, owner.index(name))
        if item is not None:
            await changes.put(item)
            is_new |= not known
        elif known:
            await changes.delete(share, name)
    await changes.write()
    if is_new:
        check_size(len(await ITEMS.all(scope.tx, receiver, share)))


async def catch_up(
    core: Core, scope: Scope, caller: Caller, owner: UserKeys, share: str, given: Given
) -> None:
    """Bring a whole share up to date that had to be left behind.

    Raises:
        RootError: The receiver's keys still can't be opened.
        IntegrityError: It was revoked, and put back.
    """
    if await is_ended(scope.tx, owner, share):
        raise changed()
    receiver = await core.keys_in(scope, given.receiver)
    if receiver is None:
        return
    names = set(await covered_names(scope.tx, owner, given))
    names.update(await ITEMS.all(scope.tx, receiver, share))
    await _bring(core, scope, caller, owner, share, given, sorted(names))
    given.behind = False
    await put_given(scope, caller, owner, share, given, "brought up to date")


async def is_ended(rows: Rows, owner: UserKeys, share: str) -> bool:
    """Whether a share was revoked while its receiver was away, whatever else is told of it."""
    return await ENDED.get(rows, owner, share) is not None


async def covered_names(tx: Transaction, owner: UserKeys, given: Given) -> list[str]:
    """Names of an owner's secrets that are in a share, whatever their state."""
    if given.kind != "folder":
        return [given.name]
    found: list[str] = []
    after = b""
    while page := await tx.metadata_page(owner.user, after, _PAGE):
        names = [secretmeta.open_meta(owner, row).name for row in page]
        found += [name for name in names if given.covers(name)]
        after = page[-1].name
    return found


async def put_given(
    scope: Scope, caller: Caller, owner: UserKeys, share: str, given: Given, why: str
) -> None:
    """Write down on the owner's side how a share stands."""
    changes = ObjectChanges(scope, owner)
    changes.put(GIVEN, share, given)
    draft = Draft(caller, Action.SHARE_UPDATE, owner, owner.user_id, PATH + share, reason=why)
    await changes.write(draft)


def check_size(count: int) -> None:
    """Refuse a share of too many secrets.

    Raises:
        LimitExceeded: It is one.
    """
    if count > MAX_ITEMS:
        raise LimitExceeded(
            f"a shared folder has at most {MAX_ITEMS} secrets", hint="Share smaller folders."
        )


async def move_items(scope: Scope, caller: Caller, keys: UserKeys, limit: int) -> int:
    """Wrap some of what others share with a user under the user's current key; how many."""
    draft = Draft(caller, Action.SHARE_UPDATE, keys, keys.user_id, PATH, reason="re-wrapped")
    changes = Changes(scope, draft, keys)
    count = 0
    for share, received in (await RECEIVED.all(scope.tx, keys)).items():
        for item in (await ITEMS.all(scope.tx, keys, share)).values():
            if item.key_version == keys.current or count >= limit:
                continue
            place = Place(received.owner_index, item.index, item.version, share)
            item.wrapped = rewrap(keys, place, item.key_version, item.wrapped)
            item.key_version = keys.current
            await changes.put(item)
            count += 1
    await changes.write()
    return count
