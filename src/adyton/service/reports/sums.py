"""Adding up the counts of days."""

from collections.abc import Iterable
from typing import TypeVar

from adyton.ports import Rows
from adyton.service.reports.counting import DAY_US, HOUR_US, HOURS, Day, Tally, Use
from adyton.service.reports.records import DAYS, day_id, day_of
from adyton.service.ticket import Pause
from adyton.service.userkeys import UserKeys

K = TypeVar("K")


class Sums:
    """The counts of several days.

    Attributes:
        records: How many records were counted.
        by_day: By day, counted from the epoch; days without records are not there.
        by_time: By the hour's begin, in microseconds.
        hours: By hour of the day.
        actions: By action.
        actors: By actor.
        networks: By network.
        secrets: What was done, by secret.
        readers: How often each actor has got a secret's value.
        missed: What failed or was denied, by name.
        failures: By action and reason.
    """

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix
        self.records = 0
        self.by_day: dict[int, Tally] = {}
        self.by_time: dict[int, Tally] = {}
        self.hours: dict[str, Tally] = {hour: Tally() for hour in HOURS}
        self.actions: dict[str, Tally] = {}
        self.actors: dict[str, Tally] = {}
        self.networks: dict[str, Tally] = {}
        self.secrets: dict[str, Use] = {}
        self.readers: dict[str, dict[str, int]] = {}
        self.missed: dict[str, Tally] = {}
        self.failures: dict[str, int] = {}

    @property
    def total(self) -> Tally:
        """All together."""
        whole = Tally()
        for tally in self.by_day.values():
            whole.add(tally)
        return whole

    def add(self, number: int, day: Day) -> None:
        """Add one day."""
        self.records += day.records
        for hour, tally in day.hours.items():
            _tally(self.by_day, number, tally)
            _tally(self.hours, hour, tally)
            _tally(self.by_time, number * DAY_US + int(hour) * HOUR_US, tally)
        for mine, theirs in (
            (self.actions, day.actions.items()),
            (self.actors, day.actors.items()),
            (self.networks, day.networks.items()),
            (self.missed, self._wanted(day.missed)),
        ):
            for key, tally in theirs:
                _tally(mine, key, tally)
        for name, use in self._wanted(day.secrets):
            found = self.secrets.get(name)
            if found is None:
                found = self.secrets[name] = Use()
            found.add(use)
        for name, actors in self._wanted(day.readers):
            of_name = self.readers.setdefault(name, {})
            for actor, reads in actors.items():
                of_name[actor] = of_name.get(actor, 0) + reads
        for kind, count in day.failures.items():
            self.failures[kind] = self.failures.get(kind, 0) + count

    def _wanted(self, by_name: dict[str, K]) -> Iterable[tuple[str, K]]:
        if not self._prefix:
            return by_name.items()
        return [pair for pair in by_name.items() if pair[0].startswith(self._prefix)]


def _tally(tallies: dict[K, Tally], key: K, more: Tally) -> None:
    found = tallies.get(key)
    if found is None:
        found = tallies[key] = Tally()
    found.add(more)


async def sums_of(
    rows: Rows, keys: UserKeys, since_us: int, until_us: int, prefix: str = ""
) -> Sums:
    """What was counted of a user from one day up to another, not included."""
    sums = Sums(prefix)
    for number in range(day_of(since_us), day_of(until_us - 1) + 1):
        day = await DAYS.get(rows, keys, day_id(number))
        if day is not None:
            sums.add(number, day)
            await Pause()
    return sums
