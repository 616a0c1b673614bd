"""What comes before a request is served: who asks, how often, and whose turn it is.

All of it is decided from the request's head: from the token as far as memory knows it, otherwise
from the network. For a request that is refused nothing is read, from the store or of its body.
"""

import asyncio
import time
from collections.abc import Callable, Hashable, Mapping
from typing import Final

from adyton.config import Configuration, TurnSettings
from adyton.server.bodies import BodyBudget
from adyton.server.http import token_text
from adyton.server.proxies import TrustedProxies
from adyton.server.turns import Turns
from adyton.service.access.sessions import Session
from adyton.service.access.spaces import OPERATOR_SPACE
from adyton.service.quota.buckets import SECOND_NS
from adyton.service.quota.named import RateQuotas
from adyton.service.quota.networks import is_within, network_of
from adyton.service.quota.rates import RequestLimits

_COSTS: Final = {"GET": 1, "HEAD": 1, "LIST": 8}
_WRITE_COST: Final = 2
_LARGE: Final = 1_024
"""Bytes of a body that cost as much as one read."""
_DEAREST: Final = 8
FREE: Final = frozenset({"v1/sys/health", "v1/sys/seal-status", "v1/sys/leader"})
"""Asked by monitors; they cost nothing, read nothing, and must answer under load."""
_PAUSE_SECONDS: Final = 0.05
_PAUSING: Final = 256


_LOGINS: Final = TurnSettings(alone=64, share=8, total=64, lane_waiting=64, all_waiting=512)
"""Logins have turns of their own: those by password wait for threads that hash."""


class Visit:
    """One request that was let in.

    Attributes:
        address: Where it comes from.
        session: Who asks, if memory knew the token when it came.
    """

    __slots__ = ("_begun", "_bodies", "_cost", "_held", "_lane", "_turns", "address", "session")

    def __init__(
        self,
        address: str,
        session: Session | None,
        turns: Turns,
        bodies: BodyBudget,
        lane: Hashable,
        cost: int,
    ) -> None:
        self.address = address
        self.session = session
        self._turns = turns
        self._bodies = bodies
        self._lane = lane
        self._cost = cost
        self._begun = False
        self._held = 0

    def hold(self, count: int) -> bool:
        """Hold more bytes of a large body until the end; False if there is no room for them."""
        if not self._bodies.take(self._lane, count):
            return False
        self._held += count
        return True

    def enter(self, body_bytes: int) -> bool:
        """Begin the request, with a body so large, if it need not wait for its turn."""
        cost = self._cost
        if not cost:
            return True
        if body_bytes > _LARGE:
            self._cost = cost = min(cost + body_bytes // _LARGE, _DEAREST)
        self._begun = self._turns.enter(self._lane, cost, time.monotonic_ns())
        return self._begun

    async def wait(self) -> bool:
        """Wait for the request's turn, which begins it; False if that takes too long."""
        self._begun = await self._turns.wait(self._lane, self._cost)
        return self._begun

    def leave(self) -> None:
        """End the request, whether it has begun or not."""
        if self._begun:
            self._turns.leave(self._lane, self._cost)
        if self._held:
            self._bodies.give(self._lane, self._held)


class Admission:
    """Lets requests in.

    Args:
        known: The session of a token's text that is in memory.
        configuration: The limits.

    Attributes:
        holds: Whether such a session still holds.
    """

    def __init__(
        self,
        known: Callable[[str], Session | None],
        configuration: Configuration = Configuration(),  # noqa: B008 - frozen
    ) -> None:
        self._known = known
        self.holds: Callable[[Session], bool] = _never
        self._limits = RequestLimits(configuration.rates.rates())
        self._quotas: RateQuotas | None = None
        limits = configuration.limits
        self._bodies = BodyBudget(limits.bodies_bytes, limits.body_bytes)
        self._turns = Turns(configuration.turns)
        self._logins = Turns(_LOGINS)
        self.proxies = TrustedProxies(configuration.server.trusted_proxies)
        self._pausing = 0

    def use(
        self,
        known: Callable[[str], Session | None],
        quotas: RateQuotas | None = None,
        holds: Callable[[Session], bool] | None = None,
    ) -> None:
        """Ask another memory of tokens, and another store's quotas, from now on."""
        self._known = known
        self.holds = holds or _never
        self._quotas = quotas

    def visit(self, method: str, path: str, peer: str, headers: Mapping[str, str]) -> Visit | int:
        """Let a request in by its head, or tell the seconds after which it may come again.

        Args:
            method: Upper case.
            path: Canonical.
            peer: The connection's other end, with its port.
            headers: By lower-case name.
        """
        address = peer.rpartition(":")[0].strip("[]")
        if self.proxies.any:
            address = self.proxies.client(address, headers)
        text = token_text(headers)
        session = self._known(text) if text else None
        if session is not None and (session.token.wraps or session.token.cidrs):
            session = _let_in(session, address)
        cost = _COSTS.get(method, _WRITE_COST)
        if self._quotas is not None and self._quotas.any and path not in FREE:
            namespace = headers.get("x-vault-namespace", "").strip("/")
            asked = path.removeprefix("v1/")
            if not namespace:
                # A path of Vault's API names the namespace itself; the native one has one's own.
                own = session.space.user if session and asked.startswith("adyton/") else ""
                namespace = own or OPERATOR_SPACE
            wait = self._quotas.wait(namespace, asked, time.monotonic_ns())
            if wait:
                return _seconds(wait)
        if session is not None:
            user = session.space.user
            if self._limits.limited:
                wait = self._limits.known(user, session.ident, time.monotonic_ns())
                if wait:
                    return _seconds(wait)
            return Visit(address, session, self._turns, self._bodies, user, cost)
        if path in FREE:
            return Visit(address, None, self._turns, self._bodies, "", 0)
        network = network_of(address)
        wait = self._limits.stranger(network, time.monotonic_ns())
        if wait:
            return _seconds(wait)
        turns = self._logins if not text or "/login" in path else self._turns
        return Visit(address, None, turns, self._bodies, (network.lane,), cost)

    def count(self, session: Session) -> int:
        """Count a request that came as a stranger's, once its token is known.

        Returns:
            0 if it is let in, or the seconds after which it may come again.
        """
        if not self._limits.limited:
            return 0
        now = time.monotonic_ns()
        return _seconds(self._limits.known(session.space.user, session.ident, now, counted=True))

    @property
    def waiting(self) -> int:
        """Requests that wait for their turn."""
        return self._turns.waiting + self._logins.waiting

    async def pause(self) -> None:
        """Hold a refusal back, so that who asks again at once does not keep the server busy."""
        if self._pausing < _PAUSING:
            self._pausing += 1
            try:
                await asyncio.sleep(_PAUSE_SECONDS)
            finally:
                self._pausing -= 1


def _never(_: Session) -> bool:
    return False


def _let_in(session: Session, address: str) -> Session | None:
    """None for a token that no request is let in by, or none from there: nobody's rate pays."""
    token = session.token
    return None if token.wraps or not is_within(address, token.cidrs) else session


def _seconds(wait_ns: int) -> int:
    return -(-wait_ns // SECOND_NS)
