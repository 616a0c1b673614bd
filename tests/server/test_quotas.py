"""Rates that an operator sets by name, as hvac and bao set them, and what they do."""

import hvac
import pytest

from adyton.model import Caller
from adyton.service.quota.buckets import SECOND_NS
from adyton.service.quota.named import RateQuota, RateQuotas
from support import Place


def ask(server, user, path="/v1/secret/metadata?list=true"):
    """The status of a request of the operator in a namespace."""
    return server.root("GET", path, headers={"X-Vault-Namespace": user} if user else {})[0]


def test_hvac_sets_reads_lists_and_removes(server, name):
    """The shapes that the client expects."""
    quotas = server.hvac().sys
    quotas.create_or_update_quota(name=name, rate=100.5, path=f"{name}/", interval="2s")
    data = quotas.read_quota(name)["data"]
    assert data == {
        "name": name, "path": f"{name}/", "rate": 100.5, "interval": 2, "block_interval": 0,
        "type": "rate-limit", "role": "", "inheritable": True,
    }  # fmt: skip
    assert name in quotas.list_quotas()["data"]["keys"]
    quotas.create_or_update_quota(name=name, rate=7, path=f"{name}/")
    assert quotas.read_quota(name)["data"]["rate"] == 7
    with pytest.raises(hvac.exceptions.InvalidRequest, match="under another name"):
        quotas.create_or_update_quota(name=name + "2", rate=7, path=name)
    quotas.delete_quota(name)
    with pytest.raises(hvac.exceptions.InvalidPath):
        quotas.read_quota(name)
    assert server.root("GET", "/v1/sys/quotas/config")[0] == 200


def test_the_real_command_line(server, name):
    """`bao write` and `bao read`."""
    server.bao("write", f"sys/quotas/rate-limit/{name}", "rate=50", f"path={name}", "interval=1s")
    assert "50" in server.bao("read", f"sys/quotas/rate-limit/{name}")
    server.bao("delete", f"sys/quotas/rate-limit/{name}")


def test_one_namespace_is_limited_and_no_other(server, name):
    """429 with Retry-After beyond it, from the next request on; gone with the quota."""
    url = f"/v1/sys/quotas/rate-limit/{name}"
    body = {"rate": 3, "interval": "1h", "path": name}
    assert server.root("POST", url, body)[0] == 204
    try:
        answers = [ask(server, name) for _ in range(6)]
        assert answers == [404] * 3 + [429] * 3
        status, headers, told = server.root(
            "GET", "/v1/secret/data/x", headers={"X-Vault-Namespace": name}
        )
        assert (status, told) == (429, {"errors": ["request rate limit exceeded"]})
        assert 1_000 < int(headers["retry-after"]) <= 1_200
        assert ask(server, name + "-other") == 404
        assert ask(server, name, "/v1/sys/health") == 200
        # Another quota below it is more specific, and decides alone.
        inner = {"rate": 5, "interval": "1h", "path": f"{name}/secret"}
        assert server.root("POST", url + "-inner", inner)[0] == 204
        assert [ask(server, name) for _ in range(7)] == [404] * 5 + [429] * 2
    finally:
        server.root("DELETE", url)
        server.root("DELETE", url + "-inner")
    assert ask(server, name) == 404


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"rate": 0},
        {"rate": -1},
        {"rate": "x"},
        {"rate": True},
        {"rate": 1e300},
        {"rate": 1, "interval": "200h"},
        {"rate": 1, "block_interval": "200h"},
        {"rate": 1, "role": "web"},
        {"rate": 1, "type": "lease-count"},
        {"rate": 1, "path": "a/b/c/d/e/f/g/h"},
    ],
)
def test_what_is_out_of_range_is_refused(server, name, body):
    """With 400, and nothing is kept."""
    assert server.root("POST", f"/v1/sys/quotas/rate-limit/{name}", body)[0] == 400
    assert server.root("GET", f"/v1/sys/quotas/rate-limit/{name}")[0] == 404


def test_only_the_operator_sets_quotas(server, name):
    """A token without the right, and the operator in another namespace."""
    token = server.token_with('path "secret/*" { capabilities = ["read"] }')
    url, body = f"/v1/sys/quotas/rate-limit/{name}", {"rate": 1, "path": name}
    assert server.raw("POST", url, body, token=token)[0] == 403
    assert server.root("POST", url, body, headers={"X-Vault-Namespace": name})[0] == 400
    assert server.root("GET", url)[0] == 404


def test_quotas_outlive_the_server_and_block_as_long_as_told(tmp_path):
    """They are loaded from the store; a blocked path stays so for the time, whatever comes back."""
    place = Place(tmp_path)
    caller = Caller("operator")
    with place.open() as store:
        core = store._opened.core
        quotas = RateQuotas(core)
        assert not quotas.any
        made = RateQuota("ann/", 2, interval=1, block_interval=60)
        core.commit.run_sync(quotas.put(caller, "q", made))
    with place.open() as store:
        core = store._opened.core
        quotas = RateQuotas(core)
        core.commit.run_sync(quotas.load())
        assert [quotas.wait("ann", "secret/data/x", 5) for _ in range(2)] == [0, 0]
        assert quotas.wait("ann", "secret/data/x", 5) == 60 * SECOND_NS
        assert quotas.wait("ann", "other", 59 * SECOND_NS) > 0
        # Loading anew, as after a change of another quota, forgets nothing.
        core.commit.run_sync(quotas.put(caller, "r", RateQuota("bob", 1)))
        assert quotas.wait("ann", "other", 59 * SECOND_NS) > 0
        assert quotas.wait("ann", "other", 61 * SECOND_NS) == 0
        assert quotas.wait("annother", "x", 5) == 0
        store.audit.verify()


def test_no_way_to_write_the_namespace_passes_by_a_quota(server, name):
    """By header, by path and by the native API: one mount of a namespace, one count."""
    url = f"/v1/sys/quotas/rate-limit/{name}"
    space = {"X-Vault-Namespace": name}
    made = server.root("POST", "/v1/auth/token/create", {"policies": ["root"]}, headers=space)
    token = made[2]["auth"]["client_token"]
    ways = [
        (f"/v1/{name}/secret/data/x", {}),
        ("/v1/secret/data/x", space),
        ("/v1/secret/data/x", {"X-Vault-Namespace": f"/{name}/"}),
    ]
    for path, headers in ways:  # the token is known from here on
        assert server.raw("GET", path, token=token, headers=headers)[0] == 404
    body = {"rate": 4, "interval": "1h", "path": f"{name}/secret"}
    assert server.root("POST", url, body)[0] == 204
    try:
        answers = [
            server.raw("GET", path, token=token, headers=headers)[0]
            for path, headers in ways + ways
        ]
        assert answers == [404] * 4 + [429] * 2
    finally:
        server.root("DELETE", url)
    assert server.root("POST", url, {"rate": 2, "interval": "1h", "path": name})[0] == 204
    try:
        native = [
            server.raw("GET", "/v1/adyton/users/me/secrets", token=token)[0] for _ in range(3)
        ]
        assert native == [200, 200, 429]
    finally:
        server.root("DELETE", url)
