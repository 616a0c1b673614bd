"""How unusual reads are looked for; what is found is among the notices, of kind ``anomaly``."""

import datetime as dt

from adyton.alertvalues import AlertSettings, MuteInfo, ScanReport
from adyton.library.aio_base import AsyncFace
from adyton.model import UserId, to_us
from adyton.service.anomalies.alerts import Alerts as AlertService


class AsyncAlerts:
    """Sensitivity, mutes, and looking at new records now."""

    def __init__(self, store: AsyncFace) -> None:
        self._store = store

    @property
    def _alerts(self) -> AlertService:
        return AlertService(self._store._opened.core)

    async def settings(self, user: UserId) -> AlertSettings:
        """How a user's reads are looked at, and what is known of them."""
        store = self._store
        return await store._run(self._alerts.settings(store._caller, user))

    async def set_sensitivity(self, user: UserId, sensitivity: str | None) -> None:
        """Look at a user's reads more or less closely, or with ``off`` not at all.

        Args:
            user: Whose reads.
            sensitivity: ``off``, ``low``, ``medium``, ``high``; None for what is configured.

        Raises:
            InvalidInput: It is none of them.
        """
        store = self._store
        await store._run(self._alerts.set_sensitivity(store._caller, user, sensitivity))

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
        store = self._store
        until_us = 0 if until is None else to_us(until)
        return await store._run(
            self._alerts.mute(
                store._caller, user, rule=rule, secret=secret, actor=actor, until_us=until_us,
                note=note,
            )
        )  # fmt: skip

    async def unmute(self, user: UserId, mute: str) -> None:
        """Tell again.

        Raises:
            SecretNotFound: There is no such mute.
        """
        store = self._store
        await store._run(self._alerts.unmute(store._caller, user, mute))

    async def scan(self, user: UserId) -> ScanReport:
        """Look at a user's new records now; a server does so by itself."""
        store = self._store
        return await store._run(self._alerts.scan(store._caller, user))
