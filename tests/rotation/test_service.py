"""The scheduler and its leases, and what thieves and tamperers of the storage can do."""

import threading
import time

import pytest

from adyton import Caller
from adyton.errors import AccessDenied, InvalidInput, RotationError, SecretNotFound
from adyton.rotating import Bounds, Generated
from adyton.rotationpolicy import RotationPolicy
from adyton.service import due
from adyton.service.rotation.room import CONCURRENT, RotationOptions
from adyton.service.ticket import Pause
from support import Place

HOUR = 3600


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def moved(store, clock=None):
    """A store whose time is moved on by what is written into the list."""
    found = store._opened.core.clock
    real, ahead = found.now_us, [0]
    found.now_us = lambda: real() + ahead[0] * 1_000_000
    return ahead


class Slow:
    """A rotator that counts how many of it are at work, in all and for one secret."""

    def __init__(self):
        self.lock = threading.Lock()
        self.now = self.most = self.creations = 0

    def check(self, settings, *, admin):
        pass

    def create(self, turn, generate):
        with self.lock:
            self.now += 1
            self.creations += 1
            self.most = max(self.most, self.now)
        time.sleep(0.02)
        with self.lock:
            self.now -= 1
        return generate()

    def set(self, turn):
        pass

    def test(self, turn):
        pass

    def retire(self, turn):
        pass

    def undo(self, turn):
        pass


def test_what_was_missed_is_done_once_and_a_few_at_a_time(place):
    """After a week of downtime 150 hourly rotations are 150, not 25,000; four run at once."""
    with place.open() as store:
        ahead = moved(store)
        slow = Slow()
        store._opened.core.rotation.open = lambda _: slow
        names = [f"s/{at}" for at in range(150)]
        for name in names:
            store.rotation.set_policy("u", name, RotationPolicy(every=HOUR, grace=0))
        assert store.rotation.run_due() == (0, 0, 0)
        ahead[0] += 7 * 24 * HOUR
        taken = []
        while (report := store.rotation.run_due()).taken:
            taken.append(report.taken)
            assert report.failed == 0
        assert sum(taken) == 150
        assert max(taken) <= 64
        assert slow.creations == 150
        assert 1 < slow.most <= CONCURRENT
        due = [info.due_at.timestamp() for info in store.rotation.list("u")]
        assert max(due) - min(due) > 30  # spread by jitter: they don't come together again
        assert all(store.get_secret_metadata("u", name).version == 1 for name in names)


@pytest.mark.parametrize("times", [{"every": HOUR}, {"cron": "0 * * * *"}])
def test_times_that_pass_in_a_grace_are_one_rotation(place, times):
    """Down from its promotion on for a week: it is retired, and the next comes with its time."""
    with place.open() as store:
        ahead = moved(store)
        slow = Slow()
        store._opened.core.rotation.open = lambda _: slow
        for at in range(10):
            store.rotation.set_policy("u", f"s/{at}", RotationPolicy(grace=60, **times))
            store.rotation.run("u", f"s/{at}")
        ahead[0] += 7 * 24 * HOUR
        assert store.rotation.run_due().taken == 10
        now = store._opened.core.clock.now_us() / 1e6
        for info in store.rotation.list("u"):
            assert (info.state, info.version) == ("waiting", 1)
            assert 0 < info.due_at.timestamp() - now <= 1.1 * HOUR
        assert store.rotation.run_due().taken == 0


@pytest.mark.parametrize(("taken", "least", "most"), [(0, 1, 12), (due.PASS, 30, 10**9)])
def test_the_background_waits_while_nothing_does_and_not_while_something_does(
    place, taken, least, most
):
    """A pass that took all it may is followed by the next at once; no other is."""
    passes = []

    async def look(stopped):
        passes.append(stopped())
        await Pause()
        return taken

    with place.open() as store:
        background = due.Background(store._opened.core, "test", look, tick=0.1)
        background.start()
        time.sleep(0.6)
        background.close()
    assert least <= len(passes) <= most


