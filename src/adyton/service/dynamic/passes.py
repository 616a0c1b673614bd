"""Revoking what is due: leases that have ended, and what was broken off."""

from collections.abc import Callable
from typing import Final

from adyton.actions import Action
from adyton.errors import AdytonError
from adyton.model import Caller
from adyton.rotationpolicy import RotationReport
from adyton.service import due
from adyton.service.core import Core
from adyton.service.dynamic.records import LEASES
from adyton.service.dynamic.turns import KIND, LeaseTurn, Taken
from adyton.service.journal import Draft

REVOKER: Final = Caller("adyton:leases")


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
    turns = [
        core.rotation.turn(
            lambda user=user, ident=ident: core.commit.run_sync(  # type: ignore[misc]
                LeaseTurn(core, caller, user, ident).revoke("ended", by_hand=False)
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


def background(core: Core) -> due.Background:
    """Revokes what is due, on a thread of its own."""

    async def run(stopped: Callable[[], bool]) -> int:
        return (await run_due(core, REVOKER, stopped=stopped)).taken

    return due.Background(core, "leases", run)
