"""What was not done is told in the log of the user it was about, and goes with the user's keys."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from adyton import Caller
from adyton.errors import AdytonError
from adyton.service.limits import Limits
from support import Place

ATTEMPTS = {
    "get": lambda at: at.get_secret("ann", "none"),
    "get a version": lambda at: at.get_secret("ann", "a", version=9),
    "get a name that is none": lambda at: at.get_secret("ann", "a//b"),
    "metadata": lambda at: at.get_secret_metadata("ann", "none"),
    "set": lambda at: at.set_secret("ann", "a", b"x", cas=7),
    "set too much": lambda at: at.set_secret("ann", "a", b"x" * 2_000_000),
    "set many": lambda at: at.set_secrets("ann", {"a//": b"x"}),
    "delete": lambda at: at.delete_secret("ann", "none"),
    "delete a version": lambda at: at.delete_secret("ann", "a", versions=[9]),
    "undelete": lambda at: at.undelete_secret("ann", "none"),
    "destroy": lambda at: at.destroy_secret("ann", "none"),
    "rollback": lambda at: at.rollback_secret("ann", "a", 9),
    "list": lambda at: at.list_secrets("ann", limit=0),
    "tags": lambda at: at.update_secret_tags("ann", "none", ["x"]),
    "update": lambda at: at.update_secret_metadata("ann", "a", max_versions=0),
    "export": lambda at: at.export_secrets("ann", names=["none"], format="json"),
    "import": lambda at: at.import_secrets("ann", b'{"a": "x"}', format="json"),
    "import nonsense": lambda at: at.import_secrets("ann", b"{", format="json"),
}


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def owners(place):
    """The user index of each record's row, by leaf."""
    return [row[0] for row in place.sql("SELECT user FROM audit_entries ORDER BY leaf")]


@pytest.mark.parametrize("fresh", [False, True], ids=["keys at hand", "just opened"])
@pytest.mark.parametrize("face", ["operator", "bound"])
def test_a_failure_is_told_in_the_users_own_log(place, face, fresh):
    """Whoever it was that tried, and whether the user's keys were open before."""
    with place.open() as store:
        store.set_secret("ann", "a", b"x")
    for kind, attempt in ATTEMPTS.items():
        with place.open(limits=Limits(cached_users=1)) as store:
            if not fresh:
                store.list_secrets("ann")
            actor = Caller("the actor", user="ann" if face == "bound" else None)
            with pytest.raises(AdytonError):
                attempt(store.acting_as(actor))
            told = store.get_audit_log("ann", limit=1)[0]
            assert (told.actor, told.success, told.user) == ("the actor", False, "ann"), kind
            store.audit.verify()


def test_a_batch_tells_each_name_that_was_not_there(place):
    """Beside those that were read."""
    with place.open() as store:
        store.set_secret("ann", "a", b"x")
        store.get_secrets("ann", ["a", "none"])["a"].wipe()
        told = {entry.secret_name: entry.success for entry in store.get_audit_log("ann", limit=2)}
    assert told == {"a": True, "none": False}


def test_who_has_no_namespace_has_no_log(place):
    """Attempts are the store's own records, before there is one and after it was purged."""
    with place.open() as store:
        for _ in range(2):
            for kind, attempt in ATTEMPTS.items():
                if kind == "import":
                    continue  # makes the namespace
                with pytest.raises(AdytonError):
                    attempt(store)
            assert store.get_audit_log("ann") == []
            store.set_secret("ann", "a", b"x")
            store.purge_user("ann")
        store.audit.verify()


def test_a_purge_takes_the_names_of_what_was_looked_for_along(place):
    """No key opens these records any more; the log stays whole."""
    with place.open() as store:
        store.set_secret("ann", "a", b"x")
        with pytest.raises(AdytonError):
            store.get_secret("ann", "the-name-that-was-looked-for")
        names = {entry.secret_name for entry in store.get_audit_log()}
        assert "the-name-that-was-looked-for" in names
        store.purge_user("ann")
        names = {entry.secret_name for entry in store.get_audit_log()}
        assert "the-name-that-was-looked-for" not in names
        store.audit.verify()


def test_a_failure_beside_a_purge(place):
    """In one group with it or behind it: never under keys that are gone."""
    with place.open() as store:
        for _ in range(15):
            store.set_secret("ann", "a", b"x")

            def work(n):
                try:
                    if n == 8:
                        store.purge_user("ann")
                    else:
                        store.delete_secret("ann", "none") if n % 2 else store.get_secret(
                            "ann", "none"
                        )
                except AdytonError:
                    pass

            with ThreadPoolExecutor(8) as pool:
                list(pool.map(work, range(16)))
        store.audit.verify()


def test_another_users_attempt_is_not_in_the_log_of_the_user_it_aimed_at(place):
    """Whoever is bound elsewhere must not fill it, nor learn that there is one."""
    with place.open() as store:
        store.set_secret("ann", "a", b"x")
        bob = store.acting_as(Caller("bob", user="bob"))
        for attempt in ATTEMPTS.values():
            with pytest.raises(AdytonError):
                attempt(bob)
        assert set(owners(place)[-len(ATTEMPTS) :]) == {bytes(16)}
        assert {entry.actor for entry in store.get_audit_log("ann")}.isdisjoint({"bob"})
