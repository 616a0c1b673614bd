"""Several roots of one store: each opens it alone, and none is left behind by a rotation."""

import dataclasses

import pytest

from adyton import SecretStore
from adyton.crypto.secretbytes import SecretBytes
from adyton.errors import (
    AccessDenied,
    InvalidInput,
    RootLocked,
    RootUnavailable,
    SecretNotFound,
)
from adyton.model import Caller
from adyton.roots import DevRoot, KeyFileRoot, PassphraseRoot, open_root
from adyton.roots.passphrase import TEST_PARAMS
from adyton.service.upkeep import Upkeep


def passphrase(text="correct horse battery"):
    return PassphraseRoot(text, params=TEST_PARAMS)


class Held(DevRoot):
    """A root that is there, away, or refuses, as a test says; each opening has it anew."""

    def __init__(self, key, at):
        self.at = at
        super().__init__(key)

    def unwrap(self, wrapped, context):
        self.at.setdefault("asked", []).append("unwrap")
        if self.at.get("away"):
            raise RootUnavailable("away")
        if self.at.get("broken") and self.at["asked"].count("unwrap") >= self.at["broken"]:
            raise RootUnavailable("away now")
        return super().unwrap(wrapped, context)


@pytest.fixture
def path(tmp_path):
    """A store of a key file in slot 0 and a passphrase in slot 1."""
    path = tmp_path / "store.db"
    with SecretStore.open(str(path), root=f"keyfile:{tmp_path}/key", create=True) as store:
        store.set_secret("u", "a", "value")
        assert store.roots.add(passphrase()).slot == 1
    return path


def opened(path, root):
    return SecretStore.open(str(path), root=root)


def records(store):
    return [
        (entry.action, entry.success, entry.reason)
        for entry in store.get_audit_log(limit=40)
        if entry.action.startswith(("root.", "master."))
    ]


def test_each_root_opens_the_store(path, tmp_path):
    """By its own slot; what it is, is told; the slots of other kinds stay."""
    for root, slot in ((KeyFileRoot(tmp_path / "key"), 0), (passphrase(), 1)):
        with opened(path, root) as store:
            assert store.get_secret("u", "a").text() == "value"
            assert list(store._opened.core.slots) == [slot]
            assert store.health().root["kind"] == root.kind
            shown = store.roots.list()
            assert [(each.slot, each.kind) for each in shown] == [(0, "keyfile"), (1, "passphrase")]
            assert [each.opened for each in shown] == [slot == 0, slot == 1]
            assert shown[0].described["path"] == str(tmp_path / "key")  # also where it is away
            assert all(each.added_at and each.tested_at is None for each in shown)


def test_another_root_of_a_kind_is_refused(path, tmp_path):
    """A wrong passphrase, and another key file, with the error of their own kind."""
    with pytest.raises(RootLocked, match="passphrase root does not open"):
        opened(path, passphrase("correct horse batterz"))
    with pytest.raises(RootLocked, match="keyfile root does not open"):
        opened(path, KeyFileRoot.create(tmp_path / "other"))


def test_where_the_roots_are_is_not_told_by_a_stolen_store(path, tmp_path):
    """Their descriptions are sealed, bound to their slot, and move to a new master key."""
    with opened(path, f"keyfile:{tmp_path}/key") as store:
        store.keys.rotate(master=True, roots=[passphrase()])
        assert store.roots.list()[0].described["path"] == str(tmp_path / "key")
    for file in tmp_path.glob("store.db*"):
        assert str(tmp_path).encode() not in file.read_bytes()


def test_the_master_key_does_not_rotate_past_a_root_that_is_not_here(path, tmp_path):
    """The other root could not open a new version; so there is none, and both go on opening."""
    with opened(path, f"keyfile:{tmp_path}/key") as store:
        with pytest.raises(RootUnavailable, match=r"slots 1 \(passphrase\)") as error:
            store.keys.rotate(master=True)
        assert "--drop-absent" in error.value.hint
        assert records(store)[0][:2] == ("master.rotate", False)
    with opened(path, passphrase()) as store:
        assert store.get_secret("u", "a").text() == "value"


