"""Metrics: who may see them, what they say, and that no client can make more of them."""

import json
import math
import re
import secrets
import time

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open
from prometheus_client.parser import text_string_to_metric_families as parse_text

from adyton.server.app import Application, HttpLimits
from adyton.server.http import Response
from adyton.server.telemetry.counters import AREAS, CLASSES, METHODS, RequestStats, area_of
from adyton.server.telemetry.table import BY_NAME, METRICS
from servers import Server

PROMETHEUS = "/v1/sys/metrics?format=prometheus"


def text_of(server, path=PROMETHEUS, *, token=None, headers=None):
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    try:
        sent = {"X-Vault-Token": server.token if token is None else token} | (headers or {})
        connection.request("GET", path, headers=sent)
        answer = connection.getresponse()
        return answer.status, answer.headers["content-type"], answer.read().decode()
    finally:
        connection.close()


def samples(server):
    status, _, text = text_of(server)
    assert status == 200
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parse_text(text)
        for sample in family.samples
    }


def value(found, name, **labels):
    return found.get((name, tuple(sorted(labels.items()))), 0.0)


def test_metrics_need_the_right_to_read_them(server):
    """No token, a wrong one and one without the right are refused; one with it is let in."""
    assert text_of(server, token="")[0] == 403
    assert text_of(server, token="adt_nonsense")[0] == 403
    narrow = server.token_with('path "secret/*" { capabilities = ["read"] }')
    assert text_of(server, token=narrow)[0] == 403
    right = server.token_with('path "sys/metrics" { capabilities = ["read"] }')
    assert text_of(server, token=right)[0] == 200


def test_both_text_formats_are_well_formed(server):
    """Prometheus' and OpenMetrics' own parsers read every family, each with its help."""
    status, kind, text = text_of(server)
    assert (status, kind) == (200, "text/plain; version=0.0.4; charset=utf-8")
    plain = {family.name for family in parse_text(text)}
    status, kind, text = text_of(
        server, "/v1/sys/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"}
    )
    assert status == 200
    assert kind.startswith("application/openmetrics-text; version=1.0.0")
    assert text.endswith("# EOF\n")
    families = list(parse_open(text))
    assert {family.name for family in families} == plain
    assert all(family.documentation for family in families)
    assert "adyton_http_requests" in plain


def test_without_a_format_it_answers_as_vault_does(server):
    """Gauges, counters and samples as JSON, in the shape of Vault."""
    status, _, found = server.root("GET", "/v1/sys/metrics")
    assert status == 200
    assert set(found) == {"Timestamp", "Gauges", "Points", "Counters", "Samples"}
    gauges = {gauge["Name"]: gauge["Value"] for gauge in found["Gauges"]}
    assert gauges["adyton_sealed"] == 0
    assert all({"Name", "Labels", "Count"} <= set(each) for each in found["Counters"])


def test_requests_are_counted_where_they_belong(server, name):
    """A write, a read, a refusal and a login each move their own series, by one."""
    before = samples(server)
    server.root("POST", f"/v1/secret/data/{name}", {"data": {"a": "b" * 1000}})
    server.root("GET", f"/v1/secret/data/{name}")
    server.raw("GET", f"/v1/secret/data/{name}", token="wrong")
    server.raw("POST", f"/v1/auth/userpass/login/{name}", {"password": "x"})
    server.raw("BREW", "/tea")
    after = samples(server)

    def moved(metric, **labels):
        return value(after, metric, **labels) - value(before, metric, **labels)

    requests = "adyton_http_requests_total"
    assert moved(requests, area="engine", method="POST", status="2xx") == 1
    assert moved(requests, area="engine", method="GET", status="2xx") == 1
    assert moved(requests, area="engine", method="GET", status="4xx") == 1
    assert moved(requests, area="login", method="POST", status="4xx") == 1
    assert moved(requests, area="other", method="other", status="4xx") == 1
    assert moved("adyton_http_request_duration_seconds_count", area="engine") == 3
    assert moved("adyton_http_request_bytes_total") > 1000
    assert moved("adyton_http_response_bytes_total") > 1000
    assert moved("adyton_audit_records") >= 3
    assert moved("adyton_commit_group_size_sum") >= 3
    assert value(after, "adyton_http_requests_in_flight") == 1  # this one


def test_logins_are_counted_by_result(server, name):
    """A login that succeeds, one that fails and one that is throttled, by password and AppRole."""
    client = server.hvac()
    client.sys.enable_auth_method("userpass", path=name)
    client.sys.enable_auth_method("approle", path=name + "r")
    client.auth.userpass.create_or_update_user("u", "right", mount_point=name)
    before = samples(server)
    path = f"/v1/auth/{name}/login/u"
    assert server.raw("POST", path, {"password": "right"})[0] == 200
    for _ in range(5):
        assert server.raw("POST", path, {"password": "wrong"})[0] == 400
    assert server.raw("POST", path, {"password": "right"})[0] == 429
    bad = {"role_id": "x", "secret_id": "y"}
    assert server.raw("POST", f"/v1/auth/{name}r/login", bad)[0] == 400
    after = samples(server)
    for result, expected in (("succeeded", 1), ("failed", 6), ("throttled", 1)):
        metric = ("adyton_logins_total", (("result", result),))
        assert after[metric] - before[metric] == expected, result
    limited = ("adyton_http_refused_total", (("reason", "limited"),))
    assert after[limited] - before[limited] == 1


