"""AppRole and userpass as clients use them, and what must not be told."""

import statistics
import time
from concurrent.futures import ThreadPoolExecutor

import hvac
import pytest

from adyton.errors import LimitExceeded
from adyton.service.access.throttle import FREE_FAILURES, LIMIT, LoginThrottle


@pytest.fixture
def approle(server, name):
    client = server.hvac()
    client.sys.enable_auth_method("approle", path=name)
    yield client.auth.approle
    client.sys.disable_auth_method(name)


def made(approle, name, **more):
    approle.create_or_update_approle("web", token_policies=["default"], mount_point=name, **more)
    role_id = approle.read_role_id("web", mount_point=name)["data"]["role_id"]
    secret = approle.generate_secret_id("web", mount_point=name, metadata={"host": "h1"})["data"]
    return role_id, secret


def test_approle_gives_a_token(server, approle, name):
    """Policies, times and metadata of role and SecretID."""
    role_id, secret = made(approle, name, token_ttl="10m", token_max_ttl="1h")
    auth = approle.login(role_id, secret["secret_id"], use_token=False, mount_point=name)["auth"]
    assert auth["policies"] == ["default"]
    assert auth["metadata"] == {"role_name": "web", "host": "h1"}
    assert auth["lease_duration"] == 600
    data = server.hvac(auth["client_token"]).auth.token.lookup_self()["data"]
    assert (data["display_name"], data["orphan"]) == (name, True)
    role = approle.read_role("web", mount_point=name)["data"]
    assert (role["token_ttl"], role["token_max_ttl"], role["bind_secret_id"]) == (600, 3600, True)
    assert approle.list_roles(mount_point=name)["data"]["keys"] == ["web"]


def test_every_failed_approle_login_is_the_same(server, approle, name):
    """Unknown role, wrong, used and ended SecretIDs: 400 and one text."""
    role_id, secret = made(approle, name, secret_id_num_uses=1)
    good = secret["secret_id"]
    assert (
        server.raw("POST", f"/v1/auth/{name}/login", {"role_id": role_id, "secret_id": good})[0]
        == 200
    )
    brief = approle.generate_secret_id("web", mount_point=name)["data"]["secret_id"]
    approle.destroy_secret_id("web", brief, mount_point=name)
    for role, text in (
        (role_id, good),
        (role_id, "x"),
        ("x", good),
        (role_id, ""),
        (role_id, brief),
    ):
        status, _, body = server.raw(
            "POST", f"/v1/auth/{name}/login", {"role_id": role, "secret_id": text}
        )
        assert (status, body) == (400, {"errors": ["invalid role or secret ID"]})


def test_a_secret_id_is_used_as_often_as_it_may(server, approle, name):
    """Also by many at once."""
    role_id, secret = made(approle, name, secret_id_num_uses=3)
    body = {"role_id": role_id, "secret_id": secret["secret_id"]}
    login = lambda _: server.raw("POST", f"/v1/auth/{name}/login", body)[0]  # noqa: E731
    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(login, range(16))) == [200] * 3 + [400] * 13


@pytest.mark.parametrize(
    ("role", "secret_id"),
    [
        ({"secret_id_bound_cidrs": ["127.0.0.2/32"]}, {}),
        ({}, {"cidr_list": ["127.0.0.2/32"]}),
        ({}, {"cidr_list": ["127.0.0.3/32", "127.0.0.2/31"]}),
    ],
)
def test_a_secret_id_is_used_from_where_it_may(server, approle, name, role, secret_id):
    """By the role's networks and its own; elsewhere it is refused, and not used up."""
    role_id, _ = made(approle, name, secret_id_num_uses=1, **role)
    path = f"/v1/auth/{name}"
    text = server.root("POST", f"{path}/role/web/secret-id", secret_id)[2]["data"]["secret_id"]
    body = {"role_id": role_id, "secret_id": text}
    for source, expected in (("127.0.0.1", 400), ("127.0.0.4", 400), ("127.0.0.2", 200)):
        assert server.raw("POST", f"{path}/login", body, source=source)[0] == expected


@pytest.mark.parametrize(
    ("role", "secret_id"), [({"secret_id_ttl": "1s"}, {}), ({}, {"ttl": "1s"})]
)
def test_a_secret_id_ends_with_its_time(server, approle, name, role, secret_id):
    """The role's time, or its own."""
    role_id, _ = made(approle, name, **role)
    path = f"/v1/auth/{name}"
    text = server.root("POST", f"{path}/role/web/secret-id", secret_id)[2]["data"]["secret_id"]
    body = {"role_id": role_id, "secret_id": text}
    assert server.raw("POST", f"{path}/login", body)[0] == 200
    time.sleep(1.2)
    status, _, answer = server.raw("POST", f"{path}/login", body)
    assert (status, answer) == (400, {"errors": ["invalid role or secret ID"]})


