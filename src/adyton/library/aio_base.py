"""What an open store is before its operations: opening, closing, running."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from adyton.actions import Action
from adyton.errors import AdytonError
from adyton.model import Caller, UserId
from adyton.ports import RootOfTrust, Sink
from adyton.service.anomalies.records import AlertOptions
from adyton.service.commit import CommitMode
from adyton.service.directory import Directory
from adyton.service.grants.acting import MemberDirectory, MemberSecrets
from adyton.service.limits import Limits
from adyton.service.notices.room import NoticeOptions
from adyton.service.portability import Portability
from adyton.service.rotation.room import RotationOptions
from adyton.service.secrets import Secrets
from adyton.service.users import Users
from adyton.wiring import Opened, Options, open_store

T = TypeVar("T")


class AsyncFace:
    """An open store without its operations.

    Args:
        opened: The store and all that belongs to it.
        caller: Who acts, if it is not who opened it.
    """

    def __init__(self, opened: Opened, caller: Caller | None = None) -> None:
        self._opened = opened
        self._caller = caller or opened.caller
        core = opened.core
        self._secrets = MemberSecrets(core) if self._caller.member else Secrets(core)
        self._directory = MemberDirectory(core) if self._caller.member else Directory(core)
        self._portability = Portability(core)
        self._users = Users(core)

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        root: "str | RootOfTrust",
        create: bool = False,
        actor: str | None = None,
        lock_timeout: float = 10.0,
        limits: Limits | None = None,
        commit: CommitMode = "auto",
        sinks: "Sequence[str | Sink]" = (),
        reveal_to_sinks: bool = False,
        upkeep: bool = True,
        rotation: RotationOptions | None = None,
        notices: NoticeOptions | None = None,
        alerts: AlertOptions | None = None,
    ) -> Self:
        """Open a store.

        Args:
            url: Path, ``sqlite:///PATH`` or ``memory:``.
            root: Root of trust as a URI, such as ``keyfile:master.key``, or an object.
            create: Make the store, and what its root needs, if they are missing.
            actor: Who acts, for the audit record; by default the operating system's user.
            lock_timeout: Seconds to wait for another process to close the store.
            limits: Limits and intervals.
            commit: ``inline``: event loops wait for the disk; ``thread``: a thread does;
                ``auto``: by the measured time of commits.
            sinks: Where audit records are copied to, such as ``file:audit.jsonl``.
            reveal_to_sinks: Whether sinks get names and user ids in the clear.
            upkeep: Whether to re-wrap retired keys, rotate an old master key, give notices of
                what ends and destroy what was deleted long enough ago, in the background.
            rotation: How secrets are rotated: what rotators may touch, and whether what is due
                is rotated in the background.
            notices: How notices are delivered to webhooks, and whether that is done in the
                background.
            alerts: How unusual reads are looked for, and whether that is done in the background.

        Raises:
            StoreError: The store can't be opened; its subclasses say why.
            RootError: The root of trust refuses or fails.
            IntegrityError: What is stored was changed.
            AuditError: The audit log's end is missing or was changed.
        """
        options = Options(
            url,
            root,
            create=create,
            actor=actor,
            lock_timeout=lock_timeout,
            limits=limits or Limits(),
            commit=commit,
            sinks=sinks,
            reveal_to_sinks=reveal_to_sinks,
            upkeep=upkeep,
            rotation=rotation or RotationOptions(),
            notices=notices or NoticeOptions(),
            alerts=alerts or AlertOptions(),
        )
        return cls(await asyncio.to_thread(open_store, options))

    async def _run(self, operation: Coroutine[Any, None, T]) -> T:
        return await self._opened.core.commit.run_async(operation)

    async def _checked(self, action: Action, user: UserId, make: Callable[[], T]) -> T:
        """Check arguments; what they break is recorded as a refusal before it is raised."""
        return await self._run(self._opened.core.checked(self._caller, action, user, make))

    async def _parsed(self, user: UserId, parse: Callable[[], T]) -> T:
        """Read a document beside the event loop; what it breaks is recorded, then raised."""
        try:
            return await asyncio.to_thread(parse)
        except AdytonError as error:
            failure = error
        core = self._opened.core
        raise await self._run(core.refused(self._caller, Action.SECRET_IMPORT, user, failure))

    async def close(self) -> None:
        """Write what is pending, sign a checkpoint, release everything. May be called again."""
        await asyncio.to_thread(self._opened.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {'closed' if self._opened.closed else 'open'}>"
