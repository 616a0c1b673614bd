"""Sealed servers for tests, and the shares that open them."""

import os
import time

from servers import Server


def serve(store, *, root="shamir:", **more):
    """A server over a store that may be missing or sealed."""
    env = {"ADYTON_ROOT": root, **more.pop("env", {})}
    return Server("serve", "--store", str(store), env=env, sealed=True, **more)


class Shares:
    """What ``sys/init`` or a rekey has answered."""

    def __init__(self, answer, threshold):
        self.hex = answer["keys"]
        self.base64 = answer["keys_base64"]
        self.threshold = threshold
        self.root_token = answer.get("root_token", "")

    def enough(self):
        return self.hex[: self.threshold]


def init(server, total=3, threshold=2):
    status, _, answer = server.raw(
        "PUT", "/v1/sys/init", {"secret_shares": total, "secret_threshold": threshold}
    )
    assert status == 200, answer
    made = Shares(answer, threshold)
    server.token = made.root_token
    return made


def unseal(server, keys):
    """Enter shares; the last answer."""
    answer = None
    for key in keys:
        status, _, answer = server.raw("PUT", "/v1/sys/unseal", {"key": key})
        assert status == 200, answer
    return answer


def opened(server, total=3, threshold=2):
    made = init(server, total, threshold)
    assert not unseal(server, made.enough())["sealed"]
    return made


def status(server):
    return server.raw("GET", "/v1/sys/seal-status")[2]


def read(server, name, token=None):
    return server.raw("GET", f"/v1/secret/data/{name}", token=token or server.token)


def write(server, name, value, token=None):
    body = {"data": {"v": value}}
    return server.raw("POST", f"/v1/secret/data/{name}", body, token=token or server.token)


def wait_for(ask, seconds=10.0):
    """Ask again until the answer is true."""
    deadline = time.monotonic() + seconds
    while not (found := ask()):
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.02)
    return found


def random_share_like(text):
    """A text of a share's length that is none."""
    return os.urandom(len(text) // 2).hex()
