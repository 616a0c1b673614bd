"""Offering what one has, and passing on what one was given (``docs/spec/sharing.md``)."""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from adyton.actions import Action
from adyton.errors import AccessDenied, InvalidInput, LimitExceeded
from adyton.exchange import ShareInfo
from adyton.model import Caller, UserId, secret_name, user_id
from adyton.ports import Transaction
from adyton.service.access.tokens import new_accessor
from adyton.service.commit import Scope
from adyton.service.core import Core
from adyton.service.grants.book import Book
from adyton.service.journal import Draft
from adyton.service.lifecycle.ending import plan_one
from adyton.service.objects import ObjectChanges
from adyton.service.secretmeta import not_found, open_meta
from adyton.service.sharing.ending import MAX_DEPTH, below
from adyton.service.sharing.follow import (
    PATH,
    Changes,
    catch_up,
    check_size,
    covered_names,
    make_item,
)
from adyton.service.sharing.records import (
    GIVEN,
    ITEMS,
    PASSED,
    RECEIVED,
    Given,
    Kind,
    Passed,
    Received,
    Terms,
)
from adyton.service.sharing.standing import SHOWN, accepted, check_fits, held_chain, shown
from adyton.service.userkeys import UserKeys

MAX_SHARES: Final = 1_000
"""Shares that one user has given, or received."""
MAX_RECEIVERS: Final = 50
"""Shares that one secret is in: each is written to with every change of it."""


Until: TypeAlias = Callable[[str, Book], int | None]
"""Until when whoever shares may do so themselves, bound to no condition: 0 for no end, None where
they may not; of a secret or all of a folder, by the grants that the unit sees."""


class Offer(NamedTuple):
    """What is asked for of a new share.

    Attributes:
        receiver: Who is to have it.
        name: A secret, or a folder with a slash behind; empty for all of a share that is passed on.
        version: One version alone; None for the current one.
        expires_us: When it ends; 0 for never, or with the share that it comes of.
        write: Whether the receiver may write.
        delete: Whether the receiver may delete too.
        reshare: Over how many hands it may be passed on.
        reshares: How many shares may come of it.
    """

    receiver: UserId
    name: str = ""
    version: int | None = None
    expires_us: int = 0
    write: bool = False
    delete: bool = False
    reshare: int = 0
    reshares: int = 0


