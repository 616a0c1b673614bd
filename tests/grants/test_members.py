"""Members, roles and grants in an embedded store: what is made, kept, and goes with whom."""

import datetime as dt

import pytest

from adyton.errors import AccessDenied, InvalidInput, LimitExceeded, SecretNotFound
from adyton.grantvalues import Conditions
from adyton.model import Caller
from adyton.service.access.gate import Request as Origin
from adyton.service.access.tidy import Tidy
from adyton.service.access.tokens import TokenRequest
from adyton.service.grants.records import GRANTS
from grants.support import Clock, House
from ownroots import key
from support import Place


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


@pytest.fixture
def store(place):
    with place.open() as opened:
        opened.set_secrets("alice", {"app/db": "1", "app/prod/key": "2", "top": "3"})
        opened.members.add("alice", "ann")
        yield opened


def acting(store, member="ann", user="alice", address=""):
    return store.acting_as(Caller(f"test:{member}", user, address, member=member))


def test_an_editor_in_an_embedded_store(store):
    ann = acting(store)
    for operation in (
        lambda: ann.get_secret("alice", "app/db"),
        lambda: ann.get_secrets("alice", ["app/db"]),
        lambda: ann.set_secret("alice", "app/db", "x"),
        lambda: ann.list_secrets("alice"),
        lambda: ann.get_secret_metadata("alice", "app/db"),
        lambda: ann.delete_secret("alice", "app/db"),
        lambda: ann.destroy_secret("alice", "app/db"),
        lambda: ann.rollback_secret("alice", "app/db", 1),
        lambda: ann.update_secret_tags("alice", "app/db", add=["x"]),
    ):
        with pytest.raises(SecretNotFound):
            operation()
    store.access.grant("alice", "ann", "app/", role="editor")
    assert ann.get_secret("alice", "app/db").text() == "1"
    assert list(ann.get_secrets("alice", ["app/db", "app/prod/key"])) == ["app/db", "app/prod/key"]
    with pytest.raises(SecretNotFound):
        ann.get_secrets("alice", ["app/db", "top"])
    assert ann.set_secret("alice", "app/db", "new").version == 2
    assert ann.set_secret("alice", "app/made", "new").version == 1
    assert ann.rollback_secret("alice", "app/db", 1).version == 3
    assert ann.update_secret_tags("alice", "app/db", add=["x"]).tags == ("x",)
    assert [one.name for one in ann.list_secrets("alice")] == ["app/db", "app/made", "app/prod/key"]
    ann.delete_secret("alice", "app/made")
    ann.undelete_secret("alice", "app/made")
    ann.destroy_secret("alice", "app/made")
    with pytest.raises(SecretNotFound):
        ann.set_secret("alice", "top", "x")
    assert store.get_secret("alice", "top").text() == "3"
    by = {entry.decision.partition(":")[0] for entry in store.get_audit_log("alice", limit=3)}
    assert "grant" in by


def test_an_operator_writes_and_never_reads(store):
    store.access.grant("alice", "ann", "/", role="operator")
    ann = acting(store)
    assert ann.set_secret("alice", "top", "new").version == 2
    with pytest.raises(AccessDenied):
        ann.get_secret("alice", "top")


def test_all_that_is_not_for_members_refuses_them(store):
    """Whatever the grants: nothing falls through to the owner's rights."""
    store.access.grant("alice", "ann", "/", rights=["read", "share", "admin", "audit"])
    ann = acting(store)
    for operation in (
        lambda: ann.export_secrets("alice", format="json"),
        lambda: ann.get_audit_log("alice"),
        lambda: ann.purge_user("alice"),
        ann.keys.list,
        lambda: ann.keys.rotate("alice"),
        lambda: ann.shares.create("alice", "bob", "top"),
        lambda: ann.shares.given("alice"),
        lambda: ann.links.list("alice"),
        lambda: ann.members.list("alice"),
        lambda: ann.members.add("alice", "eve"),
        lambda: ann.access.grant("alice", "ann", "/", role="editor"),
        lambda: ann.access.grants("alice"),
        lambda: ann.access.who("alice", "top"),
        lambda: ann.rotation.list("alice"),
        ann.users,
    ):
        with pytest.raises((AccessDenied, SecretNotFound)):
            operation()


