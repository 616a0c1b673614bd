"""Cursors of pages: opaque, authenticated, bound to what they came from.

``docs/spec/native-api.md``, section 5.
"""

import base64
import binascii
import hmac
from typing import Final

from adyton.errors import InvalidInput
from adyton.service.core import Core

_TAG_BYTES: Final = 16


class Pages:
    """Makes and opens the cursors of one listing.

    Args:
        core: The open store.
        route: Which listing.
        user: Whose namespace, or empty.
        query: What was asked for, but for the number of items.
    """

    def __init__(self, core: Core, route: str, user: str, query: str) -> None:
        self._core = core
        # No route or user id has a null character, so no two contexts are the same text.
        self._context = f"\x00cursor\x00{route}\x00{user}\x00{query}\x00"

    def cursor(self, position: str) -> str:
        """The cursor of the page behind a position."""
        body = position.encode()
        return base64.urlsafe_b64encode(body + self._tag(position)).decode().rstrip("=")

    def position(self, cursor: str | None) -> str | None:
        """The position of a cursor; None without one, or with an empty one.

        Raises:
            InvalidInput: It was not made for this listing.
        """
        if not cursor:
            return None
        try:
            padded = cursor + "=" * (-len(cursor) % 4)
            raw = base64.b64decode(padded, altchars=b"-_", validate=True)
            position = raw[:-_TAG_BYTES].decode()
            if hmac.compare_digest(raw[-_TAG_BYTES:], self._tag(position)):
                return position
        except (binascii.Error, ValueError):
            pass
        raise InvalidInput(
            "the cursor is not one that this listing gave",
            hint="Begin without one, and repeat the query with each cursor.",
        )

    def _tag(self, position: str) -> bytes:
        return self._core.ring.user_index(self._context + position)
