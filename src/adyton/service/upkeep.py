"""Work in the background: checkpoints, re-wrapping, rotation of the master key, sinks.

One thread per open store. Everything it does is a unit of the group commit like any other, in
bounded batches, and ends within one batch when the store is closed.
"""

import logging
import threading
import time
from collections.abc import Sequence
from typing import Final

import msgspec

from adyton.actions import Action
from adyton.errors import AdytonError, AuditError, IntegrityError, RootError, UserRootAway
from adyton.model import Caller, from_us
from adyton.ports import Rows, Sink, SinkEvent
from adyton.rows import EntryRow
from adyton.service.core import LOG, Core
from adyton.service.journal import Body
from adyton.service.keyadmin import KeyAdmin
from adyton.service.keyring import SYSTEM_USER
from adyton.service.logstate import CHECKPOINT_SECONDS
from adyton.service.notices.outbox import told_in
from adyton.service.pace import Pace
from adyton.service.ticket import turn
from adyton.service.userkeys import UserKeys
from adyton.service.userroot.admin import UserRoots
from adyton.values import Progress

UPKEEP: Final = Caller("adyton:upkeep")
_TICK: Final = 0.5
_BATCH: Final = 1_000
_REST: Final = 1.0
"""A sink may have half of the interpreter, as its records are to leave this machine soon."""
_RETRY_SECONDS: Final = 30.0
_ROOT_RETRY_SECONDS: Final = 3_600.0
_log = logging.getLogger("adyton.upkeep")


class _Stopped(Exception):
    """The store is being closed."""


