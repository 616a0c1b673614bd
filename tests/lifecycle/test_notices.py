"""Notices before an end: once for each period and end, found by their time, also after a pause."""

import datetime as dt

import pytest

from adyton.errors import AccessDenied, InvalidInput, InvalidName, LimitExceeded, SecretNotFound
from adyton.service.lifecycle import plan
from lifecycles import DAY

NAME = "db/password"


def test_one_notice_for_each_period(world):
    """30, 7 and 1 days before, by default; none twice, and none in between."""
    world.store.set_secret("alice", NAME, "v", expires_at=world.after(40 * DAY))
    seen = []
    for _ in range(45):
        world.wait(DAY)
        seen += [world.run().noticed]
        world.run()
    assert [day for day, count in enumerate(seen, 1) if count] == [10, 33, 39]
    assert world.told() == [
        ("secret.expiring", NAME, 30 * DAY),
        ("secret.expiring", NAME, 7 * DAY),
        ("secret.expiring", NAME, DAY),
    ]


def test_a_notice_tells_when_and_no_name_beside_its_subject(world):
    """Details go to sinks as they are: a time and a period, no name."""
    ends = world.after(40 * DAY)
    world.store.set_secret("alice", NAME, "v", expires_at=ends)
    world.wait(11 * DAY)
    world.run()
    [notice] = world.notices()
    assert notice.subject == NAME
    assert dt.datetime.fromisoformat(notice.details["expires_at"]) == ends.replace(microsecond=0)
    assert not any(NAME in text for text in notice.details.values())


def test_a_pause_makes_one_notice_of_all_that_was_missed(world):
    """Whatever has passed meanwhile: the nearest to the end is told, once."""
    world.store.set_secret("alice", NAME, "v", expires_at=world.after(40 * DAY))
    world.wait(34 * DAY)
    assert world.run().noticed == 1
    assert world.told() == [("secret.expiring", NAME, 7 * DAY)]
    world.wait(100 * DAY)
    assert world.run().noticed == 1
    assert world.told()[1:] == [("secret.expired", NAME, DAY)]
    world.wait(100 * DAY)
    assert world.run().noticed == 0


def test_many_that_were_missed_are_told_in_batches(world):
    """Each commit tells some, and what is there to be told does not grow the unit."""
    store, count = world.store, 150
    for at in range(count):
        store.set_secret("alice", f"s/{at}", "v", expires_at=world.after(31 * DAY))
    world.wait(2 * DAY)
    sizes = world.core.commit.stats.sizes
    before = sum(sizes.counts)
    assert world.run().noticed == count
    assert len(world.notices()) == count
    assert sum(sizes.counts) - before >= 3


def test_many_notices_at_once_do_not_push_each_other_out(world, monkeypatch):
    """One pass gives a user some, and the rest a while later; another user does not wait."""
    monkeypatch.setattr("adyton.service.lifecycle.work._MOST_NOTICES", 70)
    store = world.store
    ends = {f"s/{at}": world.after(31 * DAY) for at in range(150)}
    for name, end in ends.items():
        store.set_secret("alice", name, "v", expires_at=end)
    store.set_secret("bob", NAME, "v", expires_at=world.after(31 * DAY))
    world.wait(2 * DAY)
    assert world.run().noticed == 71
    assert not any(world.run())
    for more in (70, 10, 0):
        world.wait(601)
        assert world.run().noticed == more
    assert sorted(told[1] for told in world.told()) == sorted(ends)


def test_an_end_that_is_near_from_the_start_is_told_from_there_on(world):
    """What had passed when the end was set is no news."""
    world.store.set_secret("alice", NAME, "v", expires_at=world.after(5 * DAY))
    assert world.run().noticed == 0
    world.store.set_secret("alice", NAME, "v2")  # and writes in between change nothing
    world.wait(3 * DAY)
    assert world.run().noticed == 0
    world.wait(1.5 * DAY)
    assert world.run().noticed == 1
    assert world.told() == [("secret.expiring", NAME, DAY)]


