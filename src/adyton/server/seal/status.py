"""What is told of a server's state, sealed or open, in the shapes of Vault's API."""

import datetime as dt
import uuid
from collections.abc import Mapping
from typing import Any, NamedTuple

from adyton import __version__
from adyton.service.core import Core


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
    """

    kind: str
    initialised: bool
    sealed: bool
    threshold: int = 0
    total: int = 0
    progress: int = 0
    nonce: str = ""
    store_id: bytes = b""

    @property
    def cluster(self) -> dict[str, str]:
        """Name and id of what Vault calls the cluster, where they are known."""
        if not self.store_id:
            return {}
        return {"cluster_name": "adyton", "cluster_id": str(uuid.UUID(bytes=self.store_id))}


def status_of_open(core: Core) -> SealStatus:
    """The state of a server whose store is open."""
    root = core.roots[-1]
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
    """The status code that tells the health; each can be replaced in the query."""
    if not status.initialised:
        return _code(query.get("uninitcode"), 501)
    if status.sealed:
        return _code(query.get("sealedcode"), 503)
    return _code(query.get("activecode"), 200)


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


def _code(value: str | None, default: int) -> int:
    return int(value) if value and value.isdigit() and 100 <= int(value) <= 599 else default
