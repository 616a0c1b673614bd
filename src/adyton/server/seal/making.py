"""``sys/init``: making a store over HTTP, as the clients of Vault ask for it."""

from typing import Any, NamedTuple

from adyton.crypto.shares import Share, ShareSet, check_numbers
from adyton.errors import InvalidInput
from adyton.ports import RootOfTrust
from adyton.roots import ShamirRoot, open_root
from adyton.roots.shamir import numbers_of
from adyton.server.tokens import make_root_token
from adyton.server.vault import fields
from adyton.wiring import Opened, Options, make_store, settle

SHARES = "shamir"


class InitRequest(NamedTuple):
    """What is asked for.

    Attributes:
        threshold: How many shares are to be needed; 0 where the root opens by itself.
        total: How many there are to be.
    """

    threshold: int
    total: int


class Made(NamedTuple):
    """A store that was made.

    Attributes:
        shares: The shares, which are nowhere else; none where the root opens by itself.
        known: What the store knows of them.
        root_token: A root token.
        opened: The open store, where the root opens by itself.
    """

    shares: list[Share]
    known: ShareSet | None
    root_token: str
    opened: Opened | None

    def __repr__(self) -> str:
        return "<Made>"

    def answer(self) -> dict[str, Any]:
        """The body of the answer; the shares are wiped."""
        body: dict[str, Any] = {
            "keys": [share.hex() for share in self.shares],
            "keys_base64": [share.base64() for share in self.shares],
            "root_token": self.root_token,
        }
        if self.known is None:
            body |= {"recovery_keys": [], "recovery_keys_base64": []}
        for share in self.shares:
            share.wipe()
        return body


def scheme_of(options: Options) -> str:
    """The kind of the configured root."""
    root = options.root
    return root.partition(":")[0] if isinstance(root, str) else root.kind


def read_request(body: dict[str, Any], options: Options) -> InitRequest:
    """Read what is asked for.

    Raises:
        InvalidInput: It makes no sense, or is not offered.
    """
    for name in ("pgp_keys", "recovery_pgp_keys", "root_token_pgp_key"):
        if body.get(name):
            raise InvalidInput(
                f"{name} is not supported: shares and tokens are not encrypted to PGP keys",
                hint="Leave it out, and hand the shares out over TLS.",
            )
    shares, threshold = (_number(body, f"secret_{name}") for name in ("shares", "threshold"))
    recovery = _number(body, "recovery_shares") or _number(body, "recovery_threshold")
    if scheme_of(options) != SHARES:
        if shares or threshold:
            raise InvalidInput(
                "parameters secret_shares,secret_threshold not applicable to seal type "
                + scheme_of(options),
                hint="The root opens by itself; leave them out.",
            )
        return InitRequest(0, 0)
    if recovery:
        raise InvalidInput(
            "parameters recovery_shares,recovery_threshold not applicable to seal type shamir"
        )
    if not shares and not threshold and isinstance(options.root, str):
        threshold, shares = numbers_of(options.root.partition(":")[2]) or (0, 0)
    check_numbers(threshold, shares)
    if _number(body, "stored_shares") not in {0, shares}:
        raise InvalidInput("stored_shares is not supported: nothing of a share is stored")
    return InitRequest(threshold, shares)


def make(options: Options, asked: InitRequest) -> Made:
    """Make a store and a root token.

    Raises:
        StoreExists: There is one already.
        AdytonError: The storage or the root fails.
    """
    if asked.total:
        root, shares = ShamirRoot.create(asked.threshold, asked.total)
        opened = make_store(options, root)
        try:
            return Made(shares, root.known, make_root_token(opened), None)
        finally:
            opened.close()
    by_itself: RootOfTrust = open_root(options.root, create=True, ask=options.ask)
    opened = make_store(options, by_itself)
    try:
        token = make_root_token(opened)
        settle(opened)
    except BaseException:
        opened.close()
        raise
    return Made([], None, token, opened)


def _number(body: dict[str, Any], name: str) -> int:
    value = body.get(name)
    return 0 if value is None or value == "" else fields.integer(value, name)
