"""The basic set: core operations, batches, both faces, as a caller sees them."""

import asyncio
import datetime as dt

import pyrage
import pytest

from adyton import AsyncSecretStore, Caller, Limits, SecretStore
from adyton.errors import (
    AccessDenied,
    ImportConflict,
    InvalidInput,
    InvalidName,
    SecretNotFound,
    SecretWiped,
    StoreClosed,
    ValueTooLarge,
    VersionConflict,
)
from adyton.model import State


@pytest.fixture
def store(tmp_path):
    with SecretStore.open(
        str(tmp_path / "s.db"), root=f"keyfile:{tmp_path / 'k'}", create=True, upkeep=False
    ) as opened:
        yield opened


def read(store, user, name, **options):
    with store.get_secret(user, name, **options) as secret:
        return secret.reveal()


def test_the_first_screen_runs_as_printed(tmp_path, monkeypatch, capsys):
    """The example of the design runs as it stands there."""
    monkeypatch.chdir(tmp_path)
    seen = []

    def connect(password):
        seen.append(password)

    identity = pyrage.x25519.Identity.generate()
    with SecretStore.open("secrets.db", root="keyfile:master.key", create=True) as store:
        store.set_secret(42, "db/password", b"correct horse", tags=["prod"])
        with store.get_secret(42, "db/password") as secret:
            connect(password=secret.text())
            print(secret.version, secret.metadata.tags)
        alice = store.user("alice")
        alice.set_secret("api/token", "t0k3n")
        bundle = store.export_secrets(42, recipients=[str(identity.to_public())])
        store.import_secrets(43, bundle, identities=[str(identity)], on_conflict="fail")
        store.keys.rotate()
        store.audit.verify()
        for entry in store.get_audit_log(42, limit=10):
            print(entry.timestamp, entry.action, entry.secret_name, entry.success)
        assert read(store, 43, "db/password") == b"correct horse"
    assert seen == ["correct horse"]
    assert "1 ('prod',)" in capsys.readouterr().out


def test_a_value_is_wiped_when_its_block_ends(store):
    """After the block, the secret refuses every use."""
    store.set_secret(1, "a", b"value")
    with store.get_secret(1, "a") as secret:
        assert secret.reveal() == b"value"
    with pytest.raises(SecretWiped):
        secret.reveal()


def test_bytes_text_and_objects_come_back_as_they_went_in(store):
    """Each kind of value keeps its bytes and content type; JSON is canonical."""
    store.set_secret(1, "bytes", b"\x00\xff")
    store.set_secret(1, "text", "grün")
    store.set_secret(1, "json", {"b": 1, "a": [True, None, "x"]})
    store.set_secret(1, "empty", b"")
    assert read(store, 1, "bytes") == b"\x00\xff"
    with store.get_secret(1, "text") as secret:
        assert (secret.text(), secret.content_type) == ("grün", "text/plain; charset=utf-8")
    with store.get_secret(1, "json") as secret:
        assert secret.reveal() == b'{"a":[true,null,"x"],"b":1}'
        assert secret.json() == {"a": [True, None, "x"], "b": 1}
    assert read(store, 1, "empty") == b""


def test_versions_count_up_and_old_ones_are_pruned(store):
    """A secret keeps max_versions versions; older ones are gone, newer ones readable."""
    for number in range(1, 6):
        assert store.set_secret(1, "a", str(number), max_versions=3).version == number
    found = store.get_secret_metadata(1, "a")
    assert [info.version for info in found.versions] == [3, 4, 5]
    assert [read(store, 1, "a", version=v) for v in (3, 4, 5)] == [b"3", b"4", b"5"]
    with pytest.raises(SecretNotFound):
        store.get_secret(1, "a", version=2)


def test_check_and_set(store):
    """A write with cas happens only at that version; 0 means that there is none."""
    store.set_secret(1, "a", "1", cas=0)
    with pytest.raises(VersionConflict):
        store.set_secret(1, "a", "x", cas=0)
    with pytest.raises(VersionConflict):
        store.set_secret(1, "new", "x", cas=1)
    assert store.set_secret(1, "a", "2", cas=1).version == 2
    assert read(store, 1, "a") == b"2"


