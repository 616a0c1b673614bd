"""Ending shares, with all that came of them, on every side (``docs/spec/sharing.md``)."""

from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

from adyton.actions import Action
from adyton.errors import RootError
from adyton.model import Caller
from adyton.service import secretmeta
from adyton.service.commit import Scope
from adyton.service.core import Core
from adyton.service.journal import Draft
from adyton.service.objects import ObjectChanges
from adyton.service.sharing.follow import PATH, Changes, covered_names, follow
from adyton.service.sharing.records import ENDED, GIVEN, ITEMS, PASSED, RECEIVED, Ended, Given, Kind
from adyton.service.userkeys import UserKeys

MAX_DEPTH: Final = 5
"""Hands over which a share may be passed on."""


class End(NamedTuple):
    """How a share ends.

    Attributes:
        caller: Who ends it.
        action: What records say.
        why: Idem.
    """

    caller: Caller
    action: Action
    why: str


class Hand(NamedTuple):
    """One share of a tree.

    Attributes:
        share: Its id.
        receiver: The receiver's user id.
        by: Who passed it on; empty where the owner made it.
    """

    share: str
    receiver: str
    by: str


def below(given: Mapping[str, Given], share: str) -> list[str]:
    """Shares that came of one, the nearest first."""
    found: list[str] = []
    front = [share]
    for _ in range(MAX_DEPTH):
        front = [one for one, each in given.items() if each.parent in front]
        found += front
    return found


async def end(
    core: Core,
    scope: Scope,
    owner: UserKeys,
    share: str,
    how: End,
    *,
    refused: bool = False,
) -> list[str]:
    """End a share and all that came of it, on all sides, and make what could be put back void.

    What is erased here could come back with an older copy of the rows. The metadata of each secret
    that was shared is sealed anew, so that it would not fit.

    Args:
        core: The open store.
        scope: The group.
        owner: The owner's keys.
        share: The share, which is there.
        how: Who ends it and what records say.
        refused: Whether the owner keeps it as one that was refused.

    Returns:
        Names of the secrets that were in it.
    """
    given = await GIVEN.all(scope.tx, owner)
    names: list[str] | None = None
    for one in (share, *below(given, share)):
        each = given[one]
        taken = await take_back(core, scope, Hand(one, each.receiver, each.by), how)
        if one == share:
            names = taken
        changes = ObjectChanges(scope, owner)
        if refused and one == share:
            each.answer = "refused"
            changes.put(GIVEN, one, each)
        elif taken is None:
            each.answer = "revoked"
            changes.put(GIVEN, one, each)
            changes.put(ENDED, one, Ended(scope.now_us))
        else:
            await forget_given(scope, owner, changes, one)
        reason = f"with {each.receiver}, {how.why}"
        draft = Draft(how.caller, how.action, owner, owner.user_id, PATH + one, reason=reason)
        await changes.write(draft)
    if names is None:
        names = await covered_names(scope.tx, owner, given[share])
    await _renew(core, scope, how.caller, owner, names)
    return names


async def forget_given(scope: Scope, owner: UserKeys, changes: ObjectChanges, share: str) -> None:
    """Erase what an owner has of a share, whose receiver has nothing of it any more."""
    changes.delete(GIVEN, share)
    if await ENDED.get(scope.tx, owner, share) is not None:
        changes.delete(ENDED, share)


async def _renew(
    core: Core, scope: Scope, caller: Caller, owner: UserKeys, names: list[str]
) -> None:
    """Seal what is known of secrets anew; what it says stays as the log tells."""
    rows = []
    for name in names:
        row = await scope.tx.metadata(owner.user, owner.index(name))
        if row is not None:
            sealed = owner.seal_meta(row.name, secretmeta.open_body(owner, row))
            rows.append(row._replace(meta_version=owner.meta_current, meta=sealed))
    await scope.tx.put_metadata(owner.user, rows)
    await follow(core, scope, caller, owner, names)


