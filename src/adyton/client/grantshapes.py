"""Shapes of members, roles and grants (``docs/spec/native-api.md``, section 3)."""

import msgspec

from adyton.client.shapes import Time
from adyton.grantvalues import (
    AccessRequest,
    Conditions,
    Explanation,
    GrantInfo,
    MemberInfo,
    MemberKind,
    Reader,
    RequestState,
    RoleInfo,
    Step,
)


class WireMember(msgspec.Struct):
    """A member."""

    name: str
    kind: MemberKind
    user: str
    logins: list[str]
    created_at: Time
    grants: int

    def public(self) -> MemberInfo:
        """The public value."""
        return MemberInfo(*(getattr(self, name) for name in self.__struct_fields__))


class WireRole(msgspec.Struct):
    """A role."""

    name: str
    rights: list[str]
    built_in: bool

    def public(self) -> RoleInfo:
        """The public value."""
        return RoleInfo(self.name, self.rights, self.built_in)


class WireGrant(msgspec.Struct):
    """A grant."""

    id: str
    member: str
    path: str
    role: str
    rights: list[str]
    deny: bool
    conditions: Conditions
    created_at: Time
    created_by: str
    expires_at: Time | None
    reads_left: int | None

    def public(self) -> GrantInfo:
        """The public value."""
        return GrantInfo(*(getattr(self, name) for name in self.__struct_fields__))


class WireToken(msgspec.Struct):
    """A member's token."""

    token: str
    accessor: str
    seconds: int

    def __repr__(self) -> str:
        return "<WireToken>"


class WireReader(msgspec.Struct):
    """Somebody who could read a secret."""

    actor: str
    kind: str
    through: str
    path: str
    role: str
    until: Time | None
    conditions: str

    def public(self) -> Reader:
        """The public value."""
        return Reader(*(getattr(self, name) for name in self.__struct_fields__))


class WireExplanation(msgspec.Struct):
    """Which rule decides, and why."""

    allowed: bool
    actor: str
    right: str
    path: str
    rule: str
    why: str
    steps: list[dict[str, str | int]]

    def public(self) -> Explanation:
        """The public value."""
        steps = [
            Step(
                str(step.get("kind", "")), str(step.get("rule", "")), str(step.get("name", "")),
                int(step.get("line", 0)), str(step.get("outcome", "")), str(step.get("why", "")),
            )
            for step in self.steps
        ]  # fmt: skip
        return Explanation(
            self.allowed, self.actor, self.right, self.path, self.rule, self.why, steps
        )


class WireRequest(msgspec.Struct):
    """A request for approval."""

    id: str
    member: str
    right: str
    path: str
    reason: str
    state: RequestState
    created_at: Time
    decided_by: str
    expires_at: Time
    uses_left: int

    def public(self) -> AccessRequest:
        """The public value."""
        return AccessRequest(*(getattr(self, name) for name in self.__struct_fields__))
