"""Posting to an address of the operator's."""

import errno
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Final, NamedTuple

import httpx

from adyton.errors import AdytonError
from adyton.outbound import checked_address, tls_context, why_unreachable
from adyton.sinks._folder import SECONDS

_MOST: Final = 64 * 1024


class Taken(NamedTuple):
    """An answer that told that a message was taken.

    Attributes:
        body: The beginning of it.
        whole: Whether that is all; else it was too long or too slow, or broke off.
        kind: Its ``content-type`` without parameters.
    """

    body: bytes
    whole: bool
    kind: str


def post(url: str, headers: Mapping[str, str], body: bytes, ca_file: str | None) -> Taken:
    """Post a message, without redirects and proxies.

    Args:
        url: Where to: https, or http on this machine.
        headers: Besides ``user-agent``.
        body: The message.
        ca_file: Certificates to trust instead of the system's, PEM.

    The status alone tells whether it was taken: nothing that comes after it changes that.

    Raises:
        OSError: It can't be reached now, or does not take the message.
    """
    found = b""
    end = time.monotonic() + SECONDS
    try:
        with (
            httpx.Client(verify=tls_context(ca_file), timeout=SECONDS, trust_env=False) as client,
            client.stream(
                "POST", checked_address(url), headers={"user-agent": "Adyton", **headers},
                content=body,
            ) as answer,
        ):  # fmt: skip
            status = answer.status_code
            kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
            whole = False
            with suppress(httpx.HTTPError):
                for part in answer.iter_bytes():
                    found += part
                    if len(found) > _MOST or time.monotonic() > end:
                        break
                else:
                    whole = True
    except AdytonError as error:
        raise OSError(errno.EINVAL, error.message) from None
    except httpx.HTTPError as error:
        why = why_unreachable(error) or "it can't be reached, or breaks off"
        raise OSError(errno.EIO, why) from None
    if not 200 <= status < 300:
        raise OSError(errno.EIO, f"it answers with status {status}")
    return Taken(found, whole, kind)
