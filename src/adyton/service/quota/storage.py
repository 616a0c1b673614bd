"""How much each user may store (``docs/spec/store.md``, section 6).

What a user stores is counted by the database itself, in the transaction that changes it, so that
the count is exact whatever is written at once and however a transaction ends. A write that would
pass a quota is undone in its group; one that stores no more than before is let through, so that a
user who is over a quota can delete, revoke and renew.
"""

from dataclasses import dataclass, fields
from typing import Final

from adyton.errors import ConfigurationError, QuotaExceeded
from adyton.rows import UsageRow

_SLACK_BYTES: Final = 64
"""How much larger a changed object may be that is no new one, such as a token that is renewed."""
_WORDS: Final = {
    "secrets": "secrets",
    "versions": "versions of secrets",
    "objects": "tokens, policies, roles and the like",
    "bytes": "bytes of values",
}


@dataclass(frozen=True, slots=True)
class Quotas:
    """What one user may store; 0 for no quota.

    Attributes:
        secrets: Names.
        versions: Versions of all secrets together.
        objects: Tokens, policies, roles, wrapped responses and what else access control keeps.
        bytes: Sealed values and objects.
    """

    secrets: int = 0
    versions: int = 0
    objects: int = 0
    bytes: int = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            if getattr(self, field.name) < 0:
                raise ConfigurationError(f"the quota of {field.name} is negative")

    @property
    def any(self) -> bool:
        """Whether there is one."""
        return bool(self.secrets or self.versions or self.objects or self.bytes)

    def check(self, old: UsageRow, new: UsageRow) -> None:
        """Let a write pass that keeps to the quotas, or stores no more than before.

        Raises:
            QuotaExceeded: It does neither.
        """
        counts_grow = any(new[at] > old[at] for at in range(3))
        for at, name in enumerate(UsageRow._fields):
            quota = getattr(self, name)
            if not quota or new[at] <= quota or new[at] <= old[at]:
                continue
            if name == "bytes" and not counts_grow and new.bytes - old.bytes <= _SLACK_BYTES:
                continue
            raise QuotaExceeded(
                f"the quota of {quota} {_WORDS[name]} would be passed",
                hint="Remove some, or ask the operator for a larger quota.",
            )
