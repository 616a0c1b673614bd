"""A store whose clock the tests move."""

import pytest

from adyton import SecretStore
from lifecycles import World


@pytest.fixture
def world(tmp_path):
    root = f"keyfile:{tmp_path / 'master.key'}"
    with SecretStore.open(
        str(tmp_path / "store.db"), root=root, create=True, upkeep=False
    ) as store:
        yield World(store)
