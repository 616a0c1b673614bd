"""The rules: what is told of as unusual (``docs/spec/alerts.md``, section 3).

Pure: reads go in, findings come out, and the baseline has learned. Time is that of the records, so
that the same history makes the same findings, whenever it is looked at.
"""

import functools
from typing import Final, NamedTuple

from adyton.alertvalues import Sensitivity
from adyton.service.anomalies.baseline import (
    ACTOR_SHARDS,
    ACTORS_A_SHARD,
    DAY_US,
    SECRET_SHARDS,
    SECRETS_A_SHARD,
    WINDOW_US,
    ActorLine,
    Counter,
    Lines,
    SecretLine,
    Shard,
    key_of,
    member_of,
)
from adyton.service.quota.networks import network_of

_HOUR_US: Final = 3600 * 1_000_000
_LEAST_READS: Final = 20
_LEAST_HOUR_READS: Final = 200
_LEAST_HOUR_DAYS: Final = 14


class Thresholds(NamedTuple):
    """What makes a read unusual.

    Attributes:
        burst_factor: How many times the peak of a window is a burst.
        burst_least: Reads in a window that are none, whatever the peak.
        hour_share: The share of an actor's reads near an hour below which the hour is unusual.
        novel: Days of late with something new, from which on something new is usual.
    """

    burst_factor: float
    burst_least: int
    hour_share: float
    novel: float


THRESHOLDS: Final[dict[Sensitivity, Thresholds]] = {
    "low": Thresholds(8.0, 100, 0.0005, 2.0),
    "medium": Thresholds(4.0, 40, 0.0015, 3.5),
    "high": Thresholds(2.5, 20, 0.004, 6.0),
}


class Event(NamedTuple):
    """One read."""

    time_us: int
    actor: str
    name: str
    address: str
    leaf: int

    def __repr__(self) -> str:
        return f"<Event leaf={self.leaf}>"


class Finding(NamedTuple):
    """Something unusual, before it is known whether it is told.

    Attributes:
        rule: Which rule.
        key: What it is about: findings of one key are told once in a while.
        details: What is told.
    """

    rule: str
    key: str
    details: dict[str, str]

    def __repr__(self) -> str:
        return f"<Finding {self.rule}>"


def identity(actor: str) -> str:
    """Who acts, whichever token they have at the moment: an actor without its accessor."""
    return actor.rpartition("#")[0] or actor


def _about(what: str, key: int) -> str:
    return f"{what} {key:x}"


@functools.lru_cache(maxsize=65_536)
def _hashed(text: str) -> int:
    return key_of(text)


def forget_texts(_user: str) -> None:
    """Keep no names of secrets, of a user who was purged or keeps the keys away."""
    _hashed.cache_clear()


