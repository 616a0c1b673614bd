"""Which rule decides whether an actor may do something, and why (``docs/spec/grants.md``)."""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from adyton.actions import Action
from adyton.errors import InvalidInput
from adyton.grantvalues import EVERYTHING, RIGHTS, Conditions, Explanation, Step, described
from adyton.model import Caller, UserId, from_us
from adyton.service.access.policy import ROOT_NAME, Capability
from adyton.service.core import Core
from adyton.service.grants.actors import Actor
from adyton.service.grants.book import Book
from adyton.service.grants.conditions import Facts, needs_approval, unmet
from adyton.service.grants.paths import grant_path
from adyton.service.grants.records import Grant, Member
from adyton.service.grants.survey import Survey, survey
from adyton.service.journal import Draft
from adyton.service.secretmeta import not_found

ALLOWS: Final = "allows"
DENIES: Final = "denies"
APART: Final = "does not apply"
_VERBS: Final = {
    "get": "read", "set": "write", "put": "write", "rollback": "write", "rotate": "write",
    "metadata": "read-metadata", "undelete": "delete", "destroy": "delete", "tags": "tag",
    "grant": "admin",
}  # fmt: skip
"""Other words for rights."""


class Asked(NamedTuple):
    """What is to be explained.

    Attributes:
        actor: A member's name, ``user:ID`` or ``token:ACCESSOR``.
        action: A right by name, or a verb that needs one.
        path: A secret, a folder with its slash, or ``/``.
        address: Where a request would come from; empty where that is not known.
    """

    actor: str
    action: str
    path: str
    address: str = ""


async def explain(core: Core, caller: Caller, user: UserId, asked: Asked) -> Explanation:
    """Say whether an actor may do something now, which rule decides, and why.

    Raises:
        SecretNotFound: There is no such actor.
        InvalidInput: The action is not known, or the path breaks a rule of names.
    """
    draft = Draft(caller, Action.ACCESS_EXPLAIN)
    async with core.guard(draft):
        draft.user_id = core.authorise(caller, user)
        draft.name = grant_path(asked.path)
        draft.keys = await core.keys(draft.user_id)
        right = _VERBS.get(asked.action, asked.action)
        if right not in RIGHTS:
            raise InvalidInput("the action is not known", hint=f"Known: {', '.join(RIGHTS)}.")
        there = await survey(core, draft.user_id)
        if there is None:
            raise not_found()
        facts = Facts(asked.address, core.clock.now_us())
        found = _explained(there, asked.actor, right, asked.path, facts)
        draft.reason = f"{right} by {asked.actor}"[:500]
    await core.record(draft)
    return found


def _explained(there: Survey, name: str, right: str, path: str, facts: Facts) -> Explanation:
    book = there.book
    kind, _, rest = name.partition(":")
    member: str = ""
    actors: list[Actor] = []
    if kind == "token" and rest:
        actors = [one for one in there.actors if one.accessor == rest]
        if not actors:
            raise not_found()
        member = actors[0].member
    elif kind == "user" and rest:
        member = book.by_user.get(rest, "")
        if not member:
            raise not_found()
    else:
        member = name
        actors = [one for one in there.actors if one.member == name]
        if name not in book.members:
            raise not_found()
    steps = [*_policies(there, actors, right, path)]
    if steps and steps[0].kind == "owner":
        return _decided(steps, name, right, path)
    if member:
        steps += _grants(book, member, right, path, facts)
        steps += _at_home(book.members[member], there.user, right, path)
    return _decided(steps, name, right, path)


def _decided(steps: list[Step], actor: str, right: str, path: str) -> Explanation:
    """The rule that decides: what denies before what allows, and of those the first."""
    for outcome in (DENIES, ALLOWS):
        for step in steps:
            if step.outcome == outcome:
                rule = ROOT_NAME if step.kind == "owner" else f"{step.kind}:{step.rule}"
                return Explanation(outcome == ALLOWS, actor, right, path, rule, step.why, steps)
    why = "no rule gives it" if not steps else "no rule that speaks of it gives it now"
    return Explanation(False, actor, right, path, "", why, steps)


