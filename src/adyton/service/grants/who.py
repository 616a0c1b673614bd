"""Who could read what, by any way (``docs/spec/grants.md``, section 10)."""

import re
import uuid
from collections.abc import Iterator
from dataclasses import replace
from itertools import zip_longest
from typing import Final

from adyton.actions import Action
from adyton.grantvalues import EVERYTHING, Reader, described
from adyton.model import Caller, UserId, from_us
from adyton.service.access.acl import Acl
from adyton.service.access.policy import ROOT_NAME, Capability, Policy
from adyton.service.access.spaces import OPERATOR_SPACE
from adyton.service.core import Core
from adyton.service.grants.actors import Actor
from adyton.service.grants.book import Book
from adyton.service.grants.conditions import needs_approval
from adyton.service.grants.handed import handed
from adyton.service.grants.minting import Holder, Minting
from adyton.service.grants.paths import covers, grant_path, touches
from adyton.service.grants.reach import Reach, Way
from adyton.service.grants.records import Grant
from adyton.service.grants.survey import Survey, survey
from adyton.service.journal import Draft

OWNER: Final = "owner"
WHO_PATH: Final = "who/"
_RANDOM: Final = re.compile(r"\{\{\s*identity\.entity\.(?:id|name|aliases\.[^.{}]*\.id)\s*\}\}")
"""Templates of what a login chooses at random for an entity that it makes."""
_WAYS: Final = ("owner", "grant", "policy", "share", "link", "wrapped", "operator")


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
    keys = await core.keys(user)
    if there is None or keys is None:
        return []
    now = core.clock.now_us()
    reach = Reach(there.space, path)
    found = [*_by_policies(there, reach, now), *_by_grants(there.book, path, now)]
    async with core.storage.snapshot() as rows:
        found += await handed(rows, keys, there.wrapped, reach, now)
    found.append(_operator("the store's root of trust"))
    if user != OPERATOR_SPACE:
        operators = await survey(core, OPERATOR_SPACE)
        found += _by_operators(there, operators, reach) if operators is not None else ()
    return sorted(found, key=lambda one: (_WAYS.index(one.kind), one.actor, one.path, one.through))


