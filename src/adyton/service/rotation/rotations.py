"""Policies of rotation, and running what is due (``docs/spec/rotation.md``)."""

from collections.abc import Callable
from typing import Final

from adyton.actions import Action
from adyton.dueports import DueRow
from adyton.errors import (
    AccessDenied,
    AdytonError,
    ConfigurationError,
    InvalidInput,
    RotationError,
    SecretNotFound,
)
from adyton.model import Caller, UserId, secret_name
from adyton.rotationpolicy import RotationEvent, RotationInfo, RotationPolicy, RotationReport
from adyton.service import due
from adyton.service.commit import Scope
from adyton.service.core import Core
from adyton.service.journal import Draft
from adyton.service.objects import ObjectChanges
from adyton.service.rotation import folders, generators, schedule
from adyton.service.rotation.records import ROTATIONS, Plan
from adyton.service.rotation.turns import Lost, TurnOf, gone
from adyton.service.userkeys import UserKeys

ROTATION: Final = Caller("adyton:rotation")
_UNDONE: Final = frozenset({"create", "set", "test", "undo"})
"""Steps of a rotation that can still be taken back."""


def _never() -> bool:
    return False


def _anything(_: str) -> bool:
    return True


def folder_info(name: str, policy: RotationPolicy) -> RotationInfo:
    """The public value of a folder's policy."""
    return RotationInfo(name, policy, "folder", None, None, 0, 0, "", overdue=False)