def test_tokens_of_logins_come_from_where_they_may(server, approle, name):
    """By the role's bound of its tokens."""
    role_id, secret = made(approle, name, token_bound_cidrs=["127.0.0.2/32"])
    body = {"role_id": role_id, "secret_id": secret["secret_id"]}
    auth = server.raw("POST", f"/v1/auth/{name}/login", body)[2]["auth"]
    for source, expected in (("127.0.0.1", 403), ("127.0.0.2", 200), ("127.0.0.1", 403)):
        asked = server.raw(
            "GET", "/v1/auth/token/lookup-self", token=auth["client_token"], source=source
        )
        assert asked[0] == expected


@pytest.mark.parametrize(
    "bad", [{"num_uses": -1}, {"cidr_list": ["x"]}, {"ttl": -1}, {"metadata": "["}]
)
def test_bounds_of_secret_ids_that_bound_nothing_are_refused(server, approle, name, bad):
    """None is made."""
    made(approle, name)
    assert server.root("POST", f"/v1/auth/{name}/role/web/secret-id", bad)[0] == 400


def test_secret_ids_by_accessor(approle, name):
    """List, look up and end without the text."""
    _, secret = made(approle, name)
    accessor = secret["secret_id_accessor"]
    assert approle.list_secret_id_accessors("web", mount_point=name)["data"]["keys"] == [accessor]
    found = approle.read_secret_id_accessor("web", accessor, mount_point=name)["data"]
    assert found["metadata"] == {"host": "h1"}
    assert approle.read_secret_id("web", secret["secret_id"], mount_point=name)["data"]
    approle.destroy_secret_id_accessor("web", accessor, mount_point=name)
    with pytest.raises(hvac.exceptions.InvalidPath):
        approle.read_secret_id_accessor("web", accessor, mount_point=name)
    approle.delete_role("web", mount_point=name)
    with pytest.raises(hvac.exceptions.InvalidPath):
        approle.read_role("web", mount_point=name)


@pytest.fixture
def userpass(server, name):
    client = server.hvac()
    client.sys.enable_auth_method("userpass", path=name)
    yield client.auth.userpass
    client.sys.disable_auth_method(name)


def test_userpass_gives_a_token(server, userpass, name):
    """Log in, change the password, end the user."""
    userpass.create_or_update_user("ann", "first word", "a,b", mount_point=name)
    auth = userpass.login("ann", "first word", mount_point=name, use_token=False)["auth"]
    assert auth["policies"] == ["a", "b", "default"]
    assert auth["metadata"] == {"username": "ann"}
    assert "password" not in userpass.read_user("ann", mount_point=name)["data"]
    assert userpass.list_user(mount_point=name)["data"]["keys"] == ["ann"]
    userpass.update_password_on_user("ann", "second word", mount_point=name)
    with pytest.raises(hvac.exceptions.InvalidRequest, match="invalid username or password"):
        userpass.login("ann", "first word", mount_point=name)
    userpass.login("ann", "second word", mount_point=name, use_token=False)
    userpass.delete_user("ann", mount_point=name)
    with pytest.raises(hvac.exceptions.InvalidRequest, match="invalid username or password"):
        userpass.login("ann", "second word", mount_point=name)


def test_unknown_users_and_wrong_passwords_look_alike(server, userpass, name):
    """Same status, same text, and the same time within a wide margin.

    Measured again where other work on the machine came between.
    """
    ratios = []
    for attempt in range(4):
        times = {"known": [], "unknown": []}
        for round_ in range(6):
            for kind, measured in times.items():
                user = f"{kind}-{attempt}-{round_}"
                if kind == "known":
                    userpass.create_or_update_user(user, "right", mount_point=name)
                for _ in range(3):
                    started = time.perf_counter()
                    status, _, body = server.raw(
                        "POST", f"/v1/auth/{name}/login/{user}", {"password": "wrong"}
                    )
                    measured.append(time.perf_counter() - started)
                    assert (status, body) == (400, {"errors": ["invalid username or password"]})
        known, unknown = (statistics.median(times[kind]) for kind in ("known", "unknown"))
        ratios.append(known / unknown)
        if 0.5 < ratios[-1] < 2.0:
            return
    pytest.fail(f"known by unknown: {ratios}")


def test_guessing_is_slowed_down_for_unknown_names_too(server, userpass, name):
    """After some failures 429, whether the user exists or not."""
    userpass.create_or_update_user("bob", "right", mount_point=name)
    for user in ("bob", "nobody"):
        answers = [
            server.raw("POST", f"/v1/auth/{name}/login/{user}", {"password": "wrong"})[0]
            for _ in range(FREE_FAILURES + 3)
        ]
        assert answers == [400] * FREE_FAILURES + [429] * 3


def test_guesses_at_once_are_counted_before_they_are_looked_at(server, userpass, name):
    """No more of them are hashed than would be one after the other; a right one goes on after."""
    userpass.create_or_update_user("bob", "right", mount_point=name)
    path = f"/v1/auth/{name}/login"

    def tried(user, password, source):
        found = server.raw("POST", f"{path}/{user}", {"password": password}, source=source)[0]
        return 0 if found == 429 else found

    with ThreadPoolExecutor(32) as pool:
        for user, source in (("bob", "127.0.0.4"), ("nobody", "127.0.0.5")):
            found = list(pool.map(lambda n: tried(user, f"wrong-{n}", source), range(48)))
            assert 0 < found.count(400) <= FREE_FAILURES
            assert found.count(0) == 48 - found.count(400)
        right = list(pool.map(lambda _: tried("bob", "right", "127.0.0.6"), range(12)))
        assert 200 in right
        assert set(right) <= {0, 200}