def _by_grants(book: Book, path: str, now_us: int) -> Iterator[Reader]:
    whole = path.endswith("/")
    for name, member in book.members.items():
        actor = f"user {member.user}" if member.user else name
        denied = any(grant.deny for _, grant in book.all_of(name))
        for ident, grant in _candidates(book, name, path):
            if grant.deny or 0 < grant.expires_us <= now_us or "read" not in book.rights(grant):
                continue
            narrower = grant.path if covers(path, grant.path) else path
            if denied and _taken_away(book, name, narrower, now_us):
                continue
            left = _left(book, ident, grant)
            if grant.conditions.reads and not left:
                continue
            yield Reader(
                actor, "grant", f"grant {ident}", grant.path, grant.role,
                from_us(grant.expires_us) if grant.expires_us else None,
                _conditions(grant, path, left, whole=whole, other=bool(member.user)),
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


def _conditions(grant: Grant, path: str, left: int, *, whole: bool, other: bool) -> str:
    """Conditions in words, of those that are about the path; another user needs a policy, too."""
    found = grant.conditions
    text = described(found) if whole or needs_approval(found, path) else _without_approval(grant)
    limit = f"{found.reads} read{'' if found.reads == 1 else 's'}"
    text = text.replace(limit, f"{left} of {limit} left")
    return "; ".join(filter(None, (text, "where a policy of its own lets it" if other else "")))


def _without_approval(grant: Grant) -> str:
    found = grant.conditions
    return described(type(found)(found.networks, found.window, found.timezone, found.reads))


def _by_policies(there: Survey, reach: Reach, now_us: int) -> Iterator[Reader]:
    """Tokens and logins; what a grant takes away from a member no policy gives."""
    minting = Minting(there, reach)
    for actor in there.actors:
        if actor.acl.root:
            yield _through(actor, OWNER, "policy root", EVERYTHING)
            continue
        known: set[str] = set()
        for way in reach.ways(actor.acl):
            if not _is_taken(there.book, actor.member, way, now_us):
                known.add(way.path)
                path, conditions = _shown(way, is_new=actor.is_new)
                yield _through(actor, "policy", f"policies {way.policies}", path, conditions)
        if not actor.makes:
            continue
        holder = Holder(actor.values, actor.member, actor.is_new)
        for role, way, one in minting.ways(actor.policies, holder, actor.acl):
            if way.path not in known and not _is_taken(there.book, one.member, way, now_us):
                known.add(way.path)
                path, conditions = _shown(way, is_new=one.is_new)
                through = f"token role {role}, policies" if role else "policies"
                yield _through(
                    actor, "policy", f"{through} {way.policies}", path,
                    (*conditions, "by a token that it makes"),
                )  # fmt: skip
    yield from _by_batch_tokens(there, reach)


def _is_taken(book: Book, member: str, way: Way, now_us: int) -> bool:
    return bool(member) and _taken_away(book, member, way.name, now_us)


def _shown(way: Way, *, is_new: bool) -> tuple[str, tuple[str, ...]]:
    """Of what a way is, and on which conditions; names at random are told as templates."""
    conditions = (way.conditions,) if way.conditions else ()
    if is_new and way.path != way.name and _RANDOM.search(way.pattern):
        return way.pattern, (*conditions, "of its own, once it has logged in")
    return way.path, conditions


def _through(
    actor: Actor, kind: str, through: str, path: str, conditions: tuple[str, ...] = ()
) -> Reader:
    until = from_us(actor.until_us) if actor.until_us else None
    words = "; ".join((*actor.conditions, *conditions))
    return Reader(actor.name, kind, through, path, "", until, words)


def _by_batch_tokens(there: Survey, reach: Reach) -> Iterator[Reader]:
    """Whoever has a batch token: none is stored, so that only policies tell of them."""
    found = [
        name
        for name in there.space.policy_names()
        if name != ROOT_NAME
        and any(map(reach.ways, _for_anybody(there.space.policy(name), reach.every_place())))
    ]
    if found:
        conditions = "if one was made with any of them before: none is stored"
        yield Reader(
            "batch tokens",
            "policy",
            f"policies {','.join(found)}",
            reach.path,
            "",
            None,
            conditions,
        )


def _for_anybody(policy: Policy | None, places: list[str]) -> Iterator[Acl]:
    """What a policy allows whoever it lets in most: first without its templated rules.

    Then with what is asked for in place of the templates, of those rules that let read: of some
    entity the others have no value.
    """
    rules = () if policy is None else policy.rules
    plain = [rule for rule in rules if "{{" not in rule.pattern]
    yield Acl([Policy("", tuple(plain))])
    filled = {rule.pattern: rule for rule in plain}
    for rule in rules:
        if "{{" in rule.pattern and rule.grants and rule.capabilities & Capability.READ:
            for pattern in {_about(rule.pattern, place) for place in places}:
                filled[pattern] = replace(rule, pattern=pattern)
    yield Acl([Policy("", tuple(filled.values()))])


def _about(pattern: str, place: str) -> str:
    """A pattern with the segments of a path for those that have templates; else with any."""
    parts = pattern.removesuffix("*").split("/")
    end = "*" if pattern.endswith("*") else ""
    for at, (part, given) in enumerate(zip_longest(parts, place.split("/")[: len(parts)])):
        if "{{" in part:
            parts[at] = given or str(uuid.uuid4())
    return "/".join(parts) + end


def _operator(through: str, conditions: str = "") -> Reader:
    return Reader("operators", "operator", through, EVERYTHING, "", None, conditions)


def _by_operators(there: Survey, operators: Survey, reach: Reach) -> Iterator[Reader]:
    """Sets of policies in the operator's namespace, with how many tokens or logins have each.

    Which they are, and what else they are bound to, is not the user's to know.
    """
    seen = Reach(there.space, reach.path, f"{there.user}/")
    minting = Minting(operators, seen, Minting(there, reach))
    counted: dict[tuple[tuple[str, ...], str], int] = {}
    for actor in operators.actors:
        conditions = "" if not actor.conditions else "where it may be used"
        if not actor.acl.root and not seen.ways(actor.acl):
            holder = Holder(actor.values, "", actor.is_new)
            if not actor.makes or not minting.ways(actor.policies, holder, actor.acl):
                continue
            conditions = "by a token that it makes"
        key = (actor.policies, conditions)
        counted[key] = counted.get(key, 0) + 1
    for (policies, conditions), count in sorted(counted.items()):
        held = "1 token or login" if count == 1 else f"{count} tokens or logins"
        yield _operator(f"policies {', '.join(policies)}, {held}", conditions)