def _policies(there: Survey, actors: Iterable[Actor], right: str, path: str) -> Iterator[Step]:
    """What policies say; of members with several tokens and logins, once for each set."""
    seen: set[tuple[str, ...]] = set()
    for actor in actors:
        if actor.policies in seen:
            continue
        seen.add(actor.policies)
        if actor.acl.root:
            yield Step("owner", ROOT_NAME, ROOT_NAME, 0, ALLOWS, f"{actor.name} is an owner's")
            continue
        for place, capability in there.paths(right, path):
            rule = actor.acl.rule_at(place, capability)
            if rule is None:
                continue
            policy, line = there.line_of(actor.policies, rule.pattern)
            named = str(capability.name).lower()
            outcome, why = APART, f"gives no {named} on {place} to {actor.name}"
            if Capability.DENY in rule.capabilities:
                outcome, why = DENIES, f"denies {place} to {actor.name}"
            elif actor.acl.allows(place, capability):
                outcome, why = ALLOWS, f"gives {named} on {place} to {actor.name}"
            yield Step("policy", rule.pattern, policy, line, outcome, why)


def _grants(book: Book, member: str, right: str, path: str, facts: Facts) -> Iterator[Step]:
    """What a member's grants say, those that take away first, as they decide first."""
    found = sorted(book.grants_of(member, path), key=lambda pair: not pair[1].deny)
    for ident, grant in found:
        outcome, why = _of_grant(book, ident, grant, right, path, facts)
        yield Step("grant", ident, _named(grant), 0, outcome, why)
    if path.endswith("/") and right != "list":  # lists are judged name by name
        inside = book.denied_inside(member, frozenset({right}), path, facts)
        if inside and all(ident != inside for ident, _ in found):
            grant = book.grants[inside]
            why = f"takes {right} away on {grant.path}, and so on the whole of {path}"
            yield Step("grant", inside, _named(grant), 0, DENIES, why)
    if not found:
        yield Step("member", member, "", 0, APART, f"no grant covers {path}")


def _named(grant: Grant) -> str:
    return grant.role or ", ".join(grant.rights)


def _of_grant(
    book: Book, ident: str, grant: Grant, right: str, path: str, facts: Facts
) -> tuple[str, str]:
    """Whether a grant allows or denies, and why."""
    rights = book.rights(grant)
    conditions = grant.conditions
    if right not in rights:
        return APART, f"{'denies' if grant.deny else 'gives'} {', '.join(sorted(rights))} only"
    # What takes away holds even where its conditions can't be told.
    missing = unmet(Conditions() if grant.deny else conditions, grant.expires_us, facts)
    if missing:
        return APART, missing
    if grant.deny:
        return DENIES, f"takes {right} away on {grant.path}"
    outcome, notes = ALLOWS, [f"gives {right} on {grant.path}"]
    if grant.expires_us:
        notes.append(f"until {from_us(grant.expires_us):%Y-%m-%d %H:%M} UTC")
    if conditions.networks or conditions.window:
        notes.append(
            described(Conditions(conditions.networks, conditions.window, conditions.timezone))
        )
    if needs_approval(conditions, path):
        by = _approved_by(book, grant, right, path, facts)
        notes.append(f"{by} has approved it" if by else "a second person has to approve it")
        outcome = outcome if by else APART
    if conditions.reads and right == "read":
        used = book.uses.get(ident)
        left = max(0, conditions.reads - (used.count if used is not None else 0))
        notes.append(f"{left} of {conditions.reads} reads are left")
        outcome = outcome if left else APART
    return outcome, "; ".join(notes)


def _approved_by(book: Book, grant: Grant, right: str, path: str, facts: Facts) -> str:
    """Who has approved a request that can be used still; empty where nobody has."""
    for one in book.requests.values():
        ours = (one.member_id, one.right, one.path) == (grant.member_id, right, path)
        usable = one.state == "approved" and one.expires_us > facts.now_us and one.used < one.uses
        if ours and usable:
            return one.decided_by
    return ""


def _at_home(member: Member, owner: str, right: str, path: str) -> Iterator[Step]:
    """Another user's token needs a policy at home as well, which is not the owner's to see."""
    if member.user:
        where = "" if path == EVERYTHING else path
        why = f"a policy of the user's own has to give {right} on {owner}/adyton/.../{where} too"
        yield Step("member", member.user, "", 0, APART, why)
