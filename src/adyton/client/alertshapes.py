"""Shapes of alerts in the native API (``docs/spec/native-api.md``, section 3)."""

import msgspec

from adyton.alertvalues import AlertSettings, MuteInfo, ScanReport, Sensitivity
from adyton.client.shapes import Time


class WireMute(msgspec.Struct):
    """What is not told of."""

    id: str
    rule: str
    secret: str
    actor: str
    until: Time | None
    note: str

    def __repr__(self) -> str:
        return "<WireMute>"

    def public(self) -> MuteInfo:
        """The public value."""
        return MuteInfo(*(getattr(self, name) for name in self.__struct_fields__))


class WireAlertSettings(msgspec.Struct):
    """How a user's reads are looked at."""

    sensitivity: Sensitivity
    own: bool
    secrets: int
    actors: int
    since: Time | None
    mutes: list[WireMute]

    def public(self) -> AlertSettings:
        """The public value."""
        return AlertSettings(
            self.sensitivity,
            self.own,
            self.secrets,
            self.actors,
            self.since,
            [mute.public() for mute in self.mutes],
        )


class WireScan(msgspec.Struct):
    """What a look at new records has done."""

    reads: int
    alerts: int

    def public(self) -> ScanReport:
        """The public value."""
        return ScanReport(self.reads, self.alerts)
