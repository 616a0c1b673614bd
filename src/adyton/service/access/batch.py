"""Batch tokens: all that is known of one is sealed in its text (``docs/spec/tokens.md``).

Nothing is stored of one. It can't be renewed or revoked by itself, holds no cubbyhole and makes
no tokens. It ends at its time, with the token that made it unless it is an orphan, with the
login method that it came from, and with its namespace's metadata key: by a deep re-encryption.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from adyton.errors import IntegrityError, InvalidInput
from adyton.ports import Rows
from adyton.service.access.policy import ROOT_NAME
from adyton.service.access.records import TOKENS, Mount, MountTable, Token
from adyton.service.access.tokentext import BatchText, batch_text, token_id
from adyton.service.userkeys import UserKeys

BATCH: Final = "batch"
SERVICE: Final = "service"
DEFAULT: Final = "default"
_NEVER: Final = 1
"""An end that is always past."""
_FORMAT: Final = 1
_NAME_DIGITS: Final = 32


class BatchToken(Token):
    """A batch token, which is never stored.

    Its ``accessor`` is what records call it: a part of its id, which gives no right and finds
    nothing. No answer shows it.

    Attributes:
        mount: Accessor of the login method that it came from, or empty.
    """

    mount: str = ""

    def __repr__(self) -> str:
        return "<BatchToken>"


class _Body(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """What is sealed, in the order of the specification."""

    format: int
    parent: bytes
    policies: list[str]
    path: str
    display_name: str
    meta: dict[str, str] | None
    created_us: int
    seconds: int
    role: str
    cidrs: list[str]
    method: str
    mount: str
    entity: str


_encode = msgspec.msgpack.Encoder(order="deterministic").encode
_decode = msgspec.msgpack.Decoder(_Body).decode


def as_batch(token: Token, mount: str = "") -> BatchToken:
    """The same token as a batch token. The times that bound it have been worked into its TTL.

    Args:
        token: A token that is to be made.
        mount: Accessor of the login method that it comes from, or empty.

    Raises:
        InvalidInput: It is a root token, or has counted uses.
    """
    if ROOT_NAME in token.policies:
        raise InvalidInput("batch tokens cannot be root tokens")
    if token.num_uses:
        raise unbounded("num_uses")
    return BatchToken(
        "", parent=token.parent, policies=token.policies, path=token.path,
        display_name=token.display_name, meta=token.meta, creation_ttl=token.creation_ttl,
        renewable=False, role=token.role, cidrs=token.cidrs, method=token.method,
        entity=token.entity, mount=mount,
    )  # fmt: skip


def unbounded(name: str) -> InvalidInput:
    """The refusal of a bound that no batch token can have."""
    return InvalidInput(f'batch tokens cannot have "{name}" set')


def seal(keys: UserKeys, token: BatchToken) -> str:
    """A batch token's text; its name in records is set.

    Raises:
        InvalidInput: It would be too long for a header.
    """
    body = _Body(
        _FORMAT, bytes.fromhex(token.parent), token.policies, token.path, token.display_name,
        token.meta, token.created_us, token.creation_ttl, token.role, token.cidrs, token.method,
        token.mount, token.entity,
    )  # fmt: skip
    text = batch_text(keys.user, keys.meta_current, keys.seal_token(_encode(body)))
    if text is None:
        raise InvalidInput(
            "a batch token holds its policies and metadata, and these are too long",
            hint="Give it fewer or shorter ones, or make a token of type service.",
        )
    token.accessor = _name(text)
    return text


def open_text(keys: UserKeys, text: str, parts: BatchText) -> BatchToken | None:
    """What a text holds; None for one that this namespace did not seal.

    Args:
        keys: Keys of the namespace that the text names.
        text: The whole text.
        parts: The text, taken apart.
    """
    if parts.user_index != keys.user:
        return None
    try:
        body = _decode(keys.open_token(parts.key_version, parts.box))
    except (IntegrityError, msgspec.MsgspecError):
        return None
    if body.format != _FORMAT or ROOT_NAME in body.policies:
        return None
    return BatchToken(
        _name(text), parent=body.parent.hex(), policies=body.policies, path=body.path,
        display_name=body.display_name, meta=body.meta, created_us=body.created_us,
        creation_ttl=body.seconds, renewable=False,
        expires_us=body.created_us + body.seconds * 1_000_000, role=body.role, cidrs=body.cidrs,
        method=body.method, entity=body.entity, mount=body.mount,
    )  # fmt: skip


def _unknown(_: str) -> int | None:
    return None


def _name(text: str) -> str:
    """What records call a batch token, from its making on."""
    return f"{BATCH}-{token_id(text)[:_NAME_DIGITS]}"


async def end_of(
    rows: Rows, keys: UserKeys, token: Token, known: Callable[[str], int | None] = _unknown
) -> int:
    """When a token ends, or one that it comes from, whose children end with it; 0 for never.

    Those are removed a while after their parent's time is over (``tidy.py``). A batch token is
    not: it has ended once its parent is not there.

    Args:
        rows: The store.
        keys: Keys of the token's namespace.
        token: The token.
        known: Tells when a token ends that is known to be there, by its id.
    """
    ends = [token.expires_us]
    at = token
    while at.parent:
        end = known(at.parent)
        if end is not None:
            ends.append(end)
            break
        found = await TOKENS.get(rows, keys, at.parent)
        if found is None:
            if isinstance(at, BatchToken):
                return _NEVER
            break
        at = found
        ends.append(at.expires_us)
    return min(filter(None, ends), default=0)


def has_mount(token: BatchToken, table: MountTable) -> bool:
    """Whether the login method that a token came from is where it was."""
    return not token.mount or any(
        mount.accessor == token.mount and token.path.startswith(f"auth/{mount.path}")
        for mount in table.logins
    )


def refuse(token: Token, what: str) -> None:
    """Refuse what is not done to batch tokens.

    Raises:
        InvalidInput: The token is one.
    """
    if isinstance(token, BatchToken):
        raise InvalidInput(f"batch tokens cannot {what}")


def kind_of(token: Token) -> str:
    """A token's kind, as answers name it."""
    return BATCH if isinstance(token, BatchToken) else SERVICE


def kind_of_login(asked: str, mount: Mount) -> str:
    """The kind of token that a login gives.

    Args:
        asked: What the role or user says, or ``default``.
        mount: The login method, whose tuning may leave no choice.
    """
    tuned = str(mount.config.get("token_type", "default-service"))
    if tuned in {BATCH, SERVICE}:
        return tuned
    asked = asked.removeprefix("default-")
    return asked if asked in {BATCH, SERVICE} else tuned.removeprefix("default-")


def kind_of_request(asked: str, role_type: str | None) -> str:
    """The kind of token that is made from another.

    Args:
        asked: What the request says, or empty.
        role_type: What the token role says; None without one.

    Raises:
        InvalidInput: There is no such kind.
    """
    if role_type in {BATCH, SERVICE}:
        return str(role_type)
    if asked not in {"", BATCH, SERVICE}:
        raise InvalidInput("invalid 'token_type' value")
    return asked or (BATCH if role_type == "default-batch" else SERVICE)
