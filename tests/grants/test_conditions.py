"""Conditions of grants: where from, when, how often, with whose approval, until when."""

import datetime as dt
import threading

import pytest

from adyton.actions import Action
from adyton.errors import AccessDenied, InvalidInput, SecretNotFound
from adyton.grantvalues import Conditions, NewGrant
from adyton.model import Caller
from adyton.service.access.policy import Capability
from adyton.service.grants.acting import MemberSecrets
from adyton.service.grants.grants import Grants
from adyton.service.grants.requests import Requests
from adyton.service.journal import Draft
from adyton.service.secrets import Secrets
from grants.support import Clock, House
from support import Place

READ = Capability.READ
DB = "adyton/secrets/app/db"


@pytest.fixture
def house(tmp_path):
    with Place(tmp_path).open() as store:
        core = store._opened.core
        core.clock = core.commit._clock = Clock(core.clock)
        store.set_secrets("alice", {"app/db": "1", "app/prod/key": "2", "top": "3"})
        for name in ("ann", "ben", "boss"):
            store.members.add("alice", name)
        made = House(store)
        made.clock = store._opened.core.clock
        yield made


def grant(house, member="ann", path="app/", role="viewer", expires_at=None, **conditions):
    return house.store.access.grant(
        "alice", member, path, role=role, expires_at=expires_at, conditions=Conditions(**conditions)
    )


def read(house, text, name="app/db", address="127.0.0.1"):
    """The value as the native API would give it, or None."""
    caller = house.caller_of(text, "alice", f"adyton/secrets/{name}", READ, address)
    if caller is None:
        return None
    with house.run(Secrets(house.core).get(caller, "alice", name)) as secret:
        return secret.text()


@pytest.mark.parametrize(
    ("networks", "address", "allowed"),
    [
        (("10.0.0.0/8",), "10.1.2.3", True),
        (("10.0.0.0/8",), "11.1.2.3", False),
        (("10.0.0.0/8",), "::ffff:10.1.2.3", True),
        (("10.0.0.0/8",), "", False),
        (("10.0.0.0/8",), "nonsense", False),
        (("10.0.0.0/8", "2001:db8::/32"), "2001:db8::1", True),
        (("2001:db8::/32",), "2001:db9::1", False),
        ((), "", True),
    ],
)
def test_networks(house, networks, address, allowed):
    grant(house, networks=networks)
    text = house.token("alice", "ann")
    assert bool(house.may(text, "alice", DB, address=address)) == allowed


def test_hours_in_a_time_zone(house):
    """Of a week, hour by hour, in a zone whose clocks change in it."""
    grant(house, window="mon-fri 08:00-18:00", timezone="Europe/Berlin")
    text = house.token("alice", "ann")
    real = house.clock._real.now_us() + house.clock.ahead_us
    from zoneinfo import ZoneInfo

    zone = ZoneInfo("Europe/Berlin")
    allowed = 0
    for hour in range(24 * 7):
        house.clock.ahead_us = hour * 3_600 * 1_000_000
        at = dt.datetime.fromtimestamp((real + house.clock.ahead_us) / 1e6, zone)
        expected = at.weekday() < 5 and 8 <= at.hour < 18
        assert bool(house.may(text, "alice", DB)) == expected, at
        allowed += expected
    assert allowed == 50


def test_a_grant_ends(house):
    ends = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
    grant(house, expires_at=ends)
    text = house.token("alice", "ann")
    assert read(house, text) == "1"
    house.clock.pass_(minutes=59)
    assert read(house, text) == "1"
    house.clock.pass_(minutes=1, seconds=1)
    assert read(house, text) is None


@pytest.mark.parametrize(
    "conditions",
    [
        {"networks": ("10.0.0.1/8",)}, {"networks": ("nowhere",)}, {"window": "sometimes"},
        {"window": "mon 08:00-08:00"}, {"timezone": "Europe/Nowhere"}, {"reads": -1},
        {"reads": 10**7}, {"approval": ("other/",)}, {"approval": ("app/../x",)},
    ],
)  # fmt: skip
def test_conditions_that_are_none(house, conditions):
    with pytest.raises(InvalidInput):
        grant(house, **conditions)


def test_fifty_readers_of_seven_reads(house):
    """Of many at once exactly so many get the value, and the count outlives the process."""
    made = grant(house, reads=7)
    text = house.token("alice", "ann")
    got, refused = [], []
    barrier = threading.Barrier(50)

    def reader():
        caller = house.caller_of(text, "alice", DB)
        barrier.wait()
        try:
            with house.run(Secrets(house.core).get(caller, "alice", "app/db")) as secret:
                got.append(secret.text())
        except AccessDenied:
            refused.append(1)

    threads = [threading.Thread(target=reader) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(got), len(refused)) == (7, 43)
    assert set(got) == {"1"}
    found = house.store.access.grants("alice")[0]
    assert (found.id, found.reads_left) == (made.id, 0)
    records = house.store.get_audit_log("alice")
    reads = [r for r in records if r.action == Action.SECRET_GET and r.success]
    uses = [r for r in records if r.action == Action.GRANT_USE]
    assert (len(reads), len(uses)) == (7, 7)
    assert {r.decision for r in reads} == {f"grant:{made.id} ann"}
    house.store.audit.verify()


