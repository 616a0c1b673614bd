"""A client that logs in without pause while secrets rotate and the rotating process is killed.

Whatever value the store gives out lets in: while it is current, and for its grace period after.
"""

import base64
import contextlib
import json
import math
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import databases
from adyton.rotationpolicy import RotationPolicy
from support import Place

WORKER = Path(__file__).with_name("worker.py")
GRACE = 2


class Client:
    """Reads the value that was given out last, and logs in with it, again and again.

    A value that was asked for less than a grace period ago lets in, and goes on to for as long as
    nobody rotates. Where the machine stands still for longer, a value may be older: no fault of it.
    """

    def __init__(self, server, names, folder):
        self._server = server
        self._places = {n: folder / base64.urlsafe_b64encode(n.encode()).decode() for n in names}
        self._stop = threading.Event()
        self.quiet_since = math.inf  # when the last of those who rotate ended; never, for now
        self.logins = self.late = 0
        self.refused = []
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def _run(self):
        while not self._stop.is_set():
            for name, place in self._places.items():
                try:
                    asked, _, login = place.read_text().partition("\n")
                except FileNotFoundError:
                    continue
                ok = self._server.lets_in(json.loads(login))
                if min(time.monotonic(), self.quiet_since) - float(asked) >= GRACE:
                    self.late += 1
                    continue
                self.logins += 1
                if not ok:
                    self.refused.append(name)
            time.sleep(0.002)  # or it would take the machine from those who rotate


def campaign(tmp_path, postgres, redis, *, secrets, rotations, tag):
    place = Place(tmp_path)
    (tmp_path / "given").mkdir()
    policies = {}
    with place.open() as store:
        store.set_secret(
            "alice", "admin", {"username": databases.ADMIN, "password": databases.PASSWORD}
        )
        for at in range(secrets):
            one, two, user = f"{tag}_{at}_a", f"{tag}_{at}_b", f"{tag}_{at}"
            postgres.make_roles(one, two)
            redis.make_user(user)
            policies[f"pg/{at}"] = ("postgresql", postgres.settings(f"{one},{two}"))
            policies[f"redis/{at}"] = ("redis", redis.settings(user))
        for at in range(secrets // 3):
            postgres.make_roles(f"{tag}_{at}")
            policies[f"single/{at}"] = ("postgresql", postgres.settings(f"{tag}_{at}"))
        for name, (rotator, settings) in policies.items():
            store.rotation.set_policy(
                "alice", name,
                RotationPolicy(rotator=rotator, settings=settings, admin="admin", grace=GRACE),
            )  # fmt: skip
            store.rotation.run("alice", name)
    (tmp_path / "policies.json").write_text(json.dumps(list(policies)))

    def enough(made):  # of PostgreSQL's two modes together, and of Redis
        return made["pg/"] + made["single/"] >= rotations <= made["redis/"] and all(made.values())

    kinds = {"pg/": postgres, "single/": postgres, "redis/": redis}
    names = {kind: [name for name in policies if name.startswith(kind)] for kind in kinds}
    kills = 0
    with contextlib.ExitStack() as stack:
        clients = [
            stack.enter_context(Client(server, names[kind], tmp_path / "given"))
            for kind, server in kinds.items()
        ]
        made = dict.fromkeys(names, 0)
        while not enough(made) or kills < 6:
            for client in clients:
                client.quiet_since = math.inf
            with subprocess.Popen(
                [sys.executable, WORKER, tmp_path], stdout=subprocess.PIPE, text=True
            ) as worker:
                assert worker.stdout.readline() == "ready\n"
                time.sleep(random.choice((random.uniform(0, 0.3), random.uniform(1, 4))))
                worker.kill()
                worker.wait()
                for client in clients:
                    client.quiet_since = time.monotonic()
            kills += 1
            with place.open() as store:
                for kind, some in names.items():
                    made[kind] = sum(
                        store.get_secret_metadata("alice", n).version - 1 for n in some
                    )
    assert [client.refused for client in clients] == [[], [], []]
    assert all(client.logins > rotations for client in clients)
    with place.open() as store:
        store.audit.verify()
        for name in policies:
            with store.get_secret("alice", name) as secret:
                login = json.loads(secret.text())
            assert kinds[name.partition("/")[0] + "/"].lets_in(login)
    return made, kills, [(client.logins, client.late) for client in clients]


def test_no_value_given_out_is_refused_while_the_rotating_process_is_killed(
    tmp_path, postgres, redis
):
    """50 rotations of each kind, over several secrets at once, with kills at random moments."""
    found = campaign(tmp_path, postgres, redis, secrets=16, rotations=50, tag="kill")
    print("rotations, kills, logins (and such too late to count):", *found)


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_long_campaign(tmp_path, postgres, redis):
    """500 rotations of each kind."""
    found = campaign(tmp_path, postgres, redis, secrets=25, rotations=500, tag="soak")
    print("rotations, kills, logins (and such too late to count):", *found)
