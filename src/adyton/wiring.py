"""Puts the rooms together. The only module that knows every one of them."""

import contextlib
import dataclasses
import getpass
import logging
import os
import shutil
import tempfile
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

from adyton.crypto.secretbytes import SecretBytes
from adyton.crypto.shares import Share, ShareSet
from adyton.errors import (
    AdytonError,
    ConfigurationError,
    RootError,
    StoreExists,
    StoreNotFound,
)
from adyton.issuers import open_issuer
from adyton.model import Caller
from adyton.noticeports import Sender
from adyton.ports import RootOfTrust, Sink, Storage
from adyton.roots import ShamirRoot, open_root
from adyton.roots.shamir import numbers_of, set_of
from adyton.rotators import open_rotator
from adyton.service import opening
from adyton.service.anomalies.detector import forget_texts
from adyton.service.anomalies.records import AlertOptions
from adyton.service.anomalies.watch import Watch
from adyton.service.commit import CommitMode
from adyton.service.core import Core
from adyton.service.dynamic.passes import background as lease_background
from adyton.service.following.follower import Follower, Following
from adyton.service.lifecycle.work import background as lifecycle_background
from adyton.service.limits import Limits
from adyton.service.notices.delivery import background as notice_background
from adyton.service.notices.room import NoticeOptions, NoticeRoom
from adyton.service.reports.folding import Folding
from adyton.service.reports.records import ReportOptions
from adyton.service.rotation.room import RotationOptions, RotationRoom
from adyton.service.rotation.rotations import background as rotation_background
from adyton.service.ticket import run_now
from adyton.service.upkeep import Upkeep
from adyton.sinks import open_sink
from adyton.storage.sqlite import SqliteStorage

Ask = Callable[[str], SecretBytes]

MEMORY: Final = "memory:"
_log = logging.getLogger("adyton.roots")


class SystemClock:
    """The system's clock (``ports.Clock``)."""

    def now_us(self) -> int:
        """Microseconds since the epoch, UTC."""
        return time.time_ns() // 1000


@dataclass(frozen=True, slots=True)
class Options:
    """How a store is opened; built once, never changed.

    Attributes:
        url: Path, ``sqlite:///PATH`` or ``memory:``.
        root: Root of trust, as a URI or an object.
        fallback_roots: Other roots of the store, by which it is opened where the first one does
            not answer or refuses; the first of them that opens it does.
        create: Make the store, and what the root needs, if they are missing.
        must_create: Fail if the store exists.
        actor: Who acts, for the audit record; by default the user of the operating system.
        lock_timeout: Seconds to wait for another process to close the store.
        limits: Limits and intervals.
        commit: How event loops wait for the disk; see ``GroupCommit``.
        sinks: Where audit records are copied to, such as ``file:/var/log/adyton.jsonl``.
        reveal_to_sinks: Whether sinks get names and user ids in the clear.
        upkeep: Whether to re-wrap retired keys, rotate an old master key, give notices and destroy
            what was deleted long enough ago, in the background.
        ask: Asks a person for a secret.
        pending: Whether a store that is made does not count yet; see :func:`make_store`.
        rotation: How secrets are rotated.
        notices: How notices are delivered to webhooks.
        reports: Whether audit records are counted in the background.
        alerts: How unusual reads are looked for.
    """

    url: str
    root: "str | RootOfTrust"
    create: bool = False
    must_create: bool = False
    actor: str | None = None
    lock_timeout: float = 10.0
    limits: Limits = field(default_factory=Limits)
    commit: CommitMode = "auto"
    sinks: "Sequence[str | Sink]" = ()
    reveal_to_sinks: bool = False
    upkeep: bool = True
    ask: Ask | None = None
    pending: bool = False
    fallback_roots: tuple[str, ...] = ()
    rotation: RotationOptions = field(default_factory=RotationOptions)
    notices: NoticeOptions = field(default_factory=NoticeOptions)
    reports: ReportOptions = field(default_factory=ReportOptions)
    alerts: AlertOptions = field(default_factory=AlertOptions)


