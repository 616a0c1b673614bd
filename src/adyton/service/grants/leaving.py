"""What goes with a user who is purged, and what is over (``docs/spec/grants.md``, section 9)."""

from contextlib import suppress
from typing import Final

from adyton.actions import Action
from adyton.errors import IntegrityError, UserRootAway
from adyton.model import Caller
from adyton.service.commit import Scope
from adyton.service.core import Core
from adyton.service.grants.books import BookChanges
from adyton.service.grants.grants import drop_grants
from adyton.service.grants.members import MEMBERS_PATH, put_out
from adyton.service.grants.records import MEMBERSHIPS, REQUESTS
from adyton.service.journal import Draft
from adyton.service.limits import DAY_US
from adyton.service.userkeys import UserKeys

_BATCH: Final = 200


async def leave_members(core: Core, scope: Scope, caller: Caller, keys: UserKeys) -> None:
    """Before a user is purged: put the user out wherever they are a member."""
    for owner, membership in (await MEMBERSHIPS.all(scope.tx, keys)).items():
        # What can't be opened there is void all the same: the membership here goes.
        with suppress(UserRootAway, IntegrityError):
            theirs = await core.keys_in(scope, owner)
            if theirs is None:
                continue
            book = await core.books.in_unit(scope, theirs)
            name = book.by_user.get(keys.user_id, "")
            if not name or book.members[name].id != membership.member_id:
                continue
            draft = Draft(caller, Action.MEMBER_REMOVE, theirs, owner, MEMBERS_PATH + name)
            await put_out(core, scope, draft, theirs, book, name)


async def forget_grants(core: Core, caller: Caller, user: str) -> int:
    """Remove grants and requests whose time is over, in bounded batches; how many they were."""
    removed = 0
    while count := await core.write(
        Draft(caller, Action.GRANT_REVOKE, user_id=user),
        lambda scope: _batch(core, scope, caller, user),
    ):
        removed += count
    return removed


async def _batch(core: Core, scope: Scope, caller: Caller, user: str) -> int:
    keys = await core.keys_in(scope, user)
    if keys is None:
        return 0
    book = await core.books.in_unit(scope, keys)
    now = scope.now_us
    # A while later, so that its owner has been told that it ended.
    over = now - DAY_US
    grants = [at for at, one in book.grants.items() if 0 < one.expires_us <= over][:_BATCH]
    requests = [at for at, one in book.requests.items() if one.expires_us <= now][:_BATCH]
    if not grants and not requests:
        return 0
    changes = BookChanges(core.books, scope, keys)
    await drop_grants(scope, changes, grants)
    for ident in requests:
        await changes.delete(REQUESTS, ident)
    await changes.write(Draft(caller, Action.GRANT_REVOKE, keys, user, reason="ended"))
    return len(grants) + len(requests)