def test_a_new_end_begins_anew_and_the_same_one_does_not(world):
    """Exactly once for each period and value of the end."""
    store = world.store
    first = world.after(10 * DAY)
    store.set_secret("alice", NAME, "v", expires_at=first)
    world.wait(4 * DAY)
    world.run()
    store.update_secret_metadata("alice", NAME, expires_at=first)
    store.set_secret("alice", NAME, "v", expires_at=first)
    assert world.run().noticed == 0
    store.update_secret_metadata("alice", NAME, expires_at=world.after(10 * DAY))
    store.update_secret_metadata("alice", NAME, expires_at=first)  # there and back
    assert world.run().noticed == 0
    store.update_secret_metadata("alice", NAME, expires_at=world.after(8 * DAY))
    world.wait(2 * DAY)
    assert world.run().noticed == 1
    assert [told[2] for told in world.told()] == [7 * DAY, 7 * DAY]


@pytest.mark.parametrize("end", ["never", "erased", "purged", "rolled on"])
def test_what_ends_no_more_is_not_told(world, end):
    store = world.store
    store.set_secret("alice", NAME, "v", expires_at=world.after(40 * DAY))
    if end == "never":
        store.update_secret_metadata("alice", NAME, expires_at=None)
    elif end == "erased":
        store.destroy_secret("alice", NAME)
    elif end == "purged":
        store.purge_user("alice")
    else:
        store.set_secret("alice", NAME, "v", expires_at=world.after(400 * DAY))
    world.wait(39 * DAY)
    assert world.run().noticed == 0
    if end != "rolled on":
        assert world.rows("SELECT count(*) FROM due") == [(0,)]


def test_periods_of_a_secret_a_folder_and_a_namespace(world):
    """The nearest rule counts; an empty one means no notices, none at all the one above."""
    store = world.store
    for name in ("db/a/one", "db/a/two", "db/three", "four", "five"):
        store.set_secret("alice", name, "v", expires_at=world.after(20 * DAY))
    store.lifecycle.set_notice("alice", [2 * DAY])
    store.lifecycle.set_notice("alice", [3 * DAY], where="db/")
    store.lifecycle.set_notice("alice", [4 * DAY, 0], where="db/a/")
    store.lifecycle.set_notice("alice", [], where="five")
    store.lifecycle.set_notice("alice", [5 * DAY], where="db/a/two")
    store.lifecycle.set_notice("alice", [9 * DAY], where="db/a/one")
    rules = store.lifecycle.set_notice("alice", None, where="db/a/one")
    assert rules.notice == {
        "": (2 * DAY,), "db/": (3 * DAY,), "db/a/": (4 * DAY, 0), "db/a/two": (5 * DAY,),
        "five": (),
    }  # fmt: skip
    told = []
    for day in range(1, 22):
        world.wait(DAY)
        world.run()
        told += [(day, *each[1:]) for each in world.told()[len(told) :]]
    assert sorted(told) == [
        (15, "db/a/two", 5 * DAY), (16, "db/a/one", 4 * DAY), (17, "db/three", 3 * DAY),
        (18, "four", 2 * DAY), (20, "db/a/one", 0),
    ]  # fmt: skip


def test_new_periods_tell_nothing_anew_and_drop_nothing_that_is_due(world):
    """A change of rules makes the rows anew; what was missed meanwhile is still told."""
    store = world.store
    store.set_secret("alice", NAME, "v", expires_at=world.after(40 * DAY))
    world.wait(12 * DAY)  # a notice is due, and was not given yet
    store.lifecycle.set_notice("alice", [30 * DAY, 20 * DAY])
    assert world.run().noticed == 1
    store.lifecycle.set_notice("alice", [30 * DAY, 29 * DAY, 20 * DAY])  # those have passed
    assert world.run().noticed == 0
    world.wait(9 * DAY)
    assert world.run().noticed == 1
    assert [told[2] for told in world.told()] == [30 * DAY, 20 * DAY]


def test_shares_that_end_are_told_to_their_owner(world):
    store = world.store
    store.set_secret("alice", NAME, "v")
    kept = store.shares.create("alice", "bob", NAME, expires_at=world.after(40 * DAY))
    gone = store.shares.create("alice", "carol", NAME, expires_at=world.after(40 * DAY))
    store.shares.revoke("alice", gone.id)
    world.wait(11 * DAY)
    assert world.run().noticed == 1
    [notice] = world.notices()
    assert (notice.kind, notice.subject, notice.details["share"]) == (
        "share.expiring", NAME, kept.id,
    )  # fmt: skip