def test_who_acts_for_a_member_cannot_become_the_owner(store):
    store.access.grant("alice", "ann", "app/db", role="viewer")
    ann = acting(store)
    for wider in (
        Caller("test:ann", "alice"), Caller("test:ann"), Caller("test:ann", "alice", member="ben"),
        Caller("test:ann", "bob", member="ann"),
    ):  # fmt: skip
        with pytest.raises(AccessDenied):
            ann.acting_as(wider)
    with pytest.raises(SecretNotFound):
        ann.user("alice").get_secret("top")
    assert ann.user("alice").get_secret("app/db").text() == "1"
    with pytest.raises(SecretNotFound):
        acting(store, member="nobody").get_secret("alice", "app/db")
    with pytest.raises(InvalidInput):
        Caller("test:ann", member="ann")
    store.set_secret("bob", "app/db", "of bob")
    with pytest.raises(SecretNotFound):
        ann.get_secret("bob", "app/db")


def test_what_breaks_a_rule(store):
    add, grant, counted = store.members.add, store.access.grant, Conditions(reads=1)
    for attempt in (
        lambda: add("alice", "ann"),
        lambda: add("alice", "a/b"),
        lambda: add("alice", "x", kind="robot"),
        lambda: add("alice", "x", kind="user"),
        lambda: add("alice", "x", other="bob"),
        lambda: add("alice", "x", kind="user", other="alice"),
        lambda: add("alice", "x", kind="user", other="root"),
        lambda: add("alice", "x", logins=["nowhere:x"]),
        lambda: grant("alice", "ann", "app/"),
        lambda: grant("alice", "ann", "app/", role="viewer", rights=["read"]),
        lambda: grant("alice", "ann", "app/", role="emperor"),
        lambda: grant("alice", "ann", "app/", rights=["everything"]),
        lambda: grant("alice", "ann", "app//", role="viewer"),
        lambda: grant("alice", "ann", "", role="viewer"),
        lambda: grant("alice", "ann", "/x", role="viewer"),
        lambda: grant("alice", "ann", "a/", role="viewer", expires_at=dt.datetime.now(dt.UTC)),
        lambda: grant("alice", "ann", "a/", role="viewer", deny=True, conditions=counted),
        lambda: store.members.set_role("alice", "viewer", ["admin"]),
        lambda: store.members.set_role("alice", "mine", ["everything"]),
        lambda: store.members.set_role("alice", "mine", []),
    ):  # fmt: skip
        with pytest.raises(InvalidInput):
            attempt()
    with pytest.raises(SecretNotFound):
        grant("alice", "nobody", "app/", role="viewer")
    assert store.access.grants("alice") == []


def test_a_role_of_ones_own_changes_its_grants(store):
    store.members.set_role("alice", "peek", ["list", "read-metadata"])
    store.access.grant("alice", "ann", "app/", role="peek")
    ann = acting(store)
    with pytest.raises(AccessDenied):
        ann.get_secret("alice", "app/db")
    store.members.set_role("alice", "peek", ["read"])
    assert ann.get_secret("alice", "app/db").text() == "1"
    with pytest.raises(InvalidInput):
        store.members.remove_role("alice", "peek")
    store.access.revoke("alice", store.access.grants("alice")[0].id)
    store.members.remove_role("alice", "peek")
    assert [role.name for role in store.members.roles("alice")] == [
        "viewer", "editor", "operator", "auditor",
    ]  # fmt: skip


def test_all_of_it_outlives_the_process_and_a_change_of_keys(place):
    with place.open() as store:
        store.set_secrets("alice", {"app/db": "1", "top": "2"})
        store.members.add("alice", "ann")
        store.members.set_role("alice", "mine", ["read"])
        grant = store.access.grant("alice", "ann", "app/", role="mine")
        store.keys.rotate("alice")
        store.keys.rewrap("alice", deep=True)
        assert acting(store).get_secret("alice", "app/db").text() == "1"
        store.audit.verify()
    with place.open() as store:
        assert acting(store).get_secret("alice", "app/db").text() == "1"
        assert store.access.grants("alice") == [grant]
        bundle = store.export_secrets("alice", format="json")
        store.import_secrets("carol", bundle, format="json")
        assert store.members.list("carol") == []


