"""Who could read a secret, by any way."""

import datetime as dt

import pytest

from adyton.grantvalues import Conditions
from adyton.service.grants.who import readers
from grants.support import House
from support import Place


@pytest.fixture
def house(tmp_path):
    with Place(tmp_path).open() as store:
        store.set_secrets("alice", {"app/db": "1", "app/key": "2", "top": "3"})
        yield House(store)


def ways(house, path):
    found = house.run(readers(house.core, "alice", path))
    return [(one.kind, one.actor, one.path, one.conditions) for one in found]


def test_grants_shares_and_operators(house):
    store = house.store
    for name in ("ann", "ben", "cy"):
        store.members.add("alice", name)
    store.members.add("alice", "dora", kind="user", other="dora")
    until = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
    store.access.grant("alice", "ann", "app/", role="viewer", expires_at=until)
    store.access.grant("alice", "ben", "/", role="auditor")
    store.access.grant(
        "alice", "cy", "app/db", rights=["read"],
        conditions=Conditions(reads=3, networks=("10.0.0.0/8",)),
    )  # fmt: skip
    store.access.grant("alice", "dora", "/", role="editor")
    store.access.grant("alice", "dora", "app/key", rights=["read"], deny=True)
    store.shares.create("alice", "eve", "app/")
    operators = ("operator", "operators", "/", "")
    assert ways(house, "app/db") == [
        ("grant", "ann", "app/", ""),
        ("grant", "cy", "app/db", "from 10.0.0.0/8; 3 of 3 reads left"),
        ("grant", "user dora", "/", "where a policy of its own lets it"),
        ("share", "user eve", "app/", "once it was accepted"),
        operators,
    ]
    assert [one[1] for one in ways(house, "app/key")] == ["ann", "user eve", "operators"]
    assert [one[1] for one in ways(house, "top")] == ["user dora", "operators"]
    assert len(ways(house, "/")) == 5
    own = "where a policy of its own lets it"
    assert ways(house, "absent/") == [("grant", "user dora", "/", own), operators]
