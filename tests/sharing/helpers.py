"""What tests of sharing have in common."""

import contextlib
import datetime as dt

import pytest

from adyton.errors import RootUnavailable, SecretNotFound
from adyton.service.access.gate import Gate
from adyton.service.access.spaces import Spaces
from adyton.service.access.tidy import Tidy
from adyton.service.access.tokens import Tokens

VALUE = "a-value-that-is-shared"


def share(store, name="db/password", *, receiver="bob", **more):
    made = store.shares.create("alice", receiver, name, **more)
    store.shares.accept(receiver, made.id)
    return made.id


def read(store, found, name=None, user="bob"):
    with store.shares.get(user, found, name) as secret:
        return secret.text()


def refused(store, found, name=None, user="bob"):
    with pytest.raises(SecretNotFound) as caught:
        store.shares.get(user, found, name)
    return str(caught.value), caught.value.hint


def later(store, seconds):
    core = store._opened.core
    real = core.clock

    class Later:
        def now_us(self):
            return real.now_us() + seconds * 1_000_000

    core.clock = core.commit._clock = Later()


def soon(seconds):
    return dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)


def tidy(store):
    """Remove what is over in the whole store; how much it was."""
    core = store._opened.core
    spaces = Spaces(core)
    made = Tidy(core, spaces, Tokens(core, Gate(core, spaces)))
    return core.commit.run_sync(made.run(store._caller))


def away(monkeypatch, store, *users):
    """A context in which some users' keys can't be opened, as if their own roots were away."""
    ring = store._opened.core.ring
    whole = ring.load_user

    async def load(rows, user):
        if user in users:
            raise RootUnavailable("the user's root is away")
        return await whole(rows, user)

    context = monkeypatch.context()

    @contextlib.contextmanager
    def inside():
        ring.forget()
        with context as patch:
            patch.setattr(ring, "load_user", load)
            yield
        ring.forget()

    return inside()
