"""Revoking what is due: leases that have ended, and what was broken off."""

import time
from collections.abc import Callable
from typing import Final

from adyton.actions import Action
from adyton.errors import AdytonError, LeaseError
from adyton.model import Caller
from adyton.rotationpolicy import RotationReport
from adyton.service import due
from adyton.service.core import Core
from adyton.service.dynamic.records import LEASES
from adyton.service.dynamic.turns import KIND, LeaseTurn, Taken
from adyton.service.journal import Draft

REVOKER: Final = Caller("adyton:leases")
SLOW_SECONDS: Final = 1.0
"""A failure that takes longer has its user's other leases wait for the next pass."""


def _never() -> bool:
    return False


async def run_due(
    core: Core, caller: Caller, *, stopped: Callable[[], bool] = _never
) -> RotationReport:
    """Revoke all that is due in the store, several at once; what fails is told in its lease.

    Args:
        core: The open store.
        caller: An operator.
        stopped: Whether to begin no more.

    Raises:
        AccessDenied: The caller is not the store's operator.
    """
    draft = Draft(caller, Action.LEASE_REVOKE, reason="due")
    async with core.guard(draft):
        core.authorise_operator(caller)
    found = await due.find(core, LEASES, due.tag(core, KIND))
    if not found or stopped():
        return RotationReport(0, 0, 0)
    await core.record(draft)
    slow: set[str] = set()
    turns = [
        core.rotation.turn(
            lambda user=user, ident=ident: core.commit.run_sync(  # type: ignore[misc]
                _revoke(LeaseTurn(core, caller, user, ident), user, slow)
            )
        )
        for user, ident in found
    ]
    failed = 0
    for turn in turns:
        try:
            await turn
        except Taken:
            pass  # another is at it
        except AdytonError:
            failed += 1
    return RotationReport(len(found), len(found) - failed, failed)


async def _revoke(turn: LeaseTurn, user: str, slow: set[str]) -> None:
    """Revoke one lease, unless a system of its user has just failed to answer.

    One user's thousand leases in a database that is away are not to hold up all others'.
    """
    if user in slow:
        await turn.postpone()
        raise Taken("it waits for the next pass")
    began = time.monotonic()
    try:
        await turn.revoke("ended", by_hand=False)
    except LeaseError:
        if time.monotonic() - began > SLOW_SECONDS:
            slow.add(user)
        raise


def background(core: Core) -> due.Background:
    """Revokes what is due, on a thread of its own."""

    async def run(stopped: Callable[[], bool]) -> int:
        return (await run_due(core, REVOKER, stopped=stopped)).taken

    return due.Background(core, "leases", run)
