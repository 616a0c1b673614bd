"""What rotations and dynamic credentials need beside the store: plug-ins, bounds, threads."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from adyton.errors import ConfigurationError
from adyton.issuing import Issuer
from adyton.rotating import Bounds, Rotator
from adyton.service.aside import Threads
from adyton.service.lanes import Lanes
from adyton.service.ticket import Aside

T = TypeVar("T")

CONCURRENT: Final = 4
"""Rotations that run at once."""
_STEPS: Final = 12
"""Steps of issuers that run at once."""
_WAITING: Final = 256


@dataclass(frozen=True, slots=True)
class RotationOptions:
    """How secrets are rotated.

    Attributes:
        bounds: What rotators may touch.
        lease_seconds: For how long one who has taken a rotation keeps others from it; a
            rotation that was broken off goes on after it. More than a step may take.
        by_itself: Whether what is due is rotated, or revoked, in the background.
        max_leases: Dynamic credentials that one user may have at once.
    """

    bounds: Bounds = field(default_factory=Bounds)
    lease_seconds: float = 120.0
    by_itself: bool = False
    max_leases: int = 1000

    def __post_init__(self) -> None:
        if self.lease_seconds <= 0 or self.bounds.seconds <= 0:
            raise ConfigurationError("a time of rotations is not positive")
        if self.lease_seconds <= self.bounds.seconds:
            raise ConfigurationError(
                "the lease of a rotation is not longer than a step may take",
                hint="Make rotation.lease_seconds more than rotation.step_seconds.",
            )


def _none(_: str) -> Any:  # noqa: ANN401 - it never gives anything
    raise ConfigurationError("this store was opened without rotators and issuers")


class RotationRoom:
    """Rotators and threads.

    Args:
        options: How secrets are rotated.
        open_rotator: Finds a rotator by its name.
        open_issuer: Finds an issuer by its name.
    """

    def __init__(
        self,
        options: RotationOptions | None = None,
        open_rotator: Callable[[str], Rotator] = _none,
        open_issuer: Callable[[str], Issuer] = _none,
    ) -> None:
        self.options = options or RotationOptions()
        self.open = open_rotator
        self.issuer = open_issuer
        self._threads: Threads | None = None
        self._turns: Threads | None = None
        self._issuing: Lanes | None = None

    def turn(self, work: Callable[[], T]) -> Aside[T]:
        """Run one of many rotations, on other threads than those that its steps need.

        Raises:
            LimitExceeded: Too many wait already.
        """
        if self._turns is None:
            self._turns = Threads("rotations", CONCURRENT, _WAITING, "too many rotations at once")
        return self._turns.run(work)

    def run(self, work: Callable[[], T]) -> Aside[T]:
        """Run what may take long on a thread of rotations.

        Raises:
            LimitExceeded: Too many wait already.
        """
        if self._threads is None:
            self._threads = Threads("rotation", CONCURRENT, _WAITING, "too many rotations at once")
        return self._threads.run(work)

    def run_issuer(self, user: str, work: Callable[[], T]) -> Aside[T]:
        """Run a step of an issuer: on threads of their own, of which a user has a half at most.

        Raises:
            LimitExceeded: Too many of the user's wait already.
        """
        if self._issuing is None:
            self._issuing = Lanes(
                "leases", _STEPS, _STEPS // 2, _WAITING, "too many leases at once"
            )
        return self._issuing.run(user, work)

    def close(self) -> None:
        """End the threads."""
        for threads in (self._turns, self._threads, self._issuing):
            if threads is not None:
                threads.close()
