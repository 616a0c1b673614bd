"""Sealing audit records and appending them to the tree (``docs/spec/audit.md``)."""

from collections.abc import Sequence
from hashlib import sha256
from hmac import compare_digest
from os import urandom
from struct import Struct as Packing
from typing import Final

import msgspec

from adyton.actions import Action
from adyton.crypto import context as ctx
from adyton.crypto.aead import NONCE_BYTES
from adyton.errors import (
    AccessDenied,
    AdytonError,
    ImportConflict,
    IntegrityError,
    InvalidDocument,
    InvalidInput,
    LegalHold,
    LimitExceeded,
    RequestPending,
    SecretNotFound,
    UserNotFound,
    UserRootAway,
    VersionConflict,
)
from adyton.model import AuditEntry, Caller, from_us
from adyton.rows import EntryRow
from adyton.service.userkeys import EPOCH_BITS, UserKeys

RECORD_V1: Final = 0x01
RECORD_V2: Final = 0x02
"""Written today; format 1 is read as well."""
_READABLE: Final = (RECORD_V1, RECORD_V2)
SALT_BYTES: Final = 16
COMMIT_LABEL: Final = b"adyton.audit-commit.v1\x00"
HEADER_BYTES: Final = 53
"""Format (1), user index (16), epoch (4), commitment (32)."""
SEALED_AT: Final = HEADER_BYTES + NONCE_BYTES
_RANDOM_BYTES: Final = SALT_BYTES + NONCE_BYTES
MAX_RECORD_BYTES: Final = 65_535
"""The limit of one entry of a tlog-tiles bundle."""

_header: Final = Packing(">B16sI32s")
_u64: Final = Packing(">Q").pack


NOBODY: Final = Caller("(no identity)")
"""Stands in the record of an attempt that came without an identity."""


OK: Final = "ok"
_OUTCOMES: Final[tuple[tuple[type[AdytonError], str], ...]] = (
    (InvalidInput, "invalid"),
    (VersionConflict, "conflict"),
    (ImportConflict, "conflict"),
    (RequestPending, "conflict"),
    (LegalHold, "conflict"),
    (SecretNotFound, "absent"),
    (UserNotFound, "absent"),
    (AccessDenied, "denied"),
    (UserRootAway, "denied"),
    (LimitExceeded, "limited"),
)


def outcome_of(error: BaseException) -> str:
    """The class of the answer that an error becomes (``docs/spec/audit.md``, section 2)."""
    return next((outcome for kind, outcome in _OUTCOMES if isinstance(error, kind)), "failed")


class Body(msgspec.Struct, array_like=True, frozen=True):
    """What a record says; MessagePack, sealed. The order of fields is the format.

    Those with a default came with format 2.
    """

    time_us: int
    actor: str
    user: str
    name: str
    version: int
    action: str
    success: bool
    reason: str
    request_id: str
    address: str
    name_index: bytes
    digest: bytes
    method: str = ""
    accessor: str = ""
    decision: str = ""
    outcome: str = ""


class Draft:
    """A record before it has a place in the log.

    Attributes:
        keys: The user's keys, or None for a record of the store itself.
        owner: The keys for a record that it was not done, where there are no ``keys``.
        nameless: Whether a record that it was not done tells no name: it goes into the store's own
            log, which operators read, as the user's own root is away.
        touch: Keyed index of the name whose time of access this record sets, or empty.
        name_index: Keyed index of the name whose state this record changes, or empty.
        digest: SHA-256 of the secret's metadata after the change; empty when it is gone.
        outcome: The class of the answer.
    """

    __slots__ = (
        "action",
        "caller",
        "digest",
        "keys",
        "name",
        "name_index",
        "nameless",
        "outcome",
        "owner",
        "reason",
        "success",
        "touch",
        "user_id",
        "version",
    )

    def __init__(
        self,
        caller: Caller | None,
        action: Action,
        keys: UserKeys | None = None,
        user_id: str = "",
        name: str = "",
        version: int = 0,
        *,
        success: bool = True,
        reason: str = "",
        touch: bytes = b"",
        name_index: bytes = b"",
        digest: bytes = b"",
    ) -> None:
        self.caller = caller or NOBODY
        self.action = action
        self.keys = keys
        self.user_id = user_id
        self.name = name
        self.version = version
        self.success = success
        self.reason = reason
        self.touch = touch
        self.name_index = name_index
        self.digest = digest
        self.outcome = OK
        self.owner: UserKeys | None = None
        self.nameless = False

    def failed(self, reason: str, outcome: str) -> "Draft":
        """The same draft, saying that it was not done."""
        draft = Draft(
            self.caller,
            self.action,
            self.keys or self.owner,
            self.user_id,
            "" if self.nameless else self.name,
            self.version,
            success=False,
            reason=reason,
        )
        draft.outcome = outcome
        return draft

    def refused(self, error: BaseException) -> "Draft":
        """The same draft, saying which error it has become."""
        draft = self.failed(type(error).__name__, outcome_of(error))
        if isinstance(error, UserRootAway):
            draft.name = ""  # it goes into the store's own log, which operators read
        return draft


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Body).decode


