"""What a login method is tuned to bounds its tokens; roles that change, and their aliases."""

import pytest

PASSWORD = {"password": "pw-123456"}


@pytest.fixture
def method(server, name):
    server.root("POST", f"/v1/sys/auth/{name}", {"type": "userpass"})
    server.root("POST", f"/v1/auth/{name}/users/a", PASSWORD)
    return name


def tune(server, method, **body):
    assert server.root("POST", f"/v1/sys/auth/{method}/tune", body)[0] == 204


def login(server, method):
    answer = server.raw("POST", f"/v1/auth/{method}/login/a", PASSWORD)[2]
    return answer["auth"], answer["warnings"]


@pytest.mark.parametrize(
    ("bounds", "seconds", "told"),
    [
        ({}, 3600, None),
        ({"token_ttl": "90m"}, 5400, None),
        ({"token_ttl": "5h"}, 7200, 'TTL of "5h" exceeded the effective max_ttl of "2h"'),
        ({"token_period": "20h"}, 7200, 'period of "20h" exceeded the effective max_ttl of "2h"'),
        ({"token_max_ttl": "30m"}, 1800, 'TTL of "1h" exceeded the effective max_ttl of "30m"'),
        ({"token_max_ttl": "9h"}, 3600, None),
        ({"token_type": "batch"}, 3600, None),
        ({"token_type": "batch", "token_ttl": "61m1s"}, 3661, None),
        ({"token_type": "batch", "token_ttl": "9h30s"}, 7200,
         'TTL of "9h0m30s" exceeded the effective max_ttl of "2h"'),
    ],
)  # fmt: skip
def test_times_of_a_login_method(server, method, bounds, seconds, told):
    """As OpenBao counts and tells it; by default, and at the most."""
    tune(server, method, default_lease_ttl="1h", max_lease_ttl="2h")
    assert server.root("POST", f"/v1/auth/{method}/users/a", bounds)[0] == 204
    auth, warnings = login(server, method)
    assert auth["lease_duration"] == seconds
    what = "period" if "token_period" in bounds else "TTL"
    expected = [f"{told}; {what} value is capped accordingly"] if told else None
    assert warnings == expected


def test_renewing_is_bound_by_what_the_method_says_now(server, method):
    """Tuned shorter, a renewal gives less, and no more than the longest time since its making."""
    auth, _ = login(server, method)
    tune(server, method, max_lease_ttl="2h")
    renew = {"increment": "10h"}
    _, _, answer = server.raw(
        "POST", "/v1/auth/token/renew-self", renew, token=auth["client_token"]
    )
    assert 7_100 < answer["auth"]["lease_duration"] <= 7_200
    assert answer["warnings"] == [
        'TTL of "10h" exceeded the effective max_ttl of "2h"; TTL value is capped accordingly'
    ]
    tune(server, method, max_lease_ttl="9000h")
    _, _, answer = server.raw(
        "POST", "/v1/auth/token/renew-self", {"increment": "8999h"}, token=auth["client_token"]
    )
    assert answer["auth"]["lease_duration"] > 8_990 * 3_600


def test_tuning_that_fits_nothing_is_refused(server, method):
    for wrong in (
        {"default_lease_ttl": "3h", "max_lease_ttl": "2h"}, {"default_lease_ttl": "769h"},
        {"listing_visibility": "x"}, {"token_type": "default"},
    ):  # fmt: skip
        assert server.root("POST", f"/v1/sys/auth/{method}/tune", wrong)[0] == 400, wrong
    config = server.root("GET", f"/v1/sys/auth/{method}/tune")[2]["data"]
    assert (config["default_lease_ttl"], config["max_lease_ttl"]) == (2_764_800, 2_764_800)


def test_a_role_keeps_what_is_not_given(server, name):
    """Also as its tokens show."""
    path = f"/v1/auth/token/roles/{name}"
    first = {"token_period": "1h", "path_suffix": "sfx", "allowed_policies": "default"}
    assert server.root("POST", path, first)[0] == 204
    assert server.root("POST", path, {"orphan": True})[0] == 204
    role = server.root("GET", path)[2]["data"]
    assert (role["token_period"], role["orphan"], role["allowed_policies"]) == (
        3600, True, ["default"],
    )  # fmt: skip
    token = server.root("POST", f"/v1/auth/token/create/{name}")[2]["auth"]["client_token"]
    found = server.hvac(token).auth.token.lookup_self()["data"]
    assert (found["path"], found["period"]) == (f"auth/token/create/{name}/sfx", 3600)
    assert server.root("POST", path, {"path_suffix": "a/b"})[0] == 400


def test_an_alias_of_a_role_is_an_entity_of_its_own(server, name, method):
    """Whoever may use the role is told apart by it, and is nobody who logs in elsewhere."""
    path = f"/v1/auth/token/create/{name}"
    role = {"allowed_entity_aliases": "a,build-*", "allowed_policies": "default"}
    assert server.root("POST", f"/v1/auth/token/roles/{name}", role)[0] == 204

    def entity(alias, status=200, at=path):
        found, _, answer = server.root("POST", at, {"entity_alias": alias, "policies": ["default"]})
        assert found == status, answer
        return answer["auth"]["entity_id"] if status == 200 else answer["errors"][0]

    assert entity("a") == entity("A") != ""
    assert entity("build-1") not in {entity("build-2"), entity("a"), ""}
    assert entity("a") != login(server, method)[0]["entity_id"]  # the user "a" of a login method
    assert entity("b", 400) == "invalid 'entity_alias' value"
    assert "only allowed in combination with token role" in entity(
        "a", 400, "/v1/auth/token/create"
    )