class Rotations:
    """Operations on rotations.

    Args:
        core: The open store.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    async def set_policy(
        self,
        caller: Caller,
        user: UserId,
        name: str,
        policy: RotationPolicy,
        *,
        may: Callable[[str], bool] = _anything,
    ) -> RotationInfo:
        """Rotate a secret, or each in a folder, from now on, or otherwise than before.

        Args:
            caller: Who asks.
            user: Whose it is.
            name: The secret; or a folder, with a slash at its end: its policy is that of each
                secret in it, also of those to come, that has none of its own or of a folder
                that is nearer.
            policy: How.
            may: Whether the caller may write a secret that is in the folder.

        Raises:
            AccessDenied: The caller may not write all that is in the folder.
            InvalidInput: The policy can't be used.
            RotationError: A rotation is under way, and the policy would change more than times.
        """
        if name.endswith("/"):
            return await self._set_folder(caller, user, name, policy, may)
        core = self._core
        draft = Draft(caller, Action.ROTATION_WRITE)
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            draft.name = secret_name(name)
            await self._check(policy, name)

        async def work(scope: Scope) -> RotationInfo:
            keys = await core.keys_to_write(scope, caller, draft.user_id, 0)
            draft.keys = keys
            plan = await ROTATIONS.get(scope.tx, keys, name) or Plan(policy)
            await self._check_free(scope, keys, name, plan, policy)
            plan.policy, plan.folder = policy, ""
            if not plan.step:
                plan.attempts, plan.error = 0, ""
                after = plan.rotated_us or scope.now_us
                plan.due_us = schedule.next_due(policy, after)
            return await self._put(scope, keys, name, plan, draft)

        return await core.write(draft, work)

    async def _check(self, policy: RotationPolicy, name: str) -> None:
        policy.check()
        schedule.check(policy, self._core.clock.now_us())
        if policy.admin and secret_name(policy.admin) == name:
            raise InvalidInput("a secret can't be its own admin")
        try:
            rotator = self._core.rotation.open(policy.rotator)
        except ConfigurationError as error:
            raise InvalidInput(error.message, hint=error.hint) from None
        rotator.check(policy.settings, admin=bool(policy.admin))
        # Making a large RSA key takes seconds.
        await self._core.rotation.run(lambda: generators.check(policy.generator, policy.options))

    @staticmethod
    async def _check_free(
        scope: Scope, keys: UserKeys, name: str, plan: Plan, policy: RotationPolicy | None
    ) -> None:
        """Refuse to change what somebody is at."""
        row = await scope.tx.due_of(keys.user, *ROTATIONS.place(keys, name))
        if row is not None and row.lease and row.ready_us > scope.now_us:
            raise RotationError("the secret is being rotated at this moment", hint="Try again.")
        if plan.step and (policy is None or not policy.does_the_same(plan.policy)):
            raise RotationError(
                "a rotation is not over, and needs the rotator that it began with",
                hint="Undo it by 'adyton rotation cancel NAME', or wait for its end."
                if plan.step in _UNDONE
                else "Wait for the end of the grace period, see 'adyton rotation show NAME'.",
            )

    async def _put(
        self, scope: Scope, keys: UserKeys, name: str, plan: Plan, draft: Draft
    ) -> RotationInfo:
        place = ROTATIONS.place(keys, name)
        await scope.tx.put_due(DueRow(keys.user, *place, plan.due_us, b""))
        changes = ObjectChanges(scope, keys)
        changes.put(ROTATIONS, name, plan)
        await changes.write(draft)
        return plan.info(name, scope.now_us)

    async def _set_folder(
        self,
        caller: Caller,
        user: UserId,
        name: str,
        policy: RotationPolicy,
        may: Callable[[str], bool],
    ) -> RotationInfo:
        core = self._core
        draft = Draft(caller, Action.ROTATION_WRITE)
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            draft.name = secret_name(name[:-1]) + "/"
            await self._check(folders.expanded(policy, name + "sample"), name)
            if not all(map(may, await folders.names_in(core, draft.user_id, name))):
                raise AccessDenied("permission denied")

        async def work(scope: Scope) -> None:
            keys = draft.keys = await core.keys_to_write(scope, caller, draft.user_id, 0)
            changes = ObjectChanges(scope, keys)
            changes.put(folders.FOLDERS, name, folders.Folder(policy))
            # Should it be broken off, the background goes over the folder.
            await folders.put_due(core, scope, keys, name, scope.now_us + 1)
            await changes.write(draft)

        await core.write(draft, work)
        await folders.go_over(core, caller, draft.user_id, name)
        return folder_info(name, policy)

    async def _remove_folder(self, caller: Caller, user: UserId, name: str) -> None:
        core = self._core
        draft = Draft(caller, Action.ROTATION_DELETE)
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            draft.name = secret_name(name[:-1]) + "/"

        async def work(scope: Scope) -> None:
            keys = draft.keys = await core.keys_in(scope, draft.user_id)
            if keys is None or await folders.FOLDERS.get(scope.tx, keys, name) is None:
                raise gone()
            changes = ObjectChanges(scope, keys)
            changes.delete(folders.FOLDERS, name)
            await changes.write(draft)

        await core.write(draft, work)
        await folders.go_over(core, caller, draft.user_id, name)

    async def remove_policy(self, caller: Caller, user: UserId, name: str) -> None:
        """Rotate a secret no more, unless its folder's policy says so; its value stays.

        Raises:
            InvalidInput: The policy is that of a folder.
            SecretNotFound: It has no policy.
            RotationError: A rotation is under way, or the former value still works.
        """
        if name.endswith("/"):
            await self._remove_folder(caller, user, name)
            return
        core = self._core
        draft = Draft(caller, Action.ROTATION_DELETE)
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            draft.name = secret_name(name)

        async def work(scope: Scope) -> None:
            keys = draft.keys = await core.keys_in(scope, draft.user_id)
            plan = None if keys is None else await ROTATIONS.get(scope.tx, keys, name)
            if keys is None or plan is None:
                raise gone()
            if plan.folder:
                raise InvalidInput(
                    "the policy is that of a folder",
                    hint="Give the secret one of its own, without times, to leave it alone.",
                )
            await self._check_free(scope, keys, name, plan, None)
            await scope.tx.put_due(DueRow(keys.user, *ROTATIONS.place(keys, name), 0, b""))
            changes = ObjectChanges(scope, keys)
            changes.delete(ROTATIONS, name)
            await changes.write(draft)
            all_folders = await folders.FOLDERS.all(scope.tx, keys)
            plan = await folders.refreshed(scope.tx, keys, all_folders, name, None, scope.now_us)
            if plan is not None:
                await self._put(scope, keys, name, plan, draft)

        await core.write(draft, work)

    async def list_policies(self, caller: Caller, user: UserId) -> list[RotationInfo]:
        """All rotations of a user and policies of folders, by their names."""
        draft = Draft(caller, Action.ROTATION_READ)
        found: dict[str, Plan] = {}
        of_folders: dict[str, folders.Folder] = {}
        core = self._core
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            draft.keys = await core.keys(draft.user_id)
            if draft.keys is not None:
                async with core.storage.snapshot() as rows:
                    found = await ROTATIONS.all(rows, draft.keys)
                    of_folders = await folders.FOLDERS.all(rows, draft.keys)
        await core.record(draft)
        now = core.clock.now_us()
        infos = [plan.info(name, now) for name, plan in found.items()]
        infos += [folder_info(name, folder.policy) for name, folder in of_folders.items()]
        return sorted(infos, key=lambda info: info.name)

    async def get_policy(self, caller: Caller, user: UserId, name: str) -> RotationInfo:
        """How a secret is rotated, and how far that has come.

        Raises:
            SecretNotFound: It has no policy.
        """
        if name.endswith("/"):
            return await self._get_folder(caller, user, name)
        plan = await self._read(caller, user, name)
        return plan.info(name, self._core.clock.now_us())

    async def _get_folder(self, caller: Caller, user: UserId, name: str) -> RotationInfo:
        core = self._core
        draft = Draft(caller, Action.ROTATION_READ)
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            draft.name = secret_name(name[:-1]) + "/"
            draft.keys = await core.keys(draft.user_id)
            found = None
            if draft.keys is not None:
                async with core.storage.snapshot() as rows:
                    found = await folders.FOLDERS.get(rows, draft.keys, name)
            if found is None:
                raise gone()
        await core.record(draft)
        return folder_info(name, found.policy)

    async def history(self, caller: Caller, user: UserId, name: str) -> list[RotationEvent]:
        """The last steps of a secret's rotations, newest first.

        Raises:
            SecretNotFound: It has no policy.
        """
        return (await self._read(caller, user, name)).history[::-1]

    async def _read(self, caller: Caller, user: UserId, name: str) -> Plan:
        core = self._core
        draft = Draft(caller, Action.ROTATION_READ)
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            draft.name = secret_name(name)
            draft.keys = await core.keys(draft.user_id)
            plan = None
            if draft.keys is not None:
                async with core.storage.snapshot() as rows:
                    plan = await ROTATIONS.get(rows, draft.keys, name)
            if plan is None:
                raise gone()
        await core.record(draft)
        return plan

    # -- running --------------------------------------------------------------------------------

    async def run(self, caller: Caller, user: UserId, name: str) -> RotationInfo:
        """Rotate a secret now, or go on with a rotation that was broken off.

        Raises:
            SecretNotFound: It has no policy.
            RotationError: The former value still works, somebody else is rotating the secret, or
                a step failed: the former value works on, and the step comes again later.
        """
        core = self._core
        user_id = await self._allowed(caller, user, name)
        try:
            plan = await TurnOf(core, caller, user_id, name).run(by_hand=True)
        except RotationError as error:
            raise await core.refuse(
                Draft(caller, Action.ROTATION_RUN, None, user_id, name), error
            ) from None
        return plan.info(name, core.clock.now_us())

    async def cancel(self, caller: Caller, user: UserId, name: str) -> RotationInfo:
        """Undo a rotation whose new value is not current yet.

        Raises:
            SecretNotFound: It has no policy.
            RotationError: There is none to undo, or undoing failed and will be tried again.
        """
        core = self._core
        user_id = await self._allowed(caller, user, name)
        draft = Draft(caller, Action.ROTATION_RUN, None, user_id, name, reason="cancel")

        async def work(scope: Scope) -> None:
            keys = draft.keys = await core.keys_in(scope, user_id)
            plan = None if keys is None else await ROTATIONS.get(scope.tx, keys, name)
            if keys is None or plan is None:
                raise gone()
            await self._check_free(scope, keys, name, plan, plan.policy)
            if plan.step not in _UNDONE:
                raise RotationError(
                    "there is no rotation to undo",
                    hint="Only before its promotion; see 'adyton rotation history NAME'.",
                )
            plan.step, plan.attempts, plan.due_us = "undo", 0, scope.now_us
            await self._put(scope, keys, name, plan, draft)

        await core.write(draft, work)
        plan = await TurnOf(core, caller, user_id, name).run(by_hand=True)
        return plan.info(name, core.clock.now_us())

    async def _allowed(self, caller: Caller, user: UserId, name: str) -> str:
        """Record that a secret is to be rotated, before anything is done."""
        core = self._core
        draft = Draft(caller, Action.ROTATION_RUN)
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            draft.name = secret_name(name)
            draft.keys = await core.keys(draft.user_id)
            if draft.keys is None:
                raise gone()
        await core.record(draft)
        return draft.user_id

    async def run_due(
        self, caller: Caller, *, stopped: Callable[[], bool] = _never
    ) -> RotationReport:
        """Do all that is due in the store, several at once; what fails is told in its history.

        Args:
            caller: An operator.
            stopped: Whether to end before the next step.

        Raises:
            AccessDenied: The caller is not the store's operator.
        """
        core = self._core
        draft = Draft(caller, Action.ROTATION_RUN, reason="due")
        async with core.guard(draft):
            core.authorise_operator(caller)
        for user, folder in await due.find(core, folders.FOLDERS, due.tag(core, folders.KIND)):
            await folders.go_over(core, caller, user, folder)  # it was broken off
        found = await due.find(core, ROTATIONS)
        if not found:
            return RotationReport(0, 0, 0)
        await core.record(draft)
        turns = [
            core.rotation.turn(
                lambda user=user, name=name: core.commit.run_sync(  # type: ignore[misc]
                    TurnOf(core, caller, user, name, stopped).run(by_hand=False)
                )
            )
            for user, name in found
        ]
        failed = 0
        for turn in turns:
            try:
                await turn
            except (Lost, SecretNotFound):
                pass  # another is at it, or it has no policy any more
            except AdytonError:
                failed += 1
        return RotationReport(len(found), len(found) - failed, failed)


def background(core: Core) -> due.Background:
    """Rotates what is due, on a thread of its own."""

    async def run(stopped: Callable[[], bool]) -> int:
        return (await Rotations(core).run_due(ROTATION, stopped=stopped)).taken

    return due.Background(core, "rotation", run)
