"""Writes that are done once, and check-and-set, under concurrency, time and kills."""

import http.client
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from adyton import SecretStore
from adyton.errors import IdempotencyMismatch, InvalidInput, RequestPending
from adyton.model import Caller
from adyton.service.access.gate import Gate
from adyton.service.access.spaces import Spaces
from adyton.service.access.tidy import Tidy
from adyton.service.access.tokens import Tokens
from adyton.service.once import ANSWERS, DAYS, Once, Replayed
from adyton.service.pages import Pages
from adyton.service.secrets import Secrets
from adyton.service.values import Item
from natives import b64, call, kind, put, text, user_with
from servers import adyton, serve
from support import Place

ALL = 'path "*" { capabilities = ["create","read","update","delete","list","patch","sudo"] }'


def keyed(key, **more):
    return {"Idempotency-Key": key, **more}


# -- over a socket ------------------------------------------------------------------------------


def writes(name):
    """Every kind of write, in an order in which each can be done."""
    item = {"name": f"{name}/b", "value": text("x")}
    document = {"format": "json", "data": b64(b'{"c":"x"}'), "prefix": f"{name}/"}
    merge = {"Content-Type": "application/merge-patch+json"}
    return [
        ("PUT", f"users/me/secrets/{name}", {"value": text("1")}, {}),
        ("PUT", f"users/me/secrets/{name}", {"value": text("2")}, {"If-Match": '"1"'}),
        ("PATCH", f"users/me/metadata/{name}", {"attributes": {"a": "b"}}, {}),
        ("PATCH", f"users/me/metadata/{name}", {"attributes": {"c": "d"}}, merge),
        ("PATCH", f"users/me/tags/{name}", {"add": ["t"]}, {}),
        ("POST", f"users/me/rollback/{name}", {"version": 1}, {}),
        ("DELETE", f"users/me/secrets/{name}", None, {}),
        ("POST", f"users/me/undelete/{name}", {}, {}),
        ("POST", "users/me/batch/write", {"items": [item]}, {}),
        ("POST", "users/me/import", document, {}),
        ("POST", f"users/me/destroy/{name}", {"versions": [1]}, {}),
        ("POST", f"users/me/destroy/{name}", {"versions": None}, {}),
    ]


def test_each_write_is_done_once(server, name):
    """The same request is answered as the first time, and changes nothing."""
    for at, (method, path, body, more) in enumerate(writes(name)):
        first = call(server, method, path, body, headers=keyed(f"{name}{at}", **more))
        assert first[0] in {200, 204}, first
        assert "idempotency-replayed" not in first[1]
        state = call(server, "GET", f"users/me/secrets?prefix={name}&include_deleted=true")[2]
        again = call(server, method, path, body, headers=keyed(f"{name}{at}", **more))
        assert (again[0], again[2]) == (first[0], first[2])
        assert again[1]["idempotency-replayed"] == "true"
        assert again[1].get("etag") == first[1].get("etag")
        assert again[1]["x-request-id"] != first[1]["x-request-id"]
        assert (
            state == call(server, "GET", f"users/me/secrets?prefix={name}&include_deleted=true")[2]
        )
    assert call(server, "POST", "audit/verify", {})[0] == 200


def test_operators_writes_are_done_once(server, name):
    """Purging a user, rotating and re-wrapping keys."""
    user, _ = user_with(server, ALL)
    for at, (method, path, body) in enumerate(
        [
            ("POST", "keys/rotate", {"user": user}),
            ("POST", "keys/rewrap", {"user": user, "deep": True}),
            ("POST", "keys/rotate", {"master": True}),
            ("DELETE", f"users/{user}", None),
        ]
    ):
        first = call(server, method, path, body, headers=keyed(f"{name}{at}"))
        again = call(server, method, path, body, headers=keyed(f"{name}{at}"))
        assert (first[0], again[0], again[2]) == (200, 200, first[2])
        assert again[1]["idempotency-replayed"] == "true"
    # What failed is not kept.
    for _ in range(2):
        found = call(server, "POST", "keys/rotate", {"user": user}, headers=keyed(f"{name}x"))
        assert (found[0], kind(found[2])) == (404, "user-not-found")
        found = call(server, "DELETE", f"users/{user}", headers=keyed(f"{name}y"))
        assert (found[0], kind(found[2])) == (404, "user-not-found")
    assert call(server, "POST", "audit/verify", {})[0] == 200


