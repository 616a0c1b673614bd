"""The seam of webhooks: what posts a message to an address that a user has named."""

from collections.abc import Mapping
from typing import Protocol

from adyton.noticevalues import WebhookAnswer


class Sender(Protocol):
    """What posts messages; called on threads, several at once."""

    def check(self, url: str) -> str:
        """An address that messages may be sent to, as far as can be told without a network.

        Raises:
            InvalidInput: It is none.
        """

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> WebhookAnswer:
        """Post a message; whatever comes of it is an answer, and nothing is raised."""
