"""What is told of a server's state, sealed or open, in the shapes of Vault's API."""

import datetime as dt
import re
import uuid
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from adyton import __version__
from adyton.errors import InvalidInput
from adyton.server.http import Response
from adyton.server.vault.reply import encode
from adyton.service.core import Core

_CODES: Final = {"activecode": 200, "standbycode": 429, "sealedcode": 503, "uninitcode": 501}
_BOOLEANS: Final = frozenset(
    ("", "1", "t", "T", "true", "True", "TRUE", "0", "f", "F", "false", "False", "FALSE")
)
_NUMBER: Final = re.compile(r"-?[0-9]{1,18}", re.ASCII)
_NO_BODY: Final = frozenset({204, 304})


class SealStatus(NamedTuple):
    """The state of a server.

    Attributes:
        kind: The kind of root.
        initialised: Whether there is a store.
        sealed: Whether its keys are away.
        threshold: How many shares are needed; 0 where none are.
        total: How many there are.
        progress: How many have been entered.
        nonce: Names the attempt to unseal that is under way; empty if there is none.
        store_id: The store's id, while it is open.
        waiting: Whether the root is asked again and again, until it opens the store.
    """

    kind: str
    initialised: bool
    sealed: bool
    threshold: int = 0
    total: int = 0
    progress: int = 0
    nonce: str = ""
    store_id: bytes = b""
    waiting: bool = False

    @property
    def cluster(self) -> dict[str, str]:
        """Name and id of what Vault calls the cluster, where they are known."""
        if not self.store_id:
            return {}
        return {"cluster_name": "adyton", "cluster_id": str(uuid.UUID(bytes=self.store_id))}


def status_of_open(core: Core) -> SealStatus:
    """The state of a server whose store is open."""
    root = core.root
    known = root.describe()
    threshold, total = int(known.get("threshold", "0")), int(known.get("shares", "0"))
    return SealStatus(
        root.kind,
        initialised=True,
        sealed=False,
        threshold=threshold,
        total=total,
        store_id=core.ring.store_id,
    )


def health_code(status: SealStatus, query: Mapping[str, str]) -> int:
    """The status code that tells the health; each can be replaced in the query.

    Parameters that are not known are ignored, as are codes that are no final status of HTTP.

    Raises:
        InvalidInput: A parameter is not what it has to be.
    """
    codes = {name: _code(query, name, default) for name, default in _CODES.items()}
    if query.get("standbyok", "") not in _BOOLEANS:
        raise InvalidInput("standbyok is not a boolean", hint="Write true or false.")
    if not status.initialised:
        return codes["uninitcode"]
    return codes["sealedcode"] if status.sealed else codes["activecode"]


def health_answer(status: SealStatus, query: Mapping[str, str]) -> Response:
    """The answer of ``sys/health``.

    Raises:
        InvalidInput: As :func:`health_code`.
    """
    code = health_code(status, query)
    return Response(code, b"" if code in _NO_BODY else encode(health(status)))


def health(status: SealStatus) -> dict[str, Any]:
    """The body of ``sys/health``."""
    mode = "unknown" if status.sealed else "disabled"
    return {
        "initialized": status.initialised,
        "sealed": status.sealed,
        "standby": status.sealed,
        "performance_standby": False,
        "replication_performance_mode": mode,
        "replication_dr_mode": mode,
        "server_time_utc": int(dt.datetime.now(dt.UTC).timestamp()),
        "version": __version__,
        **status.cluster,
    }


def seal_status(status: SealStatus) -> dict[str, Any]:
    """The body of ``sys/seal-status`` and of the answer to a share."""
    return {
        "type": status.kind,
        "initialized": status.initialised,
        "sealed": status.sealed,
        "t": status.threshold,
        "n": status.total,
        "progress": status.progress,
        "nonce": status.nonce,
        "version": __version__,
        "build_date": "",
        "commit_date": "",
        "migration": False,
        **status.cluster,
        "recovery_seal": status.kind != "shamir",
        "storage_type": "sqlite",
        **({"waiting_for_root": True} if status.waiting else {}),
    }


def leader() -> dict[str, Any]:
    """The body of ``sys/leader``: there is one node."""
    return {
        "ha_enabled": False,
        "is_self": False,
        "active_time": "0001-01-01T00:00:00Z",
        "leader_address": "",
        "leader_cluster_address": "",
        "performance_standby": False,
        "performance_standby_last_remote_wal": 0,
    }


def _code(query: Mapping[str, str], name: str, default: int) -> int:
    value = query.get(name)
    if value is None:
        return default
    if not _NUMBER.fullmatch(value):
        raise InvalidInput(f"{name} is not a number", hint="Write a status code from 200 to 599.")
    return int(value) if 200 <= int(value) <= 599 else default
