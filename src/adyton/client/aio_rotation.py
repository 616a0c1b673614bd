"""Rotation of secrets: policies, runs, histories."""

import msgspec

from adyton.client.aio_base import AsyncClientFace
from adyton.client.requests import of_secret, of_user, read, write
from adyton.client.rotationshapes import (
    WireRotation,
    WireRotationEvent,
    WireRotationReport,
)
from adyton.client.shapes import Items
from adyton.model import UserId
from adyton.rotationpolicy import RotationEvent, RotationInfo, RotationPolicy, RotationReport

RotationInfos = list[RotationInfo]
RotationEvents = list[RotationEvent]


class AsyncRotation:
    """Rotation of secrets by policies."""

    def __init__(self, client: AsyncClientFace) -> None:
        self._client = client

    async def set_policy(self, user: UserId, name: str, policy: RotationPolicy) -> RotationInfo:
        """Rotate a secret from now on, or otherwise than before; it need not exist yet.

        With a slash at its end the name is a folder: its policy is that of each secret in it, also
        of those to come, that has none of its own or of a folder that is nearer.

        Raises:
            AccessDenied: Not all that is in the folder may be written.
            InvalidInput: The policy can't be used.
            RotationError: A rotation is under way, and the policy would change more than times.
        """
        call = write(
            _of(user, "rotation", name), msgspec.structs.asdict(policy), method="PUT",
            patient=True,
        )  # fmt: skip
        return (await self._client._call(call)).parse(WireRotation).public()

    async def remove_policy(self, user: UserId, name: str) -> None:
        """Rotate a secret, or those in a folder, no more; their values stay.

        Raises:
            InvalidInput: The policy is that of the secret's folder.
            SecretNotFound: It has no policy.
            RotationError: A rotation is under way, or the former value still works.
        """
        await self._client._call(write(_of(user, "rotation", name), method="DELETE"))

    async def get_policy(self, user: UserId, name: str) -> RotationInfo:
        """How a secret is rotated, and how far that has come.

        Raises:
            SecretNotFound: It has no policy.
        """
        answer = await self._client._call(read(_of(user, "rotation", name)))
        return answer.parse(WireRotation).public()

    async def list(self, user: UserId) -> RotationInfos:
        """All rotations of a user and policies of folders, by their names."""
        answer = await self._client._call(read(of_user(user, "rotation")))
        return [each.public() for each in answer.parse(Items[WireRotation]).items]

    async def history(self, user: UserId, name: str) -> RotationEvents:
        """The last steps of a secret's rotations, newest first.

        Raises:
            SecretNotFound: It has no policy.
        """
        answer = await self._client._call(read(of_secret(user, "rotation-history", name)))
        return [each.public() for each in answer.parse(Items[WireRotationEvent]).items]

    async def run(self, user: UserId, name: str) -> RotationInfo:
        """Rotate a secret now, or go on with a rotation that was broken off.

        Raises:
            SecretNotFound: It has no policy.
            RotationError: The former value still works, somebody else is rotating the secret, or
                a step failed: the former value works on, and the step comes again later.
        """
        call = write(of_secret(user, "rotation-run", name), patient=True)
        return (await self._client._call(call)).parse(WireRotation).public()

    async def cancel(self, user: UserId, name: str) -> RotationInfo:
        """Undo a rotation whose new value is not current yet.

        Raises:
            SecretNotFound: It has no policy.
            RotationError: There is none to undo, or undoing failed and will be tried again.
        """
        call = write(of_secret(user, "rotation-cancel", name), patient=True)
        return (await self._client._call(call)).parse(WireRotation).public()

    async def run_due(self) -> RotationReport:
        """Do all that is due in the store; what fails is told in its history.

        Raises:
            AccessDenied: The caller is not the store's operator.
        """
        answer = await self._client._call(write("adyton/rotation/run-due", patient=True))
        return answer.parse(WireRotationReport).public()


def _of(user: UserId, kind: str, name: str) -> str:
    """The path of a secret, or of a folder with its slash."""
    path = of_secret(user, kind, name.removesuffix("/"))
    return f"{path}/" if name.endswith("/") else path