def test_a_flood_of_distinct_requests_adds_no_series(server):
    """Hundreds of new paths, users, tokens, methods and mounts: the same series as before."""

    def shape():
        return set(samples(server)) | set()

    def flood(n):
        for _ in range(n):
            fresh = "n" + secrets.token_hex(6)
            server.raw("GET", f"/v1/secret/data/{fresh}", token=fresh)
            server.root("GET", f"/v1/secret/data/{fresh}")
            server.root("GET", f"/v1/{fresh}/x", headers={"X-Vault-Namespace": fresh})
            server.raw("POST", f"/v1/auth/userpass/login/{fresh}", {"password": fresh})
            server.raw("GET", f"/{fresh}?{fresh}={fresh}", headers={fresh: fresh})
            server.raw(f"M{fresh}".upper(), f"/v1/sys/{fresh}")

    flood(1)
    before = shape()
    flood(60)
    after = shape()
    assert {key for key in after - before if not key[0].startswith("process_")} == set()
    labels = {text for _, pairs in after for _, text in pairs}
    assert not [text for text in labels if re.match(r"n[0-9a-f]{12}$", text)]


def test_series_are_bounded_whatever_is_asked():
    """Every area, method and status together stay within the product of three fixed sets."""
    stats = RequestStats()
    for path in (
        "/",
        "",
        "v1/secret/x",
        "/v1/",
        "/v1",
        "/v1/sys",
        "/v1//x",
        "/v2/x",
        "/v1/a/login",
    ):
        for method in (*METHODS, "", "\x00", "get"):
            for status in (100, 199, 200, 307, 404, 429, 503, 599):
                stats.done(method, path, status, 0, 0.001)
    found = stats.counts()
    assert sum(count for *_, count in found) == 9 * 11 * 8
    assert len(found) <= len(AREAS) * len(METHODS) * len(CLASSES)
    assert {area for area, *_ in found} <= set(AREAS)


@pytest.mark.parametrize(
    ("path", "area"),
    [
        ("/v1/secret/data/x", "engine"), ("/v1/sys/health", "sys"), ("/v1/sys", "sys"),
        ("/v1/auth/token/lookup-self", "auth"), ("/v1/auth/a/login/b", "login"),
        ("/v1/secret/login", "engine"), ("/v1/cubbyhole/x", "cubbyhole"),
        ("/v1/adyton/users/me", "native"), ("/v1/adytonx/", "engine"), ("/", "other"),
        ("/x/v1/sys", "other"), ("/v1", "other"), ("/v1/", "other"),
    ],
)  # fmt: skip
def test_areas(path, area):
    """A path belongs to the area of its first segment."""
    assert AREAS[area_of(path)] == area


def test_every_metric_that_is_listed_is_served_and_no_other(tmp_path):
    """A server with a sink and a certificate's expiry serves exactly the metrics of the table."""
    served = Server(
        "serve", "--dev", "--dev-root-token-id", "dev-root-x",
        env={"ADYTON_AUDIT_SINK": f"file:{tmp_path}/sink.jsonl"},
    )  # fmt: skip
    served.token = "dev-root-x"
    try:
        names = set()
        assert ("adyton_audit_sink_lag_records", (("sink", "0"),)) in samples(served)
        healthy = value(samples(served), "adyton_root_healthy", root="0", kind="keyfile")
        assert healthy == 1
        for family in parse_text(text_of(served)[2]):
            names.add(family.name + ("_total" if family.type == "counter" else ""))
            listed = BY_NAME[family.name + ("_total" if family.type == "counter" else "")]
            assert listed.kind == family.type
            assert listed.help == family.documentation
        absent = {metric.name for metric in METRICS} - names
        assert absent <= {
            "adyton_tls_certificate_expiry_timestamp_seconds",
            "adyton_tls_certificate_reloads_total",
        }
    finally:
        assert served.stop()[0] == 0


class Protocol:
    def response_bytes(self, status, headers, body=b""):
        self.status = status

    response_empty = response_bytes


class Scope:
    proto, client, method, query_string, headers = "http", "127.0.0.1:1", "GET", "", {}

    def __init__(self, path):
        self.path = path


def test_counting_costs_less_than_writing_a_small_document():
    """As the fastest of interleaved rounds: a ratio, which holds on a busy machine too."""
    stats = RequestStats()
    best = {"count": math.inf, "reference": math.inf}
    for _ in range(60):
        started = time.perf_counter()
        for _ in range(500):
            stats.done("GET", "/v1/secret/data/some/path", 200, 300, 0.0004)
        counted = time.perf_counter()
        for _ in range(500):
            json.dumps({"a": 1})
        ended = time.perf_counter()
        best["count"] = min(best["count"], counted - started)
        best["reference"] = min(best["reference"], ended - counted)
    assert best["count"] < best["reference"], best


async def _answer(request):
    return Response(500 if request.path == "v1/fail" else 204)


def test_what_is_refused_before_any_handler_is_counted_too():
    """A path that is not canonical, and a request while the server stops."""
    import asyncio

    stats = RequestStats()
    application = Application(_answer, HttpLimits(), stats)
    for path in ("/v1/a/../b", "/v1/fail", "/v1/fine"):
        asyncio.run(application.__rsgi__(Scope(path), Protocol()))
    application.stop()
    asyncio.run(application.__rsgi__(Scope("/v1/late"), Protocol()))
    assert {(status, count) for _, _, status, count in stats.counts()} == {
        ("2xx", 1), ("4xx", 1), ("5xx", 2),
    }  # fmt: skip
    assert stats.unavailable == 1
