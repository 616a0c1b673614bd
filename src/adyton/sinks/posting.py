"""A sink that posts audit records to an address of the operator's, signed.

It is a folder (``_folder``) with the files ``url``, where to, and ``secret``, the ``whsec_...``
that signs, which nobody else may read. Messages are those of webhooks (``docs/spec/notices.md``,
section 6).
"""

import datetime as dt
import errno
import time
from collections.abc import Sequence

import msgspec

from adyton.crypto.webhooks import secret_key, signature
from adyton.errors import AdytonError
from adyton.ports import SinkEvent
from adyton.sinks._folder import FolderSink


class PostingSink(FolderSink):
    """Posts records in batches (``ports.Sink``)."""

    def _send(self, events: Sequence[SinkEvent]) -> None:
        from adyton.sinks._http import post  # noqa: PLC0415 - few stores post anything

        ident = f"log_{events[0].leaf}_{events[-1].leaf}"
        now = int(time.time())
        body = msgspec.json.encode(
            {
                "type": "audit.records",
                "timestamp": dt.datetime.fromtimestamp(now, dt.UTC),
                "data": {"records": [msgspec.Raw(event.line.encode()) for event in events]},
            }
        )
        url = self._read("url")
        try:
            key = secret_key(self._private("secret"))
        except AdytonError as error:
            raise OSError(errno.EINVAL, error.message) from None
        headers = {
            "content-type": "application/json",
            "webhook-id": ident,
            "webhook-timestamp": str(now),
            "webhook-signature": signature([key], ident, now, body),
        }
        post(url, headers, body, self._file("ca.pem"))
