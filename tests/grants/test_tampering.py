"""Who can write every byte of the database gains no right by it, or is found out."""

import random

import pytest

from adyton.errors import AuditError, IntegrityError, SecretNotFound
from adyton.model import Caller
from grants.support import House
from support import Place


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def rows(place):
    """All sealed objects, by place."""
    columns = ",".join(name for name in _columns(place))
    found = place.sql(f"SELECT {columns} FROM objects")
    return {row[:3]: row for row in found}


def _columns(place):
    return [row[1] for row in place.sql("PRAGMA table_info(objects)")]


def write(place, changed, gone=()):
    """Put rows in, take rows out."""
    marks = ",".join("?" * len(_columns(place)))
    for row in changed:
        place.sql((f"INSERT OR REPLACE INTO objects VALUES ({marks})", row))
    for user, bucket, ident in gone:
        place.sql(
            ("DELETE FROM objects WHERE user=? AND bucket=? AND object=?", (user, bucket, ident))
        )


def setup(place):
    """Alice with a member, and the member with a viewer's grant."""
    with place.open() as store:
        store.set_secrets("alice", {"app/db": "1", "top": "2"})
        store.members.add("alice", "ann")
        store.members.add("alice", "ben")
        return store.access.grant("alice", "ann", "app/", role="viewer").id


def read(store, member, name):
    who = Caller("test", "alice", member=member)
    with store.acting_as(who).get_secret("alice", name) as secret:
        return secret.text()


def nobody_gets_in(place):
    """Members are refused; the owner goes on; the check of the log tells."""
    with place.open() as store:
        for name in ("app/db", "top"):
            with pytest.raises((IntegrityError, SecretNotFound)):
                read(store, "ann", name)
        assert store.get_secret("alice", "top").text() == "2"
        with pytest.raises(AuditError):
            store.audit.verify()


def test_a_revoked_grant_that_is_put_back(place):
    grant = setup(place)
    before = rows(place)
    with place.open() as store:
        assert read(store, "ann", "app/db") == "1"
        store.access.revoke("alice", grant)
    after = rows(place)
    gone = [before[at] for at in before.keys() - after.keys()]
    assert len(gone) == 1
    write(place, gone)
    nobody_gets_in(place)


def test_a_denial_that_is_taken_out(place):
    setup(place)
    before = rows(place)
    with place.open() as store:
        store.access.grant("alice", "ann", "app/", rights=["read"], deny=True)
        with pytest.raises(Exception, match="permission denied"):
            read(store, "ann", "app/db")
    after = rows(place)
    write(place, [], after.keys() - before.keys())
    nobody_gets_in(place)


def test_an_older_state_of_a_grants_role(place):
    setup(place)
    with place.open() as store:
        store.members.set_role("alice", "wide", ["read", "list"])
        store.access.grant("alice", "ann", "/", role="wide")
    before = rows(place)
    with place.open() as store:
        assert read(store, "ann", "top") == "2"
        store.members.set_role("alice", "wide", ["list"])
    after = rows(place)
    changed = [before[at] for at in before if at in after and before[at] != after[at]]
    assert len(changed) == 2  # the role and the ledger
    for row in changed:
        write(place, after.values())
        write(place, [row])
        nobody_gets_in(place)
    write(place, changed)  # all of an earlier moment, together: the log tells
    with place.open() as store, pytest.raises(AuditError):
        store.audit.verify()


def test_a_ledger_that_is_taken_out(place):
    setup(place)
    found = rows(place)
    for at in found:
        write(place, found.values())
        write(place, [], [at])
        with place.open() as store:
            try:
                assert read(store, "ann", "app/db") == "1"
            except (IntegrityError, SecretNotFound):
                continue
            with pytest.raises(SecretNotFound):
                read(store, "ann", "top")


def test_grants_that_change_places_or_users(place):
    """Another member's row, another user's row, a row at another place: none opens."""
    setup(place)
    with place.open() as store:
        store.set_secret("bob", "app/db", "of bob")
        store.members.add("bob", "ann")
        store.access.grant("bob", "ann", "/", role="editor")
    found = rows(place)
    pairs = [(at, other) for at in found for other in found if at != other]
    for at, other in random.Random(7).sample(pairs, 25):
        moved = (*other, *found[at][3:])
        write(place, [*found.values(), moved])
        with place.open() as store, pytest.raises((IntegrityError, SecretNotFound)):
            read(store, "ann", "top")
    write(place, found.values())
    with place.open() as store:
        assert read(store, "ann", "app/db") == "1"


def test_the_count_of_reads_that_is_put_back(place):
    setup(place)
    from adyton.grantvalues import Conditions

    with place.open() as store:
        once = Conditions(reads=2)
        store.access.grant("alice", "ben", "top", rights=["read"], conditions=once)
        assert read(store, "ben", "top") == "2"
    before = rows(place)
    with place.open() as store:
        assert read(store, "ben", "top") == "2"
        with pytest.raises(Exception, match="permission denied"):
            read(store, "ben", "top")
    after = rows(place)
    changed = [before[at] for at in before if at in after and before[at] != after[at]]
    assert len(changed) == 2  # the count and the ledger
    for row in changed:
        write(place, after.values())
        write(place, [row])
        nobody_gets_in(place)


def test_tokens_in_a_namespace_whose_book_is_not_whole(place):
    """Who may be a member is refused, also what a policy would give: a denial may be missing."""
    setup(place)
    with place.open() as store:
        house = House(store)
        text = house.token("alice", "ann")
        assert house.may(text, "alice", "adyton/secrets/app/db")
        store.access.grant("alice", "ann", "top", rights=["read"])
    before = rows(place)
    with place.open() as store:
        store.access.grant("alice", "ann", "app/", rights=["read"], deny=True)
    after = rows(place)
    write(place, [], after.keys() - before.keys())
    with place.open() as store:
        house = House(store)
        for path in ("adyton/secrets/app/db", "adyton/secrets/top", "auth/token/lookup-self"):
            allowed = house.may(text, "alice", path)
            assert bool(allowed) == path.startswith("auth/"), path


def test_a_denial_that_is_taken_out_opens_nothing_by_a_policy(place):
    """What may have taken rights away can't be told any more: no login's policy counts."""
    setup(place)

    def allowed(store, text):
        house = House(store)
        return [house.may(text, "alice", f"adyton/secrets/{name}") for name in ("app/db", "top")]

    with place.open() as store:
        house = House(store)
        policy = 'path "adyton/*" { capabilities = ["read"] }'
        house.run(house.spaces.put_policy(Caller("test"), "alice", "default", policy))
        token = house.token("alice", "ben")
        assert all(allowed(store, token))
    before = set(rows(place))
    with place.open() as store:
        store.access.grant("alice", "ben", "app/", rights=["read"], deny=True)
        assert [bool(one) for one in allowed(store, token)] == [False, True]
    write(place, [], set(rows(place)) - before)
    with place.open() as store:
        assert not any(allowed(store, token))
