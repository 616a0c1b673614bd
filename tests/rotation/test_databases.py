"""Rotators against a real PostgreSQL and a real Redis."""

import json
import threading
import time

import pytest

import databases
from adyton.errors import RotationError
from adyton.rotating import Bounds
from adyton.rotationpolicy import RotationPolicy
from adyton.service.rotation.room import RotationOptions
from support import Place


def admin(password=databases.PASSWORD):
    return {"username": databases.ADMIN, "password": password}


@pytest.fixture
def store(tmp_path):
    with Place(tmp_path).open() as opened:
        opened.set_secret("alice", "admin", admin())
        yield opened


def value(store, name="db", **which):
    with store.get_secret("alice", name, **which) as secret:
        return json.loads(secret.text())


def policy(server, who, **more):
    rotator = "postgresql" if isinstance(server, databases.Postgres) else "redis"
    more.setdefault("grace", 1)
    return RotationPolicy(rotator=rotator, settings=server.settings(who), admin="admin", **more)


def after_grace(store, name="db"):
    """Run what is due once the grace period is over."""
    end = time.monotonic() + 20
    while store.rotation.get_policy("alice", name).state == "grace":
        assert time.monotonic() < end
        store.rotation.run_due()
        time.sleep(0.05)


def test_two_roles_take_turns_and_the_former_works_for_its_grace_alone(store, postgres):
    """Each value lets in until its grace is over, and no longer; names need quoting."""
    one, two = 'Odd "role" a', "Odd 'role'; b"
    postgres.make_roles(one, two)
    store.rotation.set_policy("alice", "db", policy(postgres, f"{one},{two}"))
    store.rotation.run("alice", "db")
    first = value(store)
    assert first["username"] == one
    assert postgres.lets_in(first)
    after_grace(store)
    store.rotation.run("alice", "db")
    second = value(store)
    assert second["username"] == two
    assert postgres.lets_in(first)
    assert postgres.lets_in(second)
    with pytest.raises(RotationError, match="grace"):
        store.rotation.run("alice", "db")
    after_grace(store)
    assert not postgres.lets_in(first)
    assert postgres.lets_in(second)
    store.audit.verify()


def test_the_log_of_the_database_holds_no_password(store, postgres):
    """With every statement logged, passwords are nowhere in it: verifiers are made here."""
    postgres.make_roles("logged_a", "logged_b")
    store.rotation.set_policy("alice", "db", policy(postgres, "logged_a,logged_b", grace=0))
    for _ in range(2):
        store.rotation.run("alice", "db")
        log = postgres.log.read_text()
        assert "SCRAM-SHA-256$" in log
        assert value(store)["password"] not in log


def test_a_user_of_redis_has_two_passwords_during_the_grace(store, redis):
    """Both let in until the grace is over; nothing is left of the former one then."""
    redis.make_user("app")
    store.rotation.set_policy("alice", "db", policy(redis, "app"))
    store.rotation.run("alice", "db")
    after_grace(store)
    first = value(store)
    store.rotation.run("alice", "db")
    second = value(store)
    assert redis.lets_in(first)
    assert redis.lets_in(second)
    after_grace(store)
    assert not redis.lets_in(first)
    assert redis.lets_in(second)
    assert len(redis.passwords("app")) == 1


def test_a_mistyped_user_of_redis_is_not_made(store, redis):
    """ACL SETUSER would make it; the rotation fails instead, and is undone in the end."""
    store.rotation.set_policy("alice", "db", policy(redis, "mistyped", retries=0))
    with pytest.raises(RotationError, match="no such user"):
        store.rotation.run("alice", "db")
    with redis.connect() as server:
        assert b"mistyped" not in server.execute_command("ACL", "USERS")


@pytest.mark.parametrize("kind", ["postgres", "redis"])
def test_a_failure_leaves_the_former_value_working_and_says_why(store, kind, request):
    """With the admin locked out, the application is not; with the admin back, it goes on."""
    server = request.getfixturevalue(kind)
    who = f"{kind}_f"
    if kind == "postgres":
        server.make_roles("fail_a", "fail_b")
        who = "fail_a,fail_b"
    else:
        server.make_user(who)
    store.rotation.set_policy("alice", "db", policy(server, who, grace=0, retries=1))
    store.rotation.run("alice", "db")
    former = value(store)
    store.set_secret("alice", "admin", admin("wrong"))
    for _ in range(2):
        with pytest.raises(RotationError, match="refuses the login as admin"):
            store.rotation.run("alice", "db")
        assert value(store) == former
        assert server.lets_in(former)
    info = store.rotation.get_policy("alice", "db")
    assert info.state == "undoing"
    assert "refuses the login" in info.error
    assert not any(former["password"] in event.error for event in
                   store.rotation.history("alice", "db"))  # fmt: skip
    store.set_secret("alice", "admin", admin())
    assert store.rotation.run("alice", "db").state == "waiting"  # undone
    assert value(store) == former
    store.rotation.run("alice", "db")
    assert value(store) != former
    assert server.lets_in(value(store))
    assert not server.lets_in(former)
    failed = [e for e in store.get_audit_log("alice", action="rotation.step") if not e.success]
    assert len(failed) == 2


def test_places_that_the_operator_does_not_list_are_not_connected_to(tmp_path, postgres):
    """Whatever a policy names: the refusal comes before any connection."""
    options = RotationOptions(Bounds(targets=("db.internal:5432",)))
    postgres.make_roles("bound_a", "bound_b")
    with Place(tmp_path).open(rotation=options) as store:
        store.set_secret("alice", "admin", admin())
        store.rotation.set_policy("alice", "db", policy(postgres, "bound_a,bound_b"))
        with pytest.raises(RotationError, match="may not connect"):
            store.rotation.run("alice", "db")


def test_going_back_to_the_former_value_in_its_grace_keeps_it_working(store, postgres):
    """A rollback makes the former value current: it is not retired under the application."""
    postgres.make_roles("back_a", "back_b")
    store.rotation.set_policy("alice", "db", policy(postgres, "back_a,back_b"))
    store.rotation.run("alice", "db")
    after_grace(store)
    former = store.get_secret_metadata("alice", "db").version
    store.rotation.run("alice", "db")
    store.rollback_secret("alice", "db", former)
    after_grace(store)
    assert postgres.lets_in(value(store))


def test_two_who_rotate_at_once_do_it_once(store, postgres):
    """Of eight threads one rotates; the others are told that it is under way, or is in grace."""
    postgres.make_roles("once_a", "once_b")
    store.rotation.set_policy("alice", "db", policy(postgres, "once_a,once_b", grace=60))
    told = []

    def rotate():
        try:
            store.rotation.run("alice", "db")
            told.append("done")
        except RotationError as error:
            told.append(error.message)

    threads = [threading.Thread(target=rotate) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told.count("done") == 1
    assert store.get_secret_metadata("alice", "db").version == 1
    assert postgres.lets_in(value(store))
