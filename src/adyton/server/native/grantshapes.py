"""What requests and answers about members, roles and grants look like."""

from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from adyton.grantvalues import (
    RIGHTS,
    Conditions,
    GrantInfo,
    MemberInfo,
    MemberKind,
    NewGrant,
    RoleInfo,
)
from adyton.model import MAX_NAME_CHARS, MAX_USER_CHARS, to_us
from adyton.server.native.shapes import MAX_NUMBER, Answer, Shape, Time

_MOST_RIGHTS: Final = len(RIGHTS)
Label: TypeAlias = Annotated[
    str, Meta(min_length=1, max_length=MAX_USER_CHARS, extra_json_schema={"format": "user-id"})
]
Right: TypeAlias = Literal[
    "read", "read-metadata", "write", "list", "tag", "delete", "share", "audit", "admin"
]
GrantPath: TypeAlias = Annotated[
    str,
    Meta(min_length=1, max_length=MAX_NAME_CHARS + 1, extra_json_schema={"format": "secret-name"}),
]
_Login: TypeAlias = Annotated[str, Meta(min_length=3, max_length=512)]
_Rights: TypeAlias = Annotated[list[Right], Meta(max_length=_MOST_RIGHTS)]
_Network: TypeAlias = Annotated[str, Meta(max_length=64)]


class MemberBody(Shape, kw_only=True):
    """A new member."""

    kind: Literal["person", "machine", "user"] = "person"
    user: Annotated[str, Meta(max_length=MAX_USER_CHARS)] = ""
    logins: Annotated[list[_Login], Meta(max_length=16)] = msgspec.field(default_factory=list)


class MemberTokenBody(Shape, kw_only=True):
    """A token for a member, which lives for so many seconds; 0 for the longest time."""

    seconds: Annotated[int, Meta(ge=0, le=32 * 86_400)] = 0


class RoleBody(Shape, kw_only=True):
    """The rights of a role."""

    rights: Annotated[list[Right], Meta(min_length=1, max_length=_MOST_RIGHTS)]


class ConditionsBody(Shape, kw_only=True):
    """When a grant holds; all that is said must be met."""

    networks: Annotated[list[_Network], Meta(max_length=64)] = msgspec.field(default_factory=list)
    window: Annotated[str, Meta(max_length=512)] = ""
    timezone: Annotated[str, Meta(max_length=64)] = "UTC"
    reads: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    approval: Annotated[list[GrantPath], Meta(max_length=64)] = msgspec.field(default_factory=list)

    def conditions(self) -> Conditions:
        """The service's value."""
        return Conditions(
            tuple(self.networks), self.window, self.timezone, self.reads, tuple(self.approval)
        )


class GrantBody(Shape, kw_only=True):
    """What is given to a member, or taken away: a role, or rights."""

    member: Label
    path: GrantPath
    role: Annotated[str, Meta(max_length=MAX_USER_CHARS)] = ""
    rights: _Rights = msgspec.field(default_factory=list)
    deny: bool = False
    expires_at: Time | None = None
    conditions: ConditionsBody = msgspec.field(default_factory=ConditionsBody)

    def grant(self) -> NewGrant:
        """The service's value.

        Raises:
            InvalidInput: The time can't be told.
        """
        return NewGrant(
            self.member,
            self.path,
            self.role,
            tuple(self.rights),
            self.deny,
            0 if self.expires_at is None else to_us(self.expires_at),
            self.conditions.conditions(),
        )


class GrantsQuery(Shape, kw_only=True):
    """Which grants are shown; ``before`` is a time in microseconds since the epoch."""

    member: Annotated[str, Meta(max_length=MAX_USER_CHARS)] = ""
    path: Annotated[str, Meta(max_length=MAX_NAME_CHARS + 1)] = ""
    before: Annotated[int, Meta(ge=0, le=MAX_NUMBER)] = 0


class MemberShown(Answer, kw_only=True):
    """A member."""

    name: str
    kind: MemberKind
    user: str
    logins: list[str]
    created_at: Time
    grants: int


class MemberList(Answer, kw_only=True):
    """Members, by name."""

    items: list[MemberShown]


class MemberTokenMade(Answer, kw_only=True):
    """A member's token, told once."""

    token: str
    accessor: str
    seconds: int

    def __repr__(self) -> str:
        return "<MemberTokenMade>"


class RoleShown(Answer, kw_only=True):
    """A role."""

    name: str
    rights: list[Right]
    built_in: bool


class RoleList(Answer, kw_only=True):
    """Roles, the built-in ones first."""

    items: list[RoleShown]


class ConditionsShown(Answer, kw_only=True):
    """When a grant holds."""

    networks: list[str]
    window: str
    timezone: str
    reads: int
    approval: list[str]


class GrantShown(Answer, kw_only=True):
    """What a member has been given, or denied."""

    id: str
    member: str
    path: str
    role: str
    rights: list[Right]
    deny: bool
    conditions: ConditionsShown
    created_at: Time
    created_by: str
    expires_at: Time | None
    reads_left: int | None


class GrantList(Answer, kw_only=True):
    """Grants, by member and path."""

    items: list[GrantShown]


def shown_member(info: MemberInfo) -> MemberShown:
    """A member."""
    return MemberShown(**info._asdict())


def shown_role(info: RoleInfo) -> RoleShown:
    """A role."""
    return RoleShown(**_loose(info))


def shown_grant(info: GrantInfo) -> GrantShown:
    """A grant."""
    found = info.conditions
    conditions = ConditionsShown(
        networks=list(found.networks), window=found.window, timezone=found.timezone,
        reads=found.reads, approval=list(found.approval),
    )  # fmt: skip
    return GrantShown(**(_loose(info) | {"conditions": conditions}))


def _loose(info: RoleInfo | GrantInfo) -> dict[str, Any]:
    return info._asdict()
