"""What the tests of members and grants share: a store with a clock and a gate."""

from adyton.service.access.gate import Gate
from adyton.service.access.gate import Request as Origin
from adyton.service.access.policy import Capability
from adyton.service.access.spaces import Spaces
from adyton.service.access.tokens import Tokens
from adyton.service.grants.membertokens import MemberTokens


class Clock:
    """A clock that is set by hand, and goes on from the real time."""

    def __init__(self, real):
        self._real = real
        self.ahead_us = 0

    def now_us(self):
        return self._real.now_us() + self.ahead_us

    def pass_(self, **span):
        import datetime as dt

        self.ahead_us += int(dt.timedelta(**span).total_seconds() * 1e6)


class House:
    """An open store with the gate that a server has in front of it."""

    def __init__(self, store):
        self.store = store
        self.core = store._opened.core
        self.caller = store._caller
        self.spaces = Spaces(self.core)
        self.gate = Gate(self.core, self.spaces)
        self.tokens = Tokens(self.core, self.gate)

    def run(self, operation):
        return self.core.commit.run_sync(operation)

    def token(self, user, member, seconds=0):
        made = MemberTokens(self.core, self.tokens).create(self.caller, user, member, seconds)
        return self.run(made).text

    def session(self, text, address="127.0.0.1"):
        return self.run(self.gate.enter(text, Origin(address, "r")))

    def may(self, text, user, path, capability=Capability.READ, address="127.0.0.1", **more):
        """What allows it, or an empty text."""
        session = self.session(text, address)
        if session.space.user != user:
            self.run(self.gate.reach(session, user))
        return self.gate.decide(session, user, path, capability, address=address, **more)

    def caller_of(self, text, user, path, capability=Capability.READ, address="127.0.0.1", **more):
        """The caller that a request for one thing gets, or None if it is refused."""
        decision = self.may(text, user, path, capability, address, spend=True, **more)
        if not decision:
            return None
        return self.gate.caller(self.session(text, address), user, Origin(address, "r"), decision)
