"""The crash matrix: each durable step of a lease, ended just before and just after it is durable.

Whatever was broken off, in the end there are as many roles in the database as there are leases.
"""

import pytest

from adyton.service.dynamic.leases import DynamicLeases
from adyton.service.dynamic.turns import LeaseTurn
from leasing import HOLD, lets_in, roles_in, world


class Crash(BaseException):
    """The process ends here: nothing after it is done."""


@pytest.fixture(scope="module")
def store(tmp_path_factory, postgres):
    with world(tmp_path_factory.mktemp("world"), postgres) as found:
        yield found
        found.audit.verify()


def crashing(patch, step, moment, kind=LeaseTurn):
    """End whoever comes to a step: a method, or a unit by its number, before or after it."""
    method = "unit" if isinstance(step, int) else step
    real = getattr(kind, method)
    seen = []

    async def ended(self, *args, **more):
        seen.append(method)
        if isinstance(step, int) and len(seen) != step:
            return await real(self, *args, **more)
        if moment == "after":
            await real(self, *args, **more)
        raise Crash

    patch.setattr(kind, method, ended)


def sound(store, postgres):
    """Roles and leases are the same, and none is expired or between."""
    leases = store.dynamic.leases("alice")
    assert {lease.username for lease in leases} == roles_in(postgres)
    assert {lease.state for lease in leases} <= {"live"}


def go_on(store):
    """Whoever comes by later."""
    store.ahead += HOLD + 1
    store.dynamic.revoke_due()


@pytest.mark.parametrize(
    ("kind", "method", "moment"),
    [
        (LeaseTurn, "grant", "before"),  # the intent is durable, and nothing else
        (DynamicLeases, "_settle", "before"),  # the role is there, and nobody knows its password
        (DynamicLeases, "_settle", "after"),
    ],
)
def test_while_it_is_made(store, postgres, monkeypatch, kind, method, moment):
    """What nobody was told of is found and removed; what is live ends with its lease."""
    with monkeypatch.context() as patch:
        crashing(patch, method, moment, kind)
        with pytest.raises(Crash):
            store.dynamic.issue("alice", "app")
    left = store.dynamic.leases("alice")
    assert len(left) == 1  # there is always a lease that leads to the role
    store.dynamic.revoke_due()  # nobody may come by yet: its maker might be at it
    assert store.dynamic.leases("alice") == left
    go_on(store)
    sound(store, postgres)
    assert bool(store.dynamic.leases("alice")) == (moment == "after")
    store.ahead += 3600
    store.dynamic.revoke_due()
    assert store.dynamic.leases("alice") == []
    sound(store, postgres)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("step", [1, "grant", 2])
def test_while_it_is_renewed(store, postgres, monkeypatch, step, moment):
    """It lives on as before or as renewed, and ends with its lease."""
    with store.dynamic.issue("alice", "app") as made:
        password = made.password.text()
    store.ahead += 1000
    with monkeypatch.context() as patch:
        crashing(patch, step, moment)
        with pytest.raises(Crash):
            store.dynamic.renew("alice", made.lease.id)
    assert lets_in(postgres, made.username, password)
    go_on(store)
    sound(store, postgres)
    lease = store.dynamic.lease("alice", made.lease.id)
    assert lease.state == "live"
    assert lets_in(postgres, made.username, password)
    store.ahead += 7200
    store.dynamic.revoke_due()
    sound(store, postgres)
    assert store.dynamic.leases("alice") == []


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("step", [1, "grant", 2])
@pytest.mark.parametrize("by", ["hand", "clock"])
def test_while_it_is_revoked(store, postgres, monkeypatch, step, moment, by):
    """What was begun is gone on with until there is neither a role nor a lease."""
    with store.dynamic.issue("alice", "app") as made:
        password = made.password.text()
    if by == "clock":
        store.ahead += 3601
    with monkeypatch.context() as patch:
        crashing(patch, step, moment)
        with pytest.raises(Crash):
            if by == "hand":
                store.dynamic.revoke("alice", made.lease.id)
            else:
                store.dynamic.revoke_due()
    go_on(store)
    if (by, step, moment) == ("hand", 1, "before"):  # nothing was durable
        sound(store, postgres)
        assert lets_in(postgres, made.username, password)
        store.dynamic.revoke("alice", made.lease.id)
    sound(store, postgres)
    assert store.dynamic.leases("alice") == []
    assert not lets_in(postgres, made.username, password)
