"""One rotation, step by step (``docs/spec/rotation.md``, section 3).

Every step is done elsewhere first and made durable then, in a unit of its own. A step that was
done and not made durable is done once more by whoever goes on, with the same token and values.
Until ``promote`` is durable the store gives out the former value, which works; from then on it
gives out the new one, which was tested.
"""

import logging
import secrets
from collections.abc import Callable
from typing import Final, TypeVar

import msgspec

from adyton.actions import Action
from adyton.dueports import DueRow
from adyton.errors import AdytonError, RotationError, SecretNotFound
from adyton.model import Caller, from_us
from adyton.rotating import Generated, Rotator, Turn
from adyton.rotationpolicy import RotationEvent
from adyton.service import secretmeta, writing
from adyton.service.commit import Scope
from adyton.service.core import Core
from adyton.service.journal import Draft
from adyton.service.notices.outbox import put_notice
from adyton.service.objects import ObjectChanges
from adyton.service.rotation import folders, generators, schedule
from adyton.service.rotation.records import ROTATIONS, VALUES, Plan, Values
from adyton.service.secrets import Secrets
from adyton.service.userkeys import UserKeys
from adyton.service.values import Item

T = TypeVar("T")

_log = logging.getLogger("adyton.rotation")
_NEXT: Final = {"": "create", "create": "set", "set": "test", "test": "promote",
                "promote": "retire", "undo": "undo"}  # fmt: skip
_random: Final = secrets.SystemRandom()


def gone() -> SecretNotFound:
    """The refusal of a rotation that is not there."""
    return SecretNotFound(
        "there is no such rotation", hint="List them with 'adyton rotation list'."
    )


class Lost(RotationError):
    """Somebody else has taken the rotation; it is theirs."""