def test_one_guess_at_a_time_once_there_were_too_many():
    """Pending ones count as failures; a right one takes them back, an error its own."""
    now = [0.0]
    throttle = LoginThrottle(lambda: now[0], b"k" * 32)
    inside = []

    def nested(depth, right=False):
        def guess():
            inside.append(depth)
            if depth:
                nested(depth - 1)
            return right

        return throttle.attempt("ann", "203.0.113.9", guess)

    with pytest.raises(LimitExceeded):
        nested(FREE_FAILURES)
    assert inside == [5, 4, 3, 2, 1]  # the sixth was not looked at
    throttle.check("ann", "203.0.113.9")  # errors are no failures
    for _ in range(FREE_FAILURES):
        assert not nested(0)
    with pytest.raises(LimitExceeded):
        throttle.check("ann", "203.0.113.9")
    now[0] += 301
    inside.clear()
    with pytest.raises(LimitExceeded):
        nested(1)
    assert inside == [1]  # its time has come, for one
    assert nested(0, right=True)
    throttle.check("ann", "203.0.113.9")
    assert not throttle._pending


def test_failures_lock_out_nobody_else():
    """An attacker's failures count for the attacker's own network."""
    now = [0.0]
    throttle = LoginThrottle(lambda: now[0], b"k" * 32)
    for _ in range(50):
        throttle.failed("ann", "203.0.113.9")
        throttle.failed("ann", "2001:db8::1")
    throttle.check("ann", "198.51.100.1")
    throttle.check("ann", "2001:db8:1::1")
    for address in ("203.0.113.9", "2001:db8::ffff"):
        with pytest.raises(LimitExceeded):
            throttle.check("ann", address)
    now[0] += 301
    throttle.check("ann", "203.0.113.9")
    assert throttle.attempt("ann", "203.0.113.9", lambda: True)
    throttle.failed("ann", "203.0.113.9")
    throttle.check("ann", "203.0.113.9")


def test_a_prefix_of_networks_is_no_way_around():
    """Whoever has a /48 tries each of its networks, and is slowed down all the same."""
    throttle = LoginThrottle(lambda: 0.0, b"k" * 32)
    tries = 0
    for n in range(1_000):
        try:
            throttle.check("ann", f"2001:db8:7:{n:x}::1")
        except LimitExceeded:
            break
        throttle.failed("ann", f"2001:db8:7:{n:x}::1")
        tries += 1
    assert tries == FREE_FAILURES * 8
    throttle.check("ann", "2001:db8:8::1")
    throttle.check("bob", "2001:db8:7:1::1")
    throttle.check("ann", "203.0.113.9")


def test_a_flood_of_names_and_networks_takes_bounded_memory():
    """The oldest counts are forgotten; an account that is attacked now is still slowed down."""
    throttle = LoginThrottle(lambda: 0.0, b"k" * 32)
    for n in range(LIMIT + 5_000):
        throttle.failed(f"name-{n}", f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}")
    assert len(throttle._failures) == LIMIT
    for _ in range(FREE_FAILURES):
        throttle.failed("ann", "203.0.113.9")
    with pytest.raises(LimitExceeded):
        throttle.check("ann", "203.0.113.9")


def test_no_spelling_of_a_name_gives_more_tries(server, userpass, name):
    """Case and encoding are one name and one count; spaces and forms are others (CVE-2025-6004)."""
    userpass.create_or_update_user("ann", "right", mount_point=name)

    def login(spelling, password):
        path = f"/v1/auth/{name}/login/{spelling}"
        return server.raw("POST", path, {"password": password})[0]

    for spelling in ("ann%20", "%20ann", "ann%09", "ann%00", "%EF%BD%81nn", "ann%2f%2f", "an"):
        assert login(spelling, "right") in {400, 404, 405}, spelling
    spellings = ["ann", "Ann", "ANN", "a%6en", "aNN", "%41nn", "anN", "ann"]
    assert [login(spelling, "right") for spelling in spellings] == [200] * len(spellings)
    guesses = [login(spelling, "wrong") for spelling in spellings]
    assert guesses == [400] * FREE_FAILURES + [429] * (len(spellings) - FREE_FAILURES)


def test_the_real_command_line_logs_in(server, userpass, name):
    """`bao login` by password, and `bao write` to an AppRole."""
    server.bao("write", f"auth/{name}/users/cli", "password=pw word", "policies=default")
    out = server.bao(
        "login", "-method=userpass", f"-path={name}", "-token-only", "-no-store",
        "username=cli", "password=pw word", token="",
    )  # fmt: skip
    assert "cli" in server.bao("token", "lookup", token=out.strip())
