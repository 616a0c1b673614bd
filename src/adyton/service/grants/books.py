"""The books of all namespaces that are in use, and how they change."""

import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from adyton.service.commit import Scope
from adyton.service.grants.book import EMPTY, Book, load_book
from adyton.service.grants.records import (
    GRANTS,
    LEDGER,
    LEDGER_ID,
    MEMBERS,
    ROLES,
    Ledger,
    added,
    digest_of,
)
from adyton.service.journal import Draft
from adyton.service.objects import ObjectChanges, Shelf
from adyton.service.userkeys import UserKeys

if TYPE_CHECKING:
    from adyton.service.core import Core

_LIMIT: Final = 10_000
_RULES: Final = frozenset({MEMBERS.kind, ROLES.kind, GRANTS.kind})
"""Kinds whose changes end sessions; counts and requests do not."""


class Books:
    """Books in memory, by user.

    Args:
        core: The open store.

    Attributes:
        on_change: Called with a user's id when rules have changed, before anybody is told.
    """

    def __init__(self, core: "Core") -> None:
        self._core = core
        self._books: dict[str, Book] = {}
        self._generation = 0
        self._lock = threading.Lock()
        self.on_change: list[Callable[[str], None]] = []

    def cached(self, user: str) -> Book:
        """A namespace's book if it is in memory; else one in which nobody is a member."""
        return self._books.get(user, EMPTY)

    async def get(self, user: str) -> Book:
        """A namespace's book.

        Raises:
            IntegrityError: It is not what its ledger says.
        """
        found = self._books.get(user)
        if found is not None:
            return found
        generation = self._generation
        keys = await self._core.keys(user)
        if keys is None:
            return EMPTY  # and not kept: names that strangers make up would push out others
        async with self._core.storage.snapshot() as rows:
            made = await load_book(rows, keys)
        dropped: list[str] = []
        with self._lock:
            if generation == self._generation:
                if len(self._books) >= _LIMIT:
                    dropped = list(self._books)
                    self._books.clear()
                self._books[user] = made
        self._tell(dropped)
        return made

    def _tell(self, users: Iterable[str]) -> None:
        """Sessions that a book has decided on end, so that the next one loads it."""
        for user in users:
            for told in self.on_change:
                told(user)

    async def in_unit(self, scope: Scope, keys: UserKeys) -> Book:
        """A namespace's book as a group's transaction sees it.

        Raises:
            IntegrityError: It is not what its ledger says.
        """
        found = self._books.get(keys.user_id)
        ledger = await LEDGER.get(scope.tx, keys, LEDGER_ID)
        if found is not None and ledger is not None and found.ledger == ledger:
            return found
        return await load_book(scope.tx, keys)

    def forget(self, user: str) -> None:
        """Load a book anew when it is asked for next."""
        with self._lock:
            self._generation += 1
            self._books.pop(user, None)
        self._tell([user])

    def apply(self, user: str, changes: dict[tuple[str, str], object], ledger: Ledger) -> None:
        """Take over what has become durable."""
        with self._lock:
            self._generation += 1
            known = self._books.get(user)
            if known is not None:
                self._books[user] = known.changed(changes, ledger)
        if any(kind in _RULES for kind, _ in changes):
            self._tell([user])


class BookChanges:
    """Changes of a namespace's book inside one unit, with the ledger that vouches for them.

    Args:
        books: Told once they are durable.
        scope: The group.
        keys: The owner's keys.
    """

    def __init__(self, books: Books, scope: Scope, keys: UserKeys) -> None:
        self._books = books
        self._scope = scope
        self.objects: Final = ObjectChanges(scope, keys)
        self._keys = keys
        self.now_us: Final = scope.now_us
        self._changes: dict[tuple[str, str], object] = {}
        self._delta = 0

    async def put(self, shelf: Shelf[Any], ident: str, value: object) -> None:
        """Write an object."""
        await self._out(shelf, ident)
        self._delta += digest_of(shelf, ident, value)
        self._changes[shelf.kind, ident] = value
        self.objects.put(shelf, ident, value)

    async def delete(self, shelf: Shelf[Any], ident: str) -> None:
        """Erase an object, if it is there."""
        if await self._out(shelf, ident):
            self._changes[shelf.kind, ident] = None
            self.objects.delete(shelf, ident)

    async def _out(self, shelf: Shelf[Any], ident: str) -> bool:
        """Take an object's present digest out of the sum; whether there is one."""
        place = shelf.kind, ident
        old = (
            self._changes[place]
            if place in self._changes
            else await shelf.get(self._scope.tx, self._keys, ident)
        )
        if old is not None:
            self._delta -= digest_of(shelf, ident, old)
        return old is not None

    async def write(self, draft: Draft) -> None:
        """Write the rows, the ledger and the record."""
        scope, keys = self._scope, self._keys
        ledger = await LEDGER.get(scope.tx, keys, LEDGER_ID) or Ledger(0, bytes(32))
        new = Ledger(ledger.revision + 1, added(ledger.sum, self._delta))
        self.objects.put(LEDGER, LEDGER_ID, new)
        user, changes = keys.user_id, self._changes
        scope.after_commit(lambda: self._books.apply(user, changes, new))
        await self.objects.write(draft)