class Offers:
    """Making shares.

    Args:
        core: The open store.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    async def create(
        self,
        caller: Caller,
        user: UserId,
        offer: Offer,
        *,
        until: Until | None = None,
    ) -> ShareInfo:
        """Offer a secret as it evolves, one version of it, or a folder (with a slash behind).

        Whether the receiver is known to the store is not told. What whoever shares may not do
        is not shared, as if it were absent; a folder is shared by who may do it to all that is in
        it, and to all that comes into it.

        Args:
            caller: Who asks.
            user: The owner.
            offer: What is asked for.
            until: Until when whoever asks may do as the receiver is to; None for no end.

        Raises:
            SecretNotFound: There is nothing of the name to read.
            InvalidInput: Something breaks a rule.
            LimitExceeded: There are too many shares, or secrets in the folder.
        """
        core = self._core
        draft = Draft(caller, Action.SHARE_CREATE)
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            other = user_id(offer.receiver)
            terms = _terms(offer)
            if other == draft.user_id:
                raise InvalidInput("a share is with somebody else", hint="Name another user.")

        async def work(scope: Scope) -> ShareInfo:
            if await core.keys_in(scope, draft.user_id) is None:
                raise not_found()
            terms.created_us = scope.now_us
            if terms.over(scope.now_us):
                raise InvalidInput("the share would have ended already")
            owner = await core.keys_to_write(scope, caller, draft.user_id, 0)
            given = Given(**msgspec.structs.asdict(terms), receiver=other)
            if until is not None:
                book = await core.books.in_unit(scope, owner)
                given.expires_us = _end(given, until(given.name, book))
            names = await self._names(scope.tx, owner, given)
            await self._check_room(scope, owner, given)
            share = await self._offer(scope, caller, owner, given, names)
            draft.name, draft.version = given.name, given.version
            draft.reason = f"share {share} with {other}"
            own = ObjectChanges(scope, owner)
            own.put(GIVEN, share, given)
            await own.write(draft)
            await plan_one(core, scope, owner, GIVEN, share, given.expires_us, given.name)
            return shown(share, owner.user_id, given)

        return await core.write(draft, work)

    async def pass_on(
        self,
        caller: Caller,
        user: UserId,
        share: str,
        offer: Offer,
        *,
        allowed: Callable[[str, bool], bool] | None = None,
    ) -> ShareInfo:
        """Offer somebody else what a share gives, or a part of it, if its owner allows that.

        It is a share of the owner's, who sees it and may end it; it ends with the share that it
        comes of, and never allows more.

        Args:
            caller: Who asks.
            user: The receiver of the share.
            share: The share's id.
            offer: What is asked for; without a name, all that is in the share.
            allowed: Whether whoever asks may do as the receiver is to, by the secret's or
                folder's name, and by whether the share is of this one secret.

        Raises:
            SecretNotFound: There is no such share, or nothing of the name in it to read.
            AccessDenied: The share may not be passed on, or allows less than is asked for.
            InvalidInput: Something breaks a rule.
            LimitExceeded: There are too many shares, or secrets in the folder.
            RootError: The owner keeps the owner's keys away.
            IntegrityError: What is stored was changed.
        """
        core = self._core
        draft = Draft(caller, Action.SHARE_CREATE, name=PATH + share[:SHOWN])
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            other = user_id(offer.receiver)

        async def work(scope: Scope) -> ShareInfo:
            keys = await core.keys_in(scope, draft.user_id)
            if keys is None:
                raise not_found()
            received = await accepted(scope.tx, keys, share, scope.now_us)
            owner = await core.keys_in(scope, received.owner)
            if owner is None:
                raise not_found()
            all_given = await GIVEN.all(scope.tx, owner)
            chain = await held_chain(core, scope, all_given, share, keys.user_id)
            given = await self._narrowed(scope.tx, owner, chain[0], share, offer)
            given.by, given.created_us, given.receiver = keys.user_id, scope.now_us, other
            if other in {keys.user_id, owner.user_id}:
                raise InvalidInput("a share is with somebody else", hint="Name another user.")
            if given.over(scope.now_us):
                raise InvalidInput("the share would have ended already")
            _check_reshares(all_given, share, chain)
            if allowed is not None and not allowed(given.name, chain[0].kind != "folder"):
                raise not_found()
            names = await self._names(scope.tx, owner, given)
            if chain[0].behind:
                await catch_up(core, scope, caller, owner, share, chain[0])
            await _check_seen(scope, owner, keys, share, given, names)
            await self._check_room(scope, owner, given)
            made = await self._offer(scope, caller, owner, given, names)
            reason = f"share {made} with {other} by {keys.user_id}, of {share}"
            told = Draft(caller, Action.SHARE_CREATE, owner, owner.user_id, given.name)
            told.version, told.reason = given.version, reason
            changes = ObjectChanges(scope, owner)
            changes.put(GIVEN, made, given)
            await changes.write(told)
            await plan_one(core, scope, owner, GIVEN, made, given.expires_us, given.name)
            mine = ObjectChanges(scope, keys)
            mine.put(PASSED, made, _passed(given, owner.user_id))
            draft.reason = f"share {made} with {other}"
            await mine.write(draft)
            return shown(made, owner.user_id, given)

        return await core.write(draft, work)

    async def _narrowed(
        self, tx: Transaction, owner: UserKeys, parent: Given, share: str, offer: Offer
    ) -> Given:
        """What is asked for, if the share allows it.

        Raises:
            AccessDenied: It allows less.
            SecretNotFound: It is of something else.
        """
        if not parent.reshare:
            raise AccessDenied(
                "the share may not be passed on", hint="Ask its owner for one that may be."
            )
        terms = _terms(offer._replace(name=offer.name or parent.name, version=offer.version))
        if parent.version and terms.kind == "secret":
            terms.kind, terms.version = "version", parent.version
        if not parent.covers(terms.name):
            raise not_found()
        if parent.version and terms.version != parent.version:
            raise not_found()
        if terms.version and not parent.version:
            row = await tx.metadata(owner.user, owner.index(terms.name))
            if row is None or row.current != terms.version:  # the only one that the share shows
                raise not_found()
        if (
            (terms.write and not parent.write)
            or (terms.delete and not parent.delete)
            or terms.reshare >= parent.reshare
            or terms.reshares > parent.reshares
        ):
            raise AccessDenied(
                "the share that it comes of does not allow so much",
                hint=f"It may be passed on over {parent.reshare - 1} more hands"
                f"{', to be written to' if parent.write else ', for reading'}.",
            )
        if parent.expires_us and terms.expires_us > parent.expires_us:
            raise InvalidInput(
                "it would end later than the share that it comes of",
                hint="Leave the end out, or name an earlier one.",
            )
        terms.expires_us = terms.expires_us or parent.expires_us
        return Given(**msgspec.structs.asdict(terms), receiver="", parent=share)

    @staticmethod
    async def _names(tx: Transaction, owner: UserKeys, given: Given) -> list[str]:
        """Names of what is shared."""
        names = await covered_names(tx, owner, given)
        check_size(len(names))
        return names

    async def _check_room(self, scope: Scope, owner: UserKeys, new: Given) -> None:
        given = await GIVEN.all(scope.tx, owner)
        receiver = await self._core.keys_in(scope, new.receiver)
        received = {} if receiver is None else await RECEIVED.all(scope.tx, receiver)
        if max(len(given), len(received)) >= MAX_SHARES:
            raise LimitExceeded(
                f"a user gives and receives at most {MAX_SHARES} shares", hint="Revoke some."
            )
        same = [one for one in given.values() if one.covers(new.name) or new.covers(one.name)]
        if len(same) >= MAX_RECEIVERS:
            raise LimitExceeded(
                f"a secret is in at most {MAX_RECEIVERS} shares", hint="Revoke some."
            )

    async def _offer(
        self, scope: Scope, caller: Caller, owner: UserKeys, given: Given, names: list[str]
    ) -> str:
        """Write the receiver's side of a new share; its id."""
        core, share = self._core, new_accessor()
        receiver = await core.keys_to_write(scope, caller, given.receiver, len(names))
        told = Draft(caller, Action.SHARE_CREATE, receiver, receiver.user_id, PATH + share)
        changes = Changes(scope, told, receiver)
        count = 0
        for name in names:
            item = await make_item(scope.tx, owner, receiver, share, given, owner.index(name))
            if item is not None and not 0 < item.ends_us <= scope.now_us:
                await changes.put(item)
                count += 1
        if not count:
            raise not_found()
        received = Received(
            **_terms_of(given), owner=owner.user_id, owner_index=owner.user, by=given.by
        )
        changes.objects.put(RECEIVED, share, received)
        await changes.write()
        return share


