"""Writing through a share: what lands where, by whose keys, and what is refused."""

import pytest

from adyton import Caller
from adyton.errors import (
    AccessDenied,
    IntegrityError,
    InvalidInput,
    LimitExceeded,
    QuotaExceeded,
    RootUnavailable,
    RotationError,
    SecretNotFound,
    ValueTooLarge,
    VersionConflict,
)
from adyton.rotationpolicy import RotationPolicy
from adyton.service.limits import Limits
from adyton.service.quota.storage import Quotas
from adyton.service.values import Item
from ownroots import closed, given_away
from ownroots import own as own_root
from sharing.helpers import VALUE, away, later, read, refused, share, soon, tidy
from support import Place


def own(store, name, user="alice", **more):
    with store.get_secret(user, name, **more) as secret:
        return secret.text()


def actions(store, user, **more):
    return [
        (entry.action, entry.secret_name, entry.version, entry.actor)
        for entry in store.get_audit_log(user, limit=1_000)
        if entry.action in {"share.write", "share.delete", "secret.set"} and entry.success
    ][::-1]


def test_a_receiver_writes_a_new_version_of_the_owner_s_secret(store):
    found = share(store, write=True)
    other = share(store, receiver="carol")
    assert store.shares.set("bob", found, "by bob") == 3
    assert own(store, "db/password") == "by bob"
    assert own(store, "db/password", version=2) == VALUE
    assert read(store, found) == read(store, other, user="carol") == "by bob"
    with pytest.raises(SecretNotFound):
        store.get_secret("bob", "db/password")
    store.set_secret("alice", "db/password", "by alice")
    assert read(store, found) == "by alice"
    assert store.shares.set("bob", found, b"\x00\xff", content_type="application/x") == 5
    with store.shares.get("bob", found) as secret:
        assert (secret.reveal(), secret.content_type) == (b"\x00\xff", "application/x")
    assert [info.write for info in store.shares.received("bob")] == [True]


def test_a_share_for_reading_is_not_written_to(store):
    found = share(store)
    with pytest.raises(AccessDenied):
        store.shares.set("bob", found, "x")
    with pytest.raises(AccessDenied):
        store.shares.delete("bob", found)
    writable = share(store, write=True)
    with pytest.raises(AccessDenied):
        store.shares.delete("bob", writable)
    assert own(store, "db/password") == VALUE
    failed = [e for e in store.get_audit_log("bob", limit=5) if not e.success]
    assert [(e.action, e.outcome) for e in failed][-1] == ("share.write", "denied")


def test_a_folder_is_written_into(store):
    found = share(store, "db/", write=True)
    other = share(store, "db/", receiver="carol")
    assert store.shares.set("bob", found, "new", "db/new", cas=0) == 1
    assert store.shares.set("bob", found, "admin2", "db/user") == 2
    assert (own(store, "db/new"), own(store, "db/user")) == ("new", "admin2")
    assert store.shares.names("carol", other) == ["db/new", "db/password", "db/user"]
    assert read(store, other, "db/new", user="carol") == "new"
    for outside in ("other", "dbx", "db"):
        with pytest.raises(InvalidInput):
            store.shares.set("bob", found, "x", outside)
    for wrong in ("db/", "db//x", "db/../other", ""):
        with pytest.raises(InvalidInput):
            store.shares.set("bob", found, "x", wrong)
    with pytest.raises(InvalidInput):
        store.shares.set("bob", found, "x")
    assert own(store, "other") == "own"


def test_check_and_set(store):
    found = share(store, "db/", write=True, delete=True)
    with pytest.raises(VersionConflict):
        store.shares.set("bob", found, "x", "db/password", cas=1)
    with pytest.raises(VersionConflict):
        store.shares.set("bob", found, "x", "db/password", cas=0)
    assert store.shares.set("bob", found, "x", "db/password", cas=2) == 3
    with pytest.raises(VersionConflict):
        store.shares.delete("bob", found, "db/password", cas=2)
    with pytest.raises(VersionConflict):
        store.shares.set("bob", found, "x", "db/absent", cas=1)
    with pytest.raises(InvalidInput):
        store.shares.set("bob", found, "x", "db/password", cas=-1)
    assert own(store, "db/password") == "x"


