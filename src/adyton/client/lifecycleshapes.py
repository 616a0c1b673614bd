"""Shapes of ends, retention and legal holds in the native API (``docs/spec/native-api.md``)."""

import msgspec

from adyton.client.shapes import Time
from adyton.lifecyclevalues import ExpiringInfo, HoldInfo, LifecycleReport, LifecycleRules


class WireHold(msgspec.Struct):
    """A legal hold."""

    id: str
    where: str
    reason: str
    created_at: Time
    created_by: str
    operator: bool

    def public(self) -> HoldInfo:
        """The public value."""
        return HoldInfo(*(getattr(self, name) for name in self.__struct_fields__))

    def __repr__(self) -> str:
        return "<WireHold>"


class WireLifecycle(msgspec.Struct):
    """What holds for a user."""

    retention: int
    own_retention: int | None
    notice: dict[str, list[int]]
    store_notice: list[int]

    def public(self) -> LifecycleRules:
        """The public value."""
        return LifecycleRules(
            self.retention,
            self.own_retention,
            {where: tuple(periods) for where, periods in self.notice.items()},
            tuple(self.store_notice),
        )

    def __repr__(self) -> str:
        return "<WireLifecycle>"


class WireExpiring(msgspec.Struct):
    """Something that ends, or has ended."""

    kind: str
    name: str
    expires_at: Time
    expired: bool
    notice_at: Time | None
    detail: str = ""

    def public(self) -> ExpiringInfo:
        """The public value."""
        return ExpiringInfo(*(getattr(self, name) for name in self.__struct_fields__))

    def __repr__(self) -> str:
        return "<WireExpiring>"


class WireLifecycleReport(msgspec.Struct):
    """What a pass over all that is due has done."""

    noticed: int
    destroyed: int
    erased: int
    held: int
    failed: int

    def public(self) -> LifecycleReport:
        """The public value."""
        return LifecycleReport(*(getattr(self, name) for name in self.__struct_fields__))