def test_many_who_look_for_work_at_once_do_each_once(place):
    """Six passes at the same time: each rotation is taken by one of them."""
    with place.open() as store:
        ahead = moved(store)
        slow = Slow()
        store._opened.core.rotation.open = lambda _: slow
        for at in range(20):
            store.rotation.set_policy("u", f"s/{at}", RotationPolicy(every=HOUR, grace=60))
        ahead[0] += 2 * HOUR
        threads = [threading.Thread(target=store.rotation.run_due) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert slow.creations == 20
        versions = [info.version for info in store.rotation.list("u")]
        assert versions == [1] * 20


def test_whoever_lost_the_lease_changes_nothing_more(place):
    """One who was away for longer than the lease finds that another has gone on."""
    options = RotationOptions(Bounds(seconds=5), lease_seconds=60)
    with place.open(rotation=options) as store:
        ahead = moved(store)
        inside, go_on = threading.Event(), threading.Event()

        class Stuck(Slow):
            def create(self, turn, generate):
                if not inside.is_set():
                    inside.set()
                    go_on.wait(20)
                    return Generated(b"too late", "text/plain")
                return Generated(b"in time", "text/plain")

        stuck = Stuck()
        store._opened.core.rotation.open = lambda _: stuck
        store.rotation.set_policy("u", "s", RotationPolicy(grace=60))
        told = []

        def rotate():
            try:
                store.rotation.run("u", "s")
            except RotationError as error:
                told.append(error.message)

        thread = threading.Thread(target=rotate)
        thread.start()
        inside.wait(20)
        with pytest.raises(RotationError, match="at this moment"):
            store.rotation.run("u", "s")
        with pytest.raises(RotationError, match="at this moment"):
            store.rotation.set_policy("u", "s", RotationPolicy(grace=0))
        ahead[0] += 61
        store.rotation.run("u", "s")
        go_on.set()
        thread.join()
        assert told == ["the rotation took too long, and was taken by another"]
        assert store.get_secret("u", "s").text() == "in time"
        assert store.get_secret_metadata("u", "s").version == 1


def test_a_secret_that_was_written_meanwhile_is_not_replaced(place):
    """Whoever wrote while it was rotated has the newer value; the rotation is undone."""
    with place.open() as store:

        class Meanwhile(Slow):
            def test(self, turn):
                store.set_secret("u", "s", "by hand")

        store._opened.core.rotation.open = lambda _: Meanwhile()
        store.set_secret("u", "s", "before")
        store.rotation.set_policy("u", "s", RotationPolicy(grace=0))
        with pytest.raises(RotationError, match="was changed"):
            store.rotation.run("u", "s")
        assert store.rotation.run("u", "s").state == "waiting"
        assert store.get_secret("u", "s").text() == "by hand"


def test_a_secret_that_was_deleted_is_not_made_anew(place):
    """Deleting is meant; the rotation says what to do."""
    with place.open() as store:
        store.rotation.set_policy("u", "s", RotationPolicy(grace=0))
        store.rotation.run("u", "s")
        store.delete_secret("u", "s")
        with pytest.raises(RotationError, match="is gone"):
            store.rotation.run("u", "s")


def test_a_rotator_that_raises_anything_is_told_by_its_kind(place):
    """A plug-in's exception may hold a value: only its class is told."""
    with place.open() as store:

        class Broken(Slow):
            def set(self, turn):
                raise ValueError(turn.new)

        store._opened.core.rotation.open = lambda _: Broken()
        store.rotation.set_policy("u", "s", RotationPolicy())
        with pytest.raises(RotationError, match="the rotator fails: ValueError") as caught:
            store.rotation.run("u", "s")
        assert caught.value.__cause__ is None


def test_policies_are_checked_when_they_are_set(place):
    """Unknown rotators, settings, generators, and a secret that is its own admin."""
    with place.open() as store:
        for policy in (
            RotationPolicy(rotator="nonsense"),
            RotationPolicy(settings={"a": "b"}),
            RotationPolicy(generator="nonsense"),
            RotationPolicy(admin="s"),
            RotationPolicy(rotator="postgresql", settings={"host": "h", "roles": "one"}, admin="a"),
            RotationPolicy(rotator="redis", settings={"host": "h", "user": "u"}),
        ):
            with pytest.raises(InvalidInput):
                store.rotation.set_policy("u", "s", policy)
        assert store.rotation.list("u") == []


def test_removing_keeps_the_value_and_waits_for_the_grace(place):
    """No policy is left, nor anything due; during the grace removal is refused."""
    with place.open() as store:
        ahead = moved(store)
        store.rotation.set_policy("u", "s", RotationPolicy(every=2 * HOUR, grace=HOUR))
        store.rotation.run("u", "s")
        value = store.get_secret("u", "s").text()
        with pytest.raises(RotationError):
            store.rotation.remove_policy("u", "s")
        ahead[0] += HOUR + 1
        store.rotation.run_due()
        store.rotation.remove_policy("u", "s")
        with pytest.raises(SecretNotFound):
            store.rotation.run("u", "s")
        ahead[0] += 100 * HOUR
        assert store.rotation.run_due() == (0, 0, 0)
        assert store.get_secret("u", "s").text() == value
        store.audit.verify()


def test_running_what_is_due_is_the_operators(place):
    """One who is bound to a user is refused, with a record."""
    with place.open() as store:
        bound = store.acting_as(Caller("x", user="u"))
        with pytest.raises(AccessDenied):
            bound.rotation.run_due()
        assert not store.get_audit_log(None, action="rotation.run")[0].success


def test_the_file_tells_a_thief_nothing_of_a_rotation(place):
    """Neither the name, the settings nor a value, pending or former, is in any file."""
    with place.open() as store:
        store.set_secret("u", "canary-name", "canary-former")

        class Half(Slow):
            def create(self, turn, generate):
                return Generated(b"canary-new", "text/plain")

            def test(self, turn):
                raise RotationError("canary-is-not-here")

        store._opened.core.rotation.open = lambda _: Half()
        store.rotation.set_policy(
            "u",
            "canary-name",
            RotationPolicy(settings={"host": "canary-host"}, every=HOUR, grace=0),
        )
        with pytest.raises(RotationError):
            store.rotation.run("u", "canary-name")
    files = b"".join(path.read_bytes() for path in place.folder.glob("store.db*"))
    assert b"canary" not in files
    assert place.sql("SELECT count(*) FROM due") == [(1,)]


def test_rows_of_due_decide_nothing(place):
    """Brought forward they start nothing; removed, the listing says that it is overdue."""
    with place.open() as store:
        store.rotation.set_policy("u", "s", RotationPolicy(every=24 * HOUR))
    place.sql("UPDATE due SET ready_us = 1")
    with place.open() as store:
        store.rotation.run_due()
        with pytest.raises(SecretNotFound):
            store.get_secret("u", "s")
        assert store.rotation.run_due().taken == 0  # the row was put right
    place.sql("DELETE FROM due")
    with place.open() as store:
        ahead = moved(store)
        ahead[0] += 48 * HOUR
        assert store.rotation.list("u")[0].overdue
        store.audit.verify()


def test_purging_a_user_ends_their_rotations(place):
    """Nothing is left that could be due."""
    with place.open() as store:
        store.rotation.set_policy("u", "s", RotationPolicy(every=2 * HOUR))
        store.purge_user("u")
    assert place.sql("SELECT count(*) FROM due") == [(0,)]


def test_keys_may_be_rotated_in_the_middle(place):
    """User keys, deeply re-wrapped, and the master key, while a new value is pending."""
    with place.open() as store:
        ahead = moved(store)

        class Later(Slow):
            ready = False

            def test(self, turn):
                if not self.ready:
                    raise RotationError("not yet")

        later = Later()
        store._opened.core.rotation.open = lambda _: later
        store.rotation.set_policy("u", "s", RotationPolicy(grace=0))
        with pytest.raises(RotationError):
            store.rotation.run("u", "s")
        store.keys.rotate()
        store.keys.rewrap(deep=True)
        store.keys.rotate(master=True)
        later.ready = True
        ahead[0] += HOUR
        assert store.rotation.run("u", "s").version == 1
        store.audit.verify()


def test_the_background_rotates_by_itself(place):
    """An open store with that option does what is due, without being asked."""
    with place.open(rotation=RotationOptions(by_itself=True)) as store:
        store.rotation.set_policy("u", "s", RotationPolicy(every=1, grace=0))
        end = time.monotonic() + 30
        while time.monotonic() < end:
            if store.rotation.get_policy("u", "s").version >= 2:
                break
            time.sleep(0.1)
        else:
            pytest.fail("nothing was rotated")


def test_work_of_another_kind_is_left_alone(place):
    """A rotation's pass takes its own rows: one of another kind is neither taken nor erased."""
    with place.open() as store:
        store.rotation.set_policy("u", "s", RotationPolicy(every=24 * HOUR))
        tag = due.tag(store._opened.core, "other")
        assert tag != due.tag(store._opened.core, "others")
    place.sql("UPDATE due SET ready_us = 1, kind = x'" + tag.hex() + "'")
    with place.open() as store:
        assert store.rotation.run_due() == (0, 0, 0)
        assert due.tag(store._opened.core, "other") == tag
    assert place.sql("SELECT ready_us, kind FROM due") == [(1, tag)]
