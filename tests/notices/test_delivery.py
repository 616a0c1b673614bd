"""Delivery to real receivers on loopback: at least once, in order, signed, apart for each user."""

import ssl
import threading
import time

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from adyton import Caller
from adyton.actions import Action
from adyton.crypto import webhooks as signing
from adyton.errors import AccessDenied, InvalidInput, LimitExceeded, SecretNotFound
from adyton.noticevalues import WebhookAnswer
from adyton.service.journal import Draft
from adyton.service.notices.delivery import Lost, TurnOf
from adyton.service.notices.outbox import put_notice
from adyton.service.notices.room import NoticeOptions
from certs import certificate
from hookreceiver import Receiver
from support import Place

ACTOR = Caller("test")
HERE = ("127.0.0.0/8",)


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.close()


def options(**changes):
    return NoticeOptions(**{"networks": HERE, "seconds": 1.0, "lease_seconds": 3.0} | changes)


def put(store, user, kind="rotation.failed", subject="db/password", **details):
    """A notice alone in a unit of its own."""
    core = store._opened.core

    async def operation():
        async def work(scope):
            keys = await core.keys_to_write(scope, ACTOR, user, 0)
            return await put_notice(core, scope, ACTOR, keys, kind, subject, details)

        return await core.write(Draft(ACTOR, Action.NOTICE_PUT, user_id=user), work)

    return core.commit.run_sync(operation())


def moved(store):
    found = store._opened.core.clock
    real, ahead = found.now_us, [0]
    found.now_us = lambda: real() + ahead[0] * 1_000_000
    return ahead


