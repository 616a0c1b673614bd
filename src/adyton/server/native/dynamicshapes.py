"""What requests and answers about dynamic credentials look like."""

from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

from adyton.dynamicvalues import (
    MAX_SECONDS,
    MAX_SETTING_CHARS,
    MAX_SETTINGS,
    MAX_STATEMENT_CHARS,
    MAX_STATEMENTS,
    Connection,
    Credentials,
    DynamicRole,
    LeaseInfo,
)
from adyton.server.native.shapes import Answer, Shape, Time

_Word: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64)]
_Settings: TypeAlias = Annotated[
    dict[_Word, Annotated[str, Meta(max_length=MAX_SETTING_CHARS)]],
    Meta(max_length=MAX_SETTINGS),
]
_Statements: TypeAlias = Annotated[
    list[Annotated[str, Meta(min_length=1, max_length=MAX_STATEMENT_CHARS)]],
    Meta(max_length=MAX_STATEMENTS),
]
_Seconds: TypeAlias = Annotated[int, Meta(ge=0, le=MAX_SECONDS)]
_Positive: TypeAlias = Annotated[int, Meta(ge=1, le=MAX_SECONDS)]


class ConnectionBody(Shape, kw_only=True):
    """Where credentials are made."""

    issuer: _Word = "postgresql"
    settings: _Settings = msgspec.field(default_factory=dict)
    admin: Annotated[str, Meta(max_length=512)] = ""
    allowed_roles: Annotated[list[_Word], Meta(max_length=1000)] = msgspec.field(
        default_factory=lambda: ["*"]
    )
    verify: bool = False

    def connection(self) -> Connection:
        """The service's value."""
        return Connection(
            issuer=self.issuer,
            settings=self.settings,
            admin=self.admin,
            allowed_roles=self.allowed_roles,
        )


class DynamicRoleBody(Shape, kw_only=True):
    """What kind of credentials are made."""

    connection: _Word
    member_of: _Statements = msgspec.field(default_factory=list)
    creation: _Statements = msgspec.field(default_factory=list)
    renewal: _Statements = msgspec.field(default_factory=list)
    revocation: _Statements = msgspec.field(default_factory=list)
    ttl: _Positive = 3600
    max_ttl: _Positive = 86_400

    def role(self) -> DynamicRole:
        """The service's value."""
        return DynamicRole(**msgspec.structs.asdict(self))


class TtlBody(Shape, kw_only=True):
    """How long a lease is to last."""

    ttl: _Seconds = 0


class RevokeBody(Shape, kw_only=True):
    """How a lease is to be ended."""

    force: bool = False


class RevokeAllBody(Shape, kw_only=True):
    """Which leases are to be ended, and how."""

    role: Annotated[str, Meta(max_length=64)] = ""
    force: bool = False


class LeasesQuery(Shape, kw_only=True):
    """Which leases are listed."""

    role: Annotated[str, Meta(max_length=64)] = ""


class ConnectionShown(Answer, kw_only=True):
    """Where credentials are made."""

    name: str
    issuer: str
    settings: dict[str, str]
    admin: str
    allowed_roles: list[str]


class ConnectionList(Answer, kw_only=True):
    """All connections of a user."""

    items: list[ConnectionShown]


class DynamicRoleShown(Answer, kw_only=True):
    """What kind of credentials are made."""

    name: str
    connection: str
    member_of: list[str]
    creation: list[str]
    renewal: list[str]
    revocation: list[str]
    ttl: int
    max_ttl: int


class DynamicRoleList(Answer, kw_only=True):
    """All dynamic roles of a user."""

    items: list[DynamicRoleShown]


class LeaseShown(Answer, kw_only=True):
    """A lease."""

    id: str
    role: str
    username: str
    state: str
    issued_at: Time
    expires_at: Time
    max_at: Time
    renewed_at: Time | None
    attempts: int
    error: str


class LeaseList(Answer, kw_only=True):
    """Leases, the newest last."""

    items: list[LeaseShown]


class CredentialsShown(Answer, kw_only=True):
    """Credentials that were made; the password is kept nowhere."""

    lease: LeaseShown
    username: str
    password: str

    def __repr__(self) -> str:
        return "<CredentialsShown>"


class LeasesRevoked(Answer, kw_only=True):
    """What revoking several leases has done."""

    revoked: int
    failed: int


def shown_connection(name: str, connection: Connection) -> ConnectionShown:
    """A connection."""
    return ConnectionShown(name=name, **msgspec.structs.asdict(connection))


def shown_role(name: str, role: DynamicRole) -> DynamicRoleShown:
    """A role."""
    return DynamicRoleShown(name=name, **msgspec.structs.asdict(role))


def shown_lease(info: LeaseInfo) -> LeaseShown:
    """A lease."""
    return LeaseShown(**info._asdict())


def shown_credentials(made: Credentials) -> CredentialsShown:
    """Credentials; their own copy of the password is wiped."""
    with made:
        return CredentialsShown(
            lease=shown_lease(made.lease), username=made.username, password=made.password.text()
        )
