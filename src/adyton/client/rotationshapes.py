"""Shapes of rotation in the native API (``docs/spec/native-api.md``, section 3)."""

import msgspec

from adyton.client.shapes import Time
from adyton.model import to_us
from adyton.rotationpolicy import RotationEvent, RotationInfo, RotationPolicy, RotationReport


class WireRotation(msgspec.Struct):
    """A secret's rotation."""

    name: str
    policy: RotationPolicy
    state: str
    due_at: Time | None
    rotated_at: Time | None
    version: int
    attempts: int
    error: str
    overdue: bool
    folder: str = ""

    def public(self) -> RotationInfo:
        """The public value."""
        return RotationInfo(*(getattr(self, name) for name in self.__struct_fields__))


class WireRotationEvent(msgspec.Struct):
    """One step of a rotation."""

    time: Time
    step: str
    error: str
    version: int

    def public(self) -> RotationEvent:
        """The public value."""
        return RotationEvent(to_us(self.time), self.step, self.error, self.version)


class WireRotationReport(msgspec.Struct):
    """What a pass over all that is due has done."""

    taken: int
    done: int
    failed: int

    def public(self) -> RotationReport:
        """The public value."""
        return RotationReport(self.taken, self.done, self.failed)
