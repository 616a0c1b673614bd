"""What legal holds cover, asked inside the transaction that would delete something.

A hold that is placed and a deletion are units of the one writer: whichever comes first counts, and
the other sees it.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from adyton.errors import LegalHold, LimitExceeded
from adyton.lifecyclevalues import covers
from adyton.ports import Rows
from adyton.service.commit import Scope
from adyton.service.objects import Shelf
from adyton.service.userkeys import UserKeys

MOST_VERSIONS: Final = 10_000
"""Versions that a secret under a hold can come to have: none is removed to make room."""
_LIMIT: Final = 10_000


class Hold(msgspec.Struct, omit_defaults=True):
    """A legal hold.

    Attributes:
        where: A secret's name, a folder with its slash, or empty for the whole namespace.
        reason: Why.
        created_us: When it was placed.
        created_by: Who has placed it.
        operator: Whether the store's operator has, who alone can release it.
    """

    where: str
    reason: str
    created_us: int
    created_by: str
    operator: bool = False

    def __repr__(self) -> str:
        return "<Hold>"


HOLDS: Final = Shelf("hold", Hold)


async def places_of(rows: Rows, keys: UserKeys) -> tuple[str, ...]:
    """What a user's holds cover.

    Raises:
        IntegrityError: A hold was changed.
    """
    return tuple({hold.where for hold in (await HOLDS.all(rows, keys)).values()})


class HeldPlaces:
    """What is held, by user: read once, and known from then on to the only writer."""

    def __init__(self) -> None:
        self._places: dict[bytes, tuple[str, ...]] = {}
        self._changing: set[bytes] = set()

    async def of(self, scope: Scope, keys: UserKeys) -> tuple[str, ...]:
        """What is held in a namespace, as the group's transaction sees it."""
        found = self._places.get(keys.user)
        if found is None:
            found = await places_of(scope.tx, keys)
            # What this group has changed is not true before its commit.
            if keys.user not in self._changing:
                if len(self._places) >= _LIMIT:
                    self._places.clear()
                self._places[keys.user] = found
        return found

    def change(self, scope: Scope, keys: UserKeys) -> None:
        """A hold comes or goes with this unit, if it is kept."""
        user = keys.user
        self._places.pop(user, None)
        self._changing.add(user)
        scope.after_commit(lambda: self._changing.discard(user))

    def forget(self, user: bytes) -> None:
        """Read a user's holds anew when they are asked for next."""
        self._places.pop(user, None)

    async def covers(self, scope: Scope, keys: UserKeys, name: str) -> bool:
        """Whether a hold covers a secret."""
        places = await self.of(scope, keys)
        return bool(places) and any(covers(where, name) for where in places)

    async def check(self, scope: Scope, keys: UserKeys, name: str) -> None:
        """Refuse to delete a secret, or a part of it.

        Raises:
            LegalHold: A hold covers it.
        """
        if await self.covers(scope, keys, name):
            raise held()

    async def check_all(self, scope: Scope, keys: UserKeys) -> None:
        """Refuse to purge a namespace.

        Raises:
            LegalHold: Something in it is held.
        """
        if await self.of(scope, keys):
            raise held("a legal hold keeps secrets of the user, so that nothing was purged")

    async def check_growth(self, scope: Scope, keys: UserKeys, name: str, versions: int) -> bool:
        """Whether surplus versions of a secret are to be kept.

        Raises:
            LimitExceeded: They are too many to be kept with one more.
        """
        if not await self.covers(scope, keys, name):
            return False
        if versions > MOST_VERSIONS:
            raise LimitExceeded(
                f"a legal hold keeps all versions of the secret, which are {MOST_VERSIONS} already",
                hint="Release the hold, or write to another name.",
            )
        return True


def held(text: str = "") -> LegalHold:
    """The refusal of what a hold forbids; it tells nothing of the hold."""
    return LegalHold(
        text or "a legal hold keeps the secret: it is not deleted, destroyed or replaced",
        hint="List holds with 'adyton hold list'; whoever may can release them.",
    )


def meets(places: Iterable[str], prefix: str) -> bool:
    """Whether something below a prefix of names is held, or may come to be."""
    return any(where.startswith(prefix) or covers(where, prefix) for where in places)
