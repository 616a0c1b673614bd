"""Shapes of answers of Vault's API, and what they become.

Members that are not named here are left alone, so that a newer server can say more.
"""

import datetime as dt

import msgspec

from adyton.client.results import Grant, Rekeying, TokenInfo


class Auth(msgspec.Struct):
    """Vault's ``auth`` member."""

    client_token: str
    accessor: str = ""
    policies: list[str] = []
    lease_duration: int = 0
    renewable: bool = False

    def grant(self) -> Grant:
        """The public value."""
        return Grant(
            self.client_token,
            self.accessor,
            tuple(self.policies),
            self.lease_duration,
            self.renewable,
        )


class AuthAnswer(msgspec.Struct):
    """An answer with ``auth``."""

    auth: Auth


class Lookup(msgspec.Struct):
    """Vault's description of a token."""

    accessor: str
    ttl: int
    display_name: str = ""
    policies: list[str] = []
    path: str = ""
    expire_time: dt.datetime | None = None
    renewable: bool = False
    num_uses: int = 0
    orphan: bool = False
    meta: dict[str, str] | None = None

    def info(self) -> TokenInfo:
        """The public value."""
        return TokenInfo(
            self.accessor,
            self.display_name,
            tuple(self.policies),
            self.path,
            self.ttl,
            self.expire_time,
            self.renewable,
            self.num_uses,
            self.orphan,
            self.meta or {},
        )


class LookupAnswer(msgspec.Struct):
    """An answer about a token."""

    data: Lookup


class Keys(msgspec.Struct):
    """A list of names."""

    keys: list[str]


class KeysAnswer(msgspec.Struct):
    """An answer with names."""

    data: Keys


class Policy(msgspec.Struct):
    """One policy."""

    policy: str


class PolicyAnswer(msgspec.Struct):
    """An answer with a policy."""

    data: Policy


class SealStatus(msgspec.Struct):
    """The answer of ``sys/seal-status``."""

    initialized: bool
    sealed: bool
    version: str = ""
    type: str = ""
    t: int = 0
    n: int = 0
    progress: int = 0


class RekeyAnswer(msgspec.Struct):
    """The answer of ``sys/rekey/init`` and ``sys/rekey/update``."""

    nonce: str
    progress: int = 0
    required: int = 0
    complete: bool = False
    keys: list[str] = []

    def __repr__(self) -> str:
        return "<RekeyAnswer>"

    def public(self) -> Rekeying:
        """As the client tells it."""
        return Rekeying(self.nonce, self.progress, self.required, tuple(self.keys))
