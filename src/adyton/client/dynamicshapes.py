"""Shapes of dynamic credentials in the native API (``docs/spec/native-api.md``, section 3)."""

import msgspec

from adyton.client.shapes import Time
from adyton.crypto.secretbytes import SecretBytes
from adyton.dynamicvalues import Connection, Credentials, DynamicRole, LeaseInfo, Revoked


class WireConnection(msgspec.Struct):
    """Where credentials are made."""

    name: str
    issuer: str
    settings: dict[str, str]
    admin: str
    allowed_roles: list[str]

    def public(self) -> Connection:
        """The public value."""
        return Connection(
            issuer=self.issuer,
            settings=self.settings,
            admin=self.admin,
            allowed_roles=self.allowed_roles,
        )


class WireDynamicRole(msgspec.Struct):
    """What kind of credentials are made."""

    name: str
    connection: str
    member_of: list[str]
    creation: list[str]
    renewal: list[str]
    revocation: list[str]
    ttl: int
    max_ttl: int

    def public(self) -> DynamicRole:
        """The public value."""
        fields = {name: getattr(self, name) for name in DynamicRole.__struct_fields__}
        return DynamicRole(**fields)


class WireLease(msgspec.Struct):
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

    def public(self) -> LeaseInfo:
        """The public value."""
        return LeaseInfo(*(getattr(self, name) for name in self.__struct_fields__))


class WireCredentials(msgspec.Struct):
    """Credentials that were made."""

    lease: WireLease
    password: str

    def __repr__(self) -> str:
        return "<WireCredentials>"

    def public(self) -> Credentials:
        """The public value."""
        return Credentials(self.lease.public(), SecretBytes(self.password.encode()))


class WireRevoked(msgspec.Struct):
    """What revoking several leases has done."""

    revoked: int
    failed: int

    def public(self) -> Revoked:
        """The public value."""
        return Revoked(self.revoked, self.failed)
