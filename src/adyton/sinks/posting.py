"""A sink that posts audit records to an address of the operator's, signed.

It is a folder with three files: ``url``, where to; ``secret``, the ``whsec_...`` that signs, which
nobody else may read; ``position``, kept here: the leaf of the next record. A file ``only`` with the
word ``notices`` leaves all other records out; certificates in ``ca.pem`` are trusted instead of the
system's. Messages are those of webhooks (``docs/spec/notices.md``, section 6).
"""

import datetime as dt
import errno
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from adyton import durable
from adyton.crypto.webhooks import secret_key, signature
from adyton.errors import AdytonError
from adyton.outbound import checked_address, tls_context, why_unreachable
from adyton.ports import SinkEvent

_MOST: Final = 500
_BYTES: Final = 512 * 1024
_SECONDS: Final = 5.0
_MARK: Final = '"notice":'


class PostingSink:
    """Posts records in batches (``ports.Sink``).

    Nothing is read before the first use, so what is missing is an ``OSError`` of :meth:`position`
    and :meth:`write`, and may be mended while the process runs.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = Path(folder).absolute()
        self._next = -1

    def position(self) -> int:
        """The leaf index of the next record that was not taken.

        Raises:
            OSError: The folder can't be read.
        """
        if self._next < 0:
            try:
                text = (self._folder / "position").read_text("ascii").strip()
            except FileNotFoundError:
                text = "0"
                self._read("url")  # a folder that is none does not look like a new one
            # A damaged position costs records that are sent twice, which is allowed.
            self._next = int(text) if text.isdigit() and len(text) < 20 else 0
        return self._next

    def write(self, events: Sequence[SinkEvent]) -> None:
        """Post records; those that were taken already are left out.

        Raises:
            OSError: It can't be reached now, or does not take them.
        """
        at = self.position()
        new = [event for event in events if event.leaf >= at]
        for batch in _batches(new):
            wanted = batch
            if self._read("only", "records") == "notices":
                wanted = [event for event in batch if _MARK in event.line]
            if wanted:
                self._post(wanted)
            self._next = batch[-1].leaf + 1
            durable.replace(self._folder / "position", b"%d\n" % self._next)

    def close(self) -> None:
        """Nothing is held."""

    def __repr__(self) -> str:
        return "<PostingSink>"

    def _read(self, name: str, default: str | None = None) -> str:
        try:
            return (self._folder / name).read_text("utf-8").strip()
        except FileNotFoundError:
            if default is None:
                raise
            return default
        except UnicodeError:
            raise OSError(errno.EINVAL, f"the file {name} of a sink is not text") from None

    def _secret(self) -> str:
        try:
            fd, size = durable.open_private(self._folder / "secret")
        except durable.UnsafeFile as error:
            raise OSError(error.errno, f"its secret {error.strerror}") from None
        try:
            return os.read(fd, size).decode("ascii", "replace").strip()
        finally:
            os.close(fd)

    def _post(self, events: Sequence[SinkEvent]) -> None:
        import httpx  # noqa: PLC0415 - few stores post anything

        ident = f"log_{events[0].leaf}_{events[-1].leaf}"
        now = int(time.time())
        body = msgspec.json.encode(
            {
                "type": "audit.records",
                "timestamp": dt.datetime.fromtimestamp(now, dt.UTC),
                "data": {"records": [msgspec.Raw(event.line.encode()) for event in events]},
            }
        )
        try:
            url = checked_address(self._read("url"))
            key = secret_key(self._secret())
            ca = self._folder / "ca.pem"
            headers = {
                "content-type": "application/json",
                "user-agent": "Adyton",
                "webhook-id": ident,
                "webhook-timestamp": str(now),
                "webhook-signature": signature([key], ident, now, body),
            }
            verify = tls_context(str(ca) if ca.exists() else None)
            with (
                httpx.Client(verify=verify, timeout=_SECONDS, trust_env=False) as client,
                client.stream("POST", url, headers=headers, content=body) as answer,
            ):
                status = answer.status_code
        except AdytonError as error:
            raise OSError(errno.EINVAL, error.message) from None
        except httpx.HTTPError as error:
            why = why_unreachable(error) or "it can't be reached, or breaks off"
            raise OSError(errno.EIO, why) from None
        if not 200 <= status < 300:
            raise OSError(errno.EIO, f"it answers with status {status}")


def _batches(events: Sequence[SinkEvent]) -> Iterator[list[SinkEvent]]:
    batch: list[SinkEvent] = []
    size = 0
    for event in events:
        if batch and (len(batch) >= _MOST or size + len(event.line) > _BYTES):
            yield batch
            batch, size = [], 0
        batch.append(event)
        size += len(event.line)
    if batch:
        yield batch
