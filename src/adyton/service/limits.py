"""Every limit and interval of a store, with its unit, in one place."""

from dataclasses import dataclass, field
from typing import Final

from adyton.errors import ConfigurationError
from adyton.service.lifecycle.options import LifecycleOptions
from adyton.service.quota.storage import Quotas

DAY_US: Final = 86_400 * 1_000_000


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits and intervals; defaults are those of DESIGN sections 3 and 4.

    Attributes:
        max_value_bytes: Largest value, in bytes.
        max_batch: Most secrets in one batch call (imports have limits of their own).
        user_key_days: Age at which a user key is rotated, in days.
        user_key_wraps: Number of wraps at which a user key is rotated; at most 2^31.
        master_key_days: Age at which the master key is due for rotation, in days.
        cached_users: Users whose keys stay open in memory.
        quotas: What each user may store.
        lifecycle: When there are notices of what ends, and how long what is deleted is kept.
        user_root_seconds: Longest time that a user's own root is given for, in seconds.
    """

    max_value_bytes: int = 1024 * 1024
    max_batch: int = 100_000
    user_key_days: float = 30.0
    user_key_wraps: int = 2**31
    master_key_days: float = 365.0
    cached_users: int = 10_000
    quotas: Quotas = field(default_factory=Quotas)
    lifecycle: LifecycleOptions = field(default_factory=LifecycleOptions)
    user_root_seconds: int = 30 * 86_400

    def __post_init__(self) -> None:
        if not 1 <= self.user_key_wraps <= 2**31:
            raise ConfigurationError(
                f"user_key_wraps is {self.user_key_wraps}, not between 1 and 2^31",
                hint="SP 800-38D bounds how often one key may be used.",
            )
        for name in ("max_value_bytes", "max_batch", "cached_users", "user_root_seconds"):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"{name} is not positive")
        for name in ("user_key_days", "master_key_days"):
            if getattr(self, name) <= 0:
                raise ConfigurationError(f"{name} is not positive")