def test_what_the_owner_has_set_stays(store):
    """Tags, attributes, expiry, number of versions and rotation are not the receiver's."""
    ends = soon(600)
    store.set_secret("alice", "db/user", "v", tags=["prod"], attributes={"a": "b"},
                     expires_at=ends, max_versions=2)  # fmt: skip
    store.update_secret_metadata("alice", "db/user", rotation={"kind": "manual"})
    before = store.get_secret_metadata("alice", "db/user")
    found = share(store, "db/user", write=True)
    for number in range(3):
        store.shares.set("bob", found, f"v{number}")
    after = store.get_secret_metadata("alice", "db/user")
    assert (after.tags, after.attributes, after.expires_at, after.rotation) == (
        before.tags, before.attributes, before.expires_at, before.rotation,
    )  # fmt: skip
    assert [each.version for each in after.versions] == [after.version - 1, after.version]
    assert len({each.created_by for each in after.versions}) == 1


def test_who_wrote_is_told_in_both_logs(store):
    bound = store.acting_as(Caller("bob's token", user="bob", address="192.0.2.1"))
    found = share(store, "db/", write=True, delete=True)
    bound.shares.set("bob", found, "x", "db/user")
    bound.shares.delete("bob", found, "db/user")
    mine = actions(store, "bob")
    assert mine == [
        ("share.write", f"shares/{found}", 2, "bob's token"),
        ("share.delete", f"shares/{found}", 2, "bob's token"),
    ]
    assert actions(store, "alice")[-2:] == [
        ("share.write", "db/user", 2, "bob's token"),
        ("share.delete", "db/user", 2, "bob's token"),
    ]
    (entry, *_) = [e for e in store.get_audit_log("alice") if e.action == "share.write"]
    assert entry.reason == f"shares/{found} by bob"
    assert entry.address == "192.0.2.1"
    versions = store.get_secret_metadata("alice", "db/user").versions
    assert versions[-1].created_by == "bob's token"
    for attempt in (
        lambda: bound.set_secret("alice", "db/user", "x"),
        lambda: bound.shares.set("alice", found, "x", "db/user"),
        lambda: bound.undelete_secret("alice", "db/user"),
    ):
        with pytest.raises(SecretNotFound):
            attempt()


def test_deleting_is_not_destroying(store):
    found = share(store, "db/", write=True, delete=True)
    assert store.shares.delete("bob", found, "db/password") == 2
    refused(store, found, "db/password")
    with pytest.raises(SecretNotFound):
        store.shares.delete("bob", found, "db/password")
    with pytest.raises(SecretNotFound):
        store.shares.delete("bob", found, "db/absent")
    assert store.shares.names("bob", found) == ["db/user"]
    store.undelete_secret("alice", "db/password")
    assert read(store, found, "db/password") == VALUE
    # What was deleted can be written anew; the version that was deleted stays so.
    store.delete_secret("alice", "db/user")
    assert store.shares.set("bob", found, "again", "db/user") == 2
    with pytest.raises(SecretNotFound):
        store.get_secret("alice", "db/user", version=1)
    assert read(store, found, "db/user") == "again"


def test_what_is_gone_is_not_brought_back(store):
    """Destroyed or expired: a share of the secret ends with it; a folder can hold a new one."""
    single, folder = share(store, "db/user", write=True), share(store, "db/", write=True)
    store.update_secret_metadata("alice", "db/password", expires_at=soon(60))
    store.destroy_secret("alice", "db/user")
    with pytest.raises(SecretNotFound):
        store.shares.set("bob", single, "x")
    assert store.shares.set("bob", folder, "anew", "db/user") == 1
    refused(store, single)
    later(store, 61)
    with pytest.raises(SecretNotFound):
        store.shares.set("bob", folder, "x", "db/password")


def test_what_is_not_in_force_is_not_written_to(store):
    made = store.shares.create("alice", "bob", "db/password", write=True)
    ending = share(store, write=True, expires_at=soon(60))

    def absent(found, user="bob"):
        with pytest.raises(SecretNotFound) as caught:
            store.shares.set(user, found, "x")
        return str(caught.value)

    told = {absent(made.id), absent("x" * 24), absent(ending, "carol"), absent(ending, "nobody")}
    store.shares.accept("bob", made.id)
    store.shares.set("bob", made.id, "x")
    store.shares.revoke("alice", made.id)
    told.add(absent(made.id))
    later(store, 61)
    told.add(absent(ending))
    assert len(told) == 1
    assert own(store, "db/password") == "x"


