"""What the client does when the network or the server is bad: over real sockets."""

import base64
import gzip
import logging
import time
import traceback

import pytest

from adyton import errors
from adyton.client import answers
from adyton.client.retry import Failure, Retries
from adyton.errors import (
    AccessDenied,
    AdytonError,
    InvalidInput,
    LimitExceeded,
    RequestPending,
    RootUnavailable,
    SecretNotFound,
    ServerUnavailable,
    StoreClosed,
)
from adyton.server.errors import PROBLEMS, REFUSALS
from client.hostile import answer, drip, flood, problem, reset, silence

TOKEN = "adt_canary-token"
VALUE = "canary-value"
PASSWORD = "canary-password"
NOW = "2026-01-02T03:04:05.678901Z"
META = {
    "name": "a/b", "version": 1, "created_at": NOW, "updated_at": NOW, "accessed_at": None,
    "expires_at": None, "tags": ["x"], "attributes": {"k": "v"}, "max_versions": 10,
    "rotation": {}, "engine": {}, "unknown": [1],
    "versions": [{"version": 1, "created_at": NOW, "created_by": "me", "state": "live", "size": 12,
                  "content_type": "text/plain", "deleted_at": None}],
}  # fmt: skip


def secret(data=None, **more):
    data = base64.b64encode(VALUE.encode()).decode() if data is None else data
    value = {"encoding": "base64", "data": data, "content_type": "text/plain"}
    return {"name": "a/b", "version": 1, "value": value, "metadata": META, **more}


GOOD = answer(200, secret())


def client(faces, server, **options):
    return faces.client(server.addr, TOKEN, **options)


def test_a_good_answer_becomes_a_secret_that_is_wiped(faces, hostile):
    """The request names user and secret once encoded; the value opens, and ends with its block."""
    server = hostile(GOOD)
    with client(faces, server).get_secret("ä b", "x y/ü?#%2F") as found:
        assert (found.text(), found.version, found.content_type) == (VALUE, 1, "text/plain")
        assert found.metadata.tags == ("x",)
        assert found.metadata.created_at.microsecond == 678901
        assert found.info.created_by == "me"
    with pytest.raises(errors.SecretWiped):
        found.reveal()
    method, target, headers, _ = server.requests[0]
    assert method == "GET"
    assert target == ("/v1/adyton/users/%C3%A4%20b/secrets/x%20y/%C3%BC%3F%23%252F?encoding=base64")
    assert headers["x-vault-token"] == TOKEN
    assert headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    "bad",
    [
        reset,
        GOOD[:-5],
        b"garbage\r\n\r\n",
        answer(503, {"errors": ["busy"]}),
        answer(429, b"slow down", Content_Type="text/plain"),
        answer(502, b"<html>", Content_Type="text/html"),
    ],
    ids=["reset", "truncated", "no-http", "503", "429", "proxy"],
)
def test_passing_failures_are_repeated(faces, hostile, bad):
    """A read, and a write by one and the same key, come through after two failures."""
    server = hostile(bad, bad, GOOD)
    with client(faces, server).get_secret(1, "a/b") as found:
        assert found.text() == VALUE
    assert len(server.requests) == 3
    server = hostile(bad, bad, answer(200, META))
    ours = client(faces, server)
    assert ours.set_secret(1, "a/b", VALUE).version == 1
    keys = {headers["idempotency-key"] for _, _, headers, _ in server.requests}
    assert len(server.requests) == 3
    assert len(keys) == 1
    assert len({body for *_, body in server.requests}) == 1
    ours.set_secret(1, "a/b", VALUE)
    assert server.requests[-1][2]["idempotency-key"] not in keys


def test_repetitions_are_bounded_and_not_made_where_they_are_not_safe(faces, hostile):
    """Five attempts and no more; none again for a log-in, a lasting failure or a refusal."""
    server = hostile(reset)
    with pytest.raises(ServerUnavailable, match="broke"):
        client(faces, server).list_secrets(1)
    assert len(server.requests) == 5
    server = hostile(reset)
    with pytest.raises(ServerUnavailable):
        client(faces, server).login_userpass("me", "canary-password")
    assert len(server.requests) == 1
    for bad, kind in (
        (answer(500, {}), ServerUnavailable),
        (problem("integrity-error", 500), errors.IntegrityError),
        (problem("access-denied", 403), AccessDenied),
    ):
        server = hostile(bad)
        with pytest.raises(kind):
            client(faces, server).get_secret(1, "a")
        assert len(server.requests) == 1


