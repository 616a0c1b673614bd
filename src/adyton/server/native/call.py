"""One request on its way through the native API."""

import re
from collections.abc import Callable, Coroutine, Mapping
from hashlib import sha256
from typing import Any, Final, TypeVar

from msgspec import structs

from adyton.errors import AdytonError, InvalidInput
from adyton.model import Caller
from adyton.server.http import Request, header_of
from adyton.server.native.bodies import as_object
from adyton.server.native.routes import Reply, Route
from adyton.server.native.shapes import Shape
from adyton.server.vault.service import Services
from adyton.service.access.gate import Request as Origin
from adyton.service.access.policy import Capability
from adyton.service.access.sessions import Session
from adyton.service.access.spaces import OPERATOR_SPACE
from adyton.service.aside import Threads
from adyton.service.core import Core
from adyton.service.grants.book import Book
from adyton.service.grants.permits import Permit, Spend, SpendEach
from adyton.service.journal import Draft
from adyton.service.once import Once
from adyton.service.writing import conflict

T = TypeVar("T")
S = TypeVar("S", bound=Shape)

ME: Final = "me"
_KEY: Final = re.compile(r"[!-~]{1,255}", re.ASCII)
_CLIENT_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_ETAG: Final = re.compile(r'"(0|[1-9][0-9]{0,15})"', re.ASCII)