def test_one_version_is_not_written_to(store):
    with pytest.raises(InvalidInput):
        store.shares.create("alice", "bob", "db/password", version=1, write=True)
    with pytest.raises(InvalidInput):
        store.shares.create("alice", "bob", "db/password", delete=True)


def test_it_counts_for_the_owner(tmp_path):
    place = Place(tmp_path)
    with place.open(limits=Limits(quotas=Quotas(versions=4, bytes=8_000))) as store:
        store.set_secret("alice", "db/a", "x")
        found = share(store, "db/", write=True)
        for number in range(3):
            store.shares.set("bob", found, f"{number}", "db/a")
        before = store.quotas.get("bob").used
        with pytest.raises(QuotaExceeded) as caught:
            store.shares.set("bob", found, "x", "db/a")
        assert "owner" in caught.value.message
        store.update_secret_metadata("alice", "db/a", max_versions=2)
        with pytest.raises(QuotaExceeded):
            store.shares.set("bob", found, "x" * 8_000, "db/a")
        store.shares.set("bob", found, "fits", "db/a")
        assert store.quotas.get("bob").used[:3] == before[:3]
        assert store.quotas.get("alice").used.versions == 2
        failed = [e for e in store.get_audit_log("bob", limit=9) if not e.success]
        assert {e.user for e in failed} == {"bob"}
        store.audit.verify()


def test_values_have_their_bounds(store, monkeypatch):
    found = share(store, "db/", write=True)
    limit = store._opened.core.limits.max_value_bytes
    with pytest.raises(ValueTooLarge):
        store.shares.set("bob", found, b"x" * (limit + 1), "db/a")
    monkeypatch.setattr("adyton.service.sharing.follow.MAX_ITEMS", 2)
    with pytest.raises(LimitExceeded):
        store.shares.set("bob", found, "x", "db/third")
    with pytest.raises(SecretNotFound):
        store.get_secret("alice", "db/third")


@pytest.mark.parametrize("whose", ["alice", "bob", "carol", None])
def test_keys_of_any_side_change(store, whose):
    found = share(store, "db/", write=True)
    other = share(store, "db/", receiver="carol")
    for deep in (False, True):
        store.keys.rotate(whose)
        store.shares.set("bob", found, f"after {deep}", "db/user")
        store.keys.rewrap(whose, deep=deep)
        assert read(store, other, "db/user", user="carol") == f"after {deep}"
        assert own(store, "db/user") == f"after {deep}"
    store.keys.rotate(master=True)
    store.shares.set("bob", found, "last", "db/new")
    assert read(store, other, "db/new", user="carol") == own(store, "db/new") == "last"


def test_nothing_is_written_that_the_owner_could_not_open(store, monkeypatch):
    """While the owner keeps the keys away a receiver reads, and writes nothing."""
    found = share(store, write=True, delete=True)
    with away(monkeypatch, store, "alice"):
        assert read(store, found) == VALUE
        with pytest.raises(RootUnavailable):
            store.shares.set("bob", found, "x")
        with pytest.raises(RootUnavailable):
            store.shares.delete("bob", found)
    assert own(store, "db/password") == VALUE
    assert store.get_secret_metadata("alice", "db/password").version == 2
    assert store.shares.set("bob", found, "x") == 3


def test_a_third_whose_keys_are_away_does_not_hold_up_a_write(store, monkeypatch):
    found = share(store, "db/", write=True)
    other = share(store, "db/", receiver="carol", write=True)
    with away(monkeypatch, store, "carol"):
        store.shares.set("bob", found, "x", "db/user")
        store.shares.set("bob", found, "y", "db/new")
    assert store.shares.set("carol", other, "z", "db/user", cas=2) == 3
    assert read(store, other, "db/new", user="carol") == "y"
    assert read(store, found, "db/user") == "z"


def test_a_purge_ends_it(store):
    found = share(store, "db/", write=True)
    store.purge_user("alice")
    with pytest.raises(SecretNotFound):
        store.shares.set("bob", found, "x", "db/user")
    store.set_secret("alice", "db/user", "another alice")
    with pytest.raises(SecretNotFound):
        store.shares.set("bob", found, "x", "db/user")
    assert own(store, "db/user") == "another alice"


