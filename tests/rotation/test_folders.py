"""Policies of folders: which secret obeys which, when, and what happens when they change."""

import pytest

from adyton.errors import InvalidInput, RotationError, SecretNotFound
from adyton.rotationpolicy import RotationPolicy
from adyton.service.rotation import folders
from support import Place

DAY = 86_400


class World:
    """A store whose clock can be moved on."""

    def __init__(self, store):
        self.store, self.rotation = store, store.rotation
        clock = store._opened.core.clock
        real = clock.now_us
        self.ahead = 0
        clock.now_us = lambda: real() + int(self.ahead * 1_000_000)

    def set(self, *names):
        for name in names:
            self.store.set_secret("u", name, "as it was")

    def sources(self):
        """For each secret with a rotation, the folder whose policy it is."""
        return {
            info.name: info.folder for info in self.rotation.list("u") if info.state != "folder"
        }

    def version(self, name):
        return self.store.get_secret_metadata("u", name).version

    def policy(self, name, **more):
        return self.rotation.set_policy("u", name, RotationPolicy(**({"grace": 0} | more)))

    def run_due(self):
        while self.rotation.run_due().taken:
            pass


@pytest.fixture
def world(tmp_path):
    with Place(tmp_path).open() as store:
        yield World(store)
        store.audit.verify()


def test_what_is_there_and_what_comes_is_rotated(world):
    """Written by hand, in a batch, imported; what is elsewhere is left alone."""
    world.set("db/a", "db/deep/b", "other", "dbx/c")
    info = world.policy("db/", every=DAY)
    assert (info.name, info.state) == ("db/", "folder")
    assert world.sources() == {"db/a": "db/", "db/deep/b": "db/"}
    world.set("db/c", "db/a")
    world.store.set_secrets("u", {"db/d": "x", "out": "x"})
    bundle = world.store.export_secrets("u", format="json", names=["db/d"])
    world.store.import_secrets("v", bundle, format="json")
    assert set(world.sources()) == {"db/a", "db/c", "db/d", "db/deep/b"}
    assert world.rotation.list("v") == []
    world.ahead = DAY * 1.1
    world.run_due()
    assert [world.version(n) for n in ("db/a", "db/c", "db/deep/b", "other")] == [3, 2, 2, 1]


def test_the_nearest_policy_wins(world):
    """A secret's own before its folder's, a folder before the one around it; in any order."""
    world.set("a/x", "a/b/x", "a/b/own", "a/b/c/x")
    world.policy("a/b/own", every=2 * DAY)
    world.policy("a/", every=3 * DAY)
    world.policy("a/b/c/", every=5 * DAY)
    world.policy("a/b/", every=4 * DAY)
    assert world.sources() == {
        "a/x": "a/", "a/b/x": "a/b/", "a/b/own": "", "a/b/c/x": "a/b/c/",
    }  # fmt: skip
    world.rotation.remove_policy("u", "a/b/")
    assert world.sources()["a/b/x"] == "a/"
    world.rotation.remove_policy("u", "a/b/own")
    assert world.sources()["a/b/own"] == "a/"
    assert world.rotation.get_policy("u", "a/b/own").policy.every == 3 * DAY
    world.policy("a/b/x", every=0)  # of its own, without times: it is left alone
    assert world.rotation.get_policy("u", "a/b/x").due_at is None
    with pytest.raises(InvalidInput, match="that of a folder"):
        world.rotation.remove_policy("u", "a/x")
    world.rotation.remove_policy("u", "a/")
    assert world.sources() == {"a/b/x": "", "a/b/c/x": "a/b/c/"}
    for name in ("a/", "none/"):
        with pytest.raises(SecretNotFound):
            world.rotation.remove_policy("u", name)
        with pytest.raises(SecretNotFound):
            world.rotation.get_policy("u", name)