def test_a_key_is_for_one_request(server, name):
    """Another body, path, query, method or condition with it is refused, and not done."""
    path = f"users/me/secrets/{name}"
    body = {"value": text("1")}
    assert call(server, "PUT", path, body, headers=keyed(name))[0] == 200
    for method, other, sent, more in (
        ("PUT", path, {"value": text("2")}, {}),
        ("PUT", path + "2", body, {}),
        ("PUT", f"users/root/secrets/{name}", body, {}),
        ("PUT", path, body, {"If-Match": '"1"'}),
        ("PUT", path, body, {"Content-Type": "application/json; charset=utf-8"}),
        ("DELETE", path, None, {}),
        ("DELETE", path + "?versions=1", None, {}),
    ):
        status, _, found = call(server, method, other, sent, headers=keyed(name, **more))
        assert (status, kind(found)) == (422, "idempotency-mismatch")
    assert call(server, "GET", path)[2]["version"] == 1
    for wrong in ("", "x" * 256, "a b", "ü"):
        sent = keyed(wrong.encode().decode("latin-1"))
        assert call(server, "PUT", path, body, headers=sent)[0] == 400
    # Where it has no effect it is no matter.
    assert call(server, "GET", path, headers=keyed(name))[0] == 200
    assert (
        call(server, "POST", "users/me/batch/read", {"names": [name]}, headers=keyed(name))[0]
        == 200
    )


def test_a_failure_is_not_kept(server, name):
    """It has done nothing: the same request may succeed later."""
    path = f"users/me/secrets/{name}"
    body = {"value": text("2")}
    condition = {"If-Match": '"1"'}
    assert call(server, "PUT", path, body, headers=keyed(name, **condition))[0] == 412
    put(server, name, "1")
    first = call(server, "PUT", path, body, headers=keyed(name, **condition))
    again = call(server, "PUT", path, body, headers=keyed(name, **condition))
    assert (first[0], again[0], again[2]) == (200, 200, first[2])


def test_keys_of_two_namespaces_never_meet(server, name):
    """The same key, used by tokens of three namespaces, for the same path."""
    one, token = user_with(server, ALL)
    _, other = user_with(server, ALL)
    for at, text_ in ((token, "1"), (other, "2"), (None, "3")):
        status, headers, _ = put(server, name, text_, token=at, Idempotency_Key=name)
        assert (status, headers.get("idempotency-replayed")) == (200, None)
    # An operator's key in a user's namespace is the operator's.
    assert put(server, name, "4", user=one, Idempotency_Key="op")[2]["version"] == 2
    assert put(server, name, "5", token=token, Idempotency_Key="op")[2]["version"] == 3
    assert put(server, name, "4", user=one, Idempotency_Key="op")[2]["version"] == 2


def test_the_same_request_many_times_at_once(server, name):
    """Is done once, and all are told the same."""
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda _: put(server, name, "x", Idempotency_Key=name), range(48)))
    assert {status for status, _, _ in found} == {200}
    assert len({json.dumps(answer, sort_keys=True) for _, _, answer in found}) == 1
    assert sum("idempotency-replayed" not in headers for _, headers, _ in found) == 1
    assert call(server, "GET", f"users/me/secrets/{name}")[2]["version"] == 1


def test_different_requests_with_one_key_at_once(server, name):
    """One is done; the others are refused."""
    with ThreadPoolExecutor(16) as pool:
        found = list(
            pool.map(lambda at: put(server, name, f"v{at}", Idempotency_Key=name), range(32))
        )
    assert sorted(status for status, _, _ in found) == [200] + [422] * 31


def test_an_operation_of_many_units_at_once(server, name):
    """Of many that ask at once one rotates; the others are told so, or that it is under way."""
    user, _ = user_with(server, ALL)
    with ThreadPoolExecutor(8) as pool:
        found = list(
            pool.map(
                lambda _: call(server, "POST", "keys/rotate", {"user": user}, headers=keyed(name)),
                range(16),
            )
        )
    assert {status for status, _, _ in found} <= {200, 409}
    assert (
        sum(status == 200 and "idempotency-replayed" not in headers for status, headers, _ in found)
        == 1
    )
    keys = [key for key in call(server, "GET", "keys")[2]["items"] if key["user"] == user]
    assert max(key["version"] for key in keys) == 2


