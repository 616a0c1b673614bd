"""What is stored of rotations (``docs/spec/rotation.md``, section 2)."""

from typing import Final

import msgspec

from adyton.model import from_us
from adyton.rotationpolicy import RotationEvent, RotationInfo, RotationPolicy
from adyton.service.objects import Shelf

_HISTORY: Final = 50
_LATE_US: Final = 3600 * 1_000_000


class Plan(msgspec.Struct):
    """One secret's rotation: the policy, and how far the rotation at hand has come.

    Attributes:
        policy: How it is rotated.
        due_us: When something is to be done next, in microseconds; 0 for never by itself.
        step: The last step that is durable: empty while nothing is under way, ``create``,
            ``set``, ``test``, ``promote``; or ``undo`` while the rotation is being undone.
        token: Names the rotation at hand.
        base: The version that was current when it began; 0 where there was no secret.
        version: The version that was promoted last; 0 for never.
        rotated_us: When; 0 for never.
        attempts: How often the step at hand has failed.
        error: Why it failed last.
        history: The last steps, oldest first.
        folder: The folder whose policy it is; empty for one of the secret's own.
    """

    policy: RotationPolicy
    due_us: int = 0
    step: str = ""
    token: str = ""
    base: int = 0
    version: int = 0
    rotated_us: int = 0
    attempts: int = 0
    error: str = ""
    history: list[RotationEvent] = []
    folder: str = ""

    def tell(self, event: RotationEvent) -> None:
        """Add to the history, which keeps its last entries."""
        self.history = [*self.history, event][-_HISTORY:]

    def info(self, name: str, now_us: int) -> RotationInfo:
        """The public value."""
        state = {"": "waiting", "promote": "grace", "undo": "undoing"}.get(self.step, "rotating")
        return RotationInfo(
            name,
            self.policy,
            state,
            from_us(self.due_us) if self.due_us else None,
            from_us(self.rotated_us) if self.rotated_us else None,
            self.version,
            self.attempts,
            self.error,
            self.overdue(now_us),
            self.folder,
        )

    def overdue(self, now_us: int) -> bool:
        """Whether the time for something has passed by more than an hour."""
        return 0 < self.due_us < now_us - _LATE_US


class Values(msgspec.Struct):
    """The values of the rotation at hand: erased once it is over."""

    new: bytes
    content_type: str
    former: bytes | None = None

    def __repr__(self) -> str:
        return "<Values>"


ROTATIONS: Final = Shelf("rotation", Plan)
VALUES: Final = Shelf("rotation-values", Values)
