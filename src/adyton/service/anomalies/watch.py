"""Going through a user's new records, and telling what is unusual (``docs/spec/alerts.md``).

All work is done beside the commit. One unit writes the baseline, the bookmark and the notices:
after a crash the same records are looked at again, with the same baseline, and told once.
"""

from collections.abc import Callable
from typing import Final

from adyton.actions import Action
from adyton.alertvalues import ScanReport, check_sensitivity
from adyton.model import Caller, from_us
from adyton.ports import Rows
from adyton.service.anomalies.baseline import (
    ACTOR_SHARDS,
    DAY_US,
    SECRET_SHARDS,
    ActorLine,
    SecretLine,
    Shard,
    key_of,
)
from adyton.service.anomalies.detector import THRESHOLDS, Detector, Event, Finding, identity
from adyton.service.anomalies.records import (
    ACTORS,
    ALL,
    PROGRESS,
    SECRETS,
    SETTINGS,
    AlertOptions,
    Progress,
    Quiet,
    Settings,
    actor_shard,
    packed,
    secret_shard,
)
from adyton.service.commit import Scope
from adyton.service.core import Core
from adyton.service.following.reading import Stretch, read_on
from adyton.service.journal import Draft
from adyton.service.notices.outbox import put_notice
from adyton.service.objects import ObjectChanges
from adyton.service.ticket import turn
from adyton.service.userkeys import UserKeys

WATCHER: Final = Caller("adyton:alerts")
MOST_A_DAY: Final = 100
"""Notices of unusual reads that a user gets in one day; the rest are counted."""
_OWN_ACTORS: Final = "adyton:"
_READS: Final = frozenset({Action.SECRET_GET, Action.SHARE_READ})
_STALE_US: Final = 7 * DAY_US
"""What is older when it is looked at was the past: it is learned, and not told."""
_QUIETS: Final = 2_000


class Watch:
    """Follows users' records (``service.following.follower.Follower``).

    Args:
        core: The open store.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    async def follow(self, keys: UserKeys, stopped: Callable[[], bool]) -> None:
        """Look at one user's records to their end."""
        await self.scan(keys, WATCHER, stopped)

    async def scan(
        self, keys: UserKeys, caller: Caller, stopped: Callable[[], bool] = lambda: False
    ) -> ScanReport:
        """Look at one user's records to their end."""
        reads = alerts = 0
        more = True
        while more and not stopped():
            done = await self._stretch(keys, caller)
            if done is None:
                break
            report, more = done
            reads, alerts = reads + report.reads, alerts + report.alerts
        return ScanReport(reads, alerts)

    async def _stretch(self, keys: UserKeys, caller: Caller) -> tuple[ScanReport, bool] | None:
        core = self._core
        async with core.storage.snapshot() as rows:
            progress = await PROGRESS.get(rows, keys, ALL) or Progress()
            settings = await SETTINGS.get(rows, keys, ALL) or Settings()
        level = check_sensitivity(settings.sensitivity or core.alerts.sensitivity)
        if level == "off":
            return None
        stretch = await read_on(core, keys, progress.next)
        if not stretch.records:
            return None
        before = progress.next
        events = _reads_in(stretch)
        async with core.storage.snapshot() as rows:
            secrets = await _secret_shards(rows, keys, events)
            actors = await _actor_shards(rows, keys, events)
        detector = Detector(secrets, actors, THRESHOLDS[level], core.alerts.learn_days)
        told = await self._told(detector, events, settings, progress)
        progress.next = stretch.next
        progress.since_us = progress.since_us or (events[0].time_us if events else 0)

        async def work(scope: Scope) -> ScanReport | None:
            now_keys = await core.keys_in(scope, keys.user_id)
            if now_keys is None or now_keys.stay is not keys.stay:
                return None
            there = await PROGRESS.get(scope.tx, now_keys, ALL) or Progress()
            if there.next != before:
                return None  # somebody else has looked at these records meanwhile
            changes = ObjectChanges(scope, now_keys)
            for number, shard in detector.secrets.shards.items():
                changes.put(SECRETS, str(number), packed(shard))
            for number, watched in detector.actors.shards.items():
                changes.put(ACTORS, str(number), packed(watched))
            changes.put(PROGRESS, ALL, progress)
            reason = f"{len(events)} reads, {len(told)} told"
            await changes.write(
                Draft(caller, Action.ALERT_WATCH, None, keys.user_id, reason=reason)
            )
            for finding, event, unsaid in told:
                await _put(core, scope, caller, now_keys, finding, event, unsaid)
            return ScanReport(len(events), len(told))

        report = await core.commit.submit(work)
        return None if report is None else (report, stretch.more)

    async def _told(
        self, detector: Detector, events: list[Event], settings: Settings, progress: Progress
    ) -> list[tuple[Finding, Event, int]]:
        """Look at reads, and learn them; what is to be told of."""
        options = self._core.alerts
        now = self._core.clock.now_us()
        told: list[tuple[Finding, Event, int]] = []
        for number, event in enumerate(events):
            await turn(number)
            for finding in detector.see(event):
                if now - event.time_us < _STALE_US:
                    told += _tell(progress, settings, options, finding, event)
        return told


