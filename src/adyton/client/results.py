"""What only a server can tell: its state, tokens, and what a log-in gives."""

import datetime as dt
from typing import NamedTuple


class Grant(NamedTuple):
    """A token that was made, renewed or logged in to.

    Attributes:
        token: Its text; whoever has it can use it.
        accessor: Its name for records, lookups and revocation.
        policies: What it may do, by name.
        ttl: Seconds that it lasts; 0 for no end.
        renewable: Whether it can be renewed.
    """

    token: str
    accessor: str
    policies: tuple[str, ...]
    ttl: int
    renewable: bool

    def __repr__(self) -> str:
        return f"<Grant ttl={self.ttl} renewable={self.renewable}>"


class TokenInfo(NamedTuple):
    """What a server tells of a token.

    Attributes:
        accessor: Its name for records, lookups and revocation.
        display_name: What it was made as.
        policies: What it may do, by name.
        path: Where it was made.
        ttl: Seconds that it still lasts; 0 for no end.
        expires_at: When it ends, UTC; None for never.
        renewable: Whether it can be renewed.
        uses: How often it can still be used; 0 for any number.
        orphan: Whether it outlives the token that made it.
        metadata: What was noted with it.
    """

    accessor: str
    display_name: str
    policies: tuple[str, ...]
    path: str
    ttl: int
    expires_at: dt.datetime | None
    renewable: bool
    uses: int
    orphan: bool
    metadata: dict[str, str]

    def __repr__(self) -> str:
        return f"<TokenInfo ttl={self.ttl} renewable={self.renewable}>"


class ServerStatus(NamedTuple):
    """A server's state, as anybody may ask for it.

    Attributes:
        address: The server's address.
        version: Its version.
        initialized: Whether it has a store.
        sealed: Whether its master key is away: then it answers nothing else.
        root: The kind of its root of trust.
        shares: Shares that unsealing takes.
        given: Shares that were given already.
    """

    address: str
    version: str
    initialized: bool
    sealed: bool
    root: str
    shares: int
    given: int


class Unsealing(NamedTuple):
    """How far the opening of a sealed server has come.

    Attributes:
        sealed: Whether it is still sealed.
        given: Shares that were given.
        needed: Shares that it takes.
        shares: How many there are.
    """

    sealed: bool
    given: int
    needed: int
    shares: int


class Rekeying(NamedTuple):
    """How far a change of shares has come.

    Attributes:
        nonce: Names the change.
        given: Present shares that were given.
        needed: Present shares that it takes.
        shares: The new shares, told once; empty until then.
    """

    nonce: str
    given: int
    needed: int
    shares: tuple[str, ...]

    def __repr__(self) -> str:
        return f"<Rekeying {self.given} of {self.needed}>"
