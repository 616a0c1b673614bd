"""The outbox: in the commit of what it tells of, sealed, bounded, and on its way to the sinks."""

import json

import pytest

from adyton import Caller
from adyton.actions import Action
from adyton.errors import InvalidInput, RotationError
from adyton.rotating import Generated
from adyton.rotationpolicy import RotationPolicy
from adyton.service.journal import Draft
from adyton.service.notices import records
from adyton.service.notices.outbox import put_notice
from support import Place

ACTOR = Caller("test")


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def put(store, user, kind="rotation.failed", subject="db/password", **details):
    """A notice alone in a unit of its own."""
    core = store._opened.core

    async def operation():
        async def work(scope):
            keys = await core.keys_to_write(scope, ACTOR, user, 0)
            return await put_notice(core, scope, ACTOR, keys, kind, subject, details)

        return await core.write(Draft(ACTOR, Action.NOTICE_PUT, user_id=user), work)

    return core.commit.run_sync(operation())


def kept(store, user):
    """All notices of a user, by number."""
    core = store._opened.core

    async def operation():
        keys = await core.keys(user)
        async with core.storage.snapshot() as rows:
            return await records.NOTICES.all(rows, keys)

    return core.commit.run_sync(operation())


def test_a_notice_is_there_with_its_cause_or_not_at_all(place):
    """A unit that fails behind its notice leaves neither row nor record of it."""
    with place.open() as store:
        core = store._opened.core
        put(store, "u")

        async def work(scope):
            keys = await core.keys_to_write(scope, ACTOR, "u", 0)
            await put_notice(core, scope, ACTOR, keys, "rotation.failed")
            raise InvalidInput("no")

        async def operation():
            await core.write(Draft(ACTOR, Action.SECRET_SET, user_id="u"), work)

        with pytest.raises(InvalidInput):
            core.commit.run_sync(operation())
        assert len(kept(store, "u")) == 1
        assert len(store.get_audit_log("u", action="notice.put")) == 1
        store.audit.verify()


def test_sinks_get_notices_with_the_log(place, tmp_path):
    """One line each, with kind, id and details; the subject is a keyed index unless revealed."""
    lines = []
    for reveal in (False, True):
        sink = tmp_path / f"{reveal}.jsonl"
        with place.open(sinks=[f"file:{sink}"], reveal_to_sinks=reveal) as store:
            idents = [put(store, "u", step="set", error='a "quoted" text') for _ in range(3)]
        found = [json.loads(line) for line in sink.read_text().splitlines()]
        told = [line for line in found if line["action"] == "notice.put"][-3:]
        assert [line["notice"]["id"] for line in told] == idents
        assert all("notice" not in line for line in found if line["action"] != "notice.put")
        lines.append(told[-1])
    assert lines[0]["notice"]["details"] == {"step": "set", "error": 'a "quoted" text'}
    assert lines[0]["notice"]["kind"] == "rotation.failed"
    assert lines[0]["secret"].startswith("hmac:")
    assert "db/password" not in json.dumps(lines[0])
    assert lines[1]["secret"] == "db/password"


def test_the_oldest_make_room(place, monkeypatch):
    """A user keeps a bounded number of notices, the newest; the store verifies."""
    monkeypatch.setattr("adyton.service.notices.outbox.MAX_KEPT", 10)
    with place.open() as store:
        idents = [put(store, "u") for _ in range(25)]
        assert [notice.id for notice in kept(store, "u").values()] == idents[-10:]
        assert idents == sorted(idents)
        store.audit.verify()
    assert place.sql("SELECT count(*) FROM objects") == [(11,)]


def test_the_file_tells_a_thief_nothing(place):
    """Kind, subject and details are in no file."""
    with place.open() as store:
        put(store, "u", "canary.kind", "canary-name", canary="canary-detail")
    files = b"".join(path.read_bytes() for path in place.folder.glob("store.db*"))
    assert b"canary" not in files


def test_a_purge_leaves_nothing(place):
    """No row of a user's notices is left, and what is left of the log can't be opened."""
    with place.open() as store:
        put(store, "u")
        put(store, "v")
        store.purge_user("u")
        assert not store.get_audit_log("u")
        assert len(kept(store, "v")) == 1
        store.audit.verify()
    assert place.sql("SELECT count(*) FROM objects") == [(2,)]


def test_notices_outlive_a_rotation_of_keys(place):
    """They are re-sealed like all objects, and read as before."""
    with place.open() as store:
        ident = put(store, "u", step="set")
        store.keys.rotate("u")
        store.keys.rewrap("u", deep=True)
        (notice,) = kept(store, "u").values()
        assert (notice.id, notice.details) == (ident, {"step": "set"})
        put(store, "u")
        store.audit.verify()


class Broken:
    """A rotator whose steps fail as long as they are told to."""

    def __init__(self, *failing):
        self.failing = set(failing)

    def check(self, settings, *, admin):
        pass

    def create(self, turn, generate):
        return Generated(b"new-value-canary", "text/plain")

    def step(self, name):
        if name in self.failing:
            raise RotationError(f"no {name}")

    def set(self, turn):
        self.step("set")

    def test(self, turn):
        self.step("test")

    def retire(self, turn):
        self.step("retire")

    def undo(self, turn):
        self.step("undo")


def told(store):
    return [
        (notice.kind, notice.subject, notice.details.get("step", ""))
        for notice in kept(store, "u").values()
    ]


def moved(store):
    found = store._opened.core.clock
    real, ahead = found.now_us, [0]
    found.now_us = lambda: real() + ahead[0] * 1_000_000
    return ahead


def test_rotation_tells_success_failure_and_delay(place):
    """Failing once and given up after the retries, never in between; then overdue, and success."""
    with place.open() as store:
        ahead = moved(store)
        rotator = Broken("test")
        store._opened.core.rotation.open = lambda _: rotator
        store.rotation.set_policy("u", "s", RotationPolicy(every=24 * 3600, grace=0, retries=3))
        ahead[0] += 25 * 3600
        for _ in range(6):
            store.rotation.run_due()
            ahead[0] += 3601
        assert told(store) == [
            ("rotation.overdue", "s", ""),
            ("rotation.failing", "s", "test"),
            ("rotation.failed", "s", "test"),
        ]
        rotator.failing = set()
        ahead[0] += 24 * 3600
        store.rotation.run_due()
        assert [kind for kind, _, _ in told(store)][3:] == [
            "rotation.overdue",
            "rotation.succeeded",
        ]
        assert "canary" not in repr([notice.details for notice in kept(store, "u").values()])
        store.audit.verify()


def test_a_step_that_never_gives_up_tells_it_once(place):
    """Retiring goes on for ever, and is told at the first failure and behind the last retry."""
    with place.open() as store:
        ahead = moved(store)
        store._opened.core.rotation.open = lambda _: Broken("retire")
        store.set_secret("u", "s", "former")
        store.rotation.set_policy("u", "s", RotationPolicy(grace=0, retries=2))
        with pytest.raises(RotationError):
            store.rotation.run("u", "s")
        for _ in range(8):
            ahead[0] += 4000
            store.rotation.run_due()
        assert told(store) == [
            ("rotation.succeeded", "s", ""),
            ("rotation.failing", "s", "retire"),
            ("rotation.failed", "s", "retire"),
        ]
