"""What is kept of members and grants, as sealed objects (``docs/spec/grants.md``, section 3).

A field that a reader does not know might be a restriction: such an object is refused whole.
"""

from hashlib import sha256
from typing import Any, Final

import msgspec

from adyton.grantvalues import NO_CONDITIONS, Conditions, MemberKind, RequestState
from adyton.service.objects import Shelf, body_of

_MODULUS: Final = 1 << 256


class Member(
    msgspec.Struct, omit_defaults=True, frozen=True, forbid_unknown_fields=True, kw_only=True
):
    """Somebody whom the owner has let into the namespace.

    Attributes:
        id: Random; never used again.
        kind: A person, a machine, or another user of the store.
        user: The other user's id, or empty.
        entities: Ids of the entities whose logins are the member's.
        logins: The logins, as ``MOUNT:NAME``.
        created_us: When it was made.
    """

    id: str
    kind: MemberKind
    user: str = ""
    entities: tuple[str, ...] = ()
    logins: tuple[str, ...] = ()
    created_us: int = 0

    def __repr__(self) -> str:
        return "<Member>"


class Role(msgspec.Struct, omit_defaults=True, frozen=True, forbid_unknown_fields=True):
    """A set of rights of the owner's own."""

    rights: tuple[str, ...]


class Grant(
    msgspec.Struct, omit_defaults=True, frozen=True, forbid_unknown_fields=True, kw_only=True
):
    """What a member may do, or may not.

    Attributes:
        member: The member's name.
        member_id: Its id.
        path: A secret, a folder with its slash, or ``/``.
        role: A role; or empty, with ``rights``.
        rights: Rights by name.
        deny: Whether it takes the rights away.
        created_us: When it was made.
        created_by: Who made it.
        expires_us: When it ends; 0 for never.
        conditions: When it holds.
    """

    member: str
    member_id: str
    path: str
    role: str = ""
    rights: tuple[str, ...] = ()
    deny: bool = False
    created_us: int = 0
    created_by: str = ""
    expires_us: int = 0
    conditions: Conditions = NO_CONDITIONS

    def __repr__(self) -> str:
        return "<Grant>"


class Uses(msgspec.Struct, omit_defaults=True, frozen=True, forbid_unknown_fields=True):
    """How many values were read by a grant with a limit."""

    count: int = 0


class Request(
    msgspec.Struct, omit_defaults=True, frozen=True, forbid_unknown_fields=True, kw_only=True
):
    """A member's wish, and what came of it.

    Attributes:
        member: The member's name.
        member_id: Its id.
        right: What.
        path: Where: one secret.
        reason: In the member's words.
        created_us: When it was made.
        expires_us: When it ends, open or approved.
        state: What came of it.
        decided_by: Who decided.
        uses: How often an approved one may be used.
        used: How often it was.
    """

    member: str
    member_id: str
    right: str
    path: str
    reason: str = ""
    created_us: int = 0
    expires_us: int = 0
    state: RequestState = "open"
    decided_by: str = ""
    uses: int = 1
    used: int = 0

    def __repr__(self) -> str:
        return "<Request>"


class Ledger(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What there must be: told anew with every change of any of the above.

    Attributes:
        revision: Counts the changes.
        sum: Sum of the digests of all objects, modulo 2^256.
    """

    revision: int
    sum: bytes


class Membership(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """That a user is a member of another's namespace, kept with the user; by the other's id."""

    member_id: str


MEMBERS: Final = Shelf("member", Member)
ROLES: Final = Shelf("role", Role)
GRANTS: Final = Shelf("grant", Grant)
USES: Final = Shelf("grant-uses", Uses)
REQUESTS: Final = Shelf("access-request", Request)
LEDGER: Final = Shelf("grant-ledger", Ledger)
MEMBERSHIPS: Final = Shelf("membership", Membership)

COUNTED: Final[tuple[Shelf[Any], ...]] = (MEMBERS, ROLES, GRANTS, USES, REQUESTS)
"""What the ledger vouches for."""
LEDGER_ID: Final = "all"


def digest_of(shelf: Shelf[Any], ident: str, value: object) -> int:
    """What an object adds to the ledger's sum."""
    head = shelf.kind.encode() + b"\x00"
    return int.from_bytes(sha256(head + body_of(ident, value)).digest(), "big")


def added(total: bytes, *changes: int) -> bytes:
    """A ledger's sum after changes, which may be negative."""
    return ((int.from_bytes(total, "big") + sum(changes)) % _MODULUS).to_bytes(32, "big")