def test_check_and_set_lets_one_in(server, name):
    """Of many writers after the same version, each time, exactly one writes."""
    put(server, name, "0")
    for version in range(1, 6):
        with ThreadPoolExecutor(16) as pool:
            found = list(
                pool.map(lambda at: put(server, name, f"{at}", If_Match=f'"{version}"'), range(24))
            )
        assert sorted(status for status, _, _ in found) == [200] + [412] * 23
    with ThreadPoolExecutor(16) as pool:
        found = list(
            pool.map(lambda at: put(server, name + "/new", f"{at}", If_None_Match="*"), range(24))
        )
    assert sorted(status for status, _, _ in found) == [200] + [412] * 23


def test_a_counter_loses_nothing(server, name):
    """Writers that read, add one and write with check-and-set, until it works."""
    put(server, name, "0")

    def add(_):
        while True:
            found = call(server, "GET", f"users/me/secrets/{name}")[2]
            value = str(int(found["value"]["data"]) + 1)
            if put(server, name, value, If_Match=f'"{found["version"]}"')[0] == 200:
                return

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(40)))
    found = call(server, "GET", f"users/me/secrets/{name}")[2]
    assert (found["value"]["data"], found["version"]) == ("40", 41)


class Writer(threading.Thread):
    """Writes one secret over and over, each time until it is told that it is done."""

    def __init__(self, field, name):
        super().__init__()
        self.field = field
        self.name_ = name
        self.asked = self.done = self.repeated = 0
        self.start()

    def run(self):
        while not self.field["stop"]:
            self.asked += 1
            key = f"{self.name_}-{self.asked}"
            while not self.once(key):
                time.sleep(0.01)
            self.done += 1

    def once(self, key):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.field["port"], timeout=10)
            body = json.dumps({"value": text(key), "max_versions": 1000})
            connection.request(
                "PUT", f"/v1/adyton/users/me/secrets/{self.name_}", body,
                {"X-Vault-Token": self.field["token"], "Content-Type": "application/json",
                 "Idempotency-Key": key},
            )  # fmt: skip
            answer = connection.getresponse()
            found = json.loads(answer.read())
            connection.close()
        except (OSError, http.client.HTTPException, ValueError):
            return False
        if answer.status == 503:
            return False
        assert answer.status == 200, found
        assert found["version"] == self.asked, "done twice, or not at all"
        self.repeated += answer.getheader("idempotency-replayed") == "true"
        return True


def test_kill_9_applies_nothing_twice(tmp_path):
    """Clients that repeat what they were not told about, over five kills: each is done once."""
    store = str(tmp_path / "store.db")
    adyton(store, "init")
    token = json.loads(adyton(store, "token", "root"))["token"]
    field = {"stop": False, "port": 0, "token": token}
    server = serve(store)
    field["port"] = server.port
    writers = [Writer(field, f"w{number}") for number in range(4)]
    for round_ in range(5):
        time.sleep(0.15 + 0.1 * round_)
        server.process.kill()
        server.process.communicate()
        server = serve(store)
        field["port"] = server.port
    field["stop"] = True
    for writer in writers:
        writer.join(30)
        assert not writer.is_alive()
        assert writer.done == writer.asked > 0
        found = call(server, "GET", f"users/me/secrets/{writer.name_}", token=token)[2]
        assert found["version"] == writer.asked
    assert server.stop()[0] == 0
    adyton(store, "audit", "verify")


# -- in process, where time can be set ----------------------------------------------------------


class Time:
    """A clock that can be moved."""

    def __init__(self, clock):
        self.clock = clock
        self.ahead_us = 0

    def now_us(self):
        return self.clock.now_us() + self.ahead_us

    def pass_hours(self, hours):
        self.ahead_us += int(hours * 3_600_000_000)


@pytest.fixture
def store(tmp_path):
    with Place(tmp_path).open() as opened:
        opened.set_secret("alice", "first", "x")
        yield opened


