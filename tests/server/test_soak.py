"""Minutes of mixed load: memory and descriptors stay level, and the log is whole at the end."""

import http.client
import json
import os
import random
import statistics
import threading
import time

import pytest

from server.test_audit import Recorded

SECONDS = float(os.environ.get("ADYTON_SOAK_SECONDS", "240"))
CLIENTS = 6
NAMES = 200
WARM = 0.6
"""Part of the time until what is kept in memory, all of it bounded, has filled up."""
MOST_GROWTH = 0.05
"""Part of the memory that may be added from then until the end."""


class Client(threading.Thread):
    """One client over a connection that it sometimes drops."""

    def __init__(self, recorded, number, stop, login):
        super().__init__()
        self.recorded, self.number, self.stop, self.login = recorded, number, stop, login
        self.random = random.Random(number)
        self.connection = None
        self.statuses = {}
        self.failure = None

    def ask(self, method, path, body=None, token=None, **headers):
        if self.connection is None:
            port = self.recorded.server.port
            self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        headers["X-Vault-Token"] = self.recorded.root if token is None else token
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        self.connection.request(method, "/v1/" + path, data, headers)
        answer = self.connection.getresponse()
        content = answer.read()
        self.statuses[answer.status] = self.statuses.get(answer.status, 0) + 1
        if self.random.random() < 0.01:
            self.connection.close()
            self.connection = None
        return answer.status, json.loads(content) if content else {}

    def run(self):
        try:
            while not self.stop.is_set():
                self.random.choice(
                    [self.values] * 12 + [self.tokens, self.logins, self.wrapping, self.refused,
                     self.versions, self.cubbyhole, self.lists]
                )()  # fmt: skip
        except Exception as error:
            self.failure = error
        finally:
            if self.connection is not None:
                self.connection.close()

    def values(self):
        path = f"secret/data/soak/{self.random.randrange(NAMES)}"
        if self.random.random() < 0.4:
            self.ask("POST", path, {"data": {"n": self.random.random(), "x": "y" * 200}})
        else:
            self.ask("GET", path)

    def tokens(self):
        _, made = self.ask("POST", "auth/token/create", {"policies": ["default"], "ttl": "1m"})
        token = made["auth"]["client_token"]
        self.ask("GET", "auth/token/lookup-self", token=token)
        self.ask("POST", "auth/token/renew-self", {}, token=token)
        self.ask("POST", "auth/token/revoke-self", token=token)

    def logins(self):
        kind = self.random.choice(["approle/login", "userpass/login/ann"])
        _, made = self.ask("POST", f"auth/{kind}", self.login[kind], token="")
        if "auth" in made:
            self.ask("POST", "auth/token/revoke-self", token=made["auth"]["client_token"])

    def wrapping(self):
        wrap = {"X-Vault-Wrap-TTL": "60"}
        _, made = self.ask("POST", "sys/wrapping/wrap", {"a": "b" * 100}, **wrap)
        self.ask("POST", "sys/wrapping/unwrap", token=made["wrap_info"]["token"])

    def refused(self):
        at = self.random.randrange(10**9)
        self.ask("GET", f"secret/data/soak/{at}", token=f"adt_{at}")
        self.ask("GET", f"secret/data/absent/{at % 2000}")
        self.ask("POST", "secret/data/soak/1", b"{malformed")
        self.ask("GET", f"nowhere/{at}")
        self.ask("POST", "auth/approle/login", {"role_id": str(at), "secret_id": "x"}, token="")
        self.ask("GET", f"secret/data/{at}", **{"X-Vault-Namespace": f"nobody{at % 500}"})

    def versions(self):
        path = f"soak/{self.random.randrange(NAMES)}"
        self.ask("DELETE", f"secret/data/{path}")
        self.ask("POST", f"secret/undelete/{path}", {"versions": [1]})
        self.ask("GET", f"secret/metadata/{path}")

    def cubbyhole(self):
        self.ask("POST", f"cubbyhole/c{self.number}", {"k": "v"})
        self.ask("GET", f"cubbyhole/c{self.number}")

    def lists(self):
        self.ask("LIST", "secret/metadata/soak")
        self.ask("GET", "sys/mounts")
        self.ask("GET", "sys/health", token="")


def measured(pid):
    """Resident memory in KiB, and open descriptors."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        rss = next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))
    return rss, len(os.listdir(f"/proc/{pid}/fd"))


@pytest.mark.soak
def test_memory_and_descriptors_stay_level(tmp_path):
    """Once warm; no answer is the server's own failure."""
    recorded = Recorded(tmp_path)
    ask = recorded.ask
    for kind in ("approle", "userpass"):
        ask("POST", f"sys/auth/{kind}", {"type": kind})
    ask("POST", "auth/userpass/users/ann", {"password": "pw", "token_ttl": "1m"})
    ask("POST", "auth/approle/role/web", {"token_policies": "default", "token_ttl": "1m"})
    role = "auth/approle/role/web"
    login = {
        "userpass/login/ann": {"password": "pw"},
        "approle/login": {
            "role_id": ask("GET", f"{role}/role-id")[1]["data"]["role_id"],
            "secret_id": ask("POST", f"{role}/secret-id")[1]["data"]["secret_id"],
        },
    }
    stop = threading.Event()
    clients = [Client(recorded, number, stop, login) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    samples = []
    started = time.monotonic()
    while time.monotonic() - started < SECONDS:
        time.sleep(SECONDS / 180)
        samples.append((time.monotonic() - started, *measured(recorded.server.process.pid)))
    stop.set()
    for client in clients:
        client.join()
    code, _, err = recorded.server.stop()
    assert code == 0, err
    records = json.loads(recorded.adyton("audit", "verify"))["records"]
    assert not [client.failure for client in clients if client.failure]
    statuses = {}
    for client in clients:
        for status, count in client.statuses.items():
            statuses[status] = statuses.get(status, 0) + count
    assert not {status for status in statuses if status >= 500}, statuses
    assert statuses[200] > 20 * SECONDS
    warm = [sample for sample in samples if sample[0] > SECONDS * WARM]
    slope, _ = statistics.linear_regression([at for at, _, _ in warm], [kib for _, kib, _ in warm])
    grown = slope * (warm[-1][0] - warm[0][0])
    level = statistics.median(kib for _, kib, _ in warm)
    summary = f"{sum(statuses.values())} answers, {level / 1024:.0f} MiB, {grown / 1024:+.1f} MiB"
    print(summary, statuses)
    assert grown < MOST_GROWTH * level, summary
    descriptors = [fds for _, _, fds in warm]
    assert max(descriptors) <= descriptors[0] + 2 * CLIENTS
    assert records > statuses[200]