class Call:
    """A request with what has been found out about it.

    Attributes:
        request: The request.
        route: Its route.
        args: Parts of the path, by the route's names.
        services: The open store's services.
        origin: Where it came from, for records.
        session: Who asks; set once let in.
        user: The namespace it is about.
        caller: The caller of the service; set once allowed.
        once: The request as one that is to be done once, or None.
    """

    def __init__(
        self,
        request: Request,
        route: Route,
        args: Mapping[str, str],
        services: Services,
        threads: Threads,
    ) -> None:
        self.request = request
        self.route = route
        self.args = args
        self.services = services
        self._threads = threads
        theirs = request.headers.get("x-request-id", "")
        ours = request.request_id
        self.origin = Origin(
            request.address, f"{ours} {theirs}" if _CLIENT_ID.fullmatch(theirs) else ours
        )
        self.session: Session
        self.user = ""
        self.caller: Caller
        self.once: Once | None = None
        self._decision = ""
        self._needed: list[Spend] = []
        self._body: Shape | None = None
        self._query: Shape | None = None

    def __repr__(self) -> str:
        return f"<Call {self.route.operation}>"

    # -- who ------------------------------------------------------------------------------------

    def enter(self, session: Session) -> None:
        """Take on who asks, and with it which namespace is meant."""
        self.session = session
        own = session.space.user
        place = self.route.place
        if place == "store":
            self.user = OPERATOR_SPACE
        elif place == "own" or self.args["user"] == ME:
            self.user = own
        else:
            self.user = self.args["user"]

    def take_key(self) -> None:
        """Take on the idempotency key, where the route has a use for one.

        Raises:
            InvalidInput: It is malformed.
        """
        key = header_of(self.request, "idempotency-key") if self.route.once else None
        if key is None:
            return
        if not _KEY.fullmatch(key):
            raise InvalidInput("Idempotency-Key is not 1 to 255 visible ASCII characters")
        own = self.session.space.user
        asking = self.services.gate.caller(self.session, own, self.origin)
        self.once = Once(self.core, asking, own, key, self._fingerprint())

    def _fingerprint(self) -> bytes:
        request = self.request
        headers = request.headers
        parts = [request.method, request.path, request.query_string]
        parts += [headers.get(name, "") for name in ("if-match", "if-none-match", "content-type")]
        digest = sha256()
        for part in [*(part.encode("utf-8", "surrogateescape") for part in parts), request.body]:
            digest.update(len(part).to_bytes(8, "big") + part)
        return digest.digest()

    def may(
        self,
        path: str,
        right: Capability,
        body: Mapping[str, Any] | None = None,
        *,
        spend: bool = False,
    ) -> bool:
        """Whether policies or grants allow something on a path below ``adyton/``.

        Args:
            path: The path.
            right: What is asked.
            body: The body's members, for policies that name parameters.
            spend: Whether it is the one thing that the route does.
        """
        found = self.services.gate.decide(
            self.session, self.user, f"adyton/{path}", right,
            body=body, address=self.origin.address, spend=spend,
        )  # fmt: skip
        self._decision = found
        return bool(found)

    def until(self, path: str, right: Capability, book: Book) -> int | None:
        """Until when something may be done, bound to no condition, as the unit sees it.

        Args:
            path: The path below ``adyton/``; a folder's for all that is in it or comes into it.
            right: What is asked.
            book: The namespace's members and grants in the unit.

        Returns:
            The time in microseconds; 0 for no end, None where it may not.
        """
        decides = self.services.gate.grants
        return decides.until(self.session, self.user, f"adyton/{path}", right, book)

    def needs(self, path: str, right: Capability) -> bool:
        """As :meth:`may`, for one of several things that the request does together.

        What a grant allows is judged once more in the commit.
        """
        found = self.may(path, right)
        self.keep()
        return found

    def keep(self) -> None:
        """Have what was allowed just now judged once more in the commit."""
        if isinstance(self._decision, Permit):
            self._needed.append(self._decision.spend)

    async def refusal(self, path: str, right: Capability) -> AdytonError:
        """Record that policies refuse; give back the error to raise."""
        return await self.services.gate.refuse(
            self.session, self.user, f"adyton/{path}", right, self.origin
        )

    def allow(self) -> None:
        """Take on the caller that policies have allowed."""
        gate = self.services.gate
        if self.route.place == "store":
            self.caller = gate.operator(self.session, self.origin, self._decision)
        else:
            self.caller = gate.caller(self.session, self.user, self.origin, self._decision)
        if self._needed:
            self.judge_each()

    def judge_each(self) -> None:
        """Have the service judge in its commit what is found to be needed until then."""
        if self.session.member is not None or self.session.space.user != self.user:
            spend = SpendEach(self._needed, self.caller.spend)
            self.caller = structs.replace(self.caller, spend=spend)

    # -- what -----------------------------------------------------------------------------------

    @property
    def core(self) -> Core:
        """The open store."""
        return self.services.core

    @property
    def unbound(self) -> bool:
        """Whether whoever asks may do everything in the namespace: its owner, or the operator."""
        session = self.session
        return session.acl.root and session.space.user in {self.user, OPERATOR_SPACE}

    @property
    def name(self) -> str:
        """The secret's name in the path, or empty."""
        return self.args.get("name", "")

    @property
    def path(self) -> str:
        """The path below ``adyton/`` that policies name."""
        path = self.request.path.removeprefix("v1/adyton/")
        if self.route.place == "user":
            path = path.removeprefix(f"users/{self.args['user']}/")
        return path

    def members(self) -> dict[str, Any]:
        """The body's members, for policies that name parameters."""
        return {} if self.unbound else as_object(self.request.body)

    def take(self, query: Shape, body: Shape | None) -> None:
        """Take on what came in."""
        self._query, self._body = query, body

    def query(self, shape: type[S]) -> S:
        """The query."""
        if not isinstance(self._query, shape):
            raise TypeError("the route has another query")
        return self._query

    def body(self, shape: type[S]) -> S:
        """The body."""
        if not isinstance(self._body, shape):
            raise TypeError("the route has another body")
        return self._body

    def expected(self) -> int | None:
        """The version that a write is to follow; 0 if there must be none, None for any.

        Raises:
            InvalidInput: A condition is of a form that can't be checked.
            VersionConflict: Two conditions exclude each other.
        """
        match = header_of(self.request, "if-match")
        none_match = header_of(self.request, "if-none-match")
        if match is None and none_match is None:
            return None
        if none_match is not None and none_match.strip() != "*":
            raise InvalidInput(
                "If-None-Match is not *", hint="Write If-None-Match: *, or If-Match."
            )
        if match is None:
            return 0
        found = _ETAG.fullmatch(match.strip())
        if found is None:
            raise InvalidInput(
                "If-Match is not one version in quotes", hint='Write it as in If-Match: "3".'
            )
        version = int(found[1])
        if none_match is not None and version:
            raise conflict()  # no secret is at a version and not there
        return version

    # -- doing ----------------------------------------------------------------------------------

    async def note(self) -> None:
        """Record that this was asked for and let through, where what it does may record nothing."""
        user = "" if self.caller.user is None else self.user
        draft = Draft(self.caller, self.route.action, user_id=user, reason=self.route.operation)
        draft.keys = await self.core.keys(user) if user else None
        await self.core.record(draft)

    async def checked(self, make: Callable[[], T]) -> T:
        """Check arguments; what they break is recorded as a refusal before it is raised."""
        return await self.core.checked(self.caller, self.route.action, self.user, make)

    async def write(
        self, run: Callable[[Core], Coroutine[Any, Any, T]], show: Callable[[T], Reply]
    ) -> Reply:
        """Run an operation that writes in one unit; once, if that is asked for.

        Args:
            run: Starts the operation over a store.
            show: The answer for the result of the unit, which is that of the operation.
        """
        if self.once is None:
            return show(await run(self.core))
        made: list[Reply] = []

        def answer(result: T) -> tuple[int, str, bytes]:
            made.append(show(result))
            return made[-1].parts()

        await self.once.write(run, answer)
        return made[-1]

    async def write_much(
        self,
        run: Callable[[Core], Coroutine[Any, Any, T]],
        show: Callable[[T], Reply],
        *,
        resume: Callable[[Core, int], Coroutine[Any, Any, T]] | None = None,
    ) -> Reply:
        """Run an operation of many units beside the event loop; once, if that is asked for.

        Args:
            run: Starts the operation over a store.
            show: The answer for its result.
            resume: Goes on with one that a server has left behind that ended, told when that was
                begun, in microseconds; None to refuse it.
        """
        once, core = self.once, self.core

        async def whole() -> Reply:
            if once is None:
                return show(await run(core))
            begun_us = await once.begin(resume=resume is not None)
            try:
                if resume is None or begun_us is None:
                    reply = show(await run(core))
                else:
                    reply = show(await resume(core, begun_us))
            except AdytonError:
                await once.give_up()
                raise
            await once.finish(*reply.parts())
            return reply

        return await self.beside(whole)

    async def beside(self, run: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run an operation on a thread, so that it does not hold up everything else.

        Raises:
            LimitExceeded: Too many wait already.
        """
        return await self._threads.run(lambda: self.core.commit.run_sync(run()))