def test_delete_undelete_destroy(store):
    """Deleted can be undone, destroyed can't, and a whole secret can be erased."""
    store.set_secret(1, "a", "1")
    store.set_secret(1, "a", "2")
    store.delete_secret(1, "a")
    with pytest.raises(SecretNotFound):
        store.get_secret(1, "a")
    assert read(store, 1, "a", version=1) == b"1"
    assert len(store.list_secrets(1)) == 0
    assert len(store.list_secrets(1, include_deleted=True)) == 1
    store.undelete_secret(1, "a")
    assert read(store, 1, "a") == b"2"
    store.destroy_secret(1, "a", versions=[2])
    with pytest.raises(SecretNotFound):
        store.get_secret(1, "a")
    store.undelete_secret(1, "a", versions=[2])
    with pytest.raises(SecretNotFound):
        store.get_secret(1, "a", version=2)
    assert [info.state for info in store.get_secret_metadata(1, "a").versions] == [
        State.LIVE,
        State.DESTROYED,
    ]
    assert store.set_secret(1, "a", "3").version == 3
    store.destroy_secret(1, "a")
    with pytest.raises(SecretNotFound):
        store.get_secret_metadata(1, "a")
    assert store.set_secret(1, "a", "new").version == 1
    store.audit.verify()


def test_rollback_writes_a_new_version(store):
    """A rollback makes the older value a new version and keeps history."""
    store.set_secret(1, "a", "old", content_type="text/x")
    store.set_secret(1, "a", "new")
    assert store.rollback_secret(1, "a", 1).version == 3
    assert read(store, 1, "a") == b"old"
    assert store.get_secret_metadata(1, "a").current.content_type == "text/x"
    with pytest.raises(SecretNotFound):
        store.rollback_secret(1, "a", 9)


def test_expired_secrets_are_not_found(store):
    """A secret past its expiry can't be read, listed or exported; without it, it can."""
    past = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=1)
    store.set_secret(1, "a", "x", expires_at=past)
    with pytest.raises(SecretNotFound):
        store.get_secret(1, "a")
    assert len(store.list_secrets(1)) == 0
    assert store.export_secrets(1, format="json") == b"{}\n"
    store.update_secret_metadata(1, "a", expires_at=None)
    assert read(store, 1, "a") == b"x"


def test_tags_and_attributes_are_kept_or_replaced(store):
    """A write without tags keeps them; a change replaces, adds or removes."""
    store.set_secret(1, "a", "1", tags=["x", "y"], attributes={"owner": "ops"})
    store.set_secret(1, "a", "2")
    assert store.get_secret_metadata(1, "a").tags == ("x", "y")
    assert store.update_secret_tags(1, "a", add=["z"], remove=["x"]).tags == ("y", "z")
    assert store.update_secret_tags(1, "a", ["only"]).tags == ("only",)
    found = store.update_secret_metadata(1, "a", attributes={"k": "v"}, max_versions=2)
    assert (found.attributes, found.max_versions) == ({"k": "v"}, 2)


def test_listing_by_prefix_tag_and_page(store):
    """Prefix and tags filter, pages follow each other without gap or repetition."""
    store.set_secrets(1, {f"f/{n:02d}": "x" for n in range(25)})
    store.set_secret(1, "g", "x", tags=["t"])
    assert [found.name for found in store.list_secrets(1, tags=["t"])] == ["g"]
    names, cursor = [], None
    while True:
        page = store.list_secrets(1, prefix="f/", limit=10, cursor=cursor)
        names += [found.name for found in page]
        cursor = page.cursor
        if cursor is None:
            break
    assert names == [f"f/{n:02d}" for n in range(25)]
    with pytest.raises(InvalidInput):
        store.list_secrets(1, cursor="!!!")


