"""Sessions in memory: whose are dropped when there are too many, and that nothing else is left."""

import pytest

from adyton import SecretStore
from adyton.errors import AccessDenied, InvalidInput
from adyton.model import Caller
from adyton.server.vault.service import Services
from adyton.service.access import sessions as kept
from adyton.service.access.gate import Request
from adyton.service.access.shaping import TokenRequest
from adyton.service.access.tokentext import token_id

HERE = Request("127.0.0.1", "request")
OPERATOR = Caller("test")


class World:
    """Services over one store in memory, and the operator's token."""

    def __init__(self, store):
        self.core = store._opened.core
        self.services = Services(self.core)
        self.gate, self.run = self.services.gate, self.core.commit.run_sync
        self.sessions = self.gate.sessions
        root = self.run(self.services.tokens.create_root(OPERATOR))
        self.operator = self.run(self.gate.enter(root.text, HERE))

    def token(self, user, parent=None, **asked):
        """A token of a namespace; made by the operator, or by another of its tokens."""
        parent = self.operator if parent is None else self.run(self.gate.enter(parent, HERE))
        caller = self.gate.caller(parent, user, HERE)
        request = TokenRequest(**{"policies": ("default",)} | asked)
        return self.run(self.services.tokens.create(caller, parent, request)).text

    def load(self, text):
        self.run(self.gate.enter(text, HERE))

    def known(self, texts):
        return sum(self.sessions.known(text) is not None for text in texts)

    def check(self):
        """What is kept beside the sessions is of these alone."""
        sessions = self.sessions
        idents = set(sessions._sessions)
        assert {one for own in sessions._users.values() for one in own} == idents
        assert all(sessions._users.values())
        children = [one for made in sessions._batches.values() for one in made]
        assert set(children) <= idents
        assert all(sessions._batches.values())


@pytest.fixture
def world():
    with SecretStore.open("memory:", root="dev:", upkeep=False) as store:
        yield World(store)


@pytest.mark.parametrize("kind", ["batch", "service"])
def test_whoever_makes_tokens_without_end_pushes_out_none_of_others(world, monkeypatch, kind):
    """Their own oldest ones go; ten users with few keep all of theirs."""
    monkeypatch.setattr(kept, "_LIMIT", 100)
    others = [world.token(f"user{number % 10}") for number in range(30)]
    for text in others:
        world.load(text)
    before = world.sessions.loads
    parent = world.token("mallory", policies=("root",))
    many = [world.token("mallory", parent, type=kind) for _ in range(250)]
    for text in many:
        world.load(text)
        assert world.sessions.size <= 100
    assert world.known(others) == 30
    assert world.sessions.loads >= before + 250
    assert 40 <= world.known(many) < 70
    assert world.known(many[-1:]) == 1
    world.check()
    for text in many[:3]:  # it costs them a look-up, and ends nothing
        world.load(text)


def test_more_users_than_there_is_room_for(world, monkeypatch):
    """The oldest sessions go, one quarter at a time."""
    monkeypatch.setattr(kept, "_LIMIT", 20)
    texts = [world.token(f"user{number}") for number in range(50)]
    for text in texts:
        world.load(text)
        assert world.sessions.size <= 20
    assert world.known(texts[-10:]) == 10
    world.check()


def test_nothing_is_left_of_tokens_that_are_forgotten(world):
    """Neither of children without their parent, nor of a parent whose children are gone."""
    for user in ("ann", "bob"):
        parent = world.token(user, policies=("root",))
        children = [world.token(user, parent, type="batch") for _ in range(3)]
        for text in children:
            world.load(text)
        world.check()
        world.sessions.forget(token_id(children[0]))
        assert world.known(children) == 2
        world.check()
        if user == "ann":
            for text in children[1:]:
                world.sessions.forget(token_id(text))
        else:
            world.sessions.forget(token_id(parent))
        assert world.known(children) == 0
        world.check()
        assert not world.sessions._batches
    world.load(children[0])
    world.sessions._forget_user("bob")
    assert world.known(children) == 0
    world.check()


@pytest.mark.parametrize("sizes", [[], [1], [5, 5, 5], [1, 2, 50], [100], [0, 30, 4, 60, 7, 9]])
@pytest.mark.parametrize("room", [3, 10, 60, 1_000])
def test_shares_fit_and_take_from_the_largest(sizes, room):
    """All of what fits is given away but for a remainder, and a small one loses nothing first."""
    most = kept._share(sizes, room)
    left = [min(size, most) for size in sizes]
    assert sum(left) <= room
    if sum(sizes) > room:
        assert sum(min(size, most + 1) for size in sizes) > room
    else:
        assert left == sizes


def test_a_token_of_counted_uses_makes_no_batch_token(world):
    """So there is none that could outlive its parent's last use."""
    for uses in (1, 2):
        counted = world.token("ann", policies=("root",), num_uses=uses)
        with pytest.raises(InvalidInput, match="restricted use token"):
            world.token("ann", counted, type="batch")
    with pytest.raises(AccessDenied):
        for _ in range(3):
            world.load(counted)
