"""A disk that is full, failing or slow under a server: nothing is released, then it goes on."""

import json
import threading
import time

import pytest

from servers import WatchedServer
from support import Place

VALUE = "value-that-needs-a-record"


@pytest.fixture
def server(tmp_path):
    made = WatchedServer(tmp_path)
    made.root("POST", "/v1/sys/auth/userpass", {"type": "userpass"})
    made.root(
        "POST", "/v1/auth/userpass/users/ann", {"password": "pw", "token_policies": "default"}
    )
    assert made.root("POST", "/v1/secret/data/a", {"data": {"k": VALUE}})[0] == 200
    yield made
    if made.process.poll() is None:
        made.process.kill()
        made.process.wait()


def ended(server):
    """Records by request id, of a log that is verified once the server has ended."""
    assert server.stop()[0] == 0
    with Place(server.folder).open() as store:
        store.audit.verify()
        entries = store.get_audit_log(limit=100_000)
    return {entry.request_id: entry for entry in entries if entry.success}


REQUESTS = [
    ("GET", "/v1/secret/data/a", None, 200),
    ("LIST", "/v1/secret/metadata", None, 200),
    ("GET", "/v1/secret/metadata/a", None, 200),
    ("GET", "/v1/secret/data/absent", None, 404),
    ("POST", "/v1/secret/data/b", {"data": {"k": "lost"}}, 200),
    ("POST", "/v1/auth/token/create", {"policies": ["default"]}, 200),
    ("GET", "/v1/auth/token/lookup-self", None, 200),
    ("GET", "/v1/sys/policies/acl", None, 200),
    ("POST", "/v1/auth/userpass/login/ann", {"password": "pw"}, 200),
    ("POST", "/v1/auth/userpass/login/ann", {"password": "wrong"}, 400),
]


@pytest.mark.parametrize("fault", ["full", "write", "sync"])
def test_nothing_is_released_without_a_record_and_it_recovers_by_itself(server, fault):
    """Each kind of request is 503 while the disk fails, and right again once it does not."""
    process = server.process.pid
    for _ in range(2):
        server.fail_disk(fault)
        for method, path, body, _ in REQUESTS:
            status, headers, answer = server.root(method, path, body)
            assert status == 503, path
            assert set(answer) == {"errors"}
            assert VALUE not in json.dumps(answer)
            assert headers["x-request-id"]
        assert server.raw("GET", "/v1/secret/data/a", token="unknown")[0] == 503
        assert server.raw("GET", "/v1/sys/seal-status")[0] == 200
        server.fail_disk(None)
        for method, path, body, status in REQUESTS:
            assert server.root(method, path, body)[0] == status, path
        assert server.raw("GET", "/v1/secret/data/a", token="unknown")[0] == 403
    found = server.root("GET", "/v1/secret/data/b")[2]["data"]
    assert found["metadata"]["version"] == 2  # what was refused was not done
    assert server.process.pid == process
    assert server.process.poll() is None
    log = ended(server)
    assert sum(entry.action == "access.login" for entry in log.values()) == 2


def test_what_was_acknowledged_under_a_flickering_disk_is_there(server):
    """Clients that write and read while the disk comes and goes; the ledger is held to the log."""
    stop = threading.Event()
    released, written, statuses = [], {}, set()

    def client(number):
        at = 0
        while not stop.is_set():
            at += 1
            path = f"/v1/secret/data/c{number}"
            status, _, answer = server.root("POST", path, {"data": {"n": at}})
            statuses.add(status)
            if status == 200:
                written[number] = (answer["data"]["version"], at)
                released.append(answer["request_id"])
            status, _, answer = server.root("GET", path)
            statuses.add(status)
            if status == 200:
                released.append(answer["request_id"])

    threads = [threading.Thread(target=client, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for fault in ("full", "sync", "slow", "write", "sync"):
        time.sleep(0.15)
        server.fail_disk(fault)
        time.sleep(0.15)
        server.fail_disk(None)
    time.sleep(0.3)
    stop.set()
    for thread in threads:
        thread.join()
    assert statuses >= {200, 503}
    assert statuses <= {200, 503, 404}
    for number, (version, n) in written.items():
        found = server.root("GET", f"/v1/secret/data/c{number}?version={version}")[2]["data"]
        assert found["data"] == {"n": n}
    log = ended(server)
    assert len(released) > 20
    assert set(released) <= set(log)


def test_a_slow_disk_delays_and_refuses_nothing(server):
    """Twenty clients at once on a disk of 20 ms a sync: all are answered, sharing its syncs."""
    server.fail_disk("slow")
    answers = []

    def client():
        for _ in range(5):
            answers.append(server.root("GET", "/v1/secret/data/a")[0])

    threads = [threading.Thread(target=client) for _ in range(20)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.monotonic() - started
    assert answers == [200] * 100
    assert took < 10, "a commit for each answer by itself would take longer"
    server.fail_disk(None)
    assert len(ended(server)) > 100
