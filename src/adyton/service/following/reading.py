"""One user's audit records from a bookmark on, opened and in order.

Whoever follows keeps a bookmark (a leaf index) in a sealed object of the user, and writes the next
one in the same unit as what it has made of the records: then none is taken twice, nor left out.
"""

from typing import Final, NamedTuple

from adyton.actions import Action
from adyton.errors import IntegrityError
from adyton.service.core import LOG, Core
from adyton.service.journal import Body
from adyton.service.ticket import turn
from adyton.service.userkeys import UserKeys

STRETCH: Final = 2_000
"""Records of one stretch at the most."""
OWN: Final = frozenset({Action.REPORT_COUNT, Action.ALERT_WATCH})
"""What followers record of their own work: left out, or they would never come to an end."""


class Record(NamedTuple):
    """An opened record and its leaf index."""

    leaf: int
    body: Body

    def __repr__(self) -> str:
        return f"<Record leaf={self.leaf}>"


class Stretch(NamedTuple):
    """Records, and where the next ones begin.

    Attributes:
        records: In the order of the log, without those of followers.
        next: The bookmark behind them: the leaf from which on the next stretch is.
        more: Whether there may be more records by now.
        gap: Whether records were archived before they were read.
        unopened: Records that don't open: of a former life of a user who was purged, or changed,
            which the verification of the log tells apart.
    """

    records: list[Record]
    next: int
    more: bool
    gap: bool
    unopened: int

    def __repr__(self) -> str:
        return f"<Stretch of {len(self.records)}>"


async def read_on(core: Core, keys: UserKeys, start: int, limit: int = STRETCH) -> Stretch:
    """The next records of a user, or of the store itself with ``core.ring.system``.

    Args:
        core: The open store.
        keys: The user's keys.
        start: The bookmark: the first leaf that was not read yet.
        limit: How many records at the most.
    """
    async with core.storage.snapshot() as rows:
        first, size = await rows.log_range(LOG)
        page = await rows.entries_from(LOG, keys.user, start, limit)
    opened = []
    unopened = 0
    for number, row in enumerate(page):
        await turn(number)
        try:
            body, _ = core.journal.open(keys, row.leaf, row.record)
        except IntegrityError:
            unopened += 1
            continue
        if body.action not in OWN:
            opened.append(Record(row.leaf, body))
    more = len(page) >= limit
    # Where all of the log was archived, it seems to be empty: a bookmark never goes back.
    following = page[-1].leaf + 1 if more else max(size, start)
    return Stretch(opened, following, more, first > start, unopened)
