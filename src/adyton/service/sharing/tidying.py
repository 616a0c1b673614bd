"""Removing shares that are over, and doing what could not be done when they changed.

A side whose keys are kept away by a root of its user's own holds nobody up: what there is to do on
that side is done when its keys can be opened again.
"""

from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeAlias

from adyton.actions import Action
from adyton.errors import RootError
from adyton.model import Caller
from adyton.ports import Rows
from adyton.service.commit import Scope
from adyton.service.core import Core
from adyton.service.journal import Draft
from adyton.service.objects import ObjectChanges
from adyton.service.sharing.ending import End, Hand, end, forget_given, take_back
from adyton.service.sharing.follow import PATH, catch_up, is_ended
from adyton.service.sharing.records import GIVEN, PASSED, RECEIVED, Given
from adyton.service.userkeys import UserKeys

_Find: TypeAlias = Callable[[str], Awaitable[UserKeys | None]]


class _Due(NamedTuple):
    """What there is to do in one namespace, by ids of shares.

    Attributes:
        over: Given, and over or revoked: the receiver's side is to be erased.
        behind: Given, and not what the secrets are now.
        returned: Given, and the receiver has nothing of it any more.
        received: Received, and the owner gives it no more.
        passed: Passed on, and the owner gives it no more.
        answered: Passed on, and answered while whoever passed it on could not be told.
    """

    over: list[str]
    behind: list[str]
    returned: list[str]
    received: list[str]
    passed: list[str]
    answered: list[str]


async def _look(rows: Rows, keys: UserKeys, find: _Find, now_us: int) -> _Due:
    due = _Due([], [], [], [], [], [])
    for share, given in (await GIVEN.all(rows, keys)).items():
        if given.answer == "refused":
            continue
        if given.answer == "revoked" or given.over(now_us):
            due.over.append(share)
        elif not await _holds(rows, find, share, given):
            due.returned.append(share)
        elif given.behind:
            due.behind.append(share)
    for share, received in (await RECEIVED.all(rows, keys)).items():
        try:
            gives = await _given_by(rows, find, received.owner, share) is not None
        except RootError:
            gives = not received.over(now_us)
        if not gives:
            due.received.append(share)
    await _look_passed(rows, keys, find, due)
    return due


async def _look_passed(rows: Rows, keys: UserKeys, find: _Find, due: _Due) -> None:
    for share, passed in (await PASSED.all(rows, keys)).items():
        try:
            found = await _given_by(rows, find, passed.owner, share)
        except RootError:
            continue
        if found is None:
            due.passed.append(share)
        elif found.answer == "accepted" != passed.answer:
            due.answered.append(share)


async def _holds(rows: Rows, find: _Find, share: str, given: Given) -> bool:
    """Whether a receiver has a share; taken to be so while that can't be seen."""
    try:
        receiver = await find(given.receiver)
    except RootError:
        return True
    return receiver is not None and await RECEIVED.get(rows, receiver, share) is not None


async def _given_by(rows: Rows, find: _Find, owner: str, share: str) -> Given | None:
    """A share as its owner gives it; None if it is given no more.

    Raises:
        RootError: That can't be seen now.
    """
    keys = await find(owner)
    given = None if keys is None else await GIVEN.get(rows, keys, share)
    return None if given is None or given.answer == "refused" else given


async def forget_shares(core: Core, caller: Caller, user: str) -> int:
    """Remove a namespace's shares that are over, and do what is due.

    Returns:
        How many were removed.
    """
    own = await core.keys(user)
    if own is None:
        return 0
    async with core.storage.snapshot() as rows:

        async def load(other: str) -> UserKeys | None:
            return core.ring.cached(other) or await core.ring.load_user(rows, other)

        seen = await _look(rows, own, load, core.clock.now_us())
    if not any(seen):
        return 0
    draft = Draft(caller, Action.SHARE_REVOKE, user_id=user, name=PATH, reason="ended")

    async def work(scope: Scope) -> int:
        keys = await core.keys_in(scope, user)
        if keys is None:
            return 0

        async def find(other: str) -> UserKeys | None:
            return await core.keys_in(scope, other)

        due = await _look(scope.tx, keys, find, scope.now_us)
        count = await _given(core, scope, caller, keys, due)
        return count + await _others(core, scope, caller, keys, due)

    return await core.write(draft, work)


async def _given(core: Core, scope: Scope, caller: Caller, keys: UserKeys, due: _Due) -> int:
    count = 0
    how = End(caller, Action.SHARE_REVOKE, "ended")
    for share in due.over:
        given = await GIVEN.get(scope.tx, keys, share)
        if given is None:
            continue
        if await take_back(core, scope, Hand(share, given.receiver, given.by), how) is not None:
            changes = ObjectChanges(scope, keys)
            await forget_given(scope, keys, changes, share)
            draft = Draft(caller, how.action, keys, keys.user_id, PATH + share, reason=how.why)
            await changes.write(draft)
            count += 1
    how = End(caller, Action.SHARE_REFUSE, "given back")
    for share in due.returned:
        if await GIVEN.get(scope.tx, keys, share) is not None:
            await end(core, scope, keys, share, how, refused=True)
            count += 1
    for share in due.behind:
        given = await GIVEN.get(scope.tx, keys, share)
        if given is not None and given.behind and not await is_ended(scope.tx, keys, share):
            try:
                await catch_up(core, scope, caller, keys, share, given)
            except RootError:
                continue
    return count


async def _others(core: Core, scope: Scope, caller: Caller, keys: UserKeys, due: _Due) -> int:
    how = End(caller, Action.SHARE_REVOKE, "ended")
    for share in due.received:
        await take_back(core, scope, Hand(share, keys.user_id, ""), how)
    for share in due.passed:
        if await PASSED.get(scope.tx, keys, share) is not None:
            changes = ObjectChanges(scope, keys)
            changes.delete(PASSED, share)
            draft = Draft(caller, how.action, keys, keys.user_id, PATH + share, reason=how.why)
            await changes.write(draft)
    for share in due.answered:
        passed = await PASSED.get(scope.tx, keys, share)
        if passed is not None:
            passed.answer = "accepted"
            changes = ObjectChanges(scope, keys)
            changes.put(PASSED, share, passed)
            told = Draft(caller, Action.SHARE_ACCEPT, keys, keys.user_id, PATH + share)
            await changes.write(told)
    return len(due.received)