@pytest.fixture
def core(store):
    core = store._opened.core
    core.clock = core.commit._clock = Time(core.clock)
    return core


CALLER = Caller("test", "alice")


def once(core, key, request=b"r" * 32):
    return Once(core, CALLER, "alice", key, request)


def write(core, one, value=b"v"):
    """What a handler does for a keyed write."""
    item = Item("counted", value, "text/plain")
    return core.commit.run_sync(
        one.write(
            lambda over: Secrets(over).set_many(CALLER, "alice", [item]),
            lambda metas: (200, f'"{metas[0].version}"', b"{}"),
        )
    )


def kept(core):
    async def count():
        keys = await core.keys("alice")
        async with core.storage.snapshot() as rows:
            days = await DAYS.get(rows, keys, "all")
            found = [await ANSWERS.all(rows, keys, str(day)) for day in days.days]
        return sum(map(len, found))

    return core.commit.run_sync(count())


def test_answers_are_kept_for_a_day(core, store):
    """After that the key is as new, and the answer is removed."""
    write(core, once(core, "k"))
    core.clock.pass_hours(23.9)
    with pytest.raises(Replayed) as again:
        write(core, once(core, "k"))
    assert (again.value.answer.status, again.value.answer.etag) == (200, '"1"')
    with pytest.raises(IdempotencyMismatch):
        write(core, once(core, "k", b"other"))
    core.clock.pass_hours(0.2)
    assert write(core, once(core, "k", b"other"))[0].version == 2
    with pytest.raises(Replayed):
        write(core, once(core, "k", b"other"))
    store.audit.verify()


def test_ended_answers_are_tidied_away(core, store):
    """In bounded batches, those of whole days that are over, and no others."""
    for at in range(450):
        write(core, once(core, f"old{at}"))
    core.clock.pass_hours(36)
    write(core, once(core, "new"))
    assert kept(core) == 451
    spaces = Spaces(core)
    tidy = Tidy(core, spaces, Tokens(core, Gate(core, spaces)))
    core.commit.run_sync(tidy.run(Caller("operator")))
    core.clock.pass_hours(12.5)
    removed = core.commit.run_sync(tidy.run(Caller("operator")))
    assert kept(core) == 1
    assert removed in {0, 450}  # by the time of day at which this runs
    with pytest.raises(Replayed):
        write(core, once(core, "new"))
    store.audit.verify()


def test_an_operation_that_is_under_way(core, store):
    """Its key is taken until it has ended, well or not."""
    one = once(core, "k")
    core.commit.run_sync(one.begin())
    for _ in range(2):
        with pytest.raises(RequestPending) as error:
            core.commit.run_sync(once(core, "k").begin())
        assert not isinstance(error.value, Replayed)
    core.commit.run_sync(one.finish(200, "", b"{}"))
    with pytest.raises(Replayed):
        core.commit.run_sync(once(core, "k").begin())
    other = once(core, "failed")
    core.commit.run_sync(other.begin())
    core.commit.run_sync(other.give_up())
    core.commit.run_sync(once(core, "failed").begin())
    store.audit.verify()


def test_an_operation_that_was_left_behind_is_gone_on_with(tmp_path):
    """By one request after the store was opened again; of another request the key is not."""
    place = Place(tmp_path)
    with place.open() as store:
        core = store._opened.core
        store.set_secret("alice", "first", "x")
        before = core.clock.now_us()
        assert core.commit.run_sync(once(core, "k").begin(resume=True)) is None
    for _ in range(2):  # also when it is left behind once more
        with place.open() as store:
            core = store._opened.core
            with pytest.raises(IdempotencyMismatch):
                core.commit.run_sync(once(core, "k", b"s" * 32).begin(resume=True))
            with pytest.raises(RequestPending):
                core.commit.run_sync(once(core, "k").begin())
            begun = core.commit.run_sync(once(core, "k").begin(resume=True))
            assert before <= begun <= core.clock.now_us()
            with pytest.raises(RequestPending):
                core.commit.run_sync(once(core, "k").begin(resume=True))
    with place.open() as store:
        core = store._opened.core
        last = once(core, "k")
        assert core.commit.run_sync(last.begin(resume=True)) == begun
        core.commit.run_sync(last.finish(200, "", b"{}"))
    with place.open() as store:
        core = store._opened.core
        with pytest.raises(Replayed):
            core.commit.run_sync(once(core, "k").begin(resume=True))
        store.audit.verify()


