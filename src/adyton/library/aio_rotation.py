"""Rotation of secrets: policies, runs, histories."""

from adyton.library.aio_base import AsyncFace
from adyton.model import UserId
from adyton.rotationpolicy import RotationEvent, RotationInfo, RotationPolicy, RotationReport
from adyton.service.rotation.rotations import Rotations

RotationInfos = list[RotationInfo]
RotationEvents = list[RotationEvent]


class AsyncRotation:
    """Rotation of secrets by policies."""

    def __init__(self, store: AsyncFace) -> None:
        self._store = store

    @property
    def _rotations(self) -> Rotations:
        return Rotations(self._store._opened.core)

    async def set_policy(self, user: UserId, name: str, policy: RotationPolicy) -> RotationInfo:
        """Rotate a secret from now on, or otherwise than before; it need not exist yet.

        With a slash at its end the name is a folder: its policy is that of each secret in it, also
        of those to come, that has none of its own or of a folder that is nearer.

        Raises:
            AccessDenied: Not all that is in the folder may be written.
            InvalidInput: The policy can't be used.
            RotationError: A rotation is under way, and the policy would change more than times.
        """
        store = self._store
        return await store._run(self._rotations.set_policy(store._caller, user, name, policy))

    async def remove_policy(self, user: UserId, name: str) -> None:
        """Rotate a secret, or those in a folder, no more; their values stay.

        Raises:
            InvalidInput: The policy is that of the secret's folder.
            SecretNotFound: It has no policy.
            RotationError: A rotation is under way, or the former value still works.
        """
        store = self._store
        await store._run(self._rotations.remove_policy(store._caller, user, name))

    async def get_policy(self, user: UserId, name: str) -> RotationInfo:
        """How a secret is rotated, and how far that has come.

        Raises:
            SecretNotFound: It has no policy.
        """
        store = self._store
        return await store._run(self._rotations.get_policy(store._caller, user, name))

    async def list(self, user: UserId) -> RotationInfos:
        """All rotations of a user and policies of folders, by their names."""
        store = self._store
        return await store._run(self._rotations.list_policies(store._caller, user))

    async def history(self, user: UserId, name: str) -> RotationEvents:
        """The last steps of a secret's rotations, newest first.

        Raises:
            SecretNotFound: It has no policy.
        """
        store = self._store
        return await store._run(self._rotations.history(store._caller, user, name))

    async def run(self, user: UserId, name: str) -> RotationInfo:
        """Rotate a secret now, or go on with a rotation that was broken off.

        Raises:
            SecretNotFound: It has no policy.
            RotationError: The former value still works, somebody else is rotating the secret, or
                a step failed: the former value works on, and the step comes again later.
        """
        store = self._store
        return await store._run(self._rotations.run(store._caller, user, name))

    async def cancel(self, user: UserId, name: str) -> RotationInfo:
        """Undo a rotation whose new value is not current yet.

        Raises:
            SecretNotFound: It has no policy.
            RotationError: There is none to undo, or undoing failed and will be tried again.
        """
        store = self._store
        return await store._run(self._rotations.cancel(store._caller, user, name))

    async def run_due(self) -> RotationReport:
        """Do all that is due in the store; what fails is told in its history.

        Raises:
            AccessDenied: The caller is not the store's operator.
        """
        store = self._store
        return await store._run(self._rotations.run_due(store._caller))
