"""Faces, hostile servers, and an environment without settings of the one who runs the tests."""

import os

import pytest

from adyton.client import retry
from client.faces import Faces
from client.hostile import Hostile
from servers import TOKEN, Server


@pytest.fixture(autouse=True)
def nobody(monkeypatch, tmp_path):
    for name in [name for name in os.environ if name.startswith(("ADYTON_", "VAULT_", "BAO_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture(params=["sync", "async"])
def faces(request, monkeypatch):
    monkeypatch.setattr(retry, "_BASE_SECONDS", 0.01)
    made = Faces(request.param)
    yield made
    made.close()


@pytest.fixture
def hostile():
    made = []

    def make(*script):
        made.append(Hostile(*script))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture(scope="session")
def server():
    made = Server("serve", "--dev", "--dev-root-token-id", TOKEN)
    yield made
    code, _, err = made.stop()
    assert code == 0, err
