"""What ends by itself, secrets and more: what a user is told of it, and a list of it.

Another kind of thing joins by an entry in ``OTHERS``: how it is found from its row of ``due``, and
how all of them are. Whoever makes one plans its notices by :func:`plan_one`.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from adyton.actions import Action
from adyton.dueports import DueRow
from adyton.errors import InvalidInput
from adyton.grantvalues import EVERYTHING
from adyton.lifecyclevalues import MAX_SECONDS, ExpiringInfo
from adyton.model import Caller, UserId, from_us
from adyton.ports import Rows, Transaction
from adyton.service import due, secretmeta
from adyton.service.commit import Scope
from adyton.service.core import Core
from adyton.service.grants.records import GRANTS, Grant
from adyton.service.journal import Draft
from adyton.service.lifecycle import plan
from adyton.service.lifecycle.plan import NOTICE, SECOND_US
from adyton.service.lifecycle.records import Rules, rules_of
from adyton.service.linkrecords import LINKS, PATH, Link
from adyton.service.notices.outbox import put_notice
from adyton.service.objects import Shelf
from adyton.service.sharing.records import GIVEN, Given
from adyton.service.ticket import Pause
from adyton.service.userkeys import UserKeys

_PAGE: Final = 128


class End(NamedTuple):
    """Something that ends.

    Attributes:
        kind: What it is; notices are of ``KIND.expiring`` and ``KIND.expired``.
        name: The secret or folder that it is about.
        expires_us: When it ends.
        detail: Which one, where the name does not tell.
    """

    kind: str
    name: str
    expires_us: int
    detail: str = ""

    def __repr__(self) -> str:
        return f"<End {self.kind}>"


def _share(ident: str, given: Given) -> End | None:
    if not given.expires_us or given.answer not in {"offered", "accepted"}:
        return None
    return End("share", given.name, given.expires_us, ident)


def end_of_grant(ident: str, grant: Grant) -> End:
    """When what a member has been given, or denied, ends; with 0 for never."""
    where = "" if grant.path == EVERYTHING else grant.path
    return End("grant", where, grant.expires_us, ident)


def _grant(ident: str, grant: Grant) -> End | None:
    return end_of_grant(ident, grant) if grant.expires_us else None


def _link(_: str, link: Link) -> End:
    return End("link", PATH + link.accessor, link.expires_us, link.accessor)


OTHERS: Final[list[tuple[Shelf[Any], Callable[[str, Any], End | None]]]] = [
    (GIVEN, _share),
    (GRANTS, _grant),
    (LINKS, _link),
]
"""Sealed objects that end: where they are, and what one of them is."""


async def end_of(tx: Transaction, keys: UserKeys, row: DueRow) -> End | None:
    """What a row is about; None if it is there no more, or does not end any more.

    Raises:
        IntegrityError: What is stored of it was changed.
    """
    if row.bucket == plan.bucket(keys, NOTICE):
        found = await tx.metadata(keys.user, row.ident)
        if found is None:
            return None
        meta = secretmeta.open_meta(keys, found)
        return None if meta.expires_us is None else End("secret", meta.name, meta.expires_us)
    for shelf, as_end in OTHERS:
        if row.bucket == shelf.bucket(keys):
            there = await shelf.at(tx, keys, row.ident)
            return None if there is None else as_end(*there)
    return None


async def tell(
    core: Core, scope: Scope, caller: Caller, keys: UserKeys, end: End, period: int
) -> None:
    """Put a notice of an end into its owner's outbox."""
    over = end.expires_us <= scope.now_us
    details = {
        "expires_at": from_us(end.expires_us).isoformat(timespec="seconds"),
        "before_seconds": str(period),
        end.kind: end.detail,
    }
    kind = f"{end.kind}.{'expired' if over else 'expiring'}"
    await put_notice(core, scope, caller, keys, kind, end.name, details)


