"""Dynamic credentials: made on request, ended with their lease (``docs/spec/dynamic.md``)."""

import datetime as dt
import re
from types import TracebackType
from typing import Final, NamedTuple, Self

import msgspec

from adyton.crypto.secretbytes import SecretBytes
from adyton.errors import InvalidInput

MAX_SETTINGS: Final = 32
MAX_SETTING_CHARS: Final = 1024
MAX_STATEMENTS: Final = 32
MAX_STATEMENT_CHARS: Final = 16_384
MAX_SECONDS: Final = 366 * 86_400
NAME_PATTERN: Final = r"^[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,62}[A-Za-z0-9_])?$"
_NAME: Final = re.compile(NAME_PATTERN[1:-1], re.ASCII)


def dynamic_name(text: str, what: str) -> str:
    """A name of a connection or role.

    Raises:
        InvalidInput: It is none.
    """
    if not _NAME.fullmatch(text):
        raise InvalidInput(
            f"the name of the {what} breaks a rule",
            hint="1 to 64 of A-Z, a-z, 0-9, '_', '-' and '.', the last two not at its ends.",
        )
    return text


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """Where credentials are made. Stored by the fields' names.

    Attributes:
        issuer: What makes them: ``postgresql``, or that of a plug-in.
        settings: The issuer's settings; nothing secret.
        admin: Name of the secret, in the same namespace, by which the issuer is let in.
        allowed_roles: Names of the dynamic roles that may use it; ``*`` for all.
    """

    issuer: str = "postgresql"
    settings: dict[str, str] = {}
    admin: str = ""
    allowed_roles: list[str] = msgspec.field(default_factory=lambda: ["*"])

    def __repr__(self) -> str:
        return "<Connection>"  # settings name hosts

    def check(self) -> None:
        """Check what can be checked without the issuer.

        Raises:
            InvalidInput: A field breaks a rule.
        """
        if len(self.settings) > MAX_SETTINGS:
            raise InvalidInput(f"the settings are more than {MAX_SETTINGS}")
        for key, value in self.settings.items():
            if not key or len(key) > 64 or len(value) > MAX_SETTING_CHARS:
                raise InvalidInput(
                    "one of the settings is too long", hint=f"{MAX_SETTING_CHARS} characters."
                )
        if len(self.allowed_roles) > 1000:
            raise InvalidInput("there are more than 1000 allowed roles")


class DynamicRole(msgspec.Struct, frozen=True, kw_only=True):
    """What kind of credentials are made. Stored by the fields' names.

    Attributes:
        connection: Where.
        member_of: Roles of the database whose rights a new one gets.
        creation: Statements that make it, instead of the issuer's own.
        renewal: Statements that run when its lease is renewed, besides what the issuer does.
        revocation: Statements that end it, instead of the issuer's own.
        ttl: Seconds that a lease lasts unless another time is asked for.
        max_ttl: Most seconds from making to end, renewals included.
    """

    connection: str
    member_of: list[str] = []
    creation: list[str] = []
    renewal: list[str] = []
    revocation: list[str] = []
    ttl: int = 3600
    max_ttl: int = 86_400

    def __repr__(self) -> str:
        return "<DynamicRole>"

    def check(self) -> None:
        """Check what can be checked without the issuer.

        Raises:
            InvalidInput: A field breaks a rule.
        """
        dynamic_name(self.connection, "connection")
        if not 1 <= self.ttl <= self.max_ttl <= MAX_SECONDS:
            raise InvalidInput(
                "the times of a role are not in order",
                hint=f"ttl is at least 1, max_ttl not less than it, and at most {MAX_SECONDS}.",
            )
        for texts in (self.member_of, self.creation, self.renewal, self.revocation):
            if len(texts) > MAX_STATEMENTS or any(
                not text.strip() or len(text) > MAX_STATEMENT_CHARS or "\x00" in text
                for text in texts
            ):
                raise InvalidInput(
                    "a list of statements or roles is too long, or has an empty or too long part",
                    hint=f"{MAX_STATEMENTS} of up to {MAX_STATEMENT_CHARS} characters.",
                )


class LeaseInfo(NamedTuple):
    """A lease, which is what is kept of credentials that were made.

    Attributes:
        id: Names it: the role's name, a slash, and random characters.
        role: The dynamic role.
        username: The name in the database.
        state: ``issuing``, ``live``, or ``revoking`` from when its end has begun until the
            credentials are gone.
        issued_at: When it began.
        expires_at: When it ends by itself.
        max_at: The last time that renewing can bring it to.
        renewed_at: When it was last renewed; None for never.
        attempts: How often revoking it has failed.
        error: Why it failed last.
    """

    id: str
    role: str
    username: str
    state: str
    issued_at: dt.datetime
    expires_at: dt.datetime
    max_at: dt.datetime
    renewed_at: dt.datetime | None
    attempts: int
    error: str

    def __repr__(self) -> str:
        return "<LeaseInfo>"


class Revoked(NamedTuple):
    """What revoking several leases has done.

    Attributes:
        revoked: How many are gone.
        failed: How many are not yet; that is tried again.
    """

    revoked: int
    failed: int


class Credentials:
    """A user name and a password that were made just now; use it in a ``with`` block.

    The password is kept nowhere: whoever loses it asks for new credentials.

    Attributes:
        lease: The lease.
        password: The password, in locked memory; wiped when the block ends.
    """

    __slots__ = ("lease", "password")

    def __init__(self, lease: LeaseInfo, password: SecretBytes) -> None:
        self.lease = lease
        self.password = password

    @property
    def username(self) -> str:
        """The user name."""
        return self.lease.username

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.password.wipe()

    def __repr__(self) -> str:
        return "<Credentials>"
