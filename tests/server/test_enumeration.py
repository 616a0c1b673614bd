"""No login tells, by text or by time, whether a name exists; failures leave no rows."""

import http.client
import json
import random
import sqlite3
import time
from pathlib import Path

import pytest

from adyton.service.access.throttle import FREE_FAILURES
from ranks import odds, spread
from server.test_audit import Recorded

SAMPLES = 60
NAMES = 12
PLANTED = 0.005
"""Seconds of a difference that must be found."""


class Login:
    """Failed logins over one connection, timed."""

    def __init__(self, port, mount):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        self.mount = mount

    def timed(self, user):
        body = json.dumps({"password": "wrong"})
        started = time.perf_counter()
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


def worked(pid):
    """Seconds of processor time that a process has used, to the nanosecond."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def measured(server, people, round_):
    """The least time, and work of the server, of some failures of each name, sampled in turns.

    What disturbs a measurement makes it longer: the least of some is what a login takes. Neighbours
    on the machine spoil the time that passes, and hardly the processor's time that is used.
    """
    times = {"known": [], "unknown": []}
    works = {"known": [], "unknown": []}
    answers = set()
    pid = server.process.pid
    for at in range(NAMES):
        user = f"r{round_}u{at}"
        path = f"/v1/auth/{people.mount}/users/known{user}"
        assert server.root("POST", path, {"password": "right"})[0] == 204
        least = dict.fromkeys(times, (99.0, 99.0))
        for _ in range(FREE_FAILURES):
            for kind in random.sample(list(times), len(times)):
                before = worked(pid)
                taken, answer = people.timed(kind + user)
                found = taken, worked(pid) - before
                least[kind] = tuple(map(min, least[kind], found))
                answers.add(json.dumps(answer))
        for kind, (taken, work) in least.items():
            times[kind].append(taken)
            works[kind].append(work)
    assert answers == {json.dumps((400, {"errors": ["invalid username or password"]}))}
    return times, works


def test_unknown_names_take_as_long_as_wrong_passwords(server, people):
    """By ranks of many samples in turns; 5 ms more of work would be found, and are."""
    margin = 3.5 * spread(NAMES)
    for round_ in range(4):  # a noisy neighbour may spoil a round, but not all of them
        times, works = measured(server, people, round_)
        time_, work = (odds(found["known"], found["unknown"]) for found in (times, works))
        planted = odds(works["known"], [one + PLANTED for one in works["known"]])
        if max(abs(time_ - 0.5), abs(work - 0.5)) < margin and planted > 0.5 + margin:
            return
    pytest.fail(f"unknown above known: {time_:.2f} by time, {work:.2f} by work ({planted:.2f})")


def test_a_slowed_down_name_is_told_alike_whether_it_exists(server, people):
    """429 with the same words after the same number of failures, in the same time."""
    server.root("POST", f"/v1/auth/{people.mount}/users/there", {"password": "right"})
    for user in ("there", "absent"):
        for _ in range(FREE_FAILURES):
            assert people.timed(user)[1][0] == 400
    margin = 4 * spread(SAMPLES)
    told = set()
    for _ in range(4):
        times = {"there": [], "absent": []}
        while min(map(len, times.values())) < SAMPLES:
            for user in random.sample(list(times), 2):
                taken, (status, content) = people.timed(user)
                if status == 429:  # from time to time one is let try again
                    times[user].append(taken)
                told.add((user, status, json.dumps(content)))
        found = odds(times["there"], times["absent"])
        if abs(found - 0.5) < margin:
            break
    else:
        pytest.fail(f"the absent name's answers are above the other's {found:.2f}")
    of = {user: {answer[1:] for answer in told if answer[0] == user} for user in times}
    refused = {answer for answer in of["there"] | of["absent"] if answer[0] == 429}
    assert len(refused) == 1
    assert refused <= of["there"] & of["absent"]
    assert {status for _, status, _ in told} <= {429, 400}


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