async def end_gone(
    core: Core,
    scope: Scope,
    caller: Caller,
    owner: UserKeys,
    names: Collection[str],
    kinds: tuple[Kind, ...] = ("version", "secret"),
) -> None:
    """End the shares of secrets that are no more: another one of the name is not what was shared.

    Args:
        core: The open store.
        scope: The group.
        caller: Who has destroyed or replaced them.
        owner: Their owner's keys.
        names: Their names.
        kinds: Kinds of shares that end.
    """
    how = End(caller, Action.SHARE_REVOKE, "the secret is gone")
    for share, given in (await GIVEN.all(scope.tx, owner)).items():
        hit = given.kind in kinds and given.name in names and given.open_at(scope.now_us)
        if hit and await GIVEN.get(scope.tx, owner, share) is not None:  # not gone with its parent
            await end(core, scope, owner, share, how)


async def take_back(core: Core, scope: Scope, hand: Hand, how: End) -> list[str] | None:
    """Erase all that a receiver has of a share, and whoever passed it on.

    Returns:
        Names of the secrets in it; None if the receiver's keys can't be opened now.
    """
    if hand.by:
        await _forget_passed(core, scope, hand, how)
    try:
        receiver = await core.keys_in(scope, hand.receiver)
    except RootError:
        return None
    if receiver is None:
        return []
    draft = Draft(how.caller, how.action, receiver, receiver.user_id, PATH + hand.share)
    draft.reason = how.why
    changes = Changes(scope, draft, receiver)
    if await RECEIVED.get(scope.tx, receiver, hand.share) is not None:
        changes.objects.delete(RECEIVED, hand.share)
    names = list(await ITEMS.all(scope.tx, receiver, hand.share))
    for name in names:
        await changes.delete(hand.share, name)
    await changes.write()
    return names


async def _forget_passed(core: Core, scope: Scope, hand: Hand, how: End) -> None:
    try:
        by = await core.keys_in(scope, hand.by)
    except RootError:
        return
    if by is None or await PASSED.get(scope.tx, by, hand.share) is None:
        return
    changes = ObjectChanges(scope, by)
    changes.delete(PASSED, hand.share)
    draft = Draft(how.caller, how.action, by, by.user_id, PATH + hand.share, reason=how.why)
    await changes.write(draft)


async def give_back(core: Core, scope: Scope, keys: UserKeys, share: str, how: End) -> None:
    """End a share from its receiver's side while the owner's keys can't be opened.

    What came of it is found by what each hand remembers of having passed it on.
    """
    hands = [Hand(share, keys.user_id, "")]
    for hand in hands:
        holder = await _keys(core, scope, hand.receiver)
        if holder is not None:
            passed = await PASSED.all(scope.tx, holder)
            hands += [
                Hand(one, each.receiver, hand.receiver)
                for one, each in passed.items()
                if each.parent == hand.share
            ]
    for hand in hands:
        await take_back(core, scope, hand, how)


async def _keys(core: Core, scope: Scope, user: str) -> UserKeys | None:
    """A user's keys; None where there are none or they can't be opened."""
    try:
        return await core.keys_in(scope, user)
    except RootError:
        return None


async def leave(core: Core, scope: Scope, caller: Caller, keys: UserKeys) -> None:
    """Before a user is purged: erase what others have of the user's, and what tells of the user."""
    how = End(caller, Action.SHARE_REVOKE, "purge")
    for share, given in (await GIVEN.all(scope.tx, keys)).items():
        await take_back(core, scope, Hand(share, given.receiver, given.by), how)
    how = End(caller, Action.SHARE_REFUSE, "purge")
    for share, received in (await RECEIVED.all(scope.tx, keys)).items():
        owner = await _keys(core, scope, received.owner)
        if owner is None:
            await give_back(core, scope, keys, share, how)
        elif await GIVEN.get(scope.tx, owner, share) is not None:
            await end(core, scope, owner, share, how)
