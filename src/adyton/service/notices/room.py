"""What delivering notices needs beside the store: what posts them, and threads to do so."""

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Final, TypeVar

from adyton.errors import ConfigurationError
from adyton.noticeports import Sender
from adyton.service.aside import Threads
from adyton.service.ticket import Aside

T = TypeVar("T")

CONCURRENT: Final = 8
"""Messages that are on their way at once."""
PER_USER: Final = 2
"""How many of them are one user's: slow receivers of one hold up nobody else's."""
_WAITING: Final = 56
_BUSY: Final = "too many messages to webhooks at once"


@dataclass(frozen=True, slots=True)
class NoticeOptions:
    """How notices are delivered to webhooks.

    Attributes:
        networks: Networks that may be connected to besides the internet, in CIDR notation.
        ca_file: Certificates to trust instead of the system's, PEM; empty for the system's.
        seconds: Longest time for one message.
        lease_seconds: For how long one who delivers to a webhook keeps others from it; after a
            crash delivery goes on when it has ended. More than a message may take.
        retry_seconds: How long to wait after the first failure; doubled with each one more, up to
            an hour.
        give_up_hours: For how long a notice is tried before it is given up.
        by_itself: Whether notices are delivered in the background.
    """

    networks: tuple[str, ...] = ()
    ca_file: str = ""
    seconds: float = 10.0
    lease_seconds: float = 60.0
    retry_seconds: float = 5.0
    give_up_hours: float = 72.0
    by_itself: bool = False

    def __post_init__(self) -> None:
        if min(self.seconds, self.retry_seconds, self.give_up_hours) <= 0:
            raise ConfigurationError("a time of notices is not positive")
        try:
            for network in self.networks:
                ip_network(network)
        except ValueError:
            raise ConfigurationError(
                "a network that webhooks may be in can't be read",
                hint="Write it as in 10.1.0.0/16 or fd00::/8.",
            ) from None
        if self.lease_seconds <= self.seconds:
            raise ConfigurationError(
                "the lease of a webhook is not longer than a message may take",
                hint="Make notices.lease_seconds more than notices.seconds.",
            )


def _none() -> Sender:
    raise ConfigurationError("this store was opened without what posts messages")


class NoticeRoom:
    """The sender and its threads.

    Args:
        options: How notices are delivered.
        open_sender: Makes what posts them, when the first message needs it.

    Attributes:
        delivered: Notices that webhooks took since the store was opened.
        failed: Attempts that failed, and come again.
        given_up: Notices that were given up.
    """

    def __init__(
        self,
        options: NoticeOptions | None = None,
        open_sender: Callable[[], Sender] = _none,
    ) -> None:
        self.options = options or NoticeOptions()
        self._open = open_sender
        self._sender: Sender | None = None
        self._threads: Threads | None = None
        self.delivered = self.failed = self.given_up = 0

    @property
    def sender(self) -> Sender:
        """What posts messages."""
        if self._sender is None:
            self._sender = self._open()
        return self._sender

    def run(self, work: Callable[[], T]) -> Aside[T]:
        """Run what waits for a receiver on a thread for that.

        Raises:
            LimitExceeded: Too many wait already.
        """
        if self._threads is None:
            self._threads = Threads("notices", CONCURRENT, _WAITING, _BUSY)
        return self._threads.run(work)

    def close(self) -> None:
        """End the threads."""
        if self._threads is not None:
            self._threads.close()
