"""From sealed to open and back: one server, at each moment in one state.

While it is open the application calls the handler of the open store, which knows nothing of all
this; to change the state is to give the application another handler.
"""

import asyncio
import contextlib
import logging
from dataclasses import replace
from typing import Final

from adyton.actions import Action
from adyton.config import Configuration
from adyton.crypto.shares import ShareSet
from adyton.errors import AdytonError, InvalidInput, RootUnavailable, StoreNotFound
from adyton.model import Caller
from adyton.roots import ShamirRoot
from adyton.server.admission import Admission
from adyton.server.app import Application
from adyton.server.attestation import Attestation
from adyton.server.http import Handler
from adyton.server.seal.making import SHARES, InitRequest, Made, make, scheme_of
from adyton.server.seal.rootwait import RootWait
from adyton.server.seal.scrub import scrub, tune_interpreter
from adyton.server.seal.session import Session
from adyton.server.seal.status import SealStatus, status_of_open
from adyton.server.seal.unsealing import Unsealing
from adyton.server.telemetry.state import Telemetry
from adyton.service.access.spaces import Space
from adyton.service.journal import Draft
from adyton.service.ticket import Aside
from adyton.wiring import Found, Opened, Options, look, open_store

_log = logging.getLogger("adyton.server")
_POLL_SECONDS: Final = 0.002
_SCRUB_SECONDS: Final = 1.5