@pytest.mark.parametrize("deny", [False, True])
def test_grants_that_end_are_told_to_their_owner(world, deny):
    """What is given, and what is taken away; nothing of one that was revoked."""
    store = world.store
    store.set_secret("alice", NAME, "v")
    store.members.add("alice", "ann")
    more = {"rights": ["read"], "deny": deny, "expires_at": world.after(40 * DAY)}
    kept = store.access.grant("alice", "ann", "db/", **more)
    whole = store.access.grant("alice", "ann", "/", **more)
    gone = store.access.grant("alice", "ann", NAME, **more)
    store.access.revoke("alice", gone.id)
    shown = [(e.kind, e.name) for e in store.lifecycle.expiring("alice", within=90 * DAY)]
    assert shown == [("grant", ""), ("grant", "db/")] or shown == [("grant", "db/"), ("grant", "")]
    world.wait(11 * DAY)
    assert world.run().noticed == 2
    told = {(n.kind, n.subject, n.details["grant"]) for n in world.notices()}
    assert told == {("grant.expiring", "db/", kept.id), ("grant.expiring", "", whole.id)}
    store.audit.verify()


def test_links_that_end_are_told_to_their_maker(world):
    """By accessor; nothing of those that were opened, revoked, or used up by wrong proofs."""
    store = world.store
    kept, opened, revoked = (store.links.create("alice", b"v", seconds=20 * DAY) for _ in range(3))
    used = store.links.create("alice", b"v", seconds=20 * DAY, tries=1, passphrase="right")
    with store.links.open(opened.text):
        pass
    store.links.revoke("alice", revoked.accessor)
    with pytest.raises(SecretNotFound):
        store.links.open(used.text, passphrase="wrong")
    [shown] = store.lifecycle.expiring("alice")
    assert (shown.kind, shown.name, shown.detail) == (
        "link", f"links/{kept.accessor}", kept.accessor,
    )  # fmt: skip
    seen = []
    for _ in range(21):
        world.wait(DAY)
        seen.append(world.run().noticed)
    assert [day for day, count in enumerate(seen, 1) if count] == [13, 19]
    assert {n.details["link"] for n in world.notices()} == {kept.accessor}
    assert world.told() == [
        ("link.expiring", f"links/{kept.accessor}", 7 * DAY),
        ("link.expiring", f"links/{kept.accessor}", DAY),
    ]
    assert kept.text not in repr(world.notices())
    assert world.rows("SELECT count(*) FROM due") == [(0,)]
    store.audit.verify()


def test_links_end_at_the_periods_of_their_maker(world):
    """Those of the namespace, or of the place links/; the end itself if it is asked for."""
    store = world.store
    store.lifecycle.set_notice("alice", [0], where="links/")
    store.links.create("alice", b"v", seconds=DAY)
    world.wait(DAY + 1)
    world.run()
    assert [told[::2] for told in world.told()] == [("link.expired", 0)]


def test_what_ends_is_listed(world):
    """With what has ended and can be renewed, the first to end first; of this user alone."""
    store = world.store
    store.set_secret("alice", "soon", "v", expires_at=world.after(3 * DAY))
    store.set_secret("alice", "over", "v", expires_at=world.after(DAY))
    store.set_secret("alice", "later", "v", expires_at=world.after(60 * DAY))
    store.set_secret("alice", "never", "v")
    store.set_secret("bob", "bobs", "v", expires_at=world.after(DAY))
    store.shares.create("alice", "bob", "never", expires_at=world.after(4 * DAY))
    world.wait(2 * DAY)
    found = store.lifecycle.expiring("alice")
    shown = [(each.kind, each.name, each.expired, each.notice_at is None) for each in found]
    assert shown == [
        ("secret", "over", True, True), ("secret", "soon", False, True),
        ("share", "never", False, False),
    ]  # fmt: skip
    assert len(store.lifecycle.expiring("alice", within=90 * DAY)) == 4
    assert store.lifecycle.expiring("nobody") == []
    assert "over" not in repr(found)