class Opened:
    """An open store with everything that belongs to it."""

    def __init__(
        self, core: Core, upkeep: Upkeep, caller: Caller, folder: Path | None, options: Options
    ) -> None:
        self.core = core
        self.upkeep = upkeep
        self.caller = caller
        self._folder = folder
        followers: list[Follower] = [Folding(core)] if options.reports.by_itself else []
        followers += [Watch(core)] if options.alerts.by_itself else []
        core.on_purge.append(forget_texts)
        self._background = [
            *([rotation_background(core)] if options.rotation.by_itself else []),
            *([lease_background(core)] if options.rotation.by_itself else []),
            *([notice_background(core)] if options.notices.by_itself else []),
            *([lifecycle_background(core)] if options.upkeep else []),
            *([Following(core, followers).background()] if followers else []),
        ]
        for each in self._background:
            each.start()
        self.options = options
        self.closed = False
        _open_stores.add(self)

    def close(self) -> None:
        """Write what is pending, sign a checkpoint, release everything. May be called again."""
        if self.closed:
            return
        self.closed = True
        try:
            for each in self._background:
                each.close()
            self.core.rotation.close()
            self.core.notices.close()
            self.upkeep.close()
        finally:
            try:
                opening.close(self.core)
            finally:
                if self._folder is not None:
                    shutil.rmtree(self._folder, ignore_errors=True)

    def disown(self) -> None:
        """In a forked child: refuse everything, touch nothing that the parent uses."""
        self.closed = True
        self.core.commit.disown()


_open_stores: "weakref.WeakSet[Opened]" = weakref.WeakSet()


def _after_fork() -> None:
    for opened in list(_open_stores):
        opened.disown()


os.register_at_fork(after_in_child=_after_fork)


def default_actor() -> str:
    """The user of the operating system, as an actor."""
    try:
        return f"local:{getpass.getuser()}"
    except (KeyError, OSError):
        return f"local:uid{os.getuid()}"


def store_path(url: str) -> Path | None:
    """The path that a store's URL names; None for a store in memory.

    Raises:
        ConfigurationError: The URL is of no storage that is built in.
    """
    if url == MEMORY:
        return None
    if url.startswith("sqlite:"):
        parts = urlsplit(url)
        path = unquote(parts.path)
        if parts.netloc or not path or path == "/":
            raise ConfigurationError(
                "the store's URL has no path", hint="Write sqlite:///relative or sqlite:////full."
            )
        return Path(path[1:])
    scheme, colon, _ = url.partition("://")
    if colon:
        raise ConfigurationError(
            f"there is no storage for {scheme}:// URLs",
            hint="Give a path, sqlite:///PATH or memory:.",
        )
    if not url:
        raise ConfigurationError("the store's path is empty", hint="Give a path.")
    return Path(url)


def open_store(options: Options) -> Opened:
    """Open a store, or make it.

    Raises:
        ConfigurationError: The options are wrong.
        StoreError: The storage can't be opened; see its subclasses.
        RootError: The root of trust refuses or fails.
        IntegrityError: What is stored was changed.
        AuditError: The audit log's end is missing or was changed.
    """
    clock = SystemClock()
    caller = Caller(default_actor() if options.actor is None else options.actor)
    path = store_path(options.url)
    folder = None
    if path is None:
        shared_memory = Path("/dev/shm")  # noqa: S108 - the file lives and dies with the store
        folder = Path(
            tempfile.mkdtemp(
                prefix="adyton-", dir=shared_memory if shared_memory.is_dir() else None
            )
        )
        path = folder / "store.db"
    try:
        create = options.create or folder is not None
        storage = SqliteStorage(path, create=create, lock_timeout=options.lock_timeout)
        return _open_in(storage, options, caller, clock, folder, create=create)
    except BaseException:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        raise


class Found(NamedTuple):
    """What is known of a store that has not been opened.

    Attributes:
        exists: Whether a store was made.
        pending: Whether it was, and nobody has shown since that they can open it.
        kinds: The kinds of its roots.
        sets: The sets of shares that open it, oldest first.
    """

    exists: bool = False
    pending: bool = False
    kinds: tuple[str, ...] = ()
    sets: tuple[ShareSet, ...] = ()


def look(options: Options) -> Found:
    """Look at a store without opening its keys.

    Raises:
        ConfigurationError: The options are wrong.
        StoreError: The storage can't be opened.
    """
    path = store_path(options.url)
    if path is None or not path.exists():
        return Found()
    storage = SqliteStorage(path, lock_timeout=options.lock_timeout)
    try:
        exists, pending, masters = run_now(opening.look(storage))
    finally:
        storage.close()
    sets = {row.slot: set_of(row.wrapped) for row in masters if row.kind == "shamir"}
    known = [found[0] for _, found in sorted(sets.items()) if found is not None]
    return Found(exists, pending, tuple(row.root for row in masters), tuple(known))


def make_store(options: Options, root: RootOfTrust) -> Opened:
    """Make a store that counts once :func:`settle` was called; one that never did is replaced.

    Raises:
        StoreExists: There is one that counts.
        StoreError: The storage can't be made.
        RootError: The root refuses or fails.
    """
    path = store_path(options.url)
    found = look(options)
    if path is not None and found.pending:
        for name in (f"{path}-wal", f"{path}-shm", path):  # a log is never left without its store
            Path(name).unlink(missing_ok=True)
    made = dataclasses.replace(options, root=root, create=True, must_create=True, pending=True)
    return open_store(made)


