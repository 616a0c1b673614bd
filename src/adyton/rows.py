"""What storage keeps, one tuple per row: ciphertext, keyed indexes, counters and times.

Nothing here is a name, a value or a key in the clear (``docs/spec/store.md``).
"""

from typing import NamedTuple


class MasterKeyRow(NamedTuple):
    """One version of the master key, wrapped by the root in one slot."""

    version: int
    slot: int
    root: str
    wrapped: bytes
    created_us: int
    retired: bool

    @property
    def kind(self) -> str:
        """The kind of root that wrapped it."""
        return self.root


class StoreKeyRow(NamedTuple):
    """A key of the store itself (user index, system audit, log signing), wrapped by the master."""

    purpose: str
    master_version: int
    wrapped: bytes


class UserRow(NamedTuple):
    """A namespace: the keyed index of the user id, and the id sealed under the user's own key."""

    user: bytes
    id_box: bytes
    created_us: int


class UserKeyRow(NamedTuple):
    """One version of a user key, wrapped by a version of the master key."""

    user: bytes
    version: int
    master_version: int
    wrapped: bytes
    created_us: int
    wraps: int
    retired: bool


class SubkeyRow(NamedTuple):
    """A user's index, metadata or audit key, wrapped by a version of the user key."""

    user: bytes
    purpose: int
    version: int
    key_version: int
    wrapped: bytes


class SecretRow(NamedTuple):
    """A secret with its current version; ``wrapped_key`` and ``value`` are None once destroyed."""

    name: bytes
    current: int
    meta_version: int
    meta: bytes
    accessed_us: int | None
    key_version: int
    wrapped_key: bytes | None
    value: bytes | None


class MetaRow(NamedTuple):
    """A secret's sealed metadata alone."""

    name: bytes
    current: int
    meta_version: int
    meta: bytes
    accessed_us: int | None


class VersionRow(NamedTuple):
    """An older version of a secret."""

    name: bytes
    version: int
    key_version: int
    wrapped_key: bytes
    value: bytes


class WrapRow(NamedTuple):
    """What re-wrapping needs of a version, current or older, and nothing else."""

    name: bytes
    version: int
    key_version: int
    wrapped_key: bytes


class ObjectRow(NamedTuple):
    """A sealed object of a namespace: keyed indexes of its kind and id, and its box."""

    bucket: bytes
    ident: bytes
    meta_version: int
    box: bytes


class EntryRow(NamedTuple):
    """A leaf of the audit log."""

    leaf: int
    user: bytes
    record: bytes


class CheckpointRow(NamedTuple):
    """A signed checkpoint of the audit log."""

    size: int
    created_us: int
    note: bytes


class UsageRow(NamedTuple):
    """What a user stores: numbers of rows, and bytes of sealed values and objects."""

    secrets: int
    versions: int
    objects: int
    bytes: int
