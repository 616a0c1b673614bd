"""Quotas of one user that differ from those of the configuration (``docs/spec/store.md``)."""

from typing import Final

import msgspec

from adyton.ports import Rows
from adyton.service.objects import Shelf
from adyton.service.quota.storage import Quotas
from adyton.service.userkeys import UserKeys

OWN_QUOTAS_SETTING: Final = "own-quotas"
"""Setting of a store: not empty once a user was given quotas, so that what is stored is counted."""
OWN: Final = "own"


class OwnQuotas(msgspec.Struct, omit_defaults=True):
    """What one user may store; 0 for no quota, None for that of the configuration."""

    secrets: int | None = None
    versions: int | None = None
    objects: int | None = None
    bytes: int | None = None

    @property
    def any(self) -> bool:
        """Whether one differs from the configuration."""
        return self != OwnQuotas()

    def over(self, default: Quotas) -> Quotas:
        """These, and those of the configuration where there is none."""
        return Quotas(
            *(
                getattr(default, name) if number is None else number
                for name, number in msgspec.structs.asdict(self).items()
            )
        )


OWN_QUOTAS: Final = Shelf("storage-quota", OwnQuotas)


class OwnQuotasInUse:
    """Whether a user of the open store has quotas of its own; shared by all who write.

    Attributes:
        any: Whether one has.
    """

    __slots__ = ("any",)

    def __init__(self, *, any_: bool = False) -> None:
        self.any = any_


async def quotas_of(rows: Rows, keys: UserKeys, default: Quotas) -> Quotas:
    """A user's quotas.

    Raises:
        IntegrityError: What is stored of them was changed.
    """
    own = await OWN_QUOTAS.get(rows, keys, OWN)
    return default if own is None else own.over(default)
