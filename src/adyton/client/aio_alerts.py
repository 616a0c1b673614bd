"""How unusual reads are looked for; what is found is among the notices, of kind ``anomaly``."""

import datetime as dt
from urllib.parse import quote

from adyton.alertvalues import (
    AlertSettings,
    MuteInfo,
    ScanReport,
    check_mute,
    check_sensitivity,
)
from adyton.client.aio_base import AsyncClientFace
from adyton.client.alertshapes import WireAlertSettings, WireMute, WireScan
from adyton.client.requests import of_user, read, write
from adyton.model import UserId, to_us


class AsyncAlerts:
    """Sensitivity, mutes, and looking at new records now."""

    def __init__(self, client: AsyncClientFace) -> None:
        self._client = client

    async def settings(self, user: UserId) -> AlertSettings:
        """How a user's reads are looked at, and what is known of them."""
        answer = await self._client._call(read(of_user(user, "alerts/settings")))
        return answer.parse(WireAlertSettings).public()

    async def set_sensitivity(self, user: UserId, sensitivity: str | None) -> None:
        """Look at a user's reads more or less closely, or with ``off`` not at all.

        Args:
            user: Whose reads.
            sensitivity: ``off``, ``low``, ``medium``, ``high``; None for what is configured.

        Raises:
            InvalidInput: It is none of them.
        """
        level = None if sensitivity is None else check_sensitivity(sensitivity)
        target = of_user(user, "alerts/sensitivity")
        await self._client._call(write(target, {"sensitivity": level}, method="PUT"))

    async def mute(
        self,
        user: UserId,
        *,
        rule: str = "",
        secret: str = "",
        actor: str = "",
        until: dt.datetime | None = None,
        note: str = "",
    ) -> MuteInfo:
        """Tell nothing of some reads from now on; they are learned all the same.

        Args:
            user: Whose reads.
            rule: Which rule, such as ``burst``; empty for all.
            secret: Name of a secret, or of a folder with its slash; empty for all.
            actor: Who reads, as notices name it; empty for all.
            until: When the mute ends, timezone-aware; None for never.
            note: Why.

        Raises:
            InvalidInput: Nothing is named, the rule is none, or the mute would have ended.
            LimitExceeded: There are too many.
        """
        check_mute(rule, secret, actor, note)
        if until is not None:
            to_us(until)  # it needs a timezone
        body = {"rule": rule, "secret": secret, "actor": actor, "until": until, "note": note}
        answer = await self._client._call(write(of_user(user, "alerts/mutes"), body))
        return answer.parse(WireMute).public()

    async def unmute(self, user: UserId, mute: str) -> None:
        """Tell again.

        Raises:
            SecretNotFound: There is no such mute.
        """
        target = of_user(user, "alerts/mutes", quote(mute, safe="") or "-")
        await self._client._call(write(target, method="DELETE"))

    async def scan(self, user: UserId) -> ScanReport:
        """Look at a user's new records now; a server does so by itself."""
        answer = await self._client._call(write(of_user(user, "alerts/scan"), patient=True))
        return answer.parse(WireScan).public()