@pytest.mark.parametrize(
    "what",
    [{}, {"master": True}, pytest.param({"deep": True}, marks=pytest.mark.soak)],
    ids=["users", "master", "deep"],
)
def test_kill_9_while_keys_rotate(tmp_path, what):
    """The same request goes on: each key is rotated once, and the answer comes in the end."""
    users = 150
    path = str(tmp_path / "store.db")
    adyton(path, "init")
    token = json.loads(adyton(path, "token", "root"))["token"]
    with SecretStore.open(path, root=f"keyfile:{path}.key", upkeep=False) as store:
        for number in range(users):
            store.set_secret(f"u{number}", "a", b"x")
    route = "keys/rewrap" if "deep" in what else "keys/rotate"
    told = []

    def ask(server):
        try:
            told.append(call(server, "POST", route, what, token=token, headers=keyed("k")))
        except (OSError, http.client.HTTPException):
            told.append(None)

    server = serve(path)
    for delay in (0.03, 0.08):
        asking = threading.Thread(target=ask, args=(server,))
        asking.start()
        time.sleep(delay)
        server.process.kill()
        server.process.communicate()
        asking.join(30)
        server = serve(path)
    ask(server)
    assert told[-1][0] == 200, told[-1]
    keys = call(server, "GET", "keys", token=token)[2]["items"]
    versions = {(key["user"] != "", key["version"]) for key in keys if key["user"] != "root"}
    highest = {True: max(v for u, v in versions if u), False: max(v for u, v in versions if not u)}
    assert highest == {True: 2 if not what else 1, False: 2 if "master" in what else 1}
    if not what:
        assert sum(key["version"] == 2 for key in keys if key["user"] != "root") == users
        assert told[-1][2]["rotated"] == users + 1
    ask(server)
    assert told[-1][1]["idempotency-replayed"] == "true"
    assert server.stop()[0] == 0
    adyton(path, "audit", "verify")


def test_an_operation_that_goes_on_over_midnight(core, store):
    """Has one answer, whichever day it is kept under."""
    one = once(core, "k")
    core.commit.run_sync(one.begin())
    core.clock.pass_hours(23.99)
    core.commit.run_sync(one.finish(200, "", b"{}"))
    assert kept(core) == 1
    with pytest.raises(Replayed):
        core.commit.run_sync(once(core, "k").begin())
    store.audit.verify()


def test_a_unit_that_fails_keeps_nothing(core, store):
    """Neither the write nor the answer."""
    item = Item("counted", b"v", "text/plain", cas=7)
    one = once(core, "k")
    with pytest.raises(Exception, match="check-and-set"):
        core.commit.run_sync(
            one.write(
                lambda over: Secrets(over).set_many(CALLER, "alice", [item]),
                lambda _: (200, "", b""),
            )
        )
    assert core.commit.run_sync(one.seen()) is False
    assert write(core, one)[0].version == 1
    assert core.commit.run_sync(one.seen()) is True
    store.audit.verify()


def test_kept_answers_tell_nothing(core, store, tmp_path):
    """Not in reprs, and not on disk in the clear."""
    write(core, once(core, "k3y-c4n4ry"), b"v4lue-c4n4ry")
    assert "c4n4ry" not in repr(once(core, "k3y-c4n4ry"))
    store.close()
    for file in tmp_path.iterdir():
        assert b"c4n4ry" not in file.read_bytes()


def test_cursors_come_back(core):
    """Any position, any query; another listing's is refused."""
    for position in ("a", "ü/x", "7", "a" * 512):
        cursor = Pages(core, "secrets", "alice", "[]").cursor(position)
        assert Pages(core, "secrets", "alice", "[]").position(cursor) == position
        for other in (("secrets", "bob", "[]"), ("secrets", "alice", "[1]"), ("x", "alice", "[]")):
            with pytest.raises(InvalidInput):
                Pages(core, *other).position(cursor)
    assert Pages(core, "secrets", "alice", "").position(None) is None