def test_due_rows_are_found_by_their_time_and_not_by_looking_at_all(world):
    """A pass over a store in which nothing is due reads no secret."""
    store = world.store
    for at in range(30):
        store.set_secret("alice", f"s/{at}", "v", expires_at=world.after(400 * DAY))
    world.core.opened.clear()
    assert not any(world.run())
    assert not world.core.opened._opened
    explained = world.rows(
        "EXPLAIN QUERY PLAN SELECT user FROM due WHERE kind=? AND ready_us<=? ORDER BY ready_us",
        b"x", 1,
    )  # fmt: skip
    assert "due_by_time" in str(explained)


def test_secrets_from_before_are_planned_when_the_store_is_opened(world):
    """A store of an older program has no rows for its secrets; one with other options, others."""
    store, core = world.store, world.core
    for at in range(3):
        store.set_secret(f"user{at}", NAME, "v", expires_at=world.after(40 * DAY))

    async def as_before(scope):
        scope.tx.connection.execute("DELETE FROM due")
        scope.tx.connection.execute("DELETE FROM settings WHERE key='lifecycle'")

    core.commit.run_sync(_unit(core, as_before))
    world.run()
    assert world.rows("SELECT count(*) FROM due") == [(3,)]
    world.wait(11 * DAY)
    assert world.run().noticed == 3


async def _unit(core, work):
    await core.commit.submit(work)


def test_plans_go_on_where_they_were_broken_off(world, monkeypatch):
    """In batches, each with its position."""
    monkeypatch.setattr("adyton.service.lifecycle.work._BATCH", 4)
    store = world.store
    for at in range(10):
        store.set_secret("alice", f"s/{at}", "v", expires_at=world.after(40 * DAY))
    store.lifecycle.set_notice("alice", [20 * DAY])
    steps = iter([False, False, False, False, True])
    from adyton.service.lifecycle.work import LIFECYCLE, LifecycleWork

    work = LifecycleWork(world.core)
    world.core.commit.run_sync(work.run_due(LIFECYCLE, stopped=lambda: next(steps, True)))
    job = plan.job_of(world.core.ring.user_index("alice"))
    assert world.rows("SELECT count(*) FROM jobs WHERE key=?", job) == [(1,)]
    world.run()
    assert world.rows("SELECT count(*) FROM jobs WHERE key=?", job) == [(0,)]
    world.wait(11 * DAY)
    assert world.run().noticed == 0
    world.wait(10 * DAY)
    assert world.run().noticed == 10


def test_bad_rules_are_refused(world, monkeypatch):
    """Each with the error that tells what; nothing is changed."""
    monkeypatch.setattr("adyton.service.lifecycle.rules.MAX_RULES", 3)
    life = world.store.lifecycle
    for bad in ([-1], [2**40], [True], ["1d"], range(20)):
        with pytest.raises(InvalidInput):
            life.set_notice("alice", bad)
    for where in ("/", "a//", "../", "a\x00"):
        with pytest.raises(InvalidName):
            life.set_notice("alice", [1], where=where)
    for at in range(3):
        life.set_notice("alice", [1], where=f"s{at}")
    with pytest.raises(LimitExceeded):
        life.set_notice("alice", [1], where="one more")
    with pytest.raises(InvalidInput):
        life.expiring("alice", within=-1)
    with pytest.raises(AccessDenied):
        world.store.user("alice")._store.lifecycle.run_due()


def test_a_user_whose_rows_cannot_be_read_holds_nobody_up(world):
    """What is due to one is put aside; the others are told."""
    store = world.store
    for user in ("alice", "bob"):
        store.set_secret(user, NAME, "v", expires_at=world.after(40 * DAY))
    index = world.core.ring.user_index("alice")

    async def damage(scope):
        scope.tx.connection.execute(
            "UPDATE secrets SET meta=zeroblob(length(meta)) WHERE user=?", (index,)
        )

    world.core.commit.run_sync(_unit(world.core, damage))
    world.wait(11 * DAY)
    assert world.run()[0::4] == (1, 1)
    assert world.told("bob") == [("secret.expiring", NAME, 30 * DAY)]
    assert not any(world.run())  # and it is not tried again at once