def test_who_was_purged_while_the_owner_was_away_is_no_member_when_coming_again(place):
    """The owner's side could not be looked at; what is kept at home tells the two apart."""
    with place.open() as store:
        house = House(store)
        store.set_secret("alice", "top", "1")
        store.members.add("alice", "bobby", kind="user", other="bob")
        store.access.grant("alice", "bobby", "top", role="viewer")
        root = house.session(house.run(house.tokens.create_root(Caller("test"))).text)

        def may():
            policy = 'path "alice/adyton/*" { capabilities = ["read"] }'
            house.run(house.spaces.put_policy(Caller("test"), "bob", "reader", policy))
            caller = house.gate.caller(root, "bob", Origin("127.0.0.1", "r"))
            asked = TokenRequest(policies=("reader",))
            made = house.run(house.tokens.create(caller, root, asked))
            return house.may(made.text, "alice", "adyton/secrets/top")

        assert may()
        store.user_roots.set("alice", key())
        store.user_roots.take("alice")
        store.purge_user("bob")
        store.user_roots.give("alice", key())
        assert [member.name for member in store.members.list("alice")] == ["bobby"]
        assert not may()


def test_purging_either_side_leaves_nothing(place):
    with place.open() as store:
        store.set_secret("alice", "app/db", "1")
        store.set_secret("bob", "own", "2")
        store.members.add("alice", "bobby", kind="user", other="bob")
        store.access.grant("alice", "bobby", "/", role="viewer")
        house = House(store)
        assert house.run(house.core.books.get("bob")).elsewhere
        store.purge_user("bob")
        assert store.members.list("alice") == []
        assert store.access.grants("alice") == []
        store.set_secret("bob", "own", "of another bob")
        assert not house.run(house.core.books.get("bob")).elsewhere
        store.members.add("alice", "bobby", kind="user", other="bob")
        store.purge_user("alice")
        store.set_secret("alice", "app/db", "of another alice")
        assert store.members.list("alice") == []
        store.audit.verify()


def test_what_is_over_is_told_of_and_tidied_away(place):
    with place.open() as store:
        core = store._opened.core
        core.clock = core.commit._clock = Clock(core.clock)
        store.set_secret("alice", "app/db", "1")
        store.members.add("alice", "ann")
        now = dt.datetime.now(dt.UTC)
        for days in (1, 3):
            ends = now + dt.timedelta(days=days)
            store.access.grant("alice", "ann", "app/", role="viewer", expires_at=ends)
        store.access.grant("alice", "ann", "app/", role="viewer")
        soon = store.access.grants("alice", before=now + dt.timedelta(days=2))
        assert len(soon) == 1
        house = House(store)

        async def due():
            keys = await core.keys("alice")
            found = await core.books.get("alice")
            async with core.storage.snapshot() as rows:
                places = [GRANTS.place(keys, ident) for ident in [*found.grants, soon[0].id]]
                return [await rows.due_of(keys.user, *place) for place in places]

        assert any(house.run(due()))
        tidy = Tidy(core, house.spaces, house.tokens)
        core.clock.pass_(days=1, hours=1)
        assert house.run(tidy.run(store._caller)) == 0  # it is told of first
        core.clock.pass_(days=1)
        assert house.run(tidy.run(store._caller)) == 1
        assert [one.id for one in store.access.grants("alice") if one.id == soon[0].id] == []
        assert house.run(due())[-1] is None
        store.members.remove("alice", "ann")
        assert house.run(due()) == [None]
        store.audit.verify()


def test_a_membership_of_too_many(store, monkeypatch):
    monkeypatch.setattr("adyton.service.grants.members.MAX_MEMBERSHIPS", 1)
    store.members.add("alice", "b", kind="user", other="bob")
    with pytest.raises(LimitExceeded):
        store.members.add("carol", "b", kind="user", other="bob")


def test_logins_that_are_a_members(place):
    """By the name at the login method, before and after the first login; of one member at most."""
    with place.open() as store:
        house = House(store)
        store.set_secret("alice", "app/db", "1")
        from adyton.service.access.records import Mount

        mount = Mount("people/", "userpass", "acc", "uuid")
        house.run(
            house.spaces.change_mounts(
                house.caller, "alice", "sys/auth/people", lambda table: table.logins.append(mount)
            )
        )
        made = store.members.add("alice", "ann", logins=["people:ann"])
        assert made.logins == ["people:ann"]
        with pytest.raises(InvalidInput):
            store.members.add("alice", "other", logins=["people:ann"])
        with pytest.raises(InvalidInput):
            store.members.add("alice", "other", logins=["people:"])
        store.access.grant("alice", "ann", "app/", role="viewer")
        text = house.token("alice", "ann")
        assert house.may(text, "alice", "adyton/secrets/app/db")