async def _check_seen(
    scope: Scope, owner: UserKeys, keys: UserKeys, share: str, given: Given, names: list[str]
) -> None:
    """Pass on only what whoever does so can read: a share that was put back after its end can't.

    Raises:
        SecretNotFound: There is nothing to read.
        IntegrityError: What they have is not of the secrets as they are.
    """
    for name in names:
        row = await scope.tx.metadata(owner.user, owner.index(name))
        item = await ITEMS.get(scope.tx, keys, name, share)
        if item is None and given.kind != "folder":
            raise not_found()
        meta = None if row is None else open_meta(owner, row)
        check_fits(row, meta, item, scope.now_us)


def _end(given: Given, until: int | None) -> int:
    """When a new share ends, by whoever makes it.

    Raises:
        SecretNotFound: They may not do what it allows, or only under a condition.
        InvalidInput: It would end later than they may.
    """
    if until is None:
        raise not_found()
    if until and given.expires_us > until:
        raise InvalidInput(
            "it would end later than the grant that it is made by",
            hint="Leave the end out, or name an earlier one.",
        )
    return given.expires_us or until


def _terms_of(given: Given) -> dict[str, Any]:
    return {name: getattr(given, name) for name in Terms.__struct_fields__}


def _passed(given: Given, owner: str) -> Passed:
    return Passed(**_terms_of(given), owner=owner, receiver=given.receiver, parent=given.parent)


def _check_reshares(given: Mapping[str, Given], share: str, chain: list[Given]) -> None:
    """Keep to what each share above allows to come of it.

    Raises:
        LimitExceeded: One allows no more.
    """
    at = share
    for one in chain:
        if len(below(given, at)) >= one.reshares:
            raise LimitExceeded(
                "no more shares may come of this one", hint="End some, or ask its owner for more."
            )
        at = one.parent


def _terms(offer: Offer) -> Terms:
    """What is asked for, checked.

    Raises:
        InvalidInput: A name is none, or the parts don't go together.
    """
    kind = _kind(offer.name, offer.version)
    if offer.delete and not offer.write:
        raise InvalidInput("deleting needs the right to write", hint="Allow both.")
    if offer.write and kind == "version":
        raise InvalidInput("one version can't be written to", hint="Share the secret.")
    if not 0 <= offer.reshare <= MAX_DEPTH:
        raise InvalidInput(f"a share is passed on over 0 to {MAX_DEPTH} hands")
    if offer.reshare and not 1 <= offer.reshares <= MAX_RECEIVERS:
        raise InvalidInput(f"1 to {MAX_RECEIVERS} shares may come of a share")
    return Terms(
        kind=kind,
        name=offer.name,
        version=offer.version or 0,
        expires_us=offer.expires_us,
        write=offer.write,
        delete=offer.delete,
        reshare=offer.reshare,
        reshares=offer.reshares if offer.reshare else 0,
    )


def _kind(name: str, version: int | None) -> Kind:
    """What a name means, checked.

    Raises:
        InvalidInput: It is no name, or a version of a folder.
    """
    if name.endswith("/"):
        secret_name(name[:-1])
        if version is not None:
            raise InvalidInput("a folder has no versions", hint="Leave the version out.")
        return "folder"
    secret_name(name)
    if version is not None and version < 1:
        raise InvalidInput("a version is 1 or more")
    return "secret" if version is None else "version"
