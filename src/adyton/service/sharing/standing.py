"""How a share stands: whether it is in force, and what either side is shown of it."""

import hmac
from collections.abc import Mapping
from hashlib import sha256
from itertools import pairwise
from typing import Final

from adyton.errors import RootError
from adyton.exchange import ShareInfo
from adyton.model import from_us
from adyton.ports import Rows
from adyton.rows import MetaRow
from adyton.service.commit import Scope
from adyton.service.core import Core
from adyton.service.secretmeta import Meta, not_found
from adyton.service.sharing.ending import MAX_DEPTH
from adyton.service.sharing.records import RECEIVED, Given, Item, Passed, Received, Terms
from adyton.service.sharing.wraps import changed
from adyton.service.userkeys import UserKeys

SHOWN: Final = 64
"""Characters of an id from outside that go into a record."""


async def accepted(rows: Rows, keys: UserKeys, share: str, now_us: int) -> Received:
    """A share that its receiver has accepted and whose time is not over.

    Raises:
        SecretNotFound: There is none.
    """
    received = await RECEIVED.get(rows, keys, share)
    if received is None or not received.accepted or received.over(now_us):
        raise not_found()
    return received


def chain_of(given: Mapping[str, Given], share: str, receiver: str, now_us: int) -> list[Given]:
    """A share as its owner has it, and those that it comes of, up to the owner's own.

    What a receiver's side says of rights is not enough: the owner's has to say the same, and so
    has that of everybody in between.

    Raises:
        SecretNotFound: One of them is not in force.
    """
    chain: list[Given] = []
    at, holder = share, receiver
    while at:
        one = given.get(at)
        if (
            one is None
            or one.receiver != holder
            or one.answer != "accepted"
            or not one.open_at(now_us)
            or len(chain) > MAX_DEPTH
        ):
            raise not_found()
        chain.append(one)
        at, holder = one.parent, one.by
    return chain


async def held_chain(
    core: Core, scope: Scope, given: Mapping[str, Given], share: str, receiver: str
) -> list[Given]:
    """A chain that is in force on the owner's side, and that all in between still hold.

    Raises:
        SecretNotFound: One of its shares is not in force, or its receiver has it no more.
        IntegrityError: What one of them has was changed.
    """
    chain = chain_of(given, share, receiver, scope.now_us)
    await check_held(core, scope, chain)
    return chain


async def check_held(core: Core, scope: Scope, chain: list[Given]) -> None:
    """Refuse what came of a share that its receiver has no more.

    The owner's side learns only by tidying of one who was purged, or gave a share back, while
    keys were away. Whose keys are away now is taken to hold what the owner gives.

    Raises:
        SecretNotFound: Somebody above the first share has none.
        IntegrityError: What one of them has was changed.
    """
    for low, high in pairwise(chain):
        try:
            keys = await core.keys_in(scope, high.receiver)
        except RootError:
            continue
        if keys is None:
            raise not_found()
        await accepted(scope.tx, keys, low.parent, scope.now_us)


def check_fits(row: MetaRow | None, meta: Meta | None, item: Item | None, now_us: int) -> None:
    """Refuse a receiver's item that is not of the owner's secret as it is, or is not there.

    Args:
        row: The secret's metadata; None if there is no such secret.
        meta: The same, opened.
        item: What the receiver has of it.
        now_us: The time.

    Raises:
        IntegrityError: It was changed, or erased and put back.
    """
    if row is None or meta is None:
        fits = item is None
    elif item is None:
        fits = not meta.live(now_us)
    else:
        fits = hmac.compare_digest(sha256(row.meta).digest(), item.meta)
    if not fits:
        raise changed()


def shown(share: str, owner: str, one: Given | Passed) -> ShareInfo:
    """What is shown of a share to whoever gives it, or has passed it on."""
    by = one.by if isinstance(one, Given) else ""
    return _info(share, owner, one.receiver, one, one.answer, one.parent, by)


def shown_received(share: str, receiver: str, one: Received) -> ShareInfo:
    """What is shown of a share to its receiver."""
    answer = "accepted" if one.accepted else "offered"
    return _info(share, one.owner, receiver, one, answer, "", one.by)


def _info(
    share: str, owner: str, receiver: str, one: Terms, answer: str, parent: str, by: str
) -> ShareInfo:
    return ShareInfo(
        share,
        owner,
        receiver,
        one.kind,
        one.name,
        one.version,
        from_us(one.created_us),
        from_us(one.expires_us) if one.expires_us else None,
        answer,
        one.write,
        one.delete,
        one.reshare,
        one.reshares,
        parent,
        by,
    )