class Journal:
    """Seals records of one log and opens them again.

    Args:
        store_id: The store's id.
        log: The log's id inside the store.
        system: The keys of the store's own records.
    """

    def __init__(self, store_id: bytes, log: int, system: UserKeys) -> None:
        self.log = log
        self._system = system
        self._prefix = ctx.encode(ctx.LABEL_AUDIT_RECORD, store_id, _u64(log)) + ctx.LEN8
        self._header_length = HEADER_BYTES.to_bytes(4, "big")

    def seal(self, drafts: Sequence[Draft], leaf: int, time_us: int) -> list[EntryRow]:
        """Seal drafts as the records of consecutive leaves, the first of which is given."""
        # Every operation passes here: one pass, and no calls that can be spared.
        rows = []
        random = urandom(_RANDOM_BYTES * len(drafts))
        at = 0
        for draft in drafts:
            caller = draft.caller
            keys = draft.keys or self._system
            salt = random[at : at + SALT_BYTES]
            nonce = random[at + SALT_BYTES : at + _RANDOM_BYTES]
            content = salt + _encode(_fields(draft, caller, time_us))
            epoch = leaf >> EPOCH_BITS
            commitment = sha256(COMMIT_LABEL + content).digest()
            header = _header.pack(RECORD_V2, keys.user, epoch, commitment)
            context = self._prefix + _u64(leaf) + self._header_length + header
            sealed = keys.audit.epoch(epoch).seal_parts(nonce, content, context)
            rows.append(EntryRow(leaf, keys.user, header + nonce + sealed))
            at += _RANDOM_BYTES
            leaf += 1
        return rows

    def open(self, keys: UserKeys, leaf: int, record: bytes) -> tuple[Body, bytes]:
        """Open a record of a user (or of the store, with its own keys).

        Returns:
            The body, and the 16-byte salt of its commitment followed by the body's exact bytes.

        Raises:
            IntegrityError: It was changed, moved, or is another user's.
        """
        # Verification spends most of its time here: one pass, and no calls that can be spared.
        header = record[:HEADER_BYTES]
        known = len(record) >= SEALED_AT and record[0] in _READABLE
        if not known or header[1:17] != keys.user:
            raise IntegrityError("an audit record is not in the place it was written to")
        context = self._prefix + _u64(leaf) + self._header_length + header
        plain = keys.audit.open_parts(
            leaf >> EPOCH_BITS, record[HEADER_BYTES:SEALED_AT], record[SEALED_AT:], context
        )
        if not compare_digest(sha256(COMMIT_LABEL + plain).digest(), header[21:]):
            raise IntegrityError("an audit record's commitment is not that of its content")
        try:
            return _decode(plain[SALT_BYTES:]), plain
        except msgspec.MsgspecError:
            raise IntegrityError("an audit record's content does not parse") from None


def _fields(draft: Draft, caller: Caller, time_us: int) -> tuple[object, ...]:
    """The fields of :class:`Body`, which a tuple is encoded like, at a fraction of the time."""
    return (
        time_us,
        caller.actor,
        draft.user_id,
        draft.name,
        draft.version,
        draft.action.value,
        draft.success,
        draft.reason,
        caller.request_id,
        caller.address,
        draft.name_index,
        draft.digest,
        caller.method,
        caller.accessor,
        caller.decision,
        draft.outcome,
    )


def decode_body(body: bytes, leaf: int) -> AuditEntry:
    """A record's committed body, as a proof brings it, as the public value.

    Raises:
        InvalidDocument: It does not parse.
    """
    try:
        return to_entry(leaf, _decode(body))
    except (msgspec.MsgspecError, OverflowError, ValueError):
        raise InvalidDocument("the record in the proof does not parse") from None


def to_entry(leaf: int, body: Body) -> AuditEntry:
    """An opened record as the public value."""
    return AuditEntry(
        leaf,
        from_us(body.time_us),
        body.actor,
        body.user,
        body.name,
        body.version,
        body.action,
        body.success,
        body.reason,
        body.request_id,
        body.address,
        body.method,
        body.accessor,
        body.decision,
        body.outcome,
    )
