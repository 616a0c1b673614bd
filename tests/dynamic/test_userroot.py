"""Credentials of a user who holds a root of their own: what happens while it is away."""

import pytest

from adyton.errors import LegalHold, UserRootAway
from adyton.issuers.postgresql import PostgresqlIssuer
from leasing import HOLD, configure, lets_in, roles_in, world
from ownroots import given_away, own


def drop(postgres):
    with postgres.connect() as server:
        for name in roles_in(postgres):
            server.execute(f'DROP ROLE "{name}"')


@pytest.fixture
def store(tmp_path, postgres):
    with world(tmp_path, postgres) as found:
        yield found
    drop(postgres)


def test_what_ends_while_the_root_is_away_is_revoked_when_it_is_back(store, postgres):
    """In between nothing is made, renewed or read; nobody is told why by an error of the log."""
    with store.dynamic.issue("alice", "app") as made:
        password = made.password.text()
    given_away(store)
    for call in (
        lambda: store.dynamic.issue("alice", "app"),
        lambda: store.dynamic.renew("alice", made.lease.id),
        lambda: store.dynamic.revoke("alice", made.lease.id),
        lambda: store.dynamic.leases("alice"),
        lambda: store.dynamic.revoke_all("alice"),
    ):
        with pytest.raises(UserRootAway):
            call()
    store.ahead = 3601
    assert store.dynamic.revoke_due() == (0, 0, 0)
    assert lets_in(postgres, made.username, password)  # by the database's clock it is early yet
    store.ahead += 600
    store.user_roots.give("alice", own(), seconds=100_000)
    store.ahead += 61
    assert store.dynamic.revoke_due() == (1, 1, 0)
    assert not roles_in(postgres)
    assert store.dynamic.leases("alice") == []


def test_the_root_is_taken_while_credentials_are_made(store, postgres, monkeypatch):
    """Nobody gets them, and they are found when the root is back."""
    real = PostgresqlIssuer.create
    store.user_roots.set("alice", own())

    def taken(self, grant, password):
        real(self, grant, password)
        store.user_roots.take("alice")

    with monkeypatch.context() as patch:
        patch.setattr(PostgresqlIssuer, "create", taken)
        with pytest.raises(UserRootAway):
            store.dynamic.issue("alice", "app")
    assert len(roles_in(postgres)) == 1
    store.user_roots.give("alice", own(), seconds=100_000)
    store.ahead = HOLD + 1
    assert store.dynamic.revoke_due() == (1, 1, 0)
    assert not roles_in(postgres)


def test_others_are_revoked_meanwhile(store, postgres):
    """One whose root is away holds up nobody."""
    configure(store, postgres, "bob")
    with store.dynamic.issue("alice", "app"), store.dynamic.issue("bob", "app") as made:
        pass
    given_away(store)
    store.ahead = 3601
    assert store.dynamic.revoke_due().done == 1
    assert made.username not in roles_in(postgres)


def test_a_user_who_is_purged_without_the_root_leaves_what_the_database_ends(store, postgres):
    """Nobody can read which roles there were: they stay, with passwords that end by themselves."""
    with store.dynamic.issue("alice", "app") as made:
        pass
    given_away(store)
    store.purge_user("alice")
    assert roles_in(postgres) == {made.username}
    with postgres.connect() as server:
        found = server.execute(
            "SELECT rolvaliduntil IS NOT NULL FROM pg_roles WHERE rolname = %s", (made.username,)
        )
        assert found.fetchone() == (True,)
    assert store.dynamic.revoke_due() == (0, 0, 0)


def test_a_purge_that_a_hold_refuses_ends_no_credentials(store, postgres):
    """What the law wants kept is looked at first."""
    with store.dynamic.issue("alice", "app") as made:
        pass
    store.holds.add("alice", "a case")
    with pytest.raises(LegalHold):
        store.purge_user("alice")
    assert made.username in roles_in(postgres)
    assert store.dynamic.leases("alice") == [made.lease]
