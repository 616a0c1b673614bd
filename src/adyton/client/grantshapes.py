"""Shapes of members, roles and grants (``docs/spec/native-api.md``, section 3)."""

import msgspec

from adyton.client.shapes import Time
from adyton.grantvalues import Conditions, GrantInfo, MemberInfo, MemberKind, RoleInfo


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
