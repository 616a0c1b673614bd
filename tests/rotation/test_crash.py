"""The crash matrix: each step of each rotator, ended just before and just after it is durable.

After every crash the value that the store gives out lets in; what goes on after the lease ends
the rotation with one new version, which lets in, and a former one that does not any more.
"""

import json

import pytest

import databases
from adyton.rotating import Bounds
from adyton.rotationpolicy import RotationPolicy
from adyton.service.rotation.room import RotationOptions
from adyton.service.rotation.turns import TurnOf
from others import KEY, Program, Webhook
from support import Place

GRACE = 100
LEASE = 60
ROTATORS = ("random", "postgresql", "postgresql-single", "redis", "webhook", "program")
STEPS = ("create", "set", "test", "promote", "retire")


class Crash(BaseException):
    """The process ends here: nothing after it is done."""


class World:
    """A store whose time can be moved on, and the places that its secrets let in to."""

    def __init__(self, folder):
        self.program = Program(folder)
        self.webhook = Webhook()
        bounds = Bounds(programs=self.program.folder, seconds=20)
        self.store = Place(folder).open(rotation=RotationOptions(bounds, LEASE))
        clock = self.store._opened.core.clock
        real = clock.now_us
        self.ahead = 0
        clock.now_us = lambda: real() + self.ahead * 1_000_000
        self.set = self.store.set_secret
        self.set("alice", "admin", {"username": databases.ADMIN, "password": databases.PASSWORD})
        self.set("alice", "key", KEY)

    def value(self, name):
        with self.store.get_secret("alice", name) as secret:
            text = secret.text()
        return json.loads(text) if text.startswith("{") else text

    def close(self):
        self.store.close()
        self.webhook.close()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    found = World(tmp_path_factory.mktemp("world"))
    yield found
    found.close()


def prepared(world, request, rotator, name, **more):
    """A secret with its first value, out of grace; and what tells whether a value lets in."""
    settings, admin, lets_in = {}, "", lambda value: True
    ident = name.replace("/", "_")
    if rotator == "postgresql":
        server = request.getfixturevalue("postgres")
        server.make_roles(f"{ident}_a", f"{ident}_b")
        settings, admin, lets_in = server.settings(f"{ident}_a,{ident}_b"), "admin", server.lets_in
    elif rotator == "postgresql-single":
        server = request.getfixturevalue("postgres")
        server.make_roles(ident)
        settings, admin, lets_in = server.settings(ident), "admin", server.lets_in
    elif rotator == "redis":
        server = request.getfixturevalue("redis")
        server.make_user(ident)
        settings, admin, lets_in = server.settings(ident), "admin", server.lets_in
    elif rotator == "webhook":
        settings, admin, lets_in = {"url": world.webhook.url}, "key", world.webhook.lets_in
    elif rotator == "program":
        settings, lets_in = {"program": "rotate"}, world.program.lets_in
    kind = rotator.removesuffix("-single")
    policy = RotationPolicy(rotator=kind, settings=settings, admin=admin, grace=GRACE, **more)
    world.store.rotation.set_policy("alice", name, policy)
    world.store.rotation.run("alice", name)
    world.ahead += GRACE + 1
    world.store.rotation.run_due()
    assert lets_in(world.value(name))
    return lets_in


def crashing(monkeypatch, step, moment):
    """End whatever is at a step, before or after the unit that makes it durable."""
    methods = {"create": "_went", "set": "_went", "test": "_went", "promote": "_promote",
               "retire": "_over", "undo": "_over"}  # fmt: skip
    real = getattr(TurnOf, methods[step])

    async def ended(self, *args):
        if step != "promote" and args[0] != step:
            return await real(self, *args)
        if moment == "after":
            await real(self, *args)
        raise Crash

    monkeypatch.setattr(TurnOf, methods[step], ended)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("rotator", ROTATORS)
def test_crash(world, request, monkeypatch, rotator, step, moment):
    """What is broken off is gone on with, and at no moment is there a value that does not work."""
    name = f"{rotator}/{step}/{moment}"
    lets_in = prepared(world, request, rotator, name)
    former = world.value(name)
    rotation = world.store.rotation
    if step == "retire":
        rotation.run("alice", name)
        world.ahead += GRACE + 1
    with monkeypatch.context() as patched:
        crashing(patched, step, moment)
        with pytest.raises(Crash):
            rotation.run("alice", name)
    assert lets_in(world.value(name))
    if not (step == "retire" or (step, moment) == ("promote", "after")):
        assert world.value(name) == former
    world.ahead += LEASE + 1
    rotation.run_due()
    if rotation.get_policy("alice", name).state == "waiting" and world.value(name) == former:
        rotation.run("alice", name)  # nothing was durable: there was nothing to go on with
    new = world.value(name)
    assert new != former
    assert lets_in(new)
    world.ahead += GRACE + 1
    rotation.run_due()
    info = rotation.get_policy("alice", name)
    assert (info.state, info.error) == ("waiting", "")
    assert world.store.get_secret_metadata("alice", name).version == 2
    assert lets_in(world.value(name))
    if rotator != "random":
        assert not lets_in(former)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("rotator", [r for r in ROTATORS if r != "random"])
def test_crash_while_undoing(world, request, monkeypatch, rotator, moment):
    """A rotation that is undone leaves the former value alone, whenever it was broken off."""
    name = f"{rotator}/undo/{moment}"
    lets_in = prepared(world, request, rotator, name)
    former = world.value(name)
    rotation = world.store.rotation
    with monkeypatch.context() as patched:
        crashing(patched, "test", "before")
        with pytest.raises(Crash):
            rotation.run("alice", name)
    world.ahead += LEASE + 1
    with monkeypatch.context() as patched:
        crashing(patched, "undo", moment)
        with pytest.raises(Crash):
            rotation.cancel("alice", name)
    world.ahead += LEASE + 1
    rotation.run_due()
    assert rotation.get_policy("alice", name).state == "waiting"
    assert world.value(name) == former
    assert lets_in(former)


def test_the_log_is_sound_after_all_of_it(world):
    """Every object and version is in the state that the log tells."""
    world.store.audit.verify()
