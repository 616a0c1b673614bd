"""Certificates that change on disk: they are looked at, read, checked, and then served."""

import asyncio
import datetime as dt
import hmac
import logging
from dataclasses import dataclass
from typing import Final

from adyton.config import TlsSettings
from adyton.errors import AdytonError
from adyton.server.certificates import Certificates, read, stamp, try_out
from adyton.server.front import Front

_log = logging.getLogger("adyton.server")
_REMIND_SECONDS: Final = 86_400.0


@dataclass(slots=True)
class TlsStatus:
    """The state of TLS, for metrics and health.

    Attributes:
        fingerprint: SHA-256 of the serving certificate.
        not_after: When it ends.
        reloads: How often other files were taken.
        failures: How often files were refused, so that the former ones stayed.
        error: Why the last ones were; empty if they were taken.
    """

    fingerprint: str
    not_after: dt.datetime
    reloads: int = 0
    failures: int = 0
    error: str = ""


class Renewal:
    """Watches the files of TLS for a server.

    Args:
        front: Serves by them.
        settings: Names them.
        current: What is served now.
        seen: Their stamp, taken before ``current`` was read.
    """

    def __init__(
        self, front: Front, settings: TlsSettings, current: Certificates, seen: tuple[object, ...]
    ) -> None:
        self._front = front
        self._settings = settings
        self._seen = seen
        self._digest = current.digest
        self.status = TlsStatus(current.fingerprint, current.not_after)
        self._asked = asyncio.Event()
        self._reminded = -_REMIND_SECONDS

    def expires(self) -> float:
        """When the serving certificate ends, in seconds since the epoch."""
        return self.status.not_after.timestamp()

    def reloads(self) -> tuple[int, int]:
        """How often other certificates were taken, and refused."""
        return self.status.reloads, self.status.failures

    def look_now(self) -> None:
        """Read the files again, whether they seem to have changed or not."""
        self._asked.set()

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            self._remind()
            asked = await self._wait()
            # On threads: the files may be on a file system that does not answer.
            now = await asyncio.to_thread(stamp, self._settings)
            if asked or now != self._seen:
                self._seen = now
                await self._take()

    async def _wait(self) -> bool:
        interval = self._settings.reload or _REMIND_SECONDS
        try:
            async with asyncio.timeout(interval):
                await self._asked.wait()
        except TimeoutError:
            return False
        self._asked.clear()
        return True

    async def _take(self) -> None:
        status = self.status
        try:
            found = await asyncio.to_thread(read, self._settings)
            if hmac.compare_digest(found.digest, self._digest):
                found.close()
                status.error = ""
                return
            try:
                now = dt.datetime.now(dt.UTC)
                if found.not_after <= now < status.not_after:
                    raise AdytonError("the new certificate has ended already")  # noqa: TRY301
                await asyncio.to_thread(try_out, found)
                await self._front.change(found)
            except BaseException:
                found.close()
                raise
        except Exception as error:  # noqa: BLE001 - whatever it is, what is served stays
            status.failures += 1
            status.error = error.message if isinstance(error, AdytonError) else "unexpected"
            _log.error("the former certificate stays: %s", status.error)
            return
        self._digest = found.digest
        status.fingerprint, status.not_after = found.fingerprint, found.not_after
        status.reloads += 1
        status.error = ""
        self._reminded = -_REMIND_SECONDS
        _log.warning(
            "serving by a new certificate, SHA-256 %s, until %s",
            found.fingerprint, f"{found.not_after:%Y-%m-%d %H:%M} UTC",
        )  # fmt: skip

    def _remind(self) -> None:
        """Warn of a certificate that ends, once a day."""
        left = self.status.not_after - dt.datetime.now(dt.UTC)
        now = asyncio.get_running_loop().time()
        if left <= dt.timedelta(days=self._settings.warn_days) and (
            now - self._reminded >= _REMIND_SECONDS
        ):
            self._reminded = now
            end = f"{self.status.not_after:%Y-%m-%d %H:%M} UTC"
            if left <= dt.timedelta():
                _log.error("the certificate ended at %s: clients refuse it", end)
            else:
                _log.warning("the certificate ends at %s", end)