def test_revoking_while_the_receiver_s_keys_are_away(store, monkeypatch):
    """It holds at once: what cannot be erased yet fits nothing, and is erased later."""
    found = share(store, "db/", write=True)
    with away(monkeypatch, store, "bob"):
        store.shares.revoke("alice", found)
        assert [info.answer for info in store.shares.given("alice")] == ["revoked"]
    refused(store, found, "db/user")
    with pytest.raises(SecretNotFound):
        store.shares.set("bob", found, "x", "db/new")
    assert tidy(store) == 1
    assert store.shares.received("bob") == store.shares.given("alice") == []


def test_giving_back_while_the_owner_s_keys_are_away(store, monkeypatch):
    found = share(store, write=True)
    with away(monkeypatch, store, "alice"):
        store.shares.refuse("bob", found)
        assert store.shares.received("bob") == []
    tidy(store)
    assert [info.answer for info in store.shares.given("alice")] == ["refused"]
    store.set_secret("alice", "db/password", "x")


def test_a_write_that_a_revocation_overtakes(store):
    """In one group, the one that comes first counts, whichever it is."""
    found = share(store, write=True)
    core = store._opened.core
    service = store.shares
    order = []

    def outcome(operation):
        try:
            return core.commit.run_sync(operation)
        except SecretNotFound:
            return "gone"

    first = service._shares.revoke(store._caller, "alice", found).send(None)

    writes = service._writes.set(store._caller, "bob", found, Item("", b"late", "text/plain"))
    order.append(outcome(writes))  # leads the group with both in it
    assert first.done
    assert order == ["gone"]
    assert own(store, "db/password") == VALUE


def test_a_rotation_gives_way_to_a_receiver_as_to_the_owner(store, monkeypatch):
    """Who writes while a secret is rotated has the newer value, through a share too."""
    found = share(store, "db/user", write=True)
    rotator = store._opened.core.rotation.open("random")

    def written_meanwhile(turn):
        store.shares.set("bob", found, "by bob")

    monkeypatch.setattr(rotator, "test", written_meanwhile)
    monkeypatch.setattr(store._opened.core.rotation, "open", lambda _: rotator)
    store.rotation.set_policy("alice", "db/user", RotationPolicy(grace=0))
    with pytest.raises(RotationError, match="was changed"):
        store.rotation.run("alice", "db/user")
    assert own(store, "db/user") == read(store, found) == "by bob"


def test_items_that_do_not_fit_are_not_written_over(store, monkeypatch):
    """A secret that changed by another way than ours is not changed further by a receiver."""
    found = share(store, write=True)

    async def skipped(*_):
        return None

    with monkeypatch.context() as patch:
        patch.setattr("adyton.service.writing.follow", skipped)
        store.set_secret("alice", "db/password", "behind its back")
    with pytest.raises(IntegrityError):
        store.shares.set("bob", found, "x")
    assert own(store, "db/password") == "behind its back"
    store.set_secret("alice", "db/password", "again")
    assert read(store, found) == "again"


def test_an_owner_s_own_root_that_is_away(store):
    """Whoever may read reads on; nothing is written, passed on or accepted until it is given."""
    found = share(store, "db/", write=True, delete=True, reshare=1)
    given_away(store)
    assert read(store, found, "db/password") == VALUE
    made = (
        lambda: store.shares.set("bob", found, "x", "db/password"),
        lambda: store.shares.set("bob", found, "x", "db/new"),
        lambda: store.shares.delete("bob", found, "db/password"),
        lambda: store.shares.pass_on("bob", found, "carol"),
        lambda: store.shares.accept("bob", found),
    )
    for attempt in made:
        with closed():
            attempt()
    store.user_roots.give("alice", own_root())
    assert own(store, "db/password") == VALUE
    assert store.shares.set("bob", found, "x", "db/password") == 3
    assert own(store, "db/password") == "x"


def test_a_receiver_s_own_root_that_is_away(store):
    """The owner writes and revokes; what the receiver has then is right once it is given."""
    found, over = share(store, "db/", write=True), share(store, "db/user")
    given_away(store, "bob")
    store.set_secret("alice", "db/password", "while bob was away")
    store.set_secret("alice", "db/new", "new")
    store.shares.revoke("alice", over)
    for attempt in (lambda: read(store, found, "db/new"), lambda: read(store, over)):
        with closed():
            attempt()
    store.user_roots.give("bob", own_root())
    assert store.shares.names("bob", found) == ["db/new", "db/password", "db/user"]
    assert read(store, found, "db/password") == "while bob was away"
    refused(store, over)
    tidy(store)
    assert [info.id for info in store.shares.received("bob")] == [found]