class Detector:
    """Looks at one user's reads in their order.

    Args:
        secrets: Shards of lines for secrets, by number.
        actors: Shards of lines for actors, by number.
        thresholds: What makes a read unusual.
        learn_days: Days from the first read, before which nothing is new at a place.
    """

    def __init__(
        self,
        secrets: dict[int, Shard[SecretLine]],
        actors: dict[int, Shard[ActorLine]],
        thresholds: Thresholds,
        learn_days: float = 14.0,
    ) -> None:
        self.secrets = Lines(secrets, SECRET_SHARDS, SECRETS_A_SHARD, SecretLine)
        self.actors = Lines(actors, ACTOR_SHARDS, ACTORS_A_SHARD, ActorLine)
        self._at = thresholds
        self._learn_us = int(learn_days * DAY_US)

    def see(self, event: Event) -> list[Finding]:
        """Look at a read, and learn it."""
        who = identity(event.actor)
        secret_key, actor_key = _hashed(event.name), _hashed(who)
        now = event.time_us
        secret, actor = self.secrets.at(secret_key, now), self.actors.at(actor_key, now)
        network = member_of(_hashed(network_of(event.address).wide))
        day = now // DAY_US
        if actor.last_us // DAY_US != day:
            actor.days += 1
        found: list[Finding] = []
        if secret.last_us:
            self._novel(found, who, secret, actor, actor_key, network, day, now)
        self._burst(found, who, secret, actor, secret_key, actor_key, now)
        self._hour(found, who, actor, actor_key, day, now)
        if member_of(actor_key) not in secret.actors.seen and not secret.actors.full:
            actor.secrets.note(day)
        secret.actors.add(member_of(actor_key), day)
        secret.networks.add(network, day)
        actor.networks.add(network, day)
        for line in (secret, actor):
            line.reads += 1
            line.last_us = now
        return found

    def _learned(self, line: SecretLine | ActorLine, now: int) -> bool:
        return line.reads >= _LEAST_READS and now - line.first_us >= self._learn_us

    def _novel(
        self,
        found: list[Finding],
        who: str,
        secret: SecretLine,
        actor: ActorLine,
        actor_key: int,
        network: int,
        day: int,
        now: int,
    ) -> None:
        """Who or what has never been at this secret, where that is not usual for either."""
        new_actor = member_of(actor_key) not in secret.actors.seen
        new_network = network not in secret.networks.seen
        if not (new_actor or new_network) or not self._learned(secret, now):
            return
        most = self._at.novel
        known = self._learned(actor, now)
        if new_actor and not secret.actors.full and secret.actors.novelty(day) < most:
            usual = actor.secrets.novelty(day) >= most if known else actor.told
            if not usual:
                actor.told = True
                found.append(
                    Finding(
                        "new-actor",
                        _about("new-actor", actor_key),
                        {
                            "actor": who,
                            "actor_known": "yes" if known else "no",
                            "network": "new" if new_network else "known",
                        },
                    )
                )
                return
        if (
            new_network
            and known
            and not secret.networks.full
            and secret.networks.novelty(day) < most
            and network not in actor.networks.seen
            and not actor.networks.full
            and actor.networks.novelty(day) < most
        ):
            found.append(Finding("new-network", _about("new-network", actor_key), {"actor": who}))

    def _burst(
        self,
        found: list[Finding],
        who: str,
        secret: SecretLine,
        actor: ActorLine,
        secret_key: int,
        actor_key: int,
        now: int,
    ) -> None:
        """More reads in ten minutes than many times the most that is usual."""
        window = now // WINDOW_US
        for line, key, of in ((actor, actor_key, "actor"), (secret, secret_key, "secret")):
            counter = line.counter
            if window != counter.window:
                limit = self._limit(counter)
                # Twice a factor of two weeks' fading: what comes weekly is usual after some times.
                counter.turn(window, limit, limit * max(0.5, 2.0 / self._at.burst_factor))
            counter.count += 1
            if counter.count > self._limit(counter) and self._learned(line, now):
                details = {
                    "of": of,
                    "reads": str(counter.count),
                    "usual": f"{counter.peak:.0f}",
                    "minutes": "10",
                    "actor": who,
                }
                found.append(Finding("burst", _about(f"burst-{of}", key), details))

    def _limit(self, counter: Counter) -> float:
        return max(float(self._at.burst_least), self._at.burst_factor * counter.peak)

    def _hour(
        self, found: list[Finding], who: str, actor: ActorLine, key: int, day: int, now: int
    ) -> None:
        """An hour near which this actor hardly ever reads."""
        weekend = (day + 3) % 7 >= 5  # the epoch began on a Thursday
        hour = now // _HOUR_US % 24 + (24 if weekend else 0)
        if (
            actor.reads >= _LEAST_HOUR_READS
            and actor.days >= _LEAST_HOUR_DAYS
            and (share := actor.share_near(hour)) < self._at.hour_share
        ):
            details = {
                "actor": who,
                "hour": f"{hour % 24:02d} UTC",
                "day": "weekend" if weekend else "weekday",
                "share": f"{share:.2%}",
            }
            found.append(Finding("unusual-hour", _about("unusual-hour", key), details))
        actor.count_hour(hour)
