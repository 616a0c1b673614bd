"""A store with something to share."""

import pytest

from adyton import SecretStore
from sharing.helpers import VALUE
from support import Place


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


@pytest.fixture
def store():
    with SecretStore.open("memory:", root="dev:", create=True, upkeep=False) as opened:
        opened.set_secret("alice", "db/password", "one")
        opened.set_secret("alice", "db/password", VALUE)
        opened.set_secret("alice", "db/user", "admin")
        opened.set_secret("alice", "other", "own")
        opened.set_secret("carol", "own", "x")
        yield opened
        opened.audit.verify()
