"""What is told of members, roles and grants; the store and the client have it in common."""

import datetime as dt
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import msgspec

MemberKind: TypeAlias = Literal["person", "machine", "user"]
RequestState: TypeAlias = Literal["open", "approved", "denied"]

RIGHTS: Final = (
    "read", "read-metadata", "write", "list", "tag", "delete", "share", "audit", "admin",
)  # fmt: skip
"""What a grant can give, by name; the names are stored (``docs/spec/grants.md``, section 2)."""

BUILT_IN_ROLES: Final[dict[str, tuple[str, ...]]] = {
    "viewer": ("list", "read", "read-metadata"),
    "editor": ("delete", "list", "read", "read-metadata", "tag", "write"),
    "operator": ("delete", "list", "read-metadata", "tag", "write"),
    "auditor": ("audit", "list", "read-metadata"),
}
"""Roles that every namespace has. An operator puts values in and never sees one."""

EVERYTHING: Final = "/"
"""The path that stands for a whole namespace."""


class Conditions(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """When a grant holds; all that is said must be met.

    Attributes:
        networks: Networks that the request must come from, in CIDR notation; empty for any.
        window: Parts of days, as in ``mon-fri 08:00-18:00``, separated by ``;``; empty for always.
        timezone: IANA name of the time zone of ``window``.
        reads: How many values may be read by it, ever; 0 for no limit.
        approval: Folders and secrets for which a second person has to approve each request; ``/``
            for all that the grant covers.
    """

    networks: tuple[str, ...] = ()
    window: str = ""
    timezone: str = "UTC"
    reads: int = 0
    approval: tuple[str, ...] = ()

    @property
    def any(self) -> bool:
        """Whether there is a condition."""
        return bool(self.networks or self.window or self.reads or self.approval)


NO_CONDITIONS: Final = Conditions()


class NewGrant(msgspec.Struct, frozen=True):
    """A grant that is asked for.

    Attributes:
        member: Who is to have it.
        path: A secret, a folder with a slash at its end, or ``/`` for everything.
        role: A role's name; or empty, with ``rights``.
        rights: Rights by name; or empty, with ``role``.
        deny: Whether it takes the rights away, whatever else would give them.
        expires_us: When it ends, in microseconds since the epoch; 0 for never.
        conditions: When it holds.
    """

    member: str
    path: str
    role: str = ""
    rights: tuple[str, ...] = ()
    deny: bool = False
    expires_us: int = 0
    conditions: Conditions = NO_CONDITIONS


class MemberInfo(NamedTuple):
    """A member of a namespace.

    Attributes:
        name: The owner's name for it.
        kind: A person, a machine, or another user of the store.
        user: The other user's id, or empty.
        logins: Logins that are the member's, as ``MOUNT:NAME``.
        created_at: When it was made.
        grants: How many grants it has.
    """

    name: str
    kind: MemberKind
    user: str
    logins: list[str]
    created_at: dt.datetime
    grants: int


class RoleInfo(NamedTuple):
    """A set of rights with a name.

    Attributes:
        name: Its name.
        rights: Its rights, sorted.
        built_in: Whether every namespace has it.
    """

    name: str
    rights: list[str]
    built_in: bool


class GrantInfo(NamedTuple):
    """What a member has been given, or denied.

    Attributes:
        id: Names it.
        member: Who has it.
        path: A secret, a folder with its slash, or ``/``.
        role: The role that it gives, or empty.
        rights: What it gives, or takes away, today.
        deny: Whether it takes away.
        conditions: When it holds.
        created_at: When it was made.
        created_by: Who made it.
        expires_at: When it ends; None for never.
        reads_left: How many reads are left; None without a limit.
    """

    id: str
    member: str
    path: str
    role: str
    rights: list[str]
    deny: bool
    conditions: Conditions
    created_at: dt.datetime
    created_by: str
    expires_at: dt.datetime | None
    reads_left: int | None


class Step(NamedTuple):
    """One rule that was looked at for a decision.

    Attributes:
        kind: ``policy``, ``grant``, ``member``, ``token``, ``owner`` or ``operator``.
        rule: Which one: a policy's pattern, a grant's id.
        name: The role or the policy's name.
        line: The line of the policy's text; 0 where it has none.
        outcome: ``allows``, ``denies`` or ``does not apply``.
        why: What decided that.
    """

    kind: str
    rule: str
    name: str
    line: int
    outcome: str
    why: str


class Explanation(NamedTuple):
    """Whether an actor may do something, which rule decides, and why.

    Attributes:
        allowed: Whether it would be let through now.
        actor: Who.
        right: What.
        path: Where.
        rule: What decides, as audit records name it.
        why: Why, in words.
        steps: All rules that were looked at, in order.
    """

    allowed: bool
    actor: str
    right: str
    path: str
    rule: str
    why: str
    steps: list[Step]


class Reader(NamedTuple):
    """Somebody who could read a secret.

    Attributes:
        actor: Who: a member, a login, a token, a user, whoever has a link, or the operators.
        kind: By which way: ``owner``, ``grant``, ``policy``, ``share``, ``link``, ``wrapped`` (a
            response that waits for its token) or ``operator``.
        through: What gives it: a grant, policies, a share, a link.
        path: What that covers.
        role: The grant's role, or empty.
        until: When it ends; None for never.
        conditions: What must be met besides, in words; empty for nothing.
    """

    actor: str
    kind: str
    through: str
    path: str
    role: str
    until: dt.datetime | None
    conditions: str


class AccessRequest(NamedTuple):
    """A member's wish that somebody else has to approve.

    Attributes:
        id: Names it.
        member: Who wishes.
        right: What.
        path: Where: one secret.
        reason: Why, in the member's words.
        state: Open, approved or denied.
        created_at: When it was made.
        decided_by: Who approved or denied it, or empty.
        expires_at: When it ends, open or approved.
        uses_left: How often it can still be used.
    """

    id: str
    member: str
    right: str
    path: str
    reason: str
    state: RequestState
    created_at: dt.datetime
    decided_by: str
    expires_at: dt.datetime
    uses_left: int


def described(conditions: Conditions) -> str:
    """Conditions in words; empty where there are none."""
    parts: list[str] = []
    if conditions.networks:
        parts.append(f"from {', '.join(conditions.networks)}")
    if conditions.window:
        parts.append(f"in {conditions.window} {conditions.timezone}")
    if conditions.reads:
        parts.append(f"{conditions.reads} read{'' if conditions.reads == 1 else 's'}")
    if conditions.approval:
        where = (
            "" if EVERYTHING in conditions.approval else f" for {', '.join(conditions.approval)}"
        )
        parts.append(f"with approval{where}")
    return "; ".join(parts)


def document(value: Any) -> Any:  # noqa: ANN401 - any of the above
    """A value of these as plain maps, lists and texts."""
    if isinstance(value, Conditions):
        return {name: document(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {key: document(part) for key, part in value._asdict().items()}
    if isinstance(value, list | tuple):
        return [document(part) for part in value]
    return value