class Upkeep:
    """The background thread of one store.

    Args:
        core: The open store.
        sinks: Where records are copied to.
        reveal: Whether sinks get names and user ids in the clear, instead of keyed indexes.
        jobs: Whether to re-wrap and rotate by itself.

    Attributes:
        delivered: For each sink, the leaf of the next record that it lacks, as far as known.
    """

    def __init__(
        self, core: Core, sinks: Sequence[Sink], *, reveal: bool = False, jobs: bool = True
    ) -> None:
        self._core = core
        self._sinks = list(sinks)
        self.delivered = [0] * len(self._sinks)
        self._reveal = reveal
        self._jobs = jobs
        self._stop = threading.Event()
        self._master_at = 0.0
        self._retry_at: dict[int, float] = {}
        self._keys: dict[bytes, UserKeys | None] = {}
        self._thread = threading.Thread(target=self._run, name="adyton-upkeep", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End, after one last try to bring the sinks up to date."""
        self._stop.set()
        self._thread.join()
        self._pump(last=True)
        for sink in self._sinks:
            sink.close()

    def _run(self) -> None:
        jobs_at, pace = 0.0, Pace(self._core.commit.stats, _REST)
        while not self._stop.wait(_TICK):
            try:
                self._checkpoint()
                self._core.commit.run_sync(UserRoots(self._core).record_ended(UPKEEP))
                if self._jobs and time.monotonic() >= jobs_at:
                    jobs_at = time.monotonic() + _RETRY_SECONDS
                    self._due_jobs()
            except _Stopped:
                return
            except AdytonError as error:
                # The next operation of a caller meets the same trouble and tells it.
                _log.warning("background work failed: %s", error.message)
            self._pump(pace)

    def _checkpoint(self) -> None:
        state = self._core.commit.state
        stale = time.monotonic() - state.checkpoint_at >= CHECKPOINT_SECONDS
        if stale and state.size > state.checkpoint_size:
            self._core.commit.run_sync(_sign(self._core))

    def _due_jobs(self) -> None:
        core = self._core
        admin = KeyAdmin(core)
        if admin.master_due() and time.monotonic() >= self._master_at:
            try:
                core.commit.run_sync(admin.rotate_master(UPKEEP, watch=self._watch))
            except RootError as error:  # all else goes on; each try is recorded
                self._master_at = time.monotonic() + _ROOT_RETRY_SECONDS
                _log.warning("the master key is due, and can't be rotated: %s", error.message)
        core.commit.run_sync(admin.finish_jobs(UPKEEP, watch=self._watch))
        core.commit.run_sync(UserRoots(core).finish(UPKEEP, watch=self._watch))

    def _watch(self, _: Progress) -> None:
        if self._stop.is_set():
            raise _Stopped

    # -- sinks ----------------------------------------------------------------------------------

    def floor(self) -> int | None:
        """The first leaf that a sink may still lack, or None without sinks."""
        positions = []
        for sink in self._sinks:
            try:
                positions.append(sink.position())
            except OSError:
                positions.append(0)
        return min(positions, default=None)

    def _pump(self, pace: Pace | None = None, *, last: bool = False) -> None:
        for number, sink in enumerate(self._sinks):
            if not last and time.monotonic() < self._retry_at.get(number, 0.0):
                continue
            try:
                self._feed(number, sink, pace, last=last)
            except OSError as error:
                _log.warning("an audit sink fails (%s); it will catch up", error.strerror)
                self._retry_at[number] = time.monotonic() + _RETRY_SECONDS / 10
            except AdytonError as error:
                _log.error("an audit sink can't be fed: %s", error.message)
                self._retry_at[number] = time.monotonic() + _RETRY_SECONDS

    def _feed(self, number: int, sink: Sink, pace: Pace | None, *, last: bool) -> None:
        core = self._core
        at = self.delivered[number] = sink.position()
        if at > core.commit.state.size:
            raise AuditError(
                f"it holds records up to leaf {at - 1}, but the log ends before leaf"
                f" {core.commit.state.size}: an older database was put back, or the sink is"
                " another store's",
                hint="Keep both as evidence; see the operations guide on restoring backups.",
            )
        while at < core.commit.state.size and (last or not self._stop.is_set()):
            events = core.commit.run_sync(self._events(at), pace)
            if not events:
                return
            sink.write(events)
            at = self.delivered[number] = events[-1].leaf + 1

    async def _events(self, start: int) -> list[SinkEvent]:
        events = []
        async with self._core.storage.snapshot() as rows:
            self._keys = {SYSTEM_USER: self._core.ring.system}
            for number, row in enumerate(await rows.entries(LOG, start, _BATCH)):
                await turn(number)
                events.append(SinkEvent(row.leaf, await self._line(rows, row)))
            self._keys = {}  # a user who takes away what opens them finds none of them here
        return events

    async def _line(self, rows: Rows, row: EntryRow) -> str:
        if row.user not in self._keys:
            try:
                self._keys[row.user] = await self._core.ring.load_index(rows, row.user)
            except UserRootAway:
                return msgspec.json.encode({"index": row.leaf, "log": LOG, "closed": True}).decode()
        keys = self._keys[row.user]
        event: dict[str, object] = {"index": row.leaf, "log": LOG}
        try:
            if keys is None:
                raise IntegrityError("erased")  # noqa: TRY301 - one way out for both
            body, _ = self._core.journal.open(keys, row.leaf, row.record)
        except IntegrityError:
            event["erased"] = True
        else:
            event |= self._fields(keys, body)
        return msgspec.json.encode(event).decode()

    def _fields(self, keys: UserKeys, body: Body) -> dict[str, object]:
        user, name = body.user, body.name
        if not self._reveal:
            user = f"hmac:{self._core.ring.user_index(user).hex()}" if user else ""
            name = f"hmac:{keys.index(name).hex()}" if name else ""
        told = {"notice": told_in(body.reason)} if body.action == Action.NOTICE_PUT else {}
        return {
            "time": from_us(body.time_us).isoformat(),
            "actor": body.actor,
            "user": user,
            "secret": name,
            "version": body.version,
            "action": body.action,
            "success": body.success,
            "reason": body.reason,
            "request_id": body.request_id,
            "address": body.address,
            "method": body.method,
            "accessor": body.accessor,
            "decision": body.decision,
            "outcome": body.outcome,
            **told,
        }


async def _sign(core: Core) -> None:
    async def work(scope: "object") -> None:
        scope.sign = True  # type: ignore[attr-defined]

    await core.commit.submit(work)
