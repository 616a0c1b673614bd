"""No login tells, by text or by time, whether a name exists; failures leave no rows."""

import http.client
import json
import random
import sqlite3
import time

import pytest

from adyton.service.access.throttle import FREE_FAILURES
from ranks import odds, spread
from server.test_audit import Recorded

SAMPLES = 60
NAMES = 16
PLANTED = 0.005
"""Seconds of a difference that must be found."""


class Login:
    """Failed logins over one connection, timed."""

    def __init__(self, port, mount):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        self.mount = mount

    def timed(self, user, planted=0.0):
        body = json.dumps({"password": "wrong"})
        started = time.perf_counter()
        time.sleep(planted)
        self.connection.request("POST", f"/v1/auth/{self.mount}/login/{user}", body)
        answer = self.connection.getresponse()
        content = json.loads(answer.read())
        return time.perf_counter() - started, (answer.status, content)


@pytest.fixture
def people(server, name):
    server.root("POST", f"/v1/sys/auth/{name}", {"type": "userpass"})
    made = Login(server.port, name)
    yield made
    made.connection.close()
    server.root("DELETE", f"/v1/sys/auth/{name}")


def measured(server, people, round_):
    """The least time of some failures of each name, by kind of name, sampled in turns.

    What disturbs a measurement makes it longer: the least of some is what the server takes.
    """
    times = {kind: [] for kind in ("known", "unknown", "planted")}
    answers = set()
    for at in range(NAMES):
        user = f"r{round_}u{at}"
        for kind in ("known", "planted"):
            path = f"/v1/auth/{people.mount}/users/{kind}{user}"
            assert server.root("POST", path, {"password": "right"})[0] == 204
        least = dict.fromkeys(times, 99.0)
        for _ in range(FREE_FAILURES):
            for kind in random.sample(list(times), len(times)):
                taken, answer = people.timed(kind + user, PLANTED if kind == "planted" else 0.0)
                least[kind] = min(least[kind], taken)
                answers.add(json.dumps(answer))
        for kind, taken in least.items():
            times[kind].append(taken)
    assert answers == {json.dumps((400, {"errors": ["invalid username or password"]}))}
    return times


def test_unknown_names_take_as_long_as_wrong_passwords(server, people):
    """By ranks of many samples in turns; 5 ms more would be found, and are."""
    margin = 3.5 * spread(NAMES)
    for round_ in range(5):  # a noisy neighbour may spoil a round, but not all of them
        times = measured(server, people, round_)
        unknown = odds(times["known"], times["unknown"])
        planted = odds(times["known"], times["planted"])
        if abs(unknown - 0.5) < margin and planted > 0.5 + margin:
            return
    pytest.fail(f"unknown names above known ones {unknown:.2f}, those with 5 ms more {planted:.2f}")


def test_a_slowed_down_name_is_told_alike_whether_it_exists(server, people):
    """429 with the same words after the same number of failures, in the same time."""
    server.root("POST", f"/v1/auth/{people.mount}/users/there", {"password": "right"})
    for user in ("there", "absent"):
        for _ in range(FREE_FAILURES):
            assert people.timed(user)[1][0] == 400
    margin = 4 * spread(SAMPLES)
    for _ in range(4):
        times, answers = {"there": [], "absent": []}, set()
        for _ in range(SAMPLES):
            for user in random.sample(list(times), 2):
                taken, answer = people.timed(user)
                times[user].append(taken)
                answers.add(json.dumps(answer))
        (answer,) = answers
        assert json.loads(answer)[0] == 429
        found = odds(times["there"], times["absent"])
        if abs(found - 0.5) < margin:
            return
    pytest.fail(f"the absent name's answers are above the other's {found:.2f}")


def test_spellings_of_a_name_share_one_count(server, people):
    """Upper and lower case are one user, for the lock as for the login."""
    server.root("POST", f"/v1/auth/{people.mount}/users/Ann", {"password": "right"})
    tried = [people.timed(user)[1][0] for user in ("ann", "ANN", "Ann", "aNN", "ann")]
    assert tried == [400] * FREE_FAILURES
    for user in ("ann", "ANN", "anN"):
        assert people.timed(user)[1][0] == 429


def rows_of(store):
    """How many rows each table has, without the log."""
    connection = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
    try:
        tables = [
            name
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")
            if not name.startswith("audit_")
        ]
        return {
            table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in tables
        }
    finally:
        connection.close()


def test_a_thousand_failed_logins_leave_no_rows(tmp_path):
    """By wrong secrets, unknown names, roles, methods, namespaces and tokens: only records."""
    recorded = Recorded(tmp_path)
    ask = recorded.ask
    try:
        for kind in ("approle", "userpass"):
            ask("POST", f"sys/auth/{kind}", {"type": kind})
        ask("POST", "auth/userpass/users/ann", {"password": "right"})
        ask("POST", "auth/approle/role/web", {"token_policies": "default"})
        role_id = ask("GET", "auth/approle/role/web/role-id")[1]["data"]["role_id"]
        before = rows_of(recorded.store)
        assert before["objects"] > 5
        statuses = set()
        for at in range(200):
            space = {"X-Vault-Namespace": f"nobody{at}"}
            for status, _, _ in (
                ask("POST", "auth/approle/login", {"role_id": role_id, "secret_id": f"x{at}"},
                    token=""),
                ask("POST", "auth/approle/login", {"role_id": f"x{at}", "secret_id": "x"},
                    token="", headers=space),
                ask("POST", f"auth/nowhere{at}/login", {"role_id": "x"}, token=""),
                ask("GET", "secret/data/x", token=f"adt_{at}", headers=space),
                ask("POST", f"auth/userpass/login/u{at}" if at % 4 == 0 else "auth/x/login/y",
                    {"password": "wrong"}, token=""),
            ):  # fmt: skip
                statuses.add(status)
        assert statuses == {400, 403}
        after = rows_of(recorded.store)
        assert after == before
    finally:
        log = recorded.end()
    failures = [entry for entries in log.values() for entry in entries if not entry["success"]]
    assert len(failures) >= 450
