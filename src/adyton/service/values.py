"""What is to be stored, checked already."""

from typing import NamedTuple


class EngineDefaults(NamedTuple):
    """What a mount says of the secrets that are written through it; 0 where it says nothing.

    Attributes:
        max_versions: Versions to keep.
        delete_version_after: Seconds after which a version counts as deleted.
    """

    max_versions: int = 0
    delete_version_after: int = 0


class Item(NamedTuple):
    """One value to store, checked. None keeps what an existing secret has."""

    name: str
    value: "bytes | bytearray | memoryview"
    content_type: str
    tags: tuple[str, ...] | None = None
    attributes: dict[str, str] | None = None
    expires_us: int | None = None
    keep_expiry: bool = True
    max_versions: int | None = None
    cas: int | None = None
    engine: EngineDefaults | None = None