def _reads_in(stretch: Stretch) -> list[Event]:
    return [
        Event(body.time_us, body.actor, body.name, body.address, leaf)
        for leaf, body in stretch.records
        if body.success
        and body.action in _READS
        and body.name
        and not body.actor.startswith(_OWN_ACTORS)
    ]


async def _secret_shards(
    rows: Rows, keys: UserKeys, events: list[Event]
) -> dict[int, Shard[SecretLine]]:
    found = {}
    for number in {key_of(name) % SECRET_SHARDS for name in {event.name for event in events}}:
        found[number] = await secret_shard(rows, keys, number)
    return found


async def _actor_shards(
    rows: Rows, keys: UserKeys, events: list[Event]
) -> dict[int, Shard[ActorLine]]:
    found = {}
    actors = {identity(actor) for actor in {event.actor for event in events}}
    for number in {key_of(actor) % ACTOR_SHARDS for actor in actors}:
        found[number] = await actor_shard(rows, keys, number)
    return found


def _tell(
    progress: Progress, settings: Settings, options: AlertOptions, finding: Finding, event: Event
) -> list[tuple[Finding, Event, int]]:
    """What is told of a finding: the finding, that there are too many, or nothing."""
    now = event.time_us
    who = identity(event.actor)
    if any(mute.covers(finding.rule, event.name, who, now) for mute in settings.mutes.values()):
        return []
    quiet = progress.quiet.get(finding.key)
    if quiet is not None and now < quiet.until_us:
        quiet.more += 1
        return []
    if len(progress.quiet) >= _QUIETS:
        progress.quiet = {key: q for key, q in progress.quiet.items() if q.until_us > now}
    while len(progress.quiet) >= _QUIETS:
        del progress.quiet[min(progress.quiet, key=lambda key: progress.quiet[key].until_us)]
    until = now + int(options.quiet_hours * 3600 * 1_000_000)
    progress.quiet[finding.key] = Quiet(until)
    unsaid = 0 if quiet is None else quiet.more
    day = now // DAY_US
    if day != progress.day:
        progress.day, progress.told, progress.held = day, 0, 0
    progress.told += 1
    if progress.told < MOST_A_DAY:
        return [(finding, event, unsaid)]
    progress.held += 1
    if progress.told == MOST_A_DAY:
        return [(Finding("more", "", {"told": str(MOST_A_DAY - 1)}), event, 0)]
    return []


async def _put(
    core: Core,
    scope: Scope,
    caller: Caller,
    keys: UserKeys,
    finding: Finding,
    event: Event,
    unsaid: int,
) -> None:
    details = {
        **finding.details,
        "at": from_us(event.time_us).isoformat(timespec="seconds"),
        "address": event.address,
        "record": str(event.leaf),
        "unsaid": str(unsaid) if unsaid else "",
    }
    # A burst of an actor goes over many secrets; the one that was read last says nothing.
    subject = "" if finding.rule == "more" or details.get("of") == "actor" else event.name
    await put_notice(core, scope, caller, keys, f"anomaly.{finding.rule}", subject, details)
