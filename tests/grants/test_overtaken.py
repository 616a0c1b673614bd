"""What is asked for of several secrets at once is judged for each of them in its commit."""

import json
from base64 import b64encode

import pytest

from adyton.actions import Action
from adyton.model import Caller
from adyton.server.http import Request
from adyton.server.native.api import NativeApi
from adyton.server.vault.service import Services
from adyton.service.grants.grants import Grants
from adyton.service.journal import Draft
from adyton.service.portability import Portability
from adyton.service.rotation.rotations import Rotations
from grants.support import House
from natives import text
from ownroots import key
from support import Place

NAMES = ["app/db", "app/prod/key", "top"]


class World(House):
    """A store with the native API before it, and a member who was given three secrets apart."""

    def __init__(self, store):
        super().__init__(store)
        self.api = NativeApi(Services(self.core))
        store.set_secrets("alice", dict.fromkeys(NAMES, "canary"))
        store.members.add("alice", "ann")
        store.members.add("alice", "other")
        self.given = [store.access.grant("alice", "ann", name, role="editor").id for name in NAMES]
        self.ann = self.token("alice", "ann")

    def ask(self, path, body, method="POST"):
        """The request under way."""
        headers = {"x-vault-token": self.ann, "content-type": "application/json"}
        data = json.dumps(body).encode()
        return self.api.handle(
            Request(method, f"v1/adyton/users/alice/{path}", {}, headers, data, "127.0.0.1", "r")
        )

    def revoke(self, number):
        return Grants(self.core).revoke(Caller("test"), "alice", self.given[number])

    def overtaken(self, asked, number):
        """The answer to what was judged before a revocation, and is committed behind it."""
        revoking = self.revoke(number)
        revoking.send(None)
        asked.send(None)
        self.run(self.core.record(Draft(Caller("test"), Action.ACCESS_READ)))
        for operation in (revoking, asked):
            with pytest.raises(StopIteration) as ended:
                operation.send(None)
        return ended.value.value


@pytest.fixture
def world(tmp_path):
    with Place(tmp_path).open() as store:
        yield World(store)


@pytest.mark.parametrize("number", range(3))
def test_a_batch_of_reads(world, number):
    """Whichever of the grants goes."""
    answer = world.run(world.ask("batch/read", {"names": NAMES}))
    assert answer.status == 200, answer.body
    answer = world.overtaken(world.ask("batch/read", {"names": NAMES}), number)
    assert answer.status == 403, answer.body
    assert b"Y2FuYXJ5" not in answer.body


@pytest.mark.parametrize("number", range(3))
def test_a_batch_of_writes(world, number):
    """All or none."""
    items = [{"name": name, "value": text("new")} for name in NAMES]
    answer = world.overtaken(world.ask("batch/write", {"items": items}), number)
    assert answer.status == 403, answer.body
    for name in NAMES:
        assert world.store.get_secret("alice", name).text() == "canary"


def test_a_share(world):
    """The right to share stays; the one to read what is shared is gone."""
    for name in NAMES:
        world.store.access.grant("alice", "ann", name, rights=["share"])
    body = {"receiver": "bob", "name": NAMES[1]}
    assert world.run(world.ask("shares", body)).status == 200
    assert world.overtaken(world.ask("shares", body), 1).status == 404
    assert len(world.store.shares.given("alice")) == 1


@pytest.mark.parametrize("number", range(3))
def test_an_export(world, monkeypatch, number):
    """On its thread it takes as long as there are secrets."""
    body = {"format": "json"}
    assert world.run(world.ask("export", body)).status == 200
    collect = Portability._collect

    async def slow(self, *args):
        found = await collect(self, *args)
        await world.revoke(number)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(Portability, "_collect", slow)
        answer = world.run(world.ask("export", body))
    assert answer.status == 403, answer.body


@pytest.mark.parametrize("number", range(3))
def test_an_import(world, monkeypatch, number):
    """Between its names' being judged and its transaction."""
    document = b64encode(json.dumps(dict.fromkeys(NAMES, "new")).encode()).decode()
    body = {"format": "json", "data": document, "on_conflict": "new-version"}
    real = Portability.import_

    async def slow(self, *args, **more):
        await world.revoke(number)
        return await real(self, *args, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Portability, "import_", slow)
        answer = world.run(world.ask("import", body))
    assert answer.status in {403, 404}, answer.body
    for name in NAMES:
        assert world.store.get_secret("alice", name).text() == "canary"


def test_a_policy_of_rotation_that_needs_to_read(world, monkeypatch):
    """Writing may stay while reading the admin's secret goes."""
    reads = world.store.access.grant("alice", "other", "top", rights=["read"]).id
    world.store.access.grant("alice", "other", "app/db", rights=["read", "write"])
    world.ann, world.given = world.token("alice", "other"), [reads]
    body = {"rotator": "webhook", "settings": {"url": "https://a.example"}, "admin": "top"}
    real = Rotations.set_policy

    async def slow(self, *args, **more):
        await world.revoke(0)
        return await real(self, *args, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Rotations, "set_policy", slow)
        answer = world.run(world.ask("rotation/app/db", body, "PUT"))
    assert answer.status == 403, answer.body


def test_a_members_export_that_a_root_overtakes(world, monkeypatch):
    """As anybody's: what the keys have opened is not given once they are away."""
    world.store.user_roots.set("alice", key())
    collect = Portability._collect

    async def slow(self, *args):
        found = await collect(self, *args)
        world.store.user_roots.take("alice")
        world.store.user_roots.give("alice", key())
        return found

    with monkeypatch.context() as patch:
        patch.setattr(Portability, "_collect", slow)
        answer = world.run(world.ask("export", {"format": "json"}))
    assert answer.status != 200, answer.body
    assert b"root-away" in answer.body