class TurnOf:
    """One secret's rotation, taken by a lease.

    Args:
        core: The open store.
        caller: Who acts.
        user: Whose secret it is.
        name: The secret.
        stopped: Whether to end before the next step.
    """

    def __init__(
        self,
        core: Core,
        caller: Caller,
        user: str,
        name: str,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self._stopped = stopped
        self._core = core
        self._caller = caller
        self._user = user
        self._name = name
        self._lease = secrets.token_bytes(16)

    async def run(self, *, by_hand: bool) -> Plan:
        """Do what is to be done, as far as it goes now.

        Args:
            by_hand: Whether to begin although it is not due yet.

        Raises:
            SecretNotFound: There is no such rotation.
            RotationError: It is another's at the moment, or a step failed; that was recorded.
        """
        plan = await self._take(by_hand=by_hand)
        retiring = plan is not None and plan.step == "promote"
        while plan is not None:
            if self._stopped():
                await self._let_go()
                break
            step = _NEXT[plan.step]
            try:
                after = await self._step(step, plan)
            except Lost:
                raise
            except AdytonError as error:
                await self._failed(step, error)
                raise RotationError(
                    f"the step '{step}' failed: {error.message}", hint=error.hint
                ) from None
            if retiring and by_hand and not after.step:
                return await self.run(by_hand=True)  # the last one is over; this is the next
            if not after.step or (after.step == "promote" and after.policy.grace):
                return after
            plan = after
        async with self._core.storage.snapshot() as rows:
            keys = await self._core.keys(self._user)
            found = None if keys is None else await ROTATIONS.get(rows, keys, self._name)
        if found is None:
            raise gone()
        return found

    # -- the lease ------------------------------------------------------------------------------

    async def _take(self, *, by_hand: bool) -> Plan | None:
        core = self._core

        async def work(scope: Scope) -> Plan | None:
            keys, found = await self._found(scope)
            plan = await self._refreshed(scope, keys, found)
            if plan is None:
                return None
            place = ROTATIONS.place(keys, self._name)
            row = await scope.tx.due_of(keys.user, *place)
            if row is not None and row.lease and row.ready_us > scope.now_us:
                raise Lost(
                    "the secret is being rotated at this moment",
                    hint="A rotation that was broken off goes on by itself a little later.",
                )
            waits = plan.due_us > scope.now_us or not plan.due_us
            if plan.step == "promote" and waits:
                if by_hand:
                    raise RotationError(
                        "the former value still works, for its grace period",
                        hint="Rotate again once it is over; 'adyton rotation list' tells when.",
                    )
                waits = True
            elif plan.step and by_hand:
                waits = False  # what was broken off goes on
            elif by_hand:
                waits = False
            elif not waits and not plan.step:
                if plan.overdue(scope.now_us):
                    due_at = from_us(plan.due_us).isoformat(timespec="seconds")
                    await self._tell(scope, keys, "overdue", due_at=due_at)
                waits = not schedule.may_begin(plan.policy, scope.now_us)
                if waits:  # the window has closed meanwhile
                    plan.due_us = schedule.next_due(plan.policy, scope.now_us)
                    await self._write(scope, keys, plan, "wait")
            await self._put_due(scope, keys, plan, leased=not waits)
            return None if waits else plan

        return await core.commit.submit(work)

    async def _found(self, scope: Scope) -> tuple[UserKeys, Plan]:
        keys = await self._core.keys_in(scope, self._user)
        plan = None if keys is None else await ROTATIONS.get(scope.tx, keys, self._name)
        if keys is None or plan is None:
            raise gone()
        return keys, plan

    async def _refreshed(self, scope: Scope, keys: UserKeys, plan: Plan) -> Plan | None:
        """The plan by what its folder's policy is now; None where it has none any more."""
        if not plan.folder or plan.step:
            return plan
        before = msgspec.structs.replace(plan)
        all_folders = await folders.FOLDERS.all(scope.tx, keys)
        now = scope.now_us
        fresh = await folders.refreshed(scope.tx, keys, all_folders, self._name, plan, now)
        if fresh is None:
            await scope.tx.put_due(DueRow(keys.user, *ROTATIONS.place(keys, self._name), 0, b""))
            changes = ObjectChanges(scope, keys)
            changes.delete(ROTATIONS, self._name)
            await changes.write(self._draft("folder", keys))
        elif fresh != before:
            await self._write(scope, keys, fresh, "folder")
        return fresh

    async def _mine(self, scope: Scope) -> tuple[UserKeys, Plan]:
        """The plan, if the lease is still ours: nobody else has gone on with it."""
        keys, plan = await self._found(scope)
        row = await scope.tx.due_of(keys.user, *ROTATIONS.place(keys, self._name))
        if row is None or row.lease != self._lease:
            raise Lost("the rotation took too long, and was taken by another")
        return keys, plan

    async def _put_due(self, scope: Scope, keys: UserKeys, plan: Plan, *, leased: bool) -> None:
        seconds = self._core.rotation.options.lease_seconds
        ready = scope.now_us + int(seconds * 1_000_000) if leased else plan.due_us
        lease = self._lease if leased else b""
        await scope.tx.put_due(DueRow(keys.user, *ROTATIONS.place(keys, self._name), ready, lease))

    async def _let_go(self) -> None:
        """Whoever comes next goes on at once."""

        async def work(scope: Scope) -> None:
            keys, plan = await self._mine(scope)
            ready = min(plan.due_us, scope.now_us) or scope.now_us
            place = ROTATIONS.place(keys, self._name)
            await scope.tx.put_due(DueRow(keys.user, *place, ready, b""))

        await self._core.commit.submit(work)

    # -- steps ----------------------------------------------------------------------------------

    async def _step(self, step: str, plan: Plan) -> Plan:
        rotator = self._core.rotation.open(plan.policy.rotator)
        if step == "create":
            return await self._create(rotator, plan)
        values = await self._values()
        if step == "promote":
            return await self._promote(values)
        if step == "retire":
            return await self._retire(rotator, plan, values)
        doing = {"set": rotator.set, "test": rotator.test, "undo": rotator.undo}[step]
        turn = await self._turn(plan, values)
        await self._call(lambda: doing(turn))
        return await (self._over("undo") if step == "undo" else self._went(step))

    async def _call(self, work: Callable[[], T]) -> T:
        """Call a rotator, on a thread; whatever it raises becomes one of ours."""
        try:
            return await self._core.rotation.run(work)
        except AdytonError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a plug-in does
            raise RotationError(f"the rotator fails: {type(error).__name__}") from None

    async def _values(self) -> Values:
        keys = await self._core.keys(self._user)
        async with self._core.storage.snapshot() as rows:
            values = None if keys is None else await VALUES.get(rows, keys, self._name)
        if values is None:
            raise RotationError("the values of the rotation are missing")
        return values

    async def _turn(self, plan: Plan, values: Values | None, token: str = "") -> Turn:
        bounds = self._core.rotation.options.bounds
        admin = await self._open(plan.policy.admin) if plan.policy.admin else None
        if plan.policy.admin and admin is None:
            raise RotationError(
                "the admin's secret is not there",
                hint="Write it first, by 'adyton set NAME --json --file FILE'.",
            )
        return Turn(
            token or plan.token,
            plan.policy.settings,
            bounds,
            None if admin is None else admin[0],
            None if values is None else values.former,
            b"" if values is None else values.new,
        )

    async def _open(self, name: str) -> tuple[bytes, int] | None:
        """A secret's current value and version, with a record of its reading; or None."""
        try:
            secret = await Secrets(self._core).get(self._caller, self._user, name)
        except SecretNotFound:
            return None
        with secret:
            return secret.reveal(), secret.version

    async def _create(self, rotator: Rotator, plan: Plan) -> Plan:
        former = await self._open(self._name)
        if former is None and (plan.version or plan.folder):
            raise RotationError(
                "the secret is gone, and is not made anew",
                hint="Undelete it, or remove its rotation.",
            )
        token = secrets.token_hex(16)
        held = Values(b"", "", None if former is None else former[0])
        turn = await self._turn(plan, held, token)
        policy = plan.policy

        def make() -> Generated:
            return generators.generate(policy.generator, policy.options)

        made = await self._call(lambda: rotator.create(turn, make))
        if not 1 <= len(made.value) <= self._core.limits.max_value_bytes:
            raise RotationError("the new value is empty, or larger than values may be")
        held.new, held.content_type = made
        base = 0 if former is None else former[1]

        def change(changes: ObjectChanges, found: Plan) -> None:
            found.token, found.base = token, base
            changes.put(VALUES, self._name, held)

        return await self._went("create", change)

    async def _promote(self, values: Values) -> Plan:
        core = self._core

        async def work(scope: Scope) -> Plan:
            _, plan = await self._mine(scope)
            keys = await core.keys_to_write(scope, self._caller, self._user, 1)
            row = await scope.tx.metadata(keys.user, keys.index(self._name))
            meta = None if row is None else secretmeta.open_meta(keys, row)
            if (0 if meta is None else meta.current) != plan.base or (
                meta is not None and not meta.live(scope.now_us)
            ):
                # Somebody wrote it meanwhile: theirs is newer, and ours is not to replace it.
                raise _Overtaken("the secret was changed while it was rotated")
            batch = writing.Batch(core, scope, self._caller, keys)
            new, _ = await batch.add(
                Item(self._name, values.new, values.content_type, cas=plan.base),
                Action.SECRET_ROTATE,
            )
            await batch.write()
            now, grace = scope.now_us, plan.policy.grace
            plan.step, plan.version, plan.rotated_us = "promote", new.current, now
            plan.due_us = now + grace * schedule.SECOND_US
            plan.attempts, plan.error = 0, ""
            plan.tell(RotationEvent(now, "promote", "", new.current))
            await self._tell(scope, keys, "succeeded", version=str(new.current))
            await self._put_due(scope, keys, plan, leased=not grace)
            await self._write(scope, keys, plan, "promote")
            return plan

        return await core.write(self._draft("promote"), work)

    async def _retire(self, rotator: Rotator, plan: Plan, values: Values) -> Plan:
        current = await self._open(self._name)
        if current is not None and current[1] != plan.version and current[0] == values.former:
            # Somebody went back to the former value in its grace: it is in use.
            return await self._over("retire", "the former value is current again, and works on")
        turn = await self._turn(plan, values)
        if values.former is not None and values.former != values.new:
            await self._call(lambda: rotator.retire(turn))
        return await self._over("retire")

    # -- making durable -------------------------------------------------------------------------

    async def _went(
        self, step: str, change: Callable[[ObjectChanges, Plan], None] | None = None
    ) -> Plan:
        """A step before the promotion has been done."""

        async def work(scope: Scope) -> Plan:
            keys, plan = await self._mine(scope)
            changes = ObjectChanges(scope, keys)
            plan.step, plan.attempts, plan.error = step, 0, ""
            plan.due_us = scope.now_us  # whoever finds it goes on, whenever it was due
            plan.tell(RotationEvent(scope.now_us, step))
            if change is not None:
                change(changes, plan)
            await self._put_due(scope, keys, plan, leased=True)
            await self._write(scope, keys, plan, step, changes)
            return plan

        return await self._core.write(self._draft(step), work)

    async def _over(self, step: str, remark: str = "") -> Plan:
        """The rotation is over: its values are erased, and the next one gets its time."""

        async def work(scope: Scope) -> Plan:
            keys, plan = await self._mine(scope)
            changes = ObjectChanges(scope, keys)
            changes.delete(VALUES, self._name)
            plan.step, plan.token, plan.attempts = "", "", 0
            plan.error = plan.error if step == "undo" else remark
            from_us = scope.now_us if step == "undo" else plan.rotated_us
            plan.due_us = schedule.next_due(plan.policy, from_us, _random.random())
            if plan.due_us and plan.due_us <= scope.now_us:  # times that were missed are one
                plan.due_us = schedule.next_due(plan.policy, scope.now_us, _random.random())
            if plan.folder:  # whose policy may be another one by now
                all_folders = await folders.FOLDERS.all(scope.tx, keys)
                now = scope.now_us
                await folders.refreshed(scope.tx, keys, all_folders, self._name, plan, now)
            plan.tell(RotationEvent(scope.now_us, step, remark))
            await self._put_due(scope, keys, plan, leased=False)
            await self._write(scope, keys, plan, step, changes)
            return plan

        return await self._core.write(self._draft(step), work)

    async def _failed(self, step: str, error: AdytonError) -> None:
        """A step failed: it comes again later, or the rotation is undone."""

        async def work(scope: Scope) -> None:
            keys, plan = await self._mine(scope)
            now = scope.now_us
            plan.attempts += 1
            plan.error = f"{step}: {error.message}"[:500]
            plan.tell(RotationEvent(now, step, error.message[:500]))
            hopeless = plan.attempts > plan.policy.retries or isinstance(error, _Overtaken)
            if hopeless and (plan.attempts <= plan.policy.retries + 1):
                await self._tell(scope, keys, "failed", step=step, error=error.message)
            elif plan.attempts == 1:
                await self._tell(scope, keys, "failing", step=step, error=error.message)
            if hopeless and step == "create":
                # Nothing was done yet, and nothing is to be undone.
                plan.attempts = 0
                plan.due_us = schedule.next_due(plan.policy, now, _random.random())
            elif hopeless and step in {"set", "test", "promote"}:
                plan.step, plan.attempts, plan.due_us = "undo", 0, now
            else:
                plan.due_us = now + schedule.backoff_us(plan.attempts, _random.random())
            await self._put_due(scope, keys, plan, leased=False)
            scope.record(self._draft(step, keys).refused(error))
            await self._write(scope, keys, plan, f"{step}: {plan.step or 'none'} is what holds")

        # Neither the name nor the user: the audit log has them.
        _log.warning("a rotation failed in the step %s: %s", step, error.message)
        # A quota that is full must not keep a failure from being told, or from being undone.
        await self._core.write(self._draft(step), work, free=True)

    async def _tell(self, scope: Scope, keys: UserKeys, what: str, **details: str) -> None:
        kind = f"rotation.{what}"
        await put_notice(self._core, scope, self._caller, keys, kind, self._name, details)

    def _draft(self, step: str, keys: UserKeys | None = None) -> Draft:
        return Draft(self._caller, Action.ROTATION_STEP, keys, self._user, self._name, reason=step)

    async def _write(
        self,
        scope: Scope,
        keys: UserKeys,
        plan: Plan,
        step: str,
        changes: ObjectChanges | None = None,
    ) -> None:
        changes = changes or ObjectChanges(scope, keys)
        changes.put(ROTATIONS, self._name, plan)
        await changes.write(self._draft(step))


class _Overtaken(RotationError):
    """The secret has another version than when the rotation began."""