def test_batches_are_all_or_none(store):
    """One bad item refuses the whole batch; missing names are left out of a batch read."""
    with pytest.raises(InvalidName):
        store.set_secrets(1, {"good": "x", "bad/": "x"})
    assert len(store.list_secrets(1)) == 0
    store.set_secrets(1, {"a": "1", "b": "2"})
    found = store.get_secrets(1, ["a", "nope", "b"])
    assert {name: secret.text() for name, secret in found.items()} == {"a": "1", "b": "2"}
    actions = [(e.action, e.secret_name, e.success) for e in store.get_audit_log(1, limit=3)]
    assert ("secret.get", "a", True) in actions


def test_the_value_limit_is_exact():
    """A value of exactly the limit is stored; one byte more is refused."""
    with SecretStore.open("memory:", root="dev:", limits=Limits(max_value_bytes=1000)) as store:
        store.set_secret(1, "a", b"x" * 1000)
        with pytest.raises(ValueTooLarge):
            store.set_secret(1, "a", b"x" * 1001)
        assert store.get_secret_metadata(1, "a").version == 1


def test_a_mebibyte_goes_in_and_out(store):
    """A value of the default limit of 1 MiB comes back whole."""
    value = bytes(range(256)) * 4096
    store.set_secret(1, "big", value)
    assert read(store, 1, "big") == value


def test_users_do_not_see_each_other(store):
    """The same name of two users holds two values; absent and another's look alike."""
    store.set_secret("a", "n", "of a")
    store.set_secret("b", "n", "of b")
    store.set_secret("b", "only-b", "x")
    view = store.user("a")
    assert [found.name for found in view.list_secrets()] == ["n"]
    with pytest.raises(SecretNotFound) as absent:
        view.get_secret("nowhere")
    with pytest.raises(SecretNotFound) as others:
        view.get_secret("only-b")
    assert str(absent.value) == str(others.value)
    bound = store.acting_as(Caller("mallory", user="a"))
    with pytest.raises(SecretNotFound) as refused:
        bound.get_secret("b", "n")
    assert str(refused.value) == str(absent.value)
    for call in (bound.users, bound.keys.list, bound.keys.rotate, bound.audit.verify):
        with pytest.raises(AccessDenied):
            call()
    with pytest.raises(AccessDenied):
        bound.get_audit_log()
    with pytest.raises(SecretNotFound):
        bound.purge_user("b")
    assert read(store, "b", "n") == b"of b"


def test_integers_and_their_digits_are_one_user(store):
    """42 and "42" name the same user."""
    store.set_secret(42, "a", "x")
    assert read(store, "42", "a") == b"x"


def test_every_operation_is_recorded_with_its_outcome(store):
    """Successes and refusals alike are in the user's log, newest first."""
    store.set_secret(1, "a", "x")
    store.get_secret(1, "a").wipe()
    with pytest.raises(SecretNotFound):
        store.get_secret(1, "b")
    with pytest.raises(InvalidName):
        store.set_secret(1, "bad//name", "x")
    store.list_secrets(1)
    store.update_secret_tags(1, "a", ["t"])
    found = [(e.action, e.secret_name, e.success, e.reason) for e in store.get_audit_log()]
    assert found[:6][::-1] == [
        ("secret.set", "a", True, ""),
        ("secret.get", "a", True, ""),
        ("secret.get", "b", False, "SecretNotFound"),
        ("secret.set", "", False, "InvalidName"),
        ("secret.list", "", True, "1 names"),
        ("secret.tags", "a", True, ""),
    ]


def test_time_of_access_survives_reopening(tmp_path):
    """accessed_at is set by reads, not by failures, and is there after reopening."""
    where = {"url": str(tmp_path / "s.db"), "root": f"keyfile:{tmp_path / 'k'}"}
    with SecretStore.open(**where, create=True) as store:
        store.set_secret(1, "a", "x")
        assert store.get_secret_metadata(1, "a").accessed_at is None
        store.get_secret(1, "a").wipe()
        first = store.get_secret_metadata(1, "a").accessed_at
        assert first is not None
    with SecretStore.open(**where) as store:
        assert store.get_secret_metadata(1, "a").accessed_at == first


