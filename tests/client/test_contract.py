"""A client's answers are those of the embedded store: one scenario, four faces, compared."""

import pytest

from adyton import SecretStore
from client import scenario
from client.faces import Faces
from servers import TOKEN

USER, OTHER = "Müller 7", "other"


@pytest.fixture(scope="session")
def expected(tmp_path_factory):
    folder = tmp_path_factory.mktemp("embedded")
    root = f"keyfile:{folder / 'k'}"
    with SecretStore.open(str(folder / "s.db"), root=root, create=True, upkeep=False) as store:
        return scenario.run(store, USER, OTHER)


def _same(found, expected):
    assert len(found) == len(expected)
    assert len({str(each) for each in expected}) > 90
    differing = [(n, *pair) for n, pair in enumerate(zip(expected, found, strict=True))
                 if pair[0] != pair[1]]  # fmt: skip
    assert not differing


def test_the_asynchronous_store_is_the_store(expected, tmp_path):
    """The two embedded faces give the same answers and the same errors."""
    faces = Faces("async")
    store = faces.store(
        str(tmp_path / "s.db"), root=f"keyfile:{tmp_path / 'k'}", create=True, upkeep=False
    )
    _same(scenario.run(store, USER, OTHER), expected)
    faces.close()


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_client_is_the_store(expected, server, kind):
    """Over HTTP each step gives the same value, or the same class of error with the same text."""
    faces = Faces(kind)
    client = faces.client(server.addr, TOKEN)
    user, other = f"{USER} {kind}", f"{OTHER} {kind}"
    _same(scenario.run(client, user, other), expected)
    faces.close()
