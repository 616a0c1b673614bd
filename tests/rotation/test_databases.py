"""Rotators against a real PostgreSQL and a real Redis."""

import json
import threading
import time

import psycopg
import pytest

import databases
from adyton.errors import InvalidInput, RotationError
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


SEEN = """SELECT current_user, session_user, current_setting('search_path'),
    current_setting('work_mem'), current_setting('app.odd'), current_setting('app.other')"""


def seen(postgres, login):
    """What an application sees; it makes a table, too, or adds to it."""
    with postgres.connect(user=login["username"], password=login["password"]) as server:
        server.execute("CREATE TABLE IF NOT EXISTS odd.t (made_by text DEFAULT current_user)")
        server.execute("INSERT INTO t DEFAULT VALUES")
        return server.execute(SEEN).fetchone()


def test_a_single_role_overlaps_by_a_stand_in_that_acts_as_it(store, postgres):
    """Both logins work in the grace, own and may the same, and have the role's own settings."""
    role = 'Odd "single" role'
    postgres.make_roles(role)
    put = psycopg.sql.SQL
    who = psycopg.sql.Identifier(role)
    with postgres.connect() as server:
        server.execute(put("CREATE SCHEMA odd AUTHORIZATION {}").format(who))
        for setting in ("SET search_path = odd, \"$user\"", "SET app.odd = 'it''s \"odd\", =b'",
                        "IN DATABASE postgres SET work_mem = '77kB'"):  # fmt: skip
            server.execute(put("ALTER ROLE {} " + setting).format(who))
        server.execute("ALTER DATABASE postgres SET app.other = 'none'")
    store.rotation.set_policy("alice", "db", policy(postgres, role))
    store.rotation.run("alice", "db")
    first = value(store)
    assert first["username"] == role
    former = seen(postgres, first)
    after_grace(store)
    for other in ("7", "8"):  # made, and taken up once more
        with postgres.connect() as server:
            server.execute(put("ALTER ROLE {} SET app.other = {}").format(who, other))
        store.rotation.run("alice", "db")
        second = value(store)
        assert second["username"] == role + "-adyton"
        assert postgres.lets_in(first)
        assert seen(postgres, second) == (role, role + "-adyton", *former[2:5], other)
        after_grace(store)
        assert not postgres.lets_in(first)
        store.rotation.run("alice", "db")
        first = value(store)
        assert first["username"] == role
        assert postgres.lets_in(second)
        after_grace(store)
        assert not postgres.lets_in(second)
    with postgres.connect() as server:
        owners = server.execute("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname='odd'")
        assert owners.fetchall() == [(role,)]
        assert server.execute("SELECT DISTINCT made_by FROM odd.t").fetchall() == [(role,)]
        server.execute("ALTER DATABASE postgres RESET app.other")


def test_a_session_of_the_stand_in_lives_on(store, postgres):
    """What is open when its value is retired goes on, as with two roles."""
    postgres.make_roles("lives")
    store.rotation.set_policy("alice", "db", policy(postgres, "lives", grace=0))
    store.rotation.run("alice", "db")
    store.rotation.run("alice", "db")
    login = value(store)
    with postgres.connect(login["username"], login["password"]) as session:
        store.rotation.run("alice", "db")
        assert not postgres.lets_in(login)
        assert session.execute("SELECT current_user, session_user").fetchone() == (
            "lives", "lives-adyton",
        )  # fmt: skip


def test_a_stranger_of_the_stand_ins_name_is_left_alone(store, postgres):
    """A role that is no member of the single one gets no password, and its own works on."""
    postgres.make_roles("stranger", "stranger-adyton")
    with postgres.connect() as server:
        server.execute("ALTER ROLE \"stranger-adyton\" PASSWORD 'its own'")
    store.rotation.set_policy("alice", "db", policy(postgres, "stranger", grace=0, retries=0))
    store.rotation.run("alice", "db")
    former = value(store)
    with pytest.raises(RotationError, match="another's"):
        store.rotation.run("alice", "db")
    store.rotation.run_due()
    assert value(store) == former
    assert postgres.lets_in(former)
    assert postgres.lets_in({"username": "stranger-adyton", "password": "its own"})


def test_a_mistyped_single_role_is_undone(store, postgres):
    """There is nothing to take a password from, and the rotation does not hang on that."""
    postgres.make_roles("typed")
    store.rotation.set_policy("alice", "db", policy(postgres, "typed", grace=0))
    store.rotation.run("alice", "db")
    former = value(store)
    store.set_secret("alice", "db", {**former, "username": "mistyped"})
    store.rotation.set_policy("alice", "db", policy(postgres, "mistyped", grace=0, retries=0))
    with pytest.raises(RotationError, match="no such role"):
        store.rotation.run("alice", "db")
    store.rotation.run_due()
    assert store.rotation.get_policy("alice", "db").state == "waiting"


def test_an_admin_with_createrole_alone_is_enough(store, postgres):
    """As the guide says; no superuser is needed for either mode."""
    postgres.make_roles("weak", "weak_a", "weak_b")
    with postgres.connect() as server:
        server.execute("CREATE ROLE weak_admin LOGIN CREATEROLE PASSWORD 'of the weak admin'")
        server.execute("GRANT weak, weak_a, weak_b TO weak_admin WITH ADMIN OPTION")
        server.execute("ALTER ROLE weak SET search_path = public")
    store.set_secret("alice", "admin", {"username": "weak_admin", "password": "of the weak admin"})
    for name, roles in (("one", "weak"), ("two", "weak_a,weak_b")):
        store.rotation.set_policy("alice", name, policy(postgres, roles, grace=0))
        for _ in range(3):
            store.rotation.run("alice", name)
            assert postgres.lets_in(value(store, name))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"mode": "both"}, "mode"),
        ({"mode": "single", "role": ""}, "role"),
        ({"mode": "single", "roles": "a,b"}, "takes the setting 'role'"),
        ({"role": "a", "roles": "a,b"}, "takes the setting 'roles'"),
        ({"roles": "a"}, "two roles"),
        ({"mode": "single", "role": "x" * 57}, "56 bytes"),
    ],
)
def test_settings_that_do_not_fit_the_mode_are_refused(store, change, told):
    """When the policy is written, not when it is due."""
    wrong = RotationPolicy(rotator="postgresql", admin="admin", settings={"host": "h", **change})
    with pytest.raises(InvalidInput, match=told):
        store.rotation.set_policy("alice", "db", wrong)


@pytest.mark.parametrize("roles", ["logged_a,logged_b", "logged"])
def test_the_log_of_the_database_holds_no_password(store, postgres, roles):
    """With every statement logged, passwords are nowhere in it: verifiers are made here."""
    postgres.make_roles(*roles.split(","))
    store.rotation.set_policy("alice", "db", policy(postgres, roles, grace=0))
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
