"""Counting opened audit records by day (``docs/spec/reports.md``, section 2): pure.

What is counted of a record depends on it and on the day's counts so far, in the order of the log
alone: counting in stretches of any size gives what counting at once gives.
"""

from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Final

import msgspec

from adyton.actions import Action
from adyton.service.following.reading import Record
from adyton.service.journal import Body

DAY_US: Final = 86_400_000_000
HOUR_US: Final = 3_600_000_000
HOURS: Final = tuple(f"{hour:02}" for hour in range(24))
"""The hours of a day, as counts are kept by them."""

MOST_SECRETS: Final = 10_000
MOST_READERS: Final = 20_000
"""Pairs of a secret and who has read it."""
MOST_OTHERS: Final = 2_000
"""Actors; networks; names that failed; kinds of failures."""
OTHERS: Final = ""
"""Stands for all that come after as many; no actor, name, network or failure is empty."""

LOCAL: Final = "local"
"""The network of whoever opened the store itself, or has no address."""

_READS: Final = frozenset({Action.SECRET_GET, Action.SECRET_EXPORT, Action.SHARE_READ})
_LOOKS: Final = frozenset({Action.SECRET_METADATA, Action.SECRET_LIST, Action.ROTATION_READ})
_THROUGH: Final = frozenset({Action.SHARE_READ, Action.SHARE_WRITE, Action.SHARE_DELETE})
"""Through a share: the owner's copy names the secret, and tells whose share it was."""
_OF_SECRETS: Final = ("secret.", "rotation.")


class Tally(msgspec.Struct, array_like=True):
    """How often something was done, failed, or was denied."""

    done: int = 0
    failed: int = 0
    denied: int = 0

    def add(self, other: "Tally") -> None:
        """Take in what another one has counted."""
        self.done += other.done
        self.failed += other.failed
        self.denied += other.denied


class Use(msgspec.Struct, array_like=True):
    """What was done with one secret: values given out, changes, looks at what is known of it."""

    reads: int = 0
    changes: int = 0
    looks: int = 0

    def add(self, other: "Use") -> None:
        """Take in what another one has counted."""
        self.reads += other.reads
        self.changes += other.changes
        self.looks += other.looks


class Day(msgspec.Struct):
    """One user's records of one day, UTC.

    Attributes:
        first: Leaf of the first record that was counted.
        last: Leaf of the last one.
        records: How many there are.
        hours: By hour of the day, ``00`` to ``23``.
        actions: By action.
        actors: By actor.
        networks: By the IPv4 /24 or IPv6 /48.
        secrets: What was done, by secret.
        readers: How often each actor has got a secret's value.
        missed: What failed or was denied, by name.
        failures: By action and reason, with a space between.
    """

    first: int
    last: int = 0
    records: int = 0
    hours: dict[str, Tally] = {}
    actions: dict[str, Tally] = {}
    actors: dict[str, Tally] = {}
    networks: dict[str, Tally] = {}
    secrets: dict[str, Use] = {}
    readers: dict[str, dict[str, int]] = {}
    missed: dict[str, Tally] = {}
    failures: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"<Day of {self.records} records>"


class Counter:
    """Adds records to one day's counts.

    Args:
        day: The counts so far; they are changed.
    """

    def __init__(self, day: Day) -> None:
        self.day = day
        self._pairs = sum(map(len, day.readers.values()))

    def add(self, record: Record) -> None:
        """Count one more record."""
        # Every record of the log passes here: few calls, no tables that grow without bound.
        leaf, body = record
        day = self.day
        day.records += 1
        day.last = leaf
        action, actor = body.action, body.actor
        tallies = [
            _of(day.hours, HOURS[body.time_us % DAY_US // HOUR_US], len(HOURS)),
            _of(day.actions, action, MOST_OTHERS),
            _of(day.actors, actor, MOST_OTHERS),
            _of(day.networks, network_of(body.address), MOST_OTHERS),
        ]
        if not body.success:
            self._miss(body, tallies)
            return
        for tally in tallies:
            tally.done += 1
        name = body.name
        if not name:
            return
        if action in _THROUGH:
            through, by, receiver = body.reason.partition(" by ")
            if not by or not through.startswith("shares/"):
                return
            actor = f"{actor} (share with {receiver})"
        if action in _READS:
            self._use(name).reads += 1
            self._reader(name, actor)
        elif action in _LOOKS:
            self._use(name).looks += 1
        elif action in _THROUGH or action.startswith(_OF_SECRETS):
            self._use(name).changes += 1

    def _miss(self, body: Body, tallies: list[Tally]) -> None:
        day = self.day
        if body.name:
            tallies.append(_of(day.missed, body.name, MOST_OTHERS))
        # Records of format 1 have no outcome.
        denied = body.outcome == "denied" or (not body.outcome and body.reason == "AccessDenied")
        for tally in tallies:
            if denied:
                tally.denied += 1
            else:
                tally.failed += 1
        kind = f"{body.action} {body.reason}"
        if kind not in day.failures and len(day.failures) >= MOST_OTHERS:
            kind = OTHERS
        day.failures[kind] = day.failures.get(kind, 0) + 1

    def _use(self, name: str) -> Use:
        secrets = self.day.secrets
        found = secrets.get(name)
        if found is None:
            if len(secrets) >= MOST_SECRETS:
                name = OTHERS
            found = secrets.setdefault(name, Use())
        return found

    def _reader(self, name: str, actor: str) -> None:
        readers = self.day.readers
        of_name = readers.get(name)
        if of_name is None or actor not in of_name:
            if self._pairs >= MOST_READERS:
                name = actor = OTHERS
                if OTHERS not in readers:
                    readers[OTHERS] = {OTHERS: 0}
            else:
                self._pairs += 1
            of_name = readers.setdefault(name, {})
        of_name[actor] = of_name.get(actor, 0) + 1


def _of(tallies: dict[str, Tally], key: str, most: int) -> Tally:
    found = tallies.get(key)
    if found is None:
        if len(tallies) >= most:
            key = OTHERS
        found = tallies.setdefault(key, Tally())
    return found


@lru_cache(maxsize=8_192)
def network_of(address: str) -> str:
    """The network of an address, as counted: its IPv4 /24 or IPv6 /48; mapped ones are IPv4's."""
    if not address:
        return LOCAL
    try:
        parsed = ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is None:
            return f"{IPv6Address(int(parsed) >> 80 << 80)}/48"
        parsed = parsed.ipv4_mapped
    return f"{str(parsed).rpartition('.')[0]}.0/24"
