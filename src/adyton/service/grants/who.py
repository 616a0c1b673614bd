"""Who could read what, by any way (``docs/spec/grants.md``, section 10)."""

from collections.abc import Iterator
from typing import Final

from adyton.actions import Action
from adyton.grantvalues import EVERYTHING, Reader, described
from adyton.model import Caller, UserId, from_us
from adyton.service.core import Core
from adyton.service.grants.book import Book
from adyton.service.grants.conditions import needs_approval
from adyton.service.grants.paths import covers, grant_path, touches
from adyton.service.grants.records import Grant
from adyton.service.grants.survey import Actor, Survey, operators, survey
from adyton.service.journal import Draft
from adyton.service.sharing.records import GIVEN, Given

OWNER: Final = "owner"
WHO_PATH: Final = "who/"
_WAYS: Final = ("owner", "grant", "policy", "share", "operator")


async def who(core: Core, caller: Caller, user: UserId, path: str) -> list[Reader]:
    """All who could read a secret today, or anything in a folder.

    Args:
        core: The open store.
        caller: Who asks.
        user: The owner.
        path: A secret, a folder with its slash, or ``/``.

    Raises:
        InvalidName: The path breaks a rule of names.
    """
    draft = Draft(caller, Action.ACCESS_WHO)
    async with core.guard(draft):
        draft.user_id = core.authorise(caller, user)
        draft.name = grant_path(path)
        draft.keys = await core.keys(draft.user_id)
        found = await readers(core, draft.user_id, path)
        draft.reason = f"{len(found)} ways"
    await core.record(draft)
    return found


async def readers(core: Core, user: str, path: str = EVERYTHING) -> list[Reader]:
    """Ways to read a secret, or anything in a folder, as they are now.

    Authorises nobody and records nothing: for those who have done both.

    Args:
        core: The open store.
        user: The owner's canonical id.
        path: A secret, a folder with its slash, or ``/`` for the whole namespace.
    """
    there = await survey(core, user)
    if there is None:
        return []
    now = core.clock.now_us()
    found = [*_by_policies(there, path, now), *_by_grants(there.book, path, now)]
    keys = await core.keys(user)
    if keys is not None:
        async with core.storage.snapshot() as rows:
            shares = await GIVEN.all(rows, keys)
        found += [
            _shared(ident, given)
            for ident, given in shares.items()
            if given.open_at(now) and _meets(given, path)
        ]
    found.append(Reader("operators", "operator", "the store's root of trust", "/", "", None, ""))
    for policies, count, acl in await operators(core, user):
        decision = there.allowing(acl, "read", path, f"{user}/")
        if decision:
            through = f"policies {', '.join(policies)}, {count} tokens or logins"
            found.append(Reader("operators", "operator", through, "/", "", None, ""))
    return sorted(found, key=lambda one: (_WAYS.index(one.kind), one.actor, one.path, one.through))


def _by_grants(book: Book, path: str, now_us: int) -> Iterator[Reader]:
    whole = path.endswith("/")
    for name, member in book.members.items():
        actor = f"user {member.user}" if member.user else name
        for ident, grant in _candidates(book, name, path):
            if grant.deny or 0 < grant.expires_us <= now_us or "read" not in book.rights(grant):
                continue
            if not whole and _taken_away(book, name, path, now_us):
                continue
            left = _left(book, ident, grant)
            if grant.conditions.reads and not left:
                continue
            yield Reader(
                actor, "grant", f"grant {ident}", grant.path, grant.role,
                from_us(grant.expires_us) if grant.expires_us else None,
                _conditions(grant, path, left, whole=whole),
            )  # fmt: skip


def _candidates(book: Book, member: str, path: str) -> Iterator[tuple[str, Grant]]:
    """A member's grants on a secret, or on a folder and anything in it."""
    if path.endswith("/"):
        return (pair for pair in book.all_of(member) if touches(pair[1].path, path))
    return book.grants_of(member, path)


def _taken_away(book: Book, member: str, path: str, now_us: int) -> bool:
    """Whether a grant takes reading away."""
    return any(
        grant.deny and not 0 < grant.expires_us <= now_us and "read" in book.rights(grant)
        for _, grant in book.grants_of(member, path)
    )


def _left(book: Book, ident: str, grant: Grant) -> int:
    used = book.uses.get(ident)
    return max(0, grant.conditions.reads - (used.count if used is not None else 0))


def _conditions(grant: Grant, path: str, left: int, *, whole: bool) -> str:
    """Conditions in words, of those that are about the path."""
    found = grant.conditions
    text = described(found) if whole or needs_approval(found, path) else _without_approval(grant)
    return text.replace(f"{found.reads} reads", f"{left} of {found.reads} reads left")


def _without_approval(grant: Grant) -> str:
    found = grant.conditions
    return described(type(found)(found.networks, found.window, found.timezone, found.reads))


def _by_policies(there: Survey, path: str, now_us: int) -> Iterator[Reader]:
    """Tokens and logins; what a grant takes away from a member no policy gives."""
    whole = path.endswith("/")
    for actor in there.actors:
        if actor.acl.root:
            yield _through(actor, OWNER, "policy root", EVERYTHING)
        elif whole:
            for pattern in there.rules_below(actor, "read", path):
                yield _through(actor, "policy", f"policies {', '.join(actor.policies)}", pattern)
        elif decision := there.allowing(actor.acl, "read", path):
            if actor.member and _taken_away(there.book, actor.member, path, now_us):
                continue
            yield _through(actor, "policy", f"policies {decision.partition(':')[2]}", path)


def _through(actor: Actor, kind: str, through: str, path: str) -> Reader:
    until = from_us(actor.until_us) if actor.until_us else None
    return Reader(actor.name, kind, through, path, "", until, "")


def _meets(given: Given, path: str) -> bool:
    return touches(given.name, path) if path.endswith("/") else covers(given.name, path)


def _shared(ident: str, given: Given) -> Reader:
    until = from_us(given.expires_us) if given.expires_us else None
    parts = ["once it was accepted"] if given.answer == "offered" else []
    parts += [f"version {given.version}"] if given.version else []
    return Reader(
        f"user {given.receiver}", "share", f"share {ident}", given.name, "", until, "; ".join(parts)
    )