def test_a_message_says_what_and_an_independent_reader_verifies_it(place, receiver):
    """Type, time, user, subject and details; the specification's own library takes it."""
    with place.open(notices=options()) as store:
        made = store.webhooks.add("42", receiver.url, note="pager")
        ident = put(store, "42", step="set", error="it does not work")
        assert store.notices.deliver() == (1, 1, 0)
        info = store.webhooks.get("42", made.webhook.id)
        store.audit.verify()
    (got,) = receiver.got
    assert got.path == "/hook"
    assert got.id == ident
    document = Webhook(made.secret).verify(got.body, got.headers)
    assert document["type"] == "rotation.failed"
    assert document["data"] == {
        "user": "42",
        "subject": "db/password",
        "details": {"step": "set", "error": "it does not work"},
    }
    assert document["timestamp"].endswith("Z")
    assert (info.delivered, info.waiting, info.attempts, info.error) == (1, 0, 0, "")
    for forged in (made.secret[:-6] + "AAAAA=", "whsec_" + "A" * 43 + "="):
        with pytest.raises(WebhookVerificationError):
            Webhook(forged).verify(got.body, got.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(made.secret).verify(got.body + b" ", got.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(made.secret).verify(got.body, got.headers | {"webhook-id": "msg_other"})


def test_failures_are_tried_again_in_order_with_the_same_id_and_body(place, receiver):
    """After 500, a broken connection, a redirect and silence all arrive, each in its turn."""
    receiver.answers = [500, "drop", 302, 3.0, "drip", 404]
    with place.open(notices=options()) as store:
        ahead = moved(store)
        store.webhooks.add("u", receiver.url)
        idents = [put(store, "u", number=str(number)) for number in range(5)]
        failures = []
        for _ in range(6):
            assert store.notices.deliver().failed == 1
            (info,) = store.webhooks.list("u")
            failures.append(info.error)
            assert store.notices.deliver() == (0, 0, 0)  # it waits
            ahead[0] += 3700
        assert info.attempts == 6
        assert store.notices.deliver().delivered == 5
        (info,) = store.webhooks.list("u")
        assert (info.delivered, info.attempts, info.error, info.given_up) == (5, 0, "", 0)
        store.audit.verify()
    assert receiver.ids == [idents[0]] * 7 + idents[1:]
    assert len({got.body for got in receiver.got}) == 5
    assert failures[0] == "it answers with 500"
    assert failures[2] == "it answers with 302"  # and nobody went where it points to
    assert failures[3] == failures[4] == "it takes too long"


def test_waits_grow_with_jitter_and_are_bounded(place, receiver):
    """Each wait is 75 to 125 % of twice the one before, and of an hour at the most."""
    receiver.usual = 503
    waits = []
    with place.open(notices=options(retry_seconds=8)) as store:
        ahead = moved(store)
        store.webhooks.add("u", receiver.url)
        put(store, "u")
        for _ in range(14):
            store.notices.deliver()
            (info,) = store.webhooks.list("u")
            waits.append(info.next_at.timestamp() - store._opened.core.clock.now_us() / 1e6)
            ahead[0] += int(waits[-1]) + 1
    for number, wait in enumerate(waits):
        base = min(8 * 2**number, 3600)
        assert 0.74 * base - 1 <= wait <= 1.26 * base, (number, waits)
    assert len({round(wait / (8 * 2**number), 4) for number, wait in enumerate(waits[:8])}) > 1


def test_what_is_not_taken_for_too_long_is_given_up_and_told(place, receiver):
    """It stays in the list, the webhook counts it, and the next one is tried for its own time."""
    receiver.usual = 500
    with place.open(notices=options(give_up_hours=10)) as store:
        ahead = moved(store)
        store.webhooks.add("u", receiver.url)
        first = put(store, "u")
        for _ in range(8):
            store.notices.deliver()
            ahead[0] += 4600
        second = put(store, "u")
        store.notices.deliver()
        (info,) = store.webhooks.list("u")
        assert (info.given_up, info.waiting) == (1, 1)
        assert receiver.ids == [first] * 9
        ahead[0] += 4600
        receiver.usual = 200
        assert store.notices.deliver().delivered == 1
        assert receiver.ids[-1] == second
        assert [one.id for one in store.notices.list("u")] == [second, first]
        room = store._opened.core.notices
        assert (room.delivered, room.failed, room.given_up) == (1, 8, 1)
        told = [entry.reason for entry in store.get_audit_log("u", action="webhook.deliver")]
        assert sum(reason.endswith("given up") for reason in told) == 1
        store.audit.verify()


def test_a_server_that_was_off_for_long_still_tries(place, receiver):
    """Time before the first attempt does not count: nothing is given up untried."""
    with place.open(notices=options(give_up_hours=1)) as store:
        ahead = moved(store)
        store.webhooks.add("u", receiver.url)
        ident = put(store, "u")
        ahead[0] += 100 * 3600
        receiver.answers = [500]
        store.notices.deliver()
        ahead[0] += 60
        store.notices.deliver()
    assert receiver.ids == [ident] * 2


def test_two_users_hooks_never_see_each_others_notices(place, receiver):
    """Each gets its own user's, of the kinds that it asked for, from when it was added on."""
    other = Receiver()
    picky = Receiver()
    try:
        with place.open(notices=options()) as store:
            put(store, "a", subject="before")
            store.webhooks.add("a", receiver.url)
            store.webhooks.add("b", other.url)
            store.webhooks.add("b", picky.url, kinds=["anomaly", "rotation.failed"])
            for number in range(6):
                put(store, "a", subject=f"a{number}")
                kind = ("rotation.failed", "rotation.failing", "anomaly.burst")[number % 3]
                put(store, "b", kind, subject=f"b{number}")
            store.notices.deliver()
            store.audit.verify()
        assert [g.document["data"]["subject"] for g in receiver.got] == [f"a{n}" for n in range(6)]
        assert [g.document["data"]["subject"] for g in other.got] == [f"b{n}" for n in range(6)]
        assert [g.document["data"]["subject"] for g in picky.got] == ["b0", "b2", "b3", "b5"]
        assert {g.document["data"]["user"] for g in receiver.got} == {"a"}
    finally:
        other.close()
        picky.close()


def test_a_bound_caller_reaches_only_its_own(place, receiver):
    """Another user's webhooks and notices look absent; delivering for all is the operator's."""
    with place.open(notices=options()) as store:
        made = store.webhooks.add("a", receiver.url)
        ident = put(store, "a")
        bound = store.acting_as(Caller("b", user="b"))
        for attempt in (
            lambda: bound.webhooks.get("a", made.webhook.id),
            lambda: bound.webhooks.get("b", made.webhook.id),
            lambda: bound.webhooks.test("b", made.webhook.id),
            lambda: bound.webhooks.rotate("b", made.webhook.id),
            lambda: bound.webhooks.remove("b", made.webhook.id),
            lambda: bound.notices.get("b", ident),
            lambda: bound.notices.acknowledge("b", [ident]),
            lambda: bound.webhooks.list("a"),
            lambda: bound.notices.list("a"),
        ):
            with pytest.raises(SecretNotFound):
                attempt()
        with pytest.raises(AccessDenied):
            bound.notices.deliver()
        assert bound.notices.list("b") == []
        assert store.notices.get("a", ident).acknowledged_at is None
    assert receiver.got == []


def test_a_new_secret_overlaps_the_old_one(place, receiver):
    """Both sign during the overlap, the new one alone after it, or at once without."""
    with place.open(notices=options()) as store:
        ahead = moved(store)
        made = store.webhooks.add("u", receiver.url)
        hook = made.webhook.id
        turned = store.webhooks.rotate("u", hook, overlap=600)
        assert turned.secret != made.secret
        assert turned.webhook.old_secret_until is not None
        put(store, "u")
        store.notices.deliver()
        ahead[0] += 601
        put(store, "u")
        store.notices.deliver()
        last = store.webhooks.rotate("u", hook, overlap=0)
        put(store, "u")
        store.notices.deliver()
    keys = [signing.secret_key(one.secret) for one in (made, turned, last)]
    verified = [
        [
            signing.verifies(
                [key], got.id, int(got.headers["webhook-timestamp"]), got.body,
                got.headers["webhook-signature"],
            )
            for key in keys
        ]
        for got in receiver.got
    ]  # fmt: skip
    assert verified == [[True, True, False], [False, True, False], [False, False, True]]
    assert [got.headers["webhook-signature"].count("v1,") for got in receiver.got] == [2, 1, 1]


def test_a_test_message_is_told_of_and_leaves_what_waits(place, receiver):
    """Its answer comes back with no text of the receiver's; nothing is stored of it."""
    with place.open(notices=options()) as store:
        hook = store.webhooks.add("u", receiver.url).webhook.id
        assert store.webhooks.test("u", hook) == (True, 204, "")
        receiver.usual = 418
        assert store.webhooks.test("u", hook) == (False, 418, "it answers with 418")
        assert [got.document["type"] for got in receiver.got] == ["test", "test"]
        assert store.notices.list("u") == []
        assert len(store.get_audit_log("u", action="webhook.test")) == 2


def test_removing_takes_what_waits_with_it(place, receiver):
    """Nothing is posted to a webhook that is gone, and no row of it is left."""
    with place.open(notices=options()) as store:
        hook = store.webhooks.add("u", receiver.url).webhook.id
        put(store, "u")
        store.webhooks.remove("u", hook)
        assert store.notices.deliver() == (0, 0, 0)
        with pytest.raises(SecretNotFound):
            store.webhooks.get("u", hook)
        store.audit.verify()
    assert receiver.got == []
    assert place.sql("SELECT count(*) FROM due") == [(0,)]


def test_a_purge_while_a_message_is_on_its_way_leaves_nothing(place, receiver):
    """The message that was posted is the last one; the user's rows are gone."""
    with place.open(notices=options(seconds=5.0, lease_seconds=9.0)) as store:
        store.webhooks.add("u", receiver.url)
        for _ in range(3):
            put(store, "u")
        purged = threading.Event()

        def purge():
            store.purge_user("u")
            purged.set()
            return 200

        receiver.answers = [purge]
        store.notices.deliver()
        assert purged.is_set()
        assert len(receiver.got) == 1
        store.audit.verify()
    assert place.sql("SELECT count(*) FROM objects") == [(0,)]
    assert place.sql("SELECT count(*) FROM due") == [(0,)]


def test_many_deliverers_post_each_notice_once(place, receiver):
    """Six passes at once over 40 notices: the lease keeps them apart, and the order holds."""
    with place.open(notices=options(lease_seconds=30.0)) as store:
        store.webhooks.add("u", receiver.url)
        idents = [put(store, "u") for _ in range(40)]
        threads = [threading.Thread(target=store.notices.deliver) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        store.notices.deliver()
    assert receiver.ids == idents


def test_a_slow_receiver_of_one_user_holds_up_nobody_else(place, receiver):
    """While one user's receivers keep silent, another's notice arrives; writing goes on at once."""
    silent = Receiver()
    silent.usual = 4.0
    try:
        at = options(seconds=5.0, lease_seconds=30.0, by_itself=True)
        with place.open(notices=at) as store:
            for _ in range(10):
                store.webhooks.add("slow", silent.url)
            store.webhooks.add("quick", receiver.url)
            put(store, "slow")
            silent.wait_for(lambda it: it.got)
            began = time.monotonic()
            put(store, "quick")
            assert time.monotonic() - began < 1.0
            receiver.wait_for(lambda it: it.got, seconds=3.5)
            assert len(silent.got) <= 2  # no more of one user are on their way at once
    finally:
        silent.close()


def test_notices_that_made_room_are_counted_for_the_webhook(place, receiver, monkeypatch):
    """A receiver that is away for too many notices gets the newest, in order."""
    monkeypatch.setattr("adyton.service.notices.outbox.MAX_KEPT", 5)
    with place.open(notices=options()) as store:
        store.webhooks.add("u", receiver.url)
        store.webhooks.add("u", receiver.url + "?other", kinds=["anomaly"])
        idents = [put(store, "u") for _ in range(12)]
        store.notices.deliver()
        wide, picky = store.webhooks.list("u")
        assert (wide.delivered, wide.given_up, wide.waiting) == (5, 7, 0)
        assert (picky.delivered, picky.given_up) == (0, 0)
        store.audit.verify()
    assert receiver.ids == idents[-5:]


def test_by_tls_the_certificate_must_be_trusted_and_of_the_name(place, tmp_path):
    """A receiver with the authority's certificate gets messages, one with another does not."""
    authority = certificate(tmp_path, "authority", is_ca=True)
    certificate(tmp_path, "receiver", issuer=authority)
    certificate(tmp_path, "stranger")
    for name, taken in (("receiver", True), ("stranger", False)):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / f"{name}.pem", tmp_path / f"{name}.key")
        receiver = Receiver(context)
        try:
            at = options(ca_file=str(tmp_path / "authority.pem"), seconds=5.0, lease_seconds=9.0)
            with place.open(notices=at) as store:
                url = receiver.url.replace("127.0.0.1", "localhost")
                hook = store.webhooks.add("u", url).webhook.id
                answer = store.webhooks.test("u", hook)
                assert answer.delivered is taken
                if not taken:
                    assert answer.error.startswith("its certificate is not one")
                assert len(receiver.got) == taken
                if taken:
                    assert receiver.got[0].headers["host"] == f"localhost:{receiver.port}"
        finally:
            receiver.close()


def test_limits_and_bad_input(place, receiver):
    """Eleven webhooks, addresses that are none, kinds and notes that can't be: refused, told."""
    with place.open(notices=options()) as store:
        for _ in range(10):
            hook = store.webhooks.add("u", receiver.url).webhook.id
        with pytest.raises(LimitExceeded):
            store.webhooks.add("u", receiver.url)
        for url in (
            "", "ftp://x", "https://", "https://a:b@c/", "https://c/#x", "https://c:0/",
            "https://c/" + "x" * 1100, "nonsense", "https://[", "https://a:99999/",
        ):  # fmt: skip
            with pytest.raises(InvalidInput):
                store.webhooks.add("v", url)
        many = [f"k{number}" for number in range(40)]
        for kinds in (["Rotation"], [""], ["a.b.c.d"], "rotation", many):
            with pytest.raises(InvalidInput):
                store.webhooks.add("v", receiver.url, kinds=kinds)
        with pytest.raises(InvalidInput):
            store.webhooks.add("v", receiver.url, note="a\nb")
        for overlap in (-1, 10**9):
            with pytest.raises(InvalidInput):
                store.webhooks.rotate("u", hook, overlap=overlap)
        with pytest.raises(InvalidInput):
            store.notices.list("u", limit=0)
        assert store.webhooks.list("v") == []


def test_notices_are_listed_and_acknowledged(place):
    """Newest first, by kind, and those that nobody has seen; ids that are not there are refused."""
    with place.open() as store:
        idents = [
            put(store, "u", kind) for kind in ("rotation.failed", "anomaly.burst", "rotation.x")
        ]
        assert [one.id for one in store.notices.list("u")] == idents[::-1]
        assert [one.id for one in store.notices.list("u", kinds=["rotation"])] == idents[::-2]
        assert [one.id for one in store.notices.list("u", limit=1)] == idents[2:]
        assert store.notices.acknowledge("u", [idents[0], idents[0]]) == 1
        assert store.notices.acknowledge("u", [idents[0]]) == 0
        assert [one.id for one in store.notices.list("u", fresh=True)] == idents[:0:-1]
        assert store.notices.get("u", idents[0]).acknowledged_at is not None
        other = idents[1][:-1] + ("0" if idents[1][-1] != "0" else "1")
        for ident in (other, "", "msg_", "msg_zzzzzzzzzzzz_", "x" * 300, idents[1].upper()):
            with pytest.raises(SecretNotFound):
                store.notices.get("u", ident)
            with pytest.raises(SecretNotFound):
                store.notices.acknowledge("u", [ident])
        assert store.notices.acknowledge("u") == 2
        assert store.notices.acknowledge("nobody") == 0
        store.audit.verify()


def test_addresses_and_secrets_are_in_no_repr_log_or_file(place, receiver, caplog):
    """The address of a webhook may let in whoever has it, and so does its secret."""
    receiver.usual = 500
    caplog.set_level("DEBUG")
    with place.open(notices=options()) as store:
        made = store.webhooks.add("u", receiver.url + "/canary-path?token=canary-token")
        put(store, "u", subject="canary-name")
        store.notices.deliver()
        info = store.webhooks.get("u", made.webhook.id)
        texts = [repr(made), repr(info), repr(store.notices.list("u")), caplog.text]
        entries = store.get_audit_log("u")
        texts += [entry.reason for entry in entries]
    files = b"".join(path.read_bytes() for path in place.folder.glob("store.db*"))
    for secret in ("canary", made.secret.removeprefix("whsec_")):
        assert not any(secret in text for text in texts)
        assert secret.encode() not in files
    assert signing.secret_key(made.secret) not in files


def test_whoever_took_too_long_moves_nothing_any_more(place, receiver):
    """Another has taken the webhook over: what the first one says of its message is too late."""
    with place.open(notices=options()) as store:
        ahead = moved(store)
        hook = store.webhooks.add("42", receiver.url).webhook.id
        put(store, "42")
        core = store._opened.core
        first, second = (TurnOf(core, "42", hook) for _ in range(2))

        async def submitted(work):
            return await core.commit.submit(work)

        number, _, _ = core.commit.run_sync(submitted(first._take))
        with pytest.raises(Lost):
            core.commit.run_sync(submitted(second._take))
        ahead[0] += 4
        assert core.commit.run_sync(submitted(second._take))[0] == number
        for told in (
            first._delivered(number, last=False),
            first._failed(number, WebhookAnswer(delivered=False, status=500, error="no")),
        ):
            with pytest.raises(Lost):
                core.commit.run_sync(told)
        info = store.webhooks.get("42", hook)
        assert (info.delivered, info.attempts, info.waiting) == (0, 0, 1)
        core.commit.run_sync(second._delivered(number, last=False))
        assert store.webhooks.get("42", hook).delivered == 1