def test_each_secret_keeps_its_own_clock(world):
    """By its age; what is older than the interval comes within the hour, and not all at once."""
    world.set(*(f"old/{at}" for at in range(40)))
    world.ahead = 10 * DAY
    world.set("old/young")
    world.policy("old/", every=7 * DAY)
    now = world.store._opened.core.clock.now_us()
    due = {i.name: i.due_at.timestamp() - now / 1e6 for i in world.rotation.list("u") if i.due_at}
    young = due.pop("old/young")
    assert 6.9 * DAY < young < 7.2 * DAY
    assert all(-5 < seconds < 3605 for seconds in due.values())
    assert len({round(seconds) // 60 for seconds in due.values()}) > 15
    world.ahead += 3700
    world.run_due()
    assert world.version("old/0") == 2
    assert world.version("old/young") == 1
    after = world.rotation.get_policy("u", "old/0").due_at
    assert after.timestamp() - world.store._opened.core.clock.now_us() / 1e6 > 6 * DAY


def test_cron_of_a_folder_is_spread(world):
    """Over five minutes from its time on, within the window."""
    world.set(*(f"f/{at}" for at in range(30)))
    world.policy("f/", cron="0 3 * * *", window="02:00-04:00")
    due = [info.due_at for info in world.rotation.list("u") if info.due_at]
    assert len(set(due)) > 20
    assert {at.hour for at in due} == {3}
    assert all(at.minute < 5 for at in due)


def test_settings_may_name_the_secret(world):
    """As the rotators of databases and certificates need it."""
    world.set("tls/web.example", "tls/deep/db.example")
    world.policy("tls/", generator="tls", options={"common_name": "{leaf}", "names": "{leaf}"})
    policies = {i.name: i.policy.options for i in world.rotation.list("u") if i.state != "folder"}
    assert policies["tls/web.example"]["common_name"] == "web.example"
    assert policies["tls/deep/db.example"]["names"] == "db.example"
    found = folders.expanded(RotationPolicy(settings={"roles": "{leaf}_a,{leaf}_b"}), "a/b/app")
    assert found.settings == {"roles": "app_a,app_b"}
    world.rotation.run("u", "tls/web.example")
    assert world.version("tls/web.example") == 2


def test_the_admins_secret_is_not_rotated_by_what_it_lets_in(world):
    """Though it lies in the folder."""
    world.set("db/admin", "db/app")
    settings = {"host": "h", "user": "{leaf}"}
    world.policy("db/", rotator="redis", admin="db/admin", settings=settings, every=DAY)
    assert world.sources() == {"db/app": "db/"}


def test_a_change_reaches_all_that_obey(world):
    """Their times, and what the next rotation does; one under way ends as it began."""
    world.set("f/a", "f/b")
    world.policy("f/", every=10 * DAY, grace=DAY)
    world.rotation.run("u", "f/b")
    assert world.rotation.get_policy("u", "f/b").state == "grace"
    world.policy("f/", every=DAY, generator="words")
    assert world.rotation.get_policy("u", "f/a").policy.generator == "words"
    assert world.rotation.get_policy("u", "f/b").policy.generator == "text"
    world.ahead = 1.1 * DAY
    world.run_due()
    assert world.version("f/a") == 2
    assert b"-" in world.store.get_secret("u", "f/a").reveal()
    world.ahead = 3 * DAY
    world.run_due()
    assert world.rotation.get_policy("u", "f/b").policy.generator == "words"


def test_what_is_deleted_is_not_made_anew(world):
    """It waits, goes on when it is undeleted, and is forgotten when it is gone for good."""
    world.set("f/a", "f/b")
    world.policy("f/", every=DAY)
    world.store.delete_secret("u", "f/a")
    world.ahead = 1.2 * DAY
    world.run_due()
    assert world.rotation.get_policy("u", "f/a").error == ""
    assert world.version("f/b") == 2
    with pytest.raises(RotationError):
        world.rotation.run("u", "f/a")
    with pytest.raises(SecretNotFound):
        world.store.get_secret("u", "f/a")
    world.store.undelete_secret("u", "f/a")
    world.ahead = 4 * DAY
    world.run_due()
    assert world.version("f/a") == 2


def test_a_crash_while_a_folder_is_gone_over_is_gone_on_with(world, monkeypatch):
    """The policy is durable first; what was broken off, the next pass does."""
    world.set(*(f"f/{at}" for at in range(5)))

    async def crash(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("adyton.service.rotation.folders.go_over", crash)
        with pytest.raises(KeyboardInterrupt):
            world.policy("f/", every=DAY)
    assert world.sources() == {}
    world.run_due()
    assert len(world.sources()) == 5


def test_a_crash_while_a_policy_is_removed_leaves_nothing_that_rotates(world, monkeypatch):
    """Whoever comes to a secret looks its folder up again."""
    world.set("f/a")
    world.policy("f/", every=DAY)

    async def crash(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("adyton.service.rotation.folders.go_over", crash)
        with pytest.raises(KeyboardInterrupt):
            world.rotation.remove_policy("u", "f/")
    world.ahead = 2 * DAY
    world.run_due()
    assert world.version("f/a") == 1
    assert world.sources() == {}


@pytest.mark.parametrize("name", ["/", "a//", "../", "a/./", "//"])
def test_only_folders_are_folders(world, name):
    """Names of folders obey the rules of names."""
    with pytest.raises(InvalidInput):
        world.policy(name, every=DAY)


def test_many_secrets(world):
    """A thousand get their plans in a second or so, and lose them."""
    world.store.set_secrets("u", {f"many/{at}": "x" for at in range(1000)})
    world.policy("many/", every=DAY)
    assert len(world.sources()) == 1000
    world.rotation.remove_policy("u", "many/")
    assert world.sources() == {}