def test_the_master_key_rotates_with_roots_that_are_brought(path, tmp_path):
    """For that alone; a wrong one is refused; afterwards each opens the new version."""
    with opened(path, f"keyfile:{tmp_path}/key") as store:
        with pytest.raises(RootLocked):
            store.keys.rotate(master=True, roots=[passphrase("correct horse batterz")])
        assert store.keys.rotate(master=True, roots=[passphrase()]) == 2
        assert list(store._opened.core.slots) == [0]
    for root in (f"keyfile:{tmp_path}/key", passphrase()):
        with opened(path, root) as store:
            assert store.get_secret("u", "a").text() == "value"
            assert list(store._opened.core.ring.masters) == [2]


def test_roots_that_are_not_here_can_be_dropped(path, tmp_path):
    """Only when that is asked for; it is recorded, and they open nothing any more."""
    with opened(path, f"keyfile:{tmp_path}/key") as store:
        assert store.keys.rotate(master=True, drop_absent=True) == 2
        assert ("root.remove", True, "slot 1: passphrase, not at hand for a new master key") in (
            records(store)
        )
        assert [each.slot for each in store.roots.list()] == [0]
    with pytest.raises(RootLocked):
        opened(path, passphrase())


def test_a_root_is_added_once(path, tmp_path):
    """The same again is refused, open or not, and one that can't wrap leaves nothing behind."""
    with opened(path, f"keyfile:{tmp_path}/key") as store:
        for again in (f"keyfile:{tmp_path}/key", passphrase()):
            with pytest.raises(InvalidInput, match="opens the store already"):
                store.roots.add(again)
        closed = DevRoot()
        closed.close()
        with pytest.raises(RootUnavailable):
            store.roots.add(closed)
        assert [each.slot for each in store.roots.list()] == [0, 1]
        assert records(store)[1][:2] == ("root.add", False)


def test_a_root_is_removed_when_another_one_has_opened(path, tmp_path):
    """Not the last one, nor one whose fellows are away; what it wrapped leaves the disk."""
    with opened(path, f"keyfile:{tmp_path}/key") as store:
        with pytest.raises(RootUnavailable, match="none of the other roots is at hand"):
            store.roots.remove(0)
        with pytest.raises(InvalidInput, match="no root in slot 7"):
            store.roots.remove(7)
        core = store._opened.core
        rows = core.commit.run_sync(_masters(core))
        store.roots.remove(1)
        with pytest.raises(InvalidInput, match="only root"):
            store.roots.remove(0)
        assert ("root.remove", True, "slot 1: passphrase") in records(store)
    gone = next(row.wrapped for row in rows if row.slot == 1)
    for file in tmp_path.glob("store.db*"):
        assert gone not in file.read_bytes()
    with pytest.raises(RootLocked):
        opened(path, passphrase())


async def _masters(core):
    async with core.storage.snapshot() as rows:
        return await rows.master_keys()


def test_a_fellow_that_is_at_hand_but_away_does_not_count(path, tmp_path):
    """A root that was added and has gone since can't stand in for the one that is to go."""
    at, key = {}, SecretBytes.random(32)
    with opened(path, f"keyfile:{tmp_path}/key") as store:
        slot = store.roots.add(Held(key, at)).slot
        at["away"] = True
        with pytest.raises(RootUnavailable, match="away"):
            store.roots.remove(0)
        at["away"] = False
        store.roots.remove(0)
        assert store.health().root["kind"] == "dev"
        assert [each.opened for each in store.roots.list()] == [False, True]
        store.set_secret("u", "b", "more")
    with opened(path, Held(key, {})) as store:
        assert list(store._opened.core.slots) == [slot]
        assert store.get_secret("u", "b").text() == "more"


def test_testing_measures_and_remembers(path, tmp_path):
    """Roots at hand, or one that is named; one of another store is refused, and that recorded."""
    with opened(path, f"keyfile:{tmp_path}/key") as store:
        [tested] = store.roots.test()
        assert (tested.slot, tested.kind) == (0, "keyfile")
        assert 0 < tested.seconds < 60
        assert store.roots.test(passphrase())[0].slot == 1
        assert all(each.tested_at for each in store.roots.list())
        KeyFileRoot.create(tmp_path / "other")
        with pytest.raises(RootLocked):
            store.roots.test(f"keyfile:{tmp_path}/other")
        found = [record[:2] for record in records(store)]
        assert found[:4] == [
            ("root.test", False), ("root.show", True), ("root.test", True), ("root.test", True),
        ]  # fmt: skip


