"""What is told of quotas; the embedded store and the client have it in common."""

from typing import NamedTuple


class StorageAmounts(NamedTuple):
    """Numbers of what a user stores, or may.

    Attributes:
        secrets: Names.
        versions: Versions of all secrets together.
        objects: Tokens, policies, roles and what else access control keeps.
        bytes: Sealed values and objects.
    """

    secrets: int | None = None
    versions: int | None = None
    objects: int | None = None
    bytes: int | None = None


class QuotaInfo(NamedTuple):
    """What one user may store, and stores.

    Attributes:
        quota: What may be; 0 for no quota.
        own: What of that was set for this user; None where the configuration holds.
        used: What there is.
    """

    quota: StorageAmounts
    own: StorageAmounts
    used: StorageAmounts
