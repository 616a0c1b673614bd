"""The receiver of the guide: takes what Adyton sends, once, and nothing else."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from adyton.crypto import webhooks as signing
from adyton.rotationpolicy import RotationPolicy
from adyton.service.notices.room import NoticeOptions
from hookreceiver import Receiver
from support import Place

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guide" / "alerts.md"
SERVE = """
from wsgiref.simple_server import make_server
with make_server("127.0.0.1", 0, application) as server:
    print(server.server_port, flush=True)
    server.serve_forever()
"""


class Example:
    """The guide's receiver as a program."""

    def __init__(self, secrets):
        (code,) = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
        # "a 15-line receiver": what is there to be read at a glance
        assert len([line for line in code.splitlines() if line.strip()]) <= 17
        self.process = subprocess.Popen(
            [sys.executable, "-c", code + SERVE],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env={**os.environ, "SECRETS": " ".join(secrets)},
        )  # fmt: skip
        self.url = f"http://127.0.0.1:{int(self.process.stdout.readline())}/"

    def post(self, headers, body):
        try:
            with urlopen(Request(self.url, body, headers), timeout=10) as answer:
                return answer.status
        except HTTPError as error:
            return error.code

    def end(self):
        self.process.kill()
        return self.process.communicate()[0].splitlines()


@pytest.fixture
def store(tmp_path):
    with Place(tmp_path).open(notices=NoticeOptions(("127.0.0.1/32",))) as opened:
        yield opened


def rotate(store):
    store.rotation.set_policy("u", "s", RotationPolicy(grace=0))
    store.rotation.run("u", "s")
    store.notices.deliver()


def test_the_example_takes_each_notice_once_and_forgeries_never(store):
    """A copy is taken and not told again; a changed or old message is refused or not told."""
    tap = Receiver()
    made = store.webhooks.add("u", tap.url)
    example = Example([made.secret])
    try:
        direct = store.webhooks.add("u", example.url)
        assert store.webhooks.test("u", made.webhook.id).delivered
        assert not store.webhooks.test("u", direct.webhook.id).delivered  # another secret
        rotate(store)
        got = tap.got[-1]
        assert example.post(got.headers, got.body) == 204
        assert example.post(got.headers, got.body) == 204
        assert example.post(got.headers, got.body.replace(b"succeeded", b"forgotten")) == 401
        assert example.post(got.headers | {"webhook-id": "msg_other"}, got.body) == 401
        assert example.post(got.headers | {"webhook-signature": "v1,AAAA"}, got.body) == 401
        assert example.post(got.headers | {"webhook-signature": ""}, got.body) == 401
        old = int(time.time()) - 3600
        key = signing.secret_key(made.secret)
        stale = {
            "webhook-id": "msg_old", "webhook-timestamp": str(old),
            "webhook-signature": signing.signature([key], "msg_old", old, got.body),
        }  # fmt: skip
        assert example.post(stale, got.body) == 204
    finally:
        told = example.end()
        tap.close()
    assert len(told) == 1
    assert "rotation.succeeded" in told[0]


def test_the_example_verifies_through_a_change_of_the_secret(store):
    """With both secrets it takes messages before, during and after the overlap."""
    tap = Receiver()
    made = store.webhooks.add("u", tap.url)
    try:
        assert store.webhooks.test("u", made.webhook.id).delivered
        turned = store.webhooks.rotate("u", made.webhook.id)
        assert store.webhooks.test("u", made.webhook.id).delivered
        last = store.webhooks.rotate("u", made.webhook.id, overlap=0)
        assert store.webhooks.test("u", made.webhook.id).delivered
        for secrets, wanted in (
            ([made.secret], [204, 204, 401]),
            ([turned.secret, last.secret], [401, 204, 204]),
        ):
            example = Example(secrets)
            try:
                assert [example.post(got.headers, got.body) for got in tap.got] == wanted
            finally:
                example.end()
    finally:
        tap.close()