async def plan_one(
    core: Core,
    scope: Scope,
    keys: UserKeys,
    shelf: Shelf[Any],
    ident: str,
    expires_us: int,
    name: str,
    rules: Rules | None = None,
) -> None:
    """Plan the notices of a sealed object that ends; one that is gone needs nothing.

    Args:
        core: The open store.
        scope: The group.
        keys: The user's keys.
        shelf: Where the object is; one of ``OTHERS``.
        ident: Its id.
        expires_us: When it ends; 0 for never.
        name: The secret or folder that it is about, whose notice periods count.
        rules: What the user has set, if it is known.
    """
    rules = rules or await rules_of(scope.tx, keys)
    periods = rules.periods(name, core.limits.lifecycle)
    us = plan.next_notice(expires_us, periods, scope.now_us)
    row = DueRow(keys.user, *shelf.place(keys, ident), us, b"", due.tag(core, NOTICE))
    await plan.settle(scope.tx, row, scope.now_us)


async def plan_others(core: Core, scope: Scope, keys: UserKeys, rules: Rules) -> None:
    """Plan the notices of all of a namespace that ends and is no secret."""
    for shelf, as_end in OTHERS:
        for ident, value in (await shelf.all(scope.tx, keys)).items():
            end = as_end(ident, value)
            if end is not None:
                await plan_one(core, scope, keys, shelf, ident, end.expires_us, end.name, rules)


class Ends:
    """What ends in a namespace.

    Args:
        core: The open store.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    async def expiring(
        self,
        caller: Caller,
        user: UserId,
        within: int,
        *,
        visible: Callable[[str], bool] | None = None,
    ) -> list[ExpiringInfo]:
        """What ends within a time, or has ended and is there still; the first to end first.

        Args:
            caller: Who asks.
            user: Whose namespace.
            within: Seconds from now.
            visible: Which names are shown; all by default.

        Raises:
            InvalidInput: The time is out of range.
        """
        core = self._core
        draft = Draft(caller, Action.LIFECYCLE_READ, name="expiring")
        found: list[ExpiringInfo] = []
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            if type(within) is not int or not 0 <= within <= MAX_SECONDS:
                raise InvalidInput(f"the time is not 0 to {MAX_SECONDS} seconds")
            draft.keys = keys = await core.keys(draft.user_id)
            if keys is not None:
                now = core.clock.now_us()
                async with core.storage.snapshot() as rows:
                    rules = await rules_of(rows, keys)
                    ends = await _ends(core, rows, keys, now + within * SECOND_US)
                found = [
                    self._shown(end, rules, now)
                    for end in ends
                    # A link is about no secret that is still there: its name is its own.
                    if visible is None or end.kind == "link" or visible(end.name)
                ]
        draft.reason = f"{len(found)} found"
        await core.record(draft)
        return sorted(found, key=lambda each: (each.expires_at, each.kind, each.name, each.detail))

    def _shown(self, end: End, rules: Rules, now_us: int) -> ExpiringInfo:
        periods = rules.periods(end.name, self._core.limits.lifecycle)
        us = plan.next_notice(end.expires_us, periods, now_us)
        return ExpiringInfo(
            end.kind,
            end.name,
            from_us(end.expires_us),
            end.expires_us <= now_us,
            from_us(us) if us else None,
            end.detail,
        )


async def _ends(core: Core, rows: Rows, keys: UserKeys, until_us: int) -> list[End]:
    found: list[End] = []
    after = b""
    while page := await rows.metadata_page(keys.user, after, _PAGE):
        for row in page:
            meta = core.opened.open(keys, row)
            if meta.expires_us is not None and meta.expires_us <= until_us and meta.versions:
                found.append(End("secret", meta.name, meta.expires_us))
        after = page[-1].name
        await Pause()
    for shelf, as_end in OTHERS:
        for ident, value in (await shelf.all(rows, keys)).items():
            end = as_end(ident, value)
            if end is not None and end.expires_us <= until_us:
                found.append(end)
    return found