def test_retry_after_is_honoured_or_given_up(faces, hostile):
    """A wait that the server asks for is kept; one beyond the bound ends the attempts at once."""
    server = hostile(answer(503, {}, Retry_After="1"), GOOD)
    client(faces, server).get_secret(1, "a/b").wipe()
    assert server.times[1] - server.times[0] >= 1
    server = hostile(problem("limit-exceeded", 429, hint="wait") + b"", GOOD)
    server.script[0] = answer(429, {"type": "urn:adyton:error:limit-exceeded"}, Retry_After="3600")
    began = time.monotonic()
    with pytest.raises(LimitExceeded):
        client(faces, server).get_secret(1, "a/b")
    assert time.monotonic() - began < 10
    assert len(server.requests) == 1


def test_backoff_is_exponential_with_full_jitter_and_bounded():
    """Waits grow from 0.1 s to 5 s, are jittered from nothing, and end with number or time."""
    broken = Failure(ServerUnavailable("x"))
    top = Retries(20, 1_000, random=lambda: 1.0)
    waits = [top.wait(broken, safe=True, attempt=n, elapsed=0) for n in range(8)]
    assert waits == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5])
    assert Retries(1, 9, random=lambda: 0.0).wait(broken, safe=True, attempt=0, elapsed=0) == 0
    assert top.wait(broken, safe=True, attempt=20, elapsed=0) is None
    assert top.wait(broken, safe=True, attempt=0, elapsed=1_000) is None
    assert top.wait(broken, safe=False, attempt=0, elapsed=0) is None
    unsent = Failure(ServerUnavailable("x"), unsent=True)
    assert top.wait(unsent, safe=False, attempt=0, elapsed=0) is not None
    lasting = Failure(ServerUnavailable("x"), passing=False)
    assert top.wait(lasting, safe=True, attempt=0, elapsed=0) is None


def test_nobody_there(faces):
    """A port where nobody listens, and a name that does not exist, are told as such."""
    for address in ("http://127.0.0.1:1", "https://no-such-host.invalid"):
        with pytest.raises(ServerUnavailable, match="can't be reached") as caught:
            faces.client(address, TOKEN, retries=1).get_secret(1, "a")
        assert caught.value.hint


@pytest.mark.parametrize("slow", [silence, drip])
def test_slow_answers_end(faces, hostile, slow):
    """Silence ends with the timeout, and a drip of bytes with some times it."""
    server = hostile(slow)
    began = time.monotonic()
    with pytest.raises(ServerUnavailable, match=r"in time|slowly"):
        client(faces, server, timeout=0.1, retries=0).get_secret(1, "a")
    assert time.monotonic() - began < 10


def test_large_and_compressed_answers_are_refused(faces, hostile):
    """No answer over the limit is taken, told of or not, and none that could grow."""
    for body in (answer(200, b" " * 5_000), flood):
        server = hostile(body)
        with pytest.raises(ServerUnavailable, match="more than 4096 bytes"):
            client(faces, server, max_answer_bytes=4_096).get_secret(1, "a")
        assert len(server.requests) == 1
    packed = answer(200, gzip.compress(b" " * 5_000_000), Content_Encoding="gzip")
    with pytest.raises(ServerUnavailable, match="compresses"):
        client(faces, hostile(packed)).get_secret(1, "a")


def test_redirects_are_not_followed(faces, hostile):
    """Not even one to the same place: the token goes nowhere that was not named."""
    other = hostile(GOOD)
    for status in (301, 302, 307, 308):
        server = hostile(answer(status, b"", Location=f"{other.addr}/v1/x"))
        with pytest.raises(ServerUnavailable, match="redirects"):
            client(faces, server).get_secret(1, "a")
    assert not other.requests


HOSTILE_BODIES = [
    b"", b"null", b"[]", b"{}", b"{", b'"' + VALUE.encode() + b'"', b"\xff\xfe", b"[" * 100_000,
    b'{"a":' * 5_000, GOOD.partition(b"\r\n\r\n")[2][:-1], secret(data="!!!!"), secret(data="YQ="),
    secret(data="YQ"), secret(data="Y\u00e9=="), secret(data="YQ==YQ=="), secret(data="===="),
    secret(data=7), secret(data=None) | {"value": None}, secret() | {"metadata": []},
    secret() | {"value": {"encoding": "utf-8", "data": VALUE, "content_type": "x"}},
    secret() | {"version": 2**70}, secret() | {"version": float("nan")},
    secret() | {"metadata": META | {"created_at": "yesterday"}},
    secret() | {"metadata": META | {"created_at": "2026-01-01T00:00:00"}},
    secret() | {"metadata": META | {"versions": [META["versions"][0] | {"state": "x"}]}},
]  # fmt: skip