def test_a_read_that_failed_is_not_counted(house):
    grant(house, reads=1)
    text = house.token("alice", "ann")
    with pytest.raises(SecretNotFound):
        read(house, text, "app/absent")
    assert house.store.access.grants("alice")[0].reads_left == 1
    assert read(house, text) == "1"
    with pytest.raises(AccessDenied):
        read(house, text)


def test_what_is_counted_is_not_read_by_the_many(house):
    """Exports, batches and shares look each name up without a commit of its own."""
    grant(house, reads=5)
    text = house.token("alice", "ann")
    assert house.may(text, "alice", DB) == ""
    assert house.may(text, "alice", DB, spend=True) != ""


def test_approval_is_for_one_use_by_the_one_who_asked(house):
    grant(house, approval=("app/prod/",))
    grant(house, member="ben", approval=("app/prod/",))
    grant(house, member="boss", path="/", role="auditor")
    house.store.access.grant("alice", "boss", "app/prod/", rights=["admin"])
    ann, ben = house.token("alice", "ann"), house.token("alice", "ben")
    key = "app/prod/key"
    assert read(house, ann) == "1"  # nothing is asked for elsewhere
    with pytest.raises(AccessDenied):
        read(house, ann, key)
    requests = Requests(house.core)
    caller = house.caller

    def ask(member, path=key, right="read"):
        made = requests.create(caller, "alice", right, path, reason="incident", by=member)
        return house.run(made).id

    request = ask("ann")
    for by in ("ann", "ben"):  # oneself, and one without the right
        with pytest.raises(SecretNotFound):
            house.run(requests.approve(caller, "alice", request, by=by))
    with pytest.raises(AccessDenied):
        read(house, ann, key)
    approved = house.run(requests.approve(caller, "alice", request, by="boss"))
    assert (approved.state, approved.decided_by, approved.uses_left) == ("approved", "boss", 1)
    with pytest.raises(InvalidInput):
        house.run(requests.deny(caller, "alice", request, by="boss"))
    with pytest.raises(AccessDenied):
        read(house, ben, key)
    assert read(house, ann, key) == "2"
    with pytest.raises(AccessDenied):
        read(house, ann, key)
    second = ask("ann")
    house.run(requests.approve(caller, "alice", second, seconds=60, uses=3))
    assert read(house, ann, key) == "2"
    house.clock.pass_(seconds=61)
    with pytest.raises(AccessDenied):
        read(house, ann, key)
    with pytest.raises(SecretNotFound):
        ask("ann", "top")
    with pytest.raises(SecretNotFound):
        ask("ann", "app/db")  # which needs none
    with pytest.raises(SecretNotFound):
        ask("ann", right="write")
    with pytest.raises(InvalidInput):
        ask("")
    denied = ask("ben")
    house.run(requests.deny(caller, "alice", denied))
    with pytest.raises(AccessDenied):
        read(house, ben, key)
    house.store.audit.verify()


def test_whoever_may_decide_does_not_decide_their_own(house):
    """Also with the right to decide others' of the same secret."""
    key = "app/prod/key"
    for member in ("ann", "boss"):
        grant(house, member=member, approval=("app/prod/",))
        house.store.access.grant("alice", member, "app/prod/", rights=["admin"])
    requests, caller = Requests(house.core), house.caller
    ident = house.run(requests.create(caller, "alice", "read", key, reason="", by="ann")).id
    for decide in (requests.approve, requests.deny):
        with pytest.raises(SecretNotFound):
            house.run(decide(caller, "alice", ident, by="ann"))
    assert house.run(requests.approve(caller, "alice", ident, by="boss")).decided_by == "boss"


def test_one_decision_and_one_use_of_many_at_once(house):
    """Ten who decide at once, then ten who read at once by the one approval."""
    grant(house, approval=("/",))
    text = house.token("alice", "ann")
    requests = Requests(house.core)
    for _ in range(5):
        request = house.run(requests.create(house.caller, "alice", "read", "app/db", by="ann")).id
        outcomes = []

        def decide(request=request, outcomes=outcomes, approve=True):
            try:
                work = requests.approve if approve else requests.deny
                outcomes.append(house.run(work(house.caller, "alice", request)).state)
            except InvalidInput:
                outcomes.append("late")

        _at_once([lambda n=n: decide(approve=n % 2 == 0) for n in range(10)])
        assert len(outcomes) == 10
        assert outcomes.count("late") == 9
        won = next(one for one in outcomes if one != "late")
        got = []

        def use(got=got):
            try:
                got.append(read(house, text))
            except AccessDenied:
                got.append(None)

        _at_once([use] * 10)
        assert got.count("1") == (1 if won == "approved" else 0)