class Lifecycle:
    """The state of a server.

    Args:
        options: How the store is opened.
        configuration: How it is served.
        telemetry: What metrics are read from.
        opened: The store, where it is open already.
        attestation: Shows evidence, of a sealed server too.
    """

    def __init__(
        self,
        options: Options,
        configuration: Configuration,
        telemetry: Telemetry,
        opened: Opened | None = None,
        attestation: Attestation | None = None,
    ) -> None:
        self.attestation: Final = attestation or Attestation()
        self._options = options
        self._configuration = configuration
        self._telemetry = telemetry
        self._first = opened
        self._session: Session | None = None
        self._found = Found()
        self._issued = False
        self._changing = asyncio.Lock()
        self._sealing: asyncio.Task[None] | None = None
        self._waiting: list[Aside[None]] = []
        self.unsealing = Unsealing(())
        self._root_wait = RootWait(self._attempt)
        self._root_trouble = ""
        self._root_sealing: asyncio.Task[None] | None = None
        telemetry.root_tries = lambda: self._root_wait.tries
        self._loop: asyncio.AbstractEventLoop
        self._application: Application
        self._admission: Admission
        self._sealed: Handler

    # -- beginning and end ----------------------------------------------------------------------

    def look(self) -> None:
        """Look at the store, and open it if its root opens by itself; before the server is up.

        A root that does not answer is waited for, with the server up and sealed.

        Raises:
            AdytonError: It can't be opened, or will never be: the options are wrong.
        """
        if self._first is not None:
            return
        self._see(look(self._options))
        if self.initialised and scheme_of(self._options) != SHARES:
            try:
                self._first = open_store(self._options)
            except RootUnavailable as error:
                self._tell_of_root(error)
        elif not self._found.exists and self._options.root == "passphrase:":
            raise StoreNotFound(
                "there is no store at that path, and nobody to choose its passphrase",
                hint="Make one with 'adyton init', or serve with --root shamir:3/5.",
            )
        elif self._found.exists and not self._found.sets and scheme_of(self._options) == SHARES:
            raise InvalidInput(
                "no shares open this store; its root is " + ", ".join(set(self._found.kinds)),
                hint="Name its root with --root.",
            )

    def attach(self, application: Application, admission: Admission, sealed: Handler) -> None:
        """Serve by an application from now on: the open store, or the answers of a sealed one."""
        self._application = application
        self._admission = admission
        self._sealed = sealed
        self._loop = asyncio.get_running_loop()
        first, self._first = self._first, None
        if first is not None:
            self._serve(first)
        else:
            application.use(sealed)
            if self._root_trouble:
                self._root_wait.start()

    async def close(self) -> None:
        """Close the store; the server has stopped."""
        if self._root_sealing is not None:
            await asyncio.gather(self._root_sealing, return_exceptions=True)
        await self._root_wait.stop()
        if self._sealing is not None:
            await asyncio.gather(self._sealing, return_exceptions=True)
        async with self._changing:
            session, self._session = self._session, None
            if session is not None:
                await session.stop()
            self.unsealing.wipe()

    @property
    def options(self) -> Options:
        """How the store is opened."""
        return self._options

    def why_not(self) -> str:
        """Why no share is taken."""
        if not self._found.exists:
            return "Vault is not initialized"
        if self._root_wait.waiting:
            return (
                f"this store opens by its root of trust ({scheme_of(self._options)}), which is "
                "away, and is asked again until it answers"
            )
        return (
            f"this store opens by its root of trust ({scheme_of(self._options)}): "
            "restart the server to open it"
        )

    @property
    def opened(self) -> Opened | None:
        """The open store."""
        return self._first or (self._session.opened if self._session else None)

    def space_of(self, user: str) -> Space | None:
        """Mounts of a namespace, if they are in memory."""
        return self._session.services.spaces.cached(user) if self._session else None

    @property
    def initialised(self) -> bool:
        """Whether there is a store that counts: one whose makers have opened it, or were told how.

        A store whose shares were told in an earlier run and never used does not, as the answer
        may have been lost; these shares open it nevertheless.
        """
        return self._found.exists and (not self._found.pending or self._issued)

    def status(self) -> SealStatus:
        """The state."""
        if self._session is not None:
            return status_of_open(self._session.opened.core)
        shown = self.unsealing.shown
        kind = scheme_of(self._options)
        if shown is None or not self._found.exists:
            waiting = self._root_wait.waiting
            return SealStatus(kind, self.initialised, sealed=True, waiting=waiting)
        return SealStatus(
            kind,
            self.initialised,
            sealed=True,
            threshold=shown.threshold,
            total=shown.total,
            progress=self.unsealing.progress(),
            nonce=self.unsealing.nonce,
            waiting=self._root_wait.waiting,
        )

    # -- opening --------------------------------------------------------------------------------

    async def init(self, asked: InitRequest) -> Made:
        """Make a store.

        Raises:
            InvalidInput: There is one already.
            AdytonError: It can't be made.
        """
        async with self._changing:
            if self._session is not None or self.initialised:
                raise InvalidInput("Vault is already initialized")
            self.unsealing.wipe()
            made = await asyncio.to_thread(make, self._options, asked)
            self._issued = True
            if made.opened is not None:
                self._serve(made.opened)
            else:
                self._see(await asyncio.to_thread(look, self._options))
                asyncio.get_running_loop().call_later(_SCRUB_SECONDS, self._scrub_if_sealed)
            return made

    async def unseal(self, known: ShareSet) -> None:
        """Open the store by a set of shares that is complete.

        Raises:
            AdytonError: It can't be opened; the shares are wiped.
        """
        async with self._changing:
            if self._session is not None:
                return
            if not self.unsealing.complete(known):
                raise InvalidInput("opening has failed; enter the shares anew")
            try:
                with self.unsealing.key(known) as key:
                    root = ShamirRoot.of_key(key, known)
                told = ", ".join(self.unsealing.sources(known))
                reason = f"{told}; {self.unsealing.wrong} were wrong"
            finally:
                self.unsealing.wipe()
            opened = await asyncio.to_thread(self._open, root, reason)
            self._found = self._found._replace(exists=True, pending=False)
            self._serve(opened)
            _log.info("the store has been opened by its shares")

    def _open(self, root: ShamirRoot | None, reason: str) -> Opened:
        options = self._options
        try:
            opened = open_store(options if root is None else replace(options, root=root))
        except BaseException:
            if root is not None:
                root.close()
            raise
        draft = Draft(Caller("adyton:unseal"), Action.STORE_UNSEAL, reason=reason[:500])
        try:
            opened.core.commit.run_sync(opened.core.record(draft))
        except BaseException:
            opened.close()
            raise
        return opened

    async def _attempt(self) -> bool:
        """Try to open the store by its root; whether it is open."""
        async with self._changing:
            if self._session is not None:  # by shares, meanwhile
                return True
            reason = f"its root answers, at try {self._root_wait.tries}"
            try:
                opened = await asyncio.to_thread(self._open, None, reason)
            except AdytonError as error:
                self._tell_of_root(error)
                return False
            self._root_trouble = ""
            self._serve(opened)
            _log.info("the store has been opened by its root")
            return True

    def _tell_of_root(self, error: AdytonError) -> None:
        if error.message != self._root_trouble:
            self._root_trouble = error.message
            _log.warning("the store stays sealed until its root opens it: %s", error.message)

    def _serve(self, opened: Opened) -> None:
        session = Session(opened, self._configuration, self._telemetry, self, self.attestation)
        self._session = session
        gate = session.services.gate
        gate.count = self._admission.count
        self._admission.use(gate.sessions.known, session.services.rate_quotas, gate.sessions.holds)
        self._application.use(session.handler)
        session.start()
        tune_interpreter()

    def _scrub_if_sealed(self) -> None:
        if self._session is None:  # shares were told as text that is free by now
            scrub()

    def _see(self, found: Found) -> None:
        self._found = found
        self.unsealing = Unsealing(found.sets)

    # -- sealing --------------------------------------------------------------------------------

    def seal(self) -> "Aside[None]":
        """Seal the store: from now on nothing is answered; waits until its keys are wiped."""
        waiting: Aside[None] = Aside()
        self._waiting.append(waiting)
        self._begin_sealing()
        return waiting

    def _begin_sealing(self) -> "asyncio.Task[None]":
        if self._sealing is None:
            self._application.use(self._sealed)
            self._admission.use(_nobody)
            self._sealing = asyncio.create_task(self._seal())
        return self._sealing

    def root_lost(self, reason: str) -> None:
        """Seal the store, as its root would not open it any more; from any thread."""
        self._loop.call_soon_threadsafe(self._seal_for_root, reason)

    def _seal_for_root(self, reason: str) -> None:
        session = self._session
        if session is not None and self._sealing is None:
            self._root_sealing = asyncio.create_task(self._end_for_root(session, reason))

    async def _end_for_root(self, session: Session, reason: str) -> None:
        core = session.opened.core
        draft = Draft(Caller("adyton:root"), Action.STORE_SEAL, reason=reason)
        try:
            await core.commit.run_async(core.record(draft))
        except AdytonError as error:  # no reason to go on with keys that nobody vouches for
            _log.error("that the store is sealed can't be recorded: %s", error.message)
        del session, core
        await self._begin_sealing()
        if isinstance(self._options.root, str) and scheme_of(self._options) not in {SHARES, "dev"}:
            self._root_wait.start()

    def use_root(self, uri: str) -> None:
        """Open the store by another root the next time."""
        self._options = replace(self._options, root=uri)

    async def _seal(self) -> None:
        async with self._changing:
            session, self._session = self._session, None
            if session is not None:
                in_flight = session.in_flight
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._configuration.server.grace):
                        # Those who wait for the sealing are under way themselves.
                        while in_flight.count > len(self._waiting):  # noqa: ASYNC110 - as below
                            await asyncio.sleep(_POLL_SECONDS)
                try:
                    await session.stop()
                    self._see(await asyncio.to_thread(look, self._options))
                except AdytonError as error:
                    _log.error("sealing met trouble: %s", error.message)
                del session
                _log.warning("the store has been sealed")
                while self._waiting:
                    self._waiting.pop(0).resolve()
                while in_flight.count:  # noqa: ASYNC110 - requests must not pay for an event
                    await asyncio.sleep(_POLL_SECONDS)
                scrub()
        self._sealing = None


def _nobody(_: str) -> None:
    return None