def test_a_migration_leaves_the_new_root_alone(path, tmp_path):
    """Values stay; the old root refuses, the third one stays; another migration goes on."""
    with opened(path, f"keyfile:{tmp_path}/key") as store:
        with pytest.raises(InvalidInput, match="itself"):
            store.roots.migrate(f"keyfile:{tmp_path}/key")
        with pytest.raises(InvalidInput, match="shares can't take"):
            store.roots.migrate("shamir:2/3")
        moved = store.roots.migrate(f"keyfile:{tmp_path}/new")
        assert (moved.slot, moved.removed) == (2, 0)
        assert store.get_secret("u", "a").text() == "value"
        store.keys.rotate(master=True, roots=[passphrase()])
    with pytest.raises(RootLocked):
        opened(path, f"keyfile:{tmp_path}/key")
    with opened(path, f"keyfile:{tmp_path}/new") as store:
        assert store.get_secret("u", "a").text() == "value"
        actions = [record[0] for record in records(store) if record[1]]
        for step in ("root.add", "root.test", "root.remove"):
            assert step in actions
    opened(path, passphrase()).close()


def test_a_migration_to_a_root_that_does_not_open_keeps_the_old_one(path, tmp_path):
    """It wraps, and is gone when it has to open: the old one stays; later the same call goes on."""
    at, key = {"broken": 1}, SecretBytes.random(32)
    with opened(path, f"keyfile:{tmp_path}/key") as store:
        with pytest.raises(RootUnavailable):
            store.roots.migrate(Held(key, at))
        assert [each.slot for each in store.roots.list()] == [0, 1, 2]
    with opened(path, f"keyfile:{tmp_path}/key") as store:
        moved = store.roots.migrate(Held(key, {}))
        assert (moved.slot, moved.removed) == (2, 0)
    with pytest.raises(RootLocked):
        opened(path, f"keyfile:{tmp_path}/key")


def test_shares_are_added_as_recovery(tmp_path):
    """New shares open the store beside the key file, and are tested before it is removed."""
    path = tmp_path / "store.db"
    with SecretStore.open(str(path), root=f"keyfile:{tmp_path}/key", create=True) as store:
        made = store.roots.add("shamir:2/3")
        assert len(made.shares) == 3
        assert made.shares[0] not in repr(made)
    given = iter(made.shares[1:])

    def ask(_):
        return SecretBytes(next(given).encode())

    with opened(path, f"keyfile:{tmp_path}/key") as store:
        assert store.roots.test("shamir:", ask=ask)[0].slot == 1
    given = iter(made.shares[:2])
    with opened(path, open_root("shamir:", ask=ask)) as store:
        assert store.roots.list()[1].opened


def test_only_an_operator_may(path, tmp_path):
    """Whoever is bound to a user can neither see nor change a root."""
    with opened(path, f"keyfile:{tmp_path}/key") as store:
        bound = store.acting_as(Caller("someone", "u"))
        for refused in (
            bound.roots.list,
            bound.roots.test,
            lambda: bound.roots.add(DevRoot()),
            lambda: bound.roots.migrate(DevRoot()),
            lambda: bound.roots.remove(1),
        ):
            with pytest.raises((AccessDenied, SecretNotFound)):
                refused()
        assert [each.slot for each in store.roots.list()] == [0, 1]


def test_the_background_goes_on_where_the_master_key_can_not(path, tmp_path, caplog):
    """Due, and a root is away: said once and not twice a minute; other work is done."""
    with opened(path, f"keyfile:{tmp_path}/key") as store:
        store._opened.upkeep.close()
        core = store._opened.core
        core.limits = dataclasses.replace(core.limits, master_key_days=1e-9)
        store.keys.rotate("u")
        upkeep = Upkeep(core, [])
        for _ in range(5):
            upkeep._due_jobs()
        assert sum("slots 1 (passphrase)" in record.message for record in caplog.records) == 1
        assert [record[:2] for record in records(store)].count(("master.rotate", False)) == 1
        assert store.health().retired_users == 0