def _at_once(jobs):
    barrier = threading.Barrier(len(jobs))

    def run(job):
        barrier.wait()
        job()

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_a_grant_that_is_revoked_ends_what_is_under_way(house):
    """Decided before the revocation, committed after it: nothing is read, nothing is written."""
    made = grant(house, role="editor")
    text = house.token("alice", "ann")
    reading = house.caller_of(text, "alice", DB)
    writing = house.caller_of(text, "alice", DB, Capability.UPDATE)
    assert None not in (reading, writing)
    house.store.access.revoke("alice", made.id)
    with pytest.raises(AccessDenied):
        house.run(Secrets(house.core).get(reading, "alice", "app/db"))
    from adyton.service.values import Item

    with pytest.raises(AccessDenied):
        house.run(Secrets(house.core).set(writing, "alice", Item("app/db", b"x", "")))
    assert house.store.get_secret("alice", "app/db").text() == "1"
    assert house.caller_of(text, "alice", DB) is None


def test_a_member_who_is_removed_and_made_anew_is_another(house):
    grant(house)
    text = house.token("alice", "ann")
    reading = house.caller_of(text, "alice", DB)
    house.store.members.remove("alice", "ann")
    house.store.members.add("alice", "ann")
    grant(house)
    with pytest.raises(AccessDenied):
        house.run(Secrets(house.core).get(reading, "alice", "app/db"))
    assert house.caller_of(text, "alice", DB) is None
    assert read(house, house.token("alice", "ann")) == "1"


def test_deny_wins_over_grants_and_roles(house):
    grant(house, path="/")
    denied = house.store.access.grant("alice", "ann", "app/prod/", role="viewer", deny=True)
    text = house.token("alice", "ann")
    assert (read(house, text), read(house, text, "app/prod/key")) == ("1", None)
    ann = house.store.acting_as(Caller("test:ann", "alice", member="ann"))
    assert [one.name for one in ann.list_secrets("alice")] == ["app/db", "top"]
    house.store.access.revoke("alice", denied.id)
    assert read(house, text, "app/prod/key") == "2"


@pytest.mark.parametrize(
    ("right", "path", "body"),
    [
        ("share", "adyton/shares", {"name": "app/"}),
        ("admin", "adyton/grants", {"path": "app/"}),
        ("write", "adyton/rotation/app/", {}),
        ("audit", "adyton/reports", {}),
    ],
)
def test_deny_inside_of_a_folder_keeps_from_the_whole_of_it(house, right, path, body):
    give = house.store.access.grant
    give("alice", "ann", "/", rights=[right])
    text = house.token("alice", "ann")
    capability = READ if right == "audit" else Capability.UPDATE
    assert house.may(text, "alice", path, capability, body=body)
    begun = house.caller_of(text, "alice", "adyton/grants", Capability.UPDATE, body=body)
    denied = give("alice", "ann", "app/prod/", rights=[right], deny=True)
    assert not house.may(text, "alice", path, capability, body=body)
    if begun is not None:  # let in before it was taken away
        new = NewGrant("ben", "app/", rights=("read",))
        with pytest.raises(AccessDenied):
            house.run(Grants(house.core).create(begun, "alice", new))
    house.store.access.revoke("alice", denied.id)
    assert house.may(text, "alice", path, capability, body=body)


def test_a_denial_inside_of_a_folder_explains_itself(house):
    access = house.store.access
    access.grant("alice", "ann", "/", rights=["share", "list"])
    denied = access.grant("alice", "ann", "app/prod/", rights=["share", "list"], deny=True)
    found = access.explain("alice", "ann", "share", "app/")
    assert (found.allowed, found.rule) == (False, f"grant:{denied.id}")
    assert "app/prod/" in found.why
    assert access.explain("alice", "ann", "share", "lib/").allowed
    assert access.explain("alice", "ann", "list", "app/").allowed  # name by name
    access.revoke("alice", denied.id)
    assert access.explain("alice", "ann", "share", "app/").allowed


def test_a_batch_that_a_revocation_overtakes_gives_nothing(house):
    """In the embedded store: decided before it, committed behind it."""
    given = grant(house, path="/")
    ann = Caller("test:ann", "alice", member="ann")
    many = MemberSecrets(house.core)
    assert len(house.run(many.get_many(ann, "alice", ["app/db", "top"]))) == 2
    revoking = Grants(house.core).revoke(Caller("test"), "alice", given.id)
    revoking.send(None)
    reading = many.get_many(ann, "alice", ["app/db", "top"])
    reading.send(None)
    house.run(house.core.record(Draft(Caller("test"), Action.ACCESS_READ)))
    with pytest.raises(AccessDenied):
        reading.send(None)
    with pytest.raises(StopIteration):
        revoking.send(None)