@pytest.mark.parametrize("body", HOSTILE_BODIES, ids=range(len(HOSTILE_BODIES)))
def test_answers_of_another_shape_are_refused_without_being_quoted(faces, hostile, body):
    """Each becomes one error of ours; no text, trace or context of it holds what was sent."""
    ours = client(faces, hostile(answer(200, body)))
    with pytest.raises(ServerUnavailable) as caught:
        found = ours.get_secret(1, "a/b")
        found.metadata  # noqa: B018 - made when it is asked for
        raise AssertionError
    _no_canaries(caught.value)


def _no_canaries(error):
    assert error.__cause__ is None
    assert error.__context__ is None
    shown = "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))
    for canary in (VALUE, TOKEN, base64.b64encode(VALUE.encode()).decode(), PASSWORD):
        assert canary not in shown


def test_errors_are_those_of_the_embedded_store(faces, hostile):
    """Each class of the tree comes back by its type, with text, hint and request id, cleaned."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    assert len(kinds) > 25
    server = hostile(b"")
    ours = client(faces, server, retries=0)
    for kind in kinds:
        if kind in {AdytonError, RootUnavailable}:  # one slug is for all that a root refuses
            continue
        body = {"type": f"urn:adyton:error:{answers.slug(kind)}", "detail": "what\x1b[31m\nwhere",
                "hint": "do this", "request_id": "r-1"}  # fmt: skip
        server.script = [answer(400, body, Content_Type="application/problem+json")]
        with pytest.raises(kind) as caught:
            ours.get_secret(1, "a")
        assert type(caught.value) is kind
        assert caught.value.message == "what [31m where"
        assert (caught.value.hint, caught.value.request_id) == ("do this", "r-1")
        _no_canaries(caught.value)
    for status, kind in ((401, AccessDenied), (404, SecretNotFound), (418, InvalidInput)):
        server.script = [answer(status, {"type": "urn:somebody:else", "title": "t"})]
        with pytest.raises(kind):
            ours.get_secret(1, "a")
    server.script = [answer(400, {"errors": ["one", "two"]})]
    with pytest.raises(InvalidInput, match="one; two"):
        ours.policies.write("p", "x")


def test_every_problem_that_the_server_has_is_known(faces, hostile):
    """The server's own table of problems, row by row, comes back as the error it is made from."""
    server = hostile(b"")
    ours = client(faces, server, retries=0)
    for kind, each in PROBLEMS:
        server.script = [problem(each.slug, each.status)]
        with pytest.raises(kind) as caught:
            ours.get_secret(1, "a")
        assert type(caught.value) is kind
    for status, each in REFUSALS.items():
        server.script = [problem(each.slug, status)]
        with pytest.raises((InvalidInput, ServerUnavailable, LimitExceeded)):
            ours.get_secret(1, "a")


def test_what_is_pending_is_asked_for_again(faces, hostile):
    """A rotation that is under way from a former attempt is answered when it is done."""
    pending = problem("request-pending", 409)
    server = hostile(pending, pending, answer(200, {"rotated": 3, "master_version": None}))
    assert client(faces, server).keys.rotate() == 3
    assert len({headers["idempotency-key"] for _, _, headers, _ in server.requests}) == 1
    with pytest.raises(RequestPending):
        client(faces, hostile(pending), retries=1).keys.rotate()


def test_no_failure_shows_the_token_or_a_value(faces, hostile, caplog):
    """Neither errors of the network, nor representations, nor any logger at any level."""
    caplog.set_level(logging.DEBUG)
    for bad in (reset, GOOD[:-5], answer(302, b"", Location="/"), problem("access-denied", 403)):
        ours = client(faces, hostile(bad), retries=1)
        with pytest.raises(AdytonError) as caught:
            ours.set_secret("canary-user", "canary-name", VALUE)
        _no_canaries(caught.value)
        with pytest.raises(AdytonError) as caught:
            ours.login_userpass("me", PASSWORD)
        _no_canaries(caught.value)
        assert "127.0.0.1" not in repr(ours)
        assert TOKEN not in repr(vars(getattr(ours, "inner", ours)))
    client(faces, hostile(GOOD)).get_secret("canary-user", "canary-name").wipe()
    logged = "\n".join(record.getMessage() for record in caplog.records)
    assert "canary" not in logged


def test_a_closed_client_sends_nothing(faces, hostile):
    """After close, every call is refused as by a closed store."""
    server = hostile(GOOD)
    ours = client(faces, server)
    ours.close()
    ours.close()
    with pytest.raises(StoreClosed):
        ours.get_secret(1, "a")
    assert not server.requests
