"""What is kept of tokens in memory ends with the change that ends the token, on whatever thread.

Groups are committed by the event loop, or by other threads. So a change may be committed at any
point of what the loop does: here at each await of letting a token in.
"""

import threading

import pytest

from adyton import SecretStore
from adyton.errors import AccessDenied
from adyton.model import Caller
from adyton.server.vault.service import Services
from adyton.service.access.gate import Request
from adyton.service.access.policy import Capability
from adyton.service.access.tokens import TokenRequest
from adyton.service.keyadmin import KeyAdmin

HERE = Request("127.0.0.1", "request")
OPERATOR = Caller("test")
READ = 'path "secret/data/*" { capabilities = ["read"] }'


class World:
    """Services over one store in memory, with a token of a namespace."""

    def __init__(self, store):
        self.core = store._opened.core
        self.services = Services(self.core)
        self.gate = self.services.gate
        self.run = self.core.commit.run_sync
        self.run(self.services.spaces.put_policy(OPERATOR, "alice", "reader", READ))
        root = self.run(self.services.tokens.create_root(OPERATOR))
        parent = self.run(self.gate.enter(root.text, HERE))
        caller = self.gate.caller(parent, "alice", HERE)
        issued = self.run(
            self.services.tokens.create(caller, parent, TokenRequest(policies=("reader",)))
        )
        self.text, self.token = issued.text, issued.token
        self.caller = Caller("test", "alice")

    def beside(self, operation):
        """Run an operation to its end on another thread."""
        thread = threading.Thread(target=lambda: self.run(operation))
        thread.start()
        thread.join(10)
        assert not thread.is_alive()

    def may_read(self):
        """What the next request finds, by memory and by the store."""
        try:
            session = self.run(self.gate.enter(self.text, HERE))
        except AccessDenied:
            assert self.gate.known(self.text) is None
            return False
        return bool(self.gate.decide(session, "alice", "secret/data/x", Capability.READ))


@pytest.fixture
def world():
    with SecretStore.open("memory:", root="dev:", upkeep=False) as store:
        yield World(store)


async def revoke(world):
    ident, _ = await world.services.tokens.find(
        world.caller, "alice", accessor=world.token.accessor
    )
    await world.services.tokens.revoke(world.caller, "alice", ident)


async def close_policy(world):
    await world.services.spaces.put_policy(
        OPERATOR, "alice", "reader", READ.replace("read", "deny")
    )


async def remove_policy(world):
    await world.services.spaces.delete_policy(OPERATOR, "alice", "reader")


async def purge(world):
    await KeyAdmin(world.core).purge(OPERATOR, "alice")


CHANGES = [revoke, close_policy, remove_policy, purge]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
@pytest.mark.parametrize("warm", [False, True])
def test_a_change_while_a_token_is_loaded_is_not_missed(world, monkeypatch, change, warm):
    """Committed after the token was read and before it is kept: the next request is refused."""
    assert world.may_read()
    world.gate.forget(world.gate.known(world.text).ident)
    if not warm:
        world.services.spaces.forget("alice")
    as_it_is = world.gate.session_of
    done = []

    async def meanwhile(*args):
        session = None if warm else await as_it_is(*args)
        if not done:
            done.append(True)
            world.beside(change(world))
        return session or await as_it_is(*args)

    monkeypatch.setattr(world.gate, "session_of", meanwhile)
    world.may_read()  # it was asked before the change, and may be answered as of then
    assert done
    assert not world.may_read()


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_memory_ends_with_the_commit(world, change):
    """Not with the answer of who has made the change, whose thread may be slow."""
    assert world.may_read()
    assert world.gate.known(world.text) is not None
    world.beside(change(world))
    session = world.gate.known(world.text)
    assert session is None
    assert not world.may_read()