@pytest.mark.parametrize("conflict", ["fail", "skip", "replace", "new-version"])
def test_import_over_what_exists(store, conflict):
    """Each way to meet existing names does what it says, and fail changes nothing."""
    identity = pyrage.x25519.Identity.generate()
    store.set_secret("src", "a", "imported", tags=["i"])
    store.set_secret("src", "b", "other")
    bundle = store.export_secrets("src", recipients=[str(identity.to_public())])
    store.set_secret("dst", "a", "mine")
    call = {"identities": [str(identity)], "on_conflict": conflict}
    preview = store.import_secrets("dst", bundle, dry_run=True, **call)
    assert preview.created == ("b",)
    assert len(store.list_secrets("dst")) == 1
    if conflict == "fail":
        with pytest.raises(ImportConflict):
            store.import_secrets("dst", bundle, **call)
        assert [found.name for found in store.list_secrets("dst")] == ["a"]
        return
    store.import_secrets("dst", bundle, **call)
    expected = {"skip": (b"mine", 1), "replace": (b"imported", 1), "new-version": (b"imported", 2)}
    found = store.get_secret_metadata("dst", "a")
    assert (read(store, "dst", "a"), found.version) == expected[conflict]
    assert read(store, "dst", "b") == b"other"
    store.audit.verify()


def test_a_bundle_carries_history_tags_and_times(store):
    """With all versions, everything but the reads comes out at the other end."""
    store.set_secret("s", "a", "1", tags=["x"], attributes={"k": "v"}, max_versions=4)
    store.set_secret("s", "a", "2")
    store.delete_secret("s", "a", versions=[1])
    bundle = store.export_secrets("s", passphrase="a long enough passphrase", all_versions=True)
    store.import_secrets("d", bundle, passphrase="a long enough passphrase")
    assert store.get_secret_metadata("d", "a") == store.get_secret_metadata("s", "a")
    assert read(store, "d", "a") == b"2"
    store.undelete_secret("d", "a", versions=[1])
    assert read(store, "d", "a", version=1) == b"1"


def test_purge_erases_a_user(store):
    """After a purge nothing of the user is there, others are untouched, the log verifies."""
    store.set_secret("gone", "a", "x")
    store.set_secret("stays", "a", "y")
    assert store.purge_user("gone") == 1
    assert all(entry.user != "gone" for entry in store.get_audit_log())
    with pytest.raises(SecretNotFound):
        store.get_secret("gone", "a")
    assert [info.user for info in store.users()] == ["stays"]
    assert store.get_audit_log("gone") == []
    store.audit.verify()
    store.set_secret("gone", "a", "again")
    assert read(store, "gone", "a") == b"again"
    store.audit.verify()


def test_a_closed_store_refuses_everything(tmp_path):
    """After close every use raises StoreClosed, and closing again is harmless."""
    store = SecretStore.open(str(tmp_path / "s.db"), root="dev:", create=True)
    store.close()
    store.close()
    for call in (
        lambda: store.get_secret(1, "a"),
        lambda: store.set_secret(1, "a", "x"),
        lambda: store.list_secrets(1),
        store.audit.verify,
        store.keys.rotate,
        lambda: store.user(1).get_secret("a"),
    ):
        with pytest.raises(StoreClosed):
            call()


def test_tasks_have_the_same_store(tmp_path):
    """The asynchronous face does the same, from many tasks at once."""

    async def work():
        store = await AsyncSecretStore.open("memory:", root="dev:")
        async with store:
            await asyncio.gather(*(store.set_secret(1, f"n{n}", str(n)) for n in range(50)))
            found = await asyncio.gather(*(store.get_secret(1, f"n{n}") for n in range(50)))
            assert [secret.text() for secret in found] == [str(n) for n in range(50)]
            view = store.user(1)
            assert len(await view.list_secrets()) == 50
            with pytest.raises(SecretNotFound):
                await view.get_secret("nope")
            await store.audit.verify()

    asyncio.run(work())
