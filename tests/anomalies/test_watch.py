"""Watching a store's records: once each, across crashes, floods, keys that are away and purges."""

import random
import time

import pytest

from adyton import Caller
from adyton.actions import Action
from adyton.errors import InvalidInput, LimitExceeded, RootUnavailable, SecretNotFound
from adyton.service.anomalies import watch as module
from adyton.service.anomalies.baseline import DAY_US, SETS, Known, Lines, SecretLine
from adyton.service.anomalies.detector import THRESHOLDS, Detector, Event
from adyton.service.anomalies.records import AlertOptions
from adyton.service.anomalies.watch import Watch
from adyton.service.following.follower import Following
from adyton.service.following.reading import read_on
from adyton.service.journal import Draft
from support import Place

HOUR = 3600
DAY = 24 * HOUR
HOME, AWAY = "10.0.0.7", "185.1.1.1"


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


class World:
    """A store whose clock is set by hand, with reads as the service records them."""

    def __init__(self, store):
        self.store = store
        self.core = store._opened.core
        self.now = (int(time.time()) // (7 * DAY) + 1) * 7 * DAY  # midnight of a Thursday
        self.core.clock.now_us = lambda: self.now * 1_000_000

    def read(self, actor, *names, address=HOME, user="u", times=1):
        """Reads in one group, each with its record."""
        caller = Caller(f"auth/{actor}#token-{self.now}", user, address)

        async def operation():
            keys = await self.core.keys(user)
            await self.core.record(
                *(Draft(caller, Action.SECRET_GET, keys, user, name)
                  for name in names for _ in range(times))
            )  # fmt: skip

        self.core.commit.run_sync(operation())

    def learn(self, days=20, user="u"):
        """Some weeks of a service that reads two secrets every two hours from home."""
        self.store.set_secret(user, "a/x", "1")
        self.store.set_secret(user, "a/y", "1")
        for _ in range(days * 12):
            self.read("service", "a/x", "a/y", user=user)
            self.now += 2 * HOUR

    def alerts(self, user="u"):
        return [
            (one.kind.removeprefix("anomaly."), one.subject, one.details)
            for one in self.store.notices.list(user, kinds=["anomaly"])[::-1]
        ]

    def kinds(self, user="u"):
        return [kind for kind, _, _ in self.alerts(user)]


def test_each_rule_tells_with_what_one_needs_to_look(place):
    """Who, when, from where, which record; the secret by name where there is one."""
    with place.open() as store:
        world = World(store)
        world.learn()
        assert store.alerts.scan("u").alerts == 0
        world.read("stranger", "a/x", address=AWAY)
        world.read("service", "a/y", address=AWAY)
        world.now += 600
        world.read("service", "a/x", times=60)
        assert store.alerts.scan("u") == (62, 4)
        found = {(kind, details.get("of", "")): (subject, details)
                 for kind, subject, details in world.alerts()}  # fmt: skip
        assert set(found) == {("new-actor", ""), ("new-network", ""), ("burst", "actor"),
                              ("burst", "secret")}  # fmt: skip
        subject, details = found["new-actor", ""]
        assert subject == "a/x"
        assert details["actor"] == "auth/stranger"
        assert details["actor_known"] == "no"
        assert details["network"] == "new"
        assert details["address"] == AWAY
        entry = next(e for e in store.get_audit_log("u") if e.index == int(details["record"]))
        assert (entry.action, entry.secret_name) == ("secret.get", "a/x")
        assert entry.actor.startswith("auth/stranger#")
        assert found["burst", "secret"][0] == "a/x"
        assert found["burst", "actor"][0] == ""
        assert store.alerts.scan("u") == (0, 0)
        store.audit.verify()


def test_a_flood_is_told_once(place):
    """20,000 reads by a thief over hours make one notice of each kind; what more is counted."""
    with place.open() as store:
        world = World(store)
        world.learn()
        for _ in range(20):
            world.read("service", "a/x", address=AWAY, times=1000)
            world.now += 600
        report = store.alerts.scan("u")
        assert report.reads == 240 * 2 + 20_000
        assert sorted(world.kinds()) == ["burst", "burst", "new-network"]
        world.now += 2 * DAY
        world.read("service", "a/x", address=AWAY, times=1000)
        world.read("service", "a/x", "a/y", address="186.1.1.1", times=3)
        store.alerts.scan("u")
        later = [details for kind, _, details in world.alerts()[3:] if kind == "burst"]
        assert later
        assert all(int(details["unsaid"]) > 1_000 for details in later)


def test_too_many_different_ones_a_day_are_told_as_too_many(place, monkeypatch):
    """A hundred strangers in a day are not a hundred notices."""
    monkeypatch.setattr(module, "MOST_A_DAY", 5)
    with place.open() as store:
        world = World(store)
        for number in range(40):
            store.set_secret("u", f"s{number}", "1")
        for _ in range(25):
            world.read("service", *(f"s{number}" for number in range(40)))
            world.now += DAY
        store.alerts.scan("u")
        for number in range(40):
            world.read(f"stranger-{number}", f"s{number}")
        store.alerts.scan("u")
        assert world.kinds() == ["new-actor"] * 4 + ["more"]
        world.now += 2 * DAY
        world.read("stranger-x", "s1")
        store.alerts.scan("u")
        assert world.kinds()[-1] == "new-actor"


@pytest.mark.parametrize("seed", range(3))
def test_a_crash_in_the_middle_loses_and_doubles_nothing(place, monkeypatch, seed):
    """Whatever unit of a scan fails, another scan tells what one without failures has told."""
    chance = random.Random(seed)

    async def little(core, keys, at):
        return await read_on(core, keys, at, 37)

    monkeypatch.setattr(module, "read_on", little)
    real_put = module.put_notice

    async def failing(*args):
        if chance.random() < 0.5:
            raise InvalidInput("a crash")
        return await real_put(*args)

    with place.open() as store:
        world = World(store)
        world.learn()
        for number in range(8):
            world.read(f"stranger-{number % 3}", "a/x")
            world.read("service", "a/y", address=f"18{number}.1.1.1")
            world.now += DAY + 600
        monkeypatch.setattr(module, "put_notice", failing)
        failures = 0
        while True:
            try:
                store.alerts.scan("u")
                break
            except InvalidInput:
                failures += 1
        assert failures
        monkeypatch.setattr(module, "put_notice", real_put)
        broken = world.alerts()
        store.audit.verify()
        baseline = state_of(store)
        # The same again without failures, from the beginning.
        forget(store)
        store.alerts.scan("u")
        assert world.alerts()[len(broken) :] == broken
        assert state_of(store) == baseline


def forget(store):
    """Erase a user's baseline."""
    core = store._opened.core

    async def operation():
        async def work(scope):
            keys = await core.keys_in(scope, "u")
            changes = module.ObjectChanges(scope, keys)
            for shelf in (module.SECRETS, module.ACTORS, module.PROGRESS):
                for ident in await shelf.all(scope.tx, keys):
                    changes.delete(shelf, ident)
            await changes.write(Draft(Caller("t"), Action.ALERT_WATCH, None, "u"))

        await core.commit.submit(work)

    core.commit.run_sync(operation())


def state_of(store):
    core = store._opened.core

    async def operation():
        keys = await core.keys("u")
        async with core.storage.snapshot() as rows:
            return [await shelf.all(rows, keys) for shelf in (module.SECRETS, module.ACTORS)]

    return [repr(found) for found in core.commit.run_sync(operation())]


def test_two_scans_at_once_tell_once(place, monkeypatch):
    """A scan that another has overtaken writes nothing."""
    with place.open() as store:
        world = World(store)
        world.learn()
        world.read("stranger", "a/x")
        real, inner = module.read_on, []

        async def overtaken(core, keys, at):
            stretch = await real(core, keys, at)
            if not inner:
                inner.append(True)
                await Watch(core).scan(keys, Caller("other"))
            return stretch

        monkeypatch.setattr(module, "read_on", overtaken)
        store.alerts.scan("u")
        assert world.kinds() == ["new-actor"]
        store.audit.verify()


def test_what_is_old_is_learned_and_not_told(place):
    """The first look at a long history tells of its last days alone."""
    with place.open() as store:
        world = World(store)
        world.learn()
        world.read("old-stranger", "a/x")
        world.now += 8 * DAY
        world.read("new-stranger", "a/x")
        store.alerts.scan("u")
        assert [details["actor"] for _, _, details in world.alerts()] == ["auth/new-stranger"]


def test_mutes_and_sensitivity_are_the_users(place):
    """Muted by rule, folder or actor, with an end; off means that nothing is looked at."""
    with place.open() as store:
        world = World(store)
        world.learn()
        store.alerts.scan("u")
        mute = store.alerts.mute("u", rule="new-actor", secret="a/", note="migration")
        world.read("stranger", "a/x")
        store.alerts.scan("u")
        assert world.kinds() == []
        (shown,) = store.alerts.settings("u").mutes
        assert (shown.id, shown.rule, shown.secret, shown.note) == (
            mute.id, "new-actor", "a/", "migration",
        )  # fmt: skip
        store.alerts.unmute("u", mute.id)
        world.read("stranger-2", "a/x")
        store.alerts.scan("u")
        assert world.kinds() == ["new-actor"]
        store.alerts.set_sensitivity("u", "off")
        world.read("stranger-3", "a/y")
        assert store.alerts.scan("u") == (0, 0)
        settings = store.alerts.settings("u")
        assert (settings.sensitivity, settings.own) == ("off", True)
        assert (settings.secrets, settings.actors) == (2, 3)
        store.alerts.set_sensitivity("u", None)
        assert store.alerts.scan("u").alerts == 1  # what was read meanwhile is looked at now
        for bad in ({}, {"rule": "nonsense"}, {"secret": "x" * 600}):
            with pytest.raises(InvalidInput):
                store.alerts.mute("u", **bad)
        with pytest.raises(InvalidInput):
            store.alerts.set_sensitivity("u", "extreme")
        with pytest.raises(SecretNotFound):
            store.alerts.unmute("u", mute.id)
        for _ in range(100):
            store.alerts.mute("u", rule="burst")
        with pytest.raises(LimitExceeded):
            store.alerts.mute("u", rule="burst")
        store.audit.verify()


def test_in_the_background_users_are_watched_apart(place):
    """A pass finds who has new reads; whose keys are away is skipped, and the others are not."""
    with place.open() as store:
        world = World(store)
        for user in ("u", "v", "w"):
            world.learn(user=user)
        following = Following(world.core, [Watch(world.core)], patience=0.0)

        def one_pass():
            world.core.commit.run_sync(following.run(lambda: False))

        one_pass()
        for user in ("u", "v", "w"):
            world.read(f"stranger-of-{user}", "a/x", user=user)
        real = world.core.ring.load_index
        away = world.core.ring.user_index("v")

        async def load_index(rows, user, *rest):
            if user == away:
                raise RootUnavailable("away")
            return await real(rows, user, *rest)

        world.core.ring.load_index = load_index
        one_pass()
        world.core.ring.load_index = real
        for user in ("u", "w"):
            (alert,) = world.alerts(user)
            assert alert[2]["actor"] == f"auth/stranger-of-{user}"
        assert world.alerts("v") == []
        one_pass()
        assert len(world.alerts("u")) == 1
        one_pass()  # the looks at notices, above, are records as well
        before = world.core.commit.state.size
        one_pass()
        assert world.core.commit.state.size == before  # a pass makes no work for the next one


def test_a_purge_leaves_nothing_and_the_file_tells_nothing(place):
    """The baseline is sealed under the user's keys, and goes with them; keys may rotate."""
    with place.open() as store:
        world = World(store)
        world.learn()
        world.read("canary-actor", "a/x", address="203.0.113.77")
        store.alerts.mute("u", secret="canary-folder/", note="canary-note")
        store.alerts.scan("u")
        store.keys.rotate("u")
        store.keys.rewrap("u", deep=True)
        world.read("canary-actor-2", "a/x")
        assert store.alerts.scan("u").alerts == 1
        store.audit.verify()
    files = b"".join(path.read_bytes() for path in place.folder.glob("store.db*"))
    assert b"canary" not in files
    assert b"203.0.113" not in files
    with place.open() as store:
        store.purge_user("u")
        store.audit.verify()
    assert place.sql("SELECT count(*) FROM objects") == [(0,)]


def test_the_baseline_is_bounded():
    """However many secrets, actors and networks there are: so many lines, and so many in a set."""
    detector = Detector({}, {}, THRESHOLDS["medium"])
    chance = random.Random(1)
    for number in range(30_000):
        address = f"{chance.randrange(1, 200)}.{chance.randrange(256)}.{chance.randrange(256)}.1"
        name = f"s{number}" if number % 2 else f"s{chance.randrange(10)}"
        detector.see(Event(number * 10**9, f"a{number % 3000}#t", name, address, number))
    secrets = [line for shard in detector.secrets.shards.values() for line in shard.lines.values()]
    actors = [line for shard in detector.actors.shards.values() for line in shard.lines.values()]
    assert len(secrets) <= 64 * 128
    assert len(actors) <= 16 * 32
    assert max(len(line.networks.seen) for line in secrets) == SETS
    assert max(len(line.actors.seen) for line in secrets) == SETS
    assert all(len(line.networks.seen) <= SETS for line in actors)


def test_the_least_recent_makes_room():
    """Of a full shard the line that was not used for longest goes."""
    lines = Lines({}, 1, 3, SecretLine)
    for key in (1, 2, 3):
        lines.at(key, key).last_us = key
    lines.at(1, 9).last_us = 9
    lines.at(4, 10).last_us = 10
    assert set(lines.shards[0].lines) == {1, 3, 4}


def test_a_set_that_is_full_forgets_what_is_old():
    """After ninety days a member makes room; while it is full nothing is new at it."""
    known = Known()
    for member in range(SETS):
        known.add(member, 1)
    known.add(1_000, 50)
    assert 1_000 not in known.seen
    known.add(1_000, 95)
    assert set(known.seen) == {1_000}


def test_what_reads_for_the_store_itself_is_not_looked_at(place):
    """Rotation reads secrets by itself: that is nobody's habit."""
    with place.open() as store:
        world = World(store)
        world.learn()

        async def operation():
            keys = await world.core.keys("u")
            caller = Caller("adyton:rotation")
            await world.core.record(Draft(caller, Action.SECRET_GET, keys, "u", "a/x"))

        world.core.commit.run_sync(operation())
        store.alerts.scan("u")
        assert world.kinds() == []
        assert store.alerts.settings("u").actors == 1


def test_options_are_checked():
    """A sensitivity that is none, and times below nothing, are refused."""
    for bad in ({"sensitivity": "extreme"}, {"learn_days": -1}, {"quiet_hours": -1}):
        with pytest.raises(Exception, match=r"alerts|known"):
            AlertOptions(**bad)
    assert DAY_US == DAY * 1_000_000


def test_the_report_tells_what_was_told(place):
    """Alerts of the range, by rule and actor, with what is known; of others nothing."""
    with place.open() as store:
        world = World(store)
        world.learn()
        world.read("stranger", "a/x", address=AWAY)
        world.read("service", "a/y", address=AWAY)
        world.learn(days=1, user="v")
        store.alerts.scan("u")
        store.notices.acknowledge("u", [store.notices.list("u")[0].id])
        world.now += 3 * DAY
        report = store.reports.make("u", "anomalies")
        facts = {fact.title: fact.value for fact in report.facts}
        assert (facts["Alerts"], facts["Not acknowledged"]) == (2, 1)
        assert (facts["Secrets known"], facts["Actors known"]) == (2, 2)
        tables = {table.key: table.rows for table in report.tables}
        assert tables["rules"] == (("new-actor", 1), ("new-network", 1))
        assert {row[0] for row in tables["actors"]} == {"auth/stranger", "auth/service"}
        rules = [row[2:6] for row in tables["alerts"]]
        assert rules == [
            ("new-network", "a/y", "auth/service", AWAY),
            ("new-actor", "a/x", "auth/stranger", AWAY),
        ]
        none = store.reports.make("u", "anomalies", prefix="b/")
        assert none.tables[2].rows == ()
        empty = store.reports.make("v", "anomalies")
        assert empty.facts[0].value == 0
        world.now += 40 * DAY
        assert store.reports.make("u", "anomalies").facts[0].value == 0