def new_root(uri: str, ask: Ask | None) -> tuple[RootOfTrust, list[Share]]:
    """A root that is to open a store, made if it is missing; with shares, those to hand out.

    Raises:
        ConfigurationError: The URI is wrong, or nobody can be asked.
        RootError: The root is missing, refuses or does not answer.
    """
    scheme, _, rest = uri.partition(":")
    if scheme != "shamir":
        return open_root(uri, create=True, ask=ask), []
    numbers = numbers_of(rest)
    if numbers is None:
        raise ConfigurationError("how many shares are wanted?", hint="Write shamir:3/5.")
    return ShamirRoot.create(*numbers)


@contextlib.contextmanager
def opened_roots(
    roots: Sequence[str | RootOfTrust], ask: Ask | None
) -> Iterator[list[RootOfTrust]]:
    """Open roots for a while; those that were given as URIs are closed at the end.

    Raises:
        ConfigurationError: A URI is wrong, or nobody can be asked.
        RootError: A root is missing, refuses or does not answer.
    """
    with contextlib.ExitStack() as stack:
        found = []
        for root in roots:
            found.append(open_root(root, ask=ask))
            if isinstance(root, str):
                stack.callback(found[-1].close)
        yield found


def settle(opened: Opened) -> None:
    """A store that was made counts from now on."""
    opened.core.commit.run_sync(opening.settle(opened.core, opened.caller))


def _check_place(options: Options, *, missing: bool, create: bool) -> None:
    """Refuse what the root of trust need not be asked for."""
    if missing and not create:
        raise StoreNotFound(
            f"there is no store in {options.url} yet",
            hint="Make one with 'adyton init' or create=True.",
        )
    if options.must_create and not missing:
        raise StoreExists(
            f"there is a store already: {options.url}", hint="Open it, or give another path."
        )


def _open_sender(options: NoticeOptions) -> Sender:
    from adyton.sinks.webhook import WebhookSender  # noqa: PLC0415 - few stores post anything

    return WebhookSender(options.seconds, options.networks, options.ca_file)


def _load_by_any(storage: Storage, options: Options, clock: SystemClock) -> Core:
    """The store, opened by its root, or else by the first of the fallbacks that opens it.

    Raises:
        ConfigurationError: The root's URI is wrong; of a fallback that is only logged.
        RootError: None opens it; the error is that of the first.
    """
    refusal: AdytonError | None = None
    for uri in (options.root, *options.fallback_roots):
        root: RootOfTrust | None = None
        try:
            root = open_root(uri, ask=options.ask)
            core = opening.load_now(storage, root, clock, options.limits, options.commit)
        except BaseException as error:
            if root is not None:
                root.close()
            known = (RootError,) if refusal is None else (RootError, ConfigurationError)
            if not isinstance(error, known):
                raise
            _log.warning("a root does not open the store: %s", error.message)
            refusal = refusal or error
        else:
            if refusal is not None:
                _log.warning("the store was opened by a fallback root, of kind %s", root.kind)
            return core
    if refusal is None:
        raise ConfigurationError("the store has no root")
    raise refusal


def _open_in(
    storage: Storage,
    options: Options,
    caller: Caller,
    clock: SystemClock,
    folder: Path | None,
    *,
    create: bool,
) -> Opened:
    root: RootOfTrust | None = None
    try:
        missing = not opening.is_initialised_now(storage)
        _check_place(options, missing=missing, create=create)
        if missing and create:
            root = open_root(options.root, create=True, ask=options.ask)
            opening.create_now(
                storage, root, clock, options.limits, caller, pending=options.pending
            )
            core = opening.load_now(storage, root, clock, options.limits, options.commit)
        else:
            core = _load_by_any(storage, options, clock)
            root = core.root
        if not options.pending:
            core.commit.run_sync(opening.settle(core, caller))
    except BaseException:
        storage.close()
        if root is not None:
            root.close()
        raise
    sinks = [open_sink(sink) if isinstance(sink, str) else sink for sink in options.sinks]
    upkeep = Upkeep(core, sinks, reveal=options.reveal_to_sinks, jobs=options.upkeep)
    core.sink_floor = upkeep.floor
    core.rotation = RotationRoom(options.rotation, open_rotator, open_issuer)
    core.alerts = options.alerts
    core.notices = NoticeRoom(options.notices, partial(_open_sender, options.notices))
    core.sinks = tuple(
        (kind, place)
        for sink in options.sinks
        for kind, _, place in [(sink if isinstance(sink, str) else "other:").partition(":")]
    )
    upkeep.start()
    return Opened(core, upkeep, caller, folder, options)
