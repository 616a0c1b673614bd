"""One-time links of a real server: by HTTP, by the client, by the command line, in a browser."""

import base64
import concurrent.futures
import hashlib
import json
import os
import subprocess
import sys
from http.client import HTTPConnection
from importlib.resources import files
from pathlib import Path

import pytest

from adyton import Client
from adyton.crypto import links
from adyton.errors import SecretNotFound
from natives import b64, call, kind, user_with
from servers import TOKEN, Server

BIN = Path(sys.executable).parent
CHROMIUM = next((path for path in ("/usr/bin/chromium", "/usr/bin/chromium-browser")
                 if Path(path).exists()), "")  # fmt: skip
VALUE = "behind the link"


@pytest.fixture(scope="module")
def server():
    made = Server("serve", "--dev", "--dev-root-token-id", TOKEN)
    yield made
    code, _, err = made.stop()
    assert code == 0, err


@pytest.fixture
def client(server):
    with Client(server.addr, server.token) as made:
        yield made


@pytest.fixture
def stranger(server):
    with Client(server.addr, "") as made:
        yield made


def asked(text, passphrase=None):
    link = links.parse_link(text)
    keys = links.link_keys(link, passphrase)
    return {"user": b64(link.user), "id": b64(keys.ident), "proof": b64(keys.proof)}


def test_a_stranger_opens_it_once(client, stranger):
    made = client.links.create("alice", VALUE, passphrase="p", note="n")
    assert made.url.startswith(client.address + "/link#")
    (info,) = client.links.list("alice")
    assert (info.accessor, info.note, info.passphrase) == (made.accessor, "n", True)
    with stranger.links.open(made.url, passphrase="p") as found:
        assert found.text() == VALUE
    with pytest.raises(SecretNotFound):
        stranger.links.open(made.url, passphrase="p")
    gone = client.links.create("alice", VALUE)
    client.links.revoke("alice", gone.accessor)
    with pytest.raises(SecretNotFound):
        stranger.links.open(gone.url)


def test_nothing_but_the_status_and_request_id_tells_refusals_apart(server, client):
    """Used, unknown, of nobody, and a wrong proof: one answer."""
    used = client.links.create("alice", VALUE)
    body = asked(used.text)
    assert call(server, "POST", "links/open", body, token="")[0] == 200
    live = asked(client.links.create("alice", VALUE).text)
    told = set()
    for wrong in (
        body,
        body | {"id": b64(os.urandom(16))},
        body | {"user": b64(os.urandom(16))},
        live | {"proof": b64(bytes(32))},
    ):
        status, headers, found = call(server, "POST", "links/open", wrong, token="")
        assert kind(found) == "secret-not-found"
        found.pop("request_id")
        told.add((status, json.dumps(found, sort_keys=True), tuple(sorted(headers))))
    assert len(told) == 1
    assert call(server, "POST", "links/open", live, token="")[0] == 200


def rounds(server, client, count):
    """Fifty clients at once, each with a connection of its own, that many times."""
    connections = [HTTPConnection("127.0.0.1", server.port, timeout=30) for _ in range(50)]

    def attempt(at, body):
        connection = connections[at]
        connection.request(
            "POST", "/v1/adyton/links/open", body, {"Content-Type": "application/json"}
        )
        answer = connection.getresponse()
        return answer.status, answer.read()

    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        for _ in range(count):
            made = client.links.create("alice", VALUE)
            body = json.dumps(asked(made.text))
            answers = list(pool.map(attempt, range(50), [body] * 50))
            opened = [found for status, found in answers if status == 200]
            assert len(opened) == 1
            assert {status for status, _ in answers} == {200, 404}
            keys = links.link_keys(links.parse_link(made.text), None)
            value, _ = links.open_link(keys, base64.b64decode(json.loads(opened[0])["box"]))
            assert value.text() == VALUE
    for connection in connections:
        connection.close()


def test_fifty_clients_open_a_link_once(server, client):
    rounds(server, client, 10)


@pytest.mark.soak
def test_fifty_clients_open_a_link_once_200_times(server, client):
    rounds(server, client, 200)


def test_rights_are_policies(server):
    user, token = user_with(server, 'path "adyton/links" { capabilities = ["list"] }')
    assert call(server, "GET", f"users/{user}/links", token=token)[0] == 200
    new = {"id": b64(os.urandom(16)), "proof_hash": b64(bytes(32)), "box": b64(bytes(64))}
    assert call(server, "POST", f"users/{user}/links", new, token=token)[0] == 403
    assert call(server, "DELETE", f"users/{user}/links/x", token=token)[0] == 403
    assert call(server, "POST", f"users/{user}/links", new)[0] == 200


@pytest.mark.parametrize(
    "body",
    [{}, {"user": "x", "id": "x", "proof": "x"}, {"user": "", "id": "", "proof": ""}],
)
def test_malformed_requests_are_told(server, body):
    status, _, found = call(server, "POST", "links/open", body, token="")
    assert status in {400, 404}, found


def test_strangers_who_guess_are_slowed_down():
    """Opening passes admission, as everything that comes without a token."""
    limit = {"ADYTON_RATES_NETWORK_PER_SECOND": "5", "ADYTON_RATES_NETWORK_BURST": "20"}
    server = Server("serve", "--dev", "--dev-root-token-id", TOKEN, env=limit)
    try:
        body = {"user": b64(bytes(16)), "id": b64(bytes(16)), "proof": b64(bytes(32))}
        told = {call(server, "POST", "links/open", body, token="")[0] for _ in range(40)}
        assert told == {404, 429}
    finally:
        server.stop()


def adyton(server, *arguments, stdin=b""):
    env = {**os.environ, "ADYTON_ADDR": server.addr, "ADYTON_TOKEN": server.token}
    command = [BIN / "adyton", *arguments]
    return subprocess.run(command, input=stdin, env=env, capture_output=True, check=False)


def test_by_the_command_line(server, tmp_path):
    made = adyton(server, "link", "create", "--user", "alice", "--ttl", "1h", stdin=b"by pipe")
    assert made.returncode == 0, made.stderr
    opened = adyton(server, "link", "open", stdin=made.stdout)
    assert (opened.returncode, opened.stdout.rstrip(b"\n")) == (0, b"by pipe")
    assert adyton(server, "link", "open", stdin=made.stdout).returncode == 3
    (tmp_path / "p").write_text("pass")
    more = ("--user", "alice", "--passphrase-file", str(tmp_path / "p"))
    made = adyton(server, "-o", "json", "link", "create", *more, stdin=b"x")
    shown = json.loads(made.stdout)
    listed = json.loads(adyton(server, "-o", "json", "link", "list", "--user", "alice").stdout)
    assert shown["accessor"] in [info["accessor"] for info in listed]
    assert adyton(server, "link", "revoke", "--user", "alice", shown["accessor"]).returncode == 0
    with Client(server.addr, server.token) as client:
        client.set_secret("alice", "of/link", "v")
    made = adyton(server, "link", "create", "of/link", "--user", "alice")
    listed = json.loads(adyton(server, "-o", "json", "link", "list", "--user", "alice").stdout)
    assert [one["secret"] for one in listed if one["secret"]] == ["of/link"]
    assert "of/link" in adyton(server, "link", "list", "--user", "alice").stdout.decode()
    who = ("-o", "json", "access", "who", "of/link", "--user", "alice")
    (line,) = [one for one in json.loads(adyton(server, *who).stdout) if one["kind"] == "link"]
    assert (line["actor"], line["path"]) == ("whoever has the link", "of/link")
    assert adyton(server, "link", "open", stdin=made.stdout).stdout == b"v"
    assert b"whoever has the link" not in adyton(server, *who).stdout
    assert adyton(server, "link", "create", "--user", "alice", "--ttl", "1y").returncode == 2


# -- in a browser -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser():
    if not CHROMIUM:
        if os.environ.get("CI"):
            pytest.fail("chromium is not installed: scripts/debian-packages.sh chromium")
        pytest.skip("chromium is not installed: scripts/debian-packages.sh chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield made
        made.close()


@pytest.fixture
def page(browser, server):
    context = browser.new_context()
    made = context.new_page()
    made.asked, made.wrong = [], []
    made.on("request", lambda request: made.asked.append((request.url, request.post_data or "")))
    made.on("console", lambda told: made.wrong.append(told.text))
    made.on("pageerror", lambda error: made.wrong.append(str(error)))
    yield made
    context.close()


def test_a_browser_opens_it(server, client, page):
    """The page asks nobody but the server, and never tells what opens the link."""
    made = client.links.create("alice", VALUE + " <b>&amp;</b>")
    page.goto(made.url)
    page.click("#open")
    page.wait_for_selector("#shown:not([hidden])")
    assert page.inner_text("#value") == VALUE + " <b>&amp;</b>"
    assert page.evaluate("location.href") == server.addr + "/link"
    assert {url for url, _ in page.asked if not url.startswith("blob:")} <= {
        made.url, server.addr + "/link", server.addr + "/v1/adyton/links/open",
    }  # fmt: skip
    secret = links.parse_link(made.text).secret
    for _, sent in page.asked:
        assert made.text not in sent
        assert b64(secret) not in sent
    assert page.wrong == []
    page.goto("about:blank")
    page.goto(made.url)
    page.click("#open")
    page.wait_for_selector("#told:not([hidden])")
    assert "opened before" in page.inner_text("#told")
    assert not page.is_visible("#value")


def test_a_browser_opens_one_with_a_passphrase(client, page):
    made = client.links.create("alice", VALUE, passphrase="sesame, öffne dich", tries=2)
    page.goto(made.url)
    page.fill("#passphrase", "wrong")
    page.click("#open")
    page.wait_for_selector("#told:not([hidden])")
    page.fill("#passphrase", "sesame, öffne dich")
    page.click("#open")
    page.wait_for_selector("#shown:not([hidden])")
    assert page.inner_text("#value") == VALUE
    assert all("404" in told for told in page.wrong), page.wrong


def test_looking_at_the_page_does_not_open_the_link(client, stranger, page):
    """Programs that look at links in messages run scripts too, and press no buttons."""
    made = client.links.create("alice", VALUE)
    page.goto(made.url)
    page.wait_for_selector("#ask:not([hidden])")
    with stranger.links.open(made.url) as found:
        assert found.text() == VALUE


def test_nothing_else_runs_in_the_page(server, page):
    page.goto(f"{server.addr}/link#<script>x</script>")
    assert "not a whole" in page.inner_text("#told")
    script = "Object.assign(document.createElement('script'), {textContent: 'window.ran = 1'})"
    image = "'<img src=x onerror=\"window.ran=1\">'"
    for code in (
        f"document.body.appendChild({script})",
        f"document.body.insertAdjacentHTML('beforeend', {image})",
    ):
        page.evaluate(code)
    page.wait_for_timeout(100)
    assert page.evaluate("window.ran") is None
    blocked = "fetch('https://example.invalid/').then(() => 'sent', () => 'refused')"
    assert page.evaluate(blocked) == "refused"
    assert any("Content Security Policy" in told for told in page.wrong)


def test_the_page_itself(server):
    connection = HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request("GET", "/link")
    answer = connection.getresponse()
    body = answer.read()
    headers = {name.lower(): value for name, value in answer.getheaders()}
    assert answer.status == 200
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert headers["cache-control"] == "no-store"
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe-inline" not in policy
    assert "frame-ancestors 'none'" in policy
    assert b"src=" not in body
    assert b"href=" not in body
    connection.request("POST", "/link", b"x=1")
    assert connection.getresponse().status == 405
    connection.close()


def test_the_library_is_the_one_that_was_looked_at():
    """hash-wasm 4.13.0, dist/argon2.umd.min.js of its npm package."""
    data = (files("adyton.server") / "page" / "argon2.umd.min.js").read_bytes()
    wanted = "acfe11b015852f593aaddc51116f71dc7850e4551e6b34d42c1f88cf39635f03"
    assert hashlib.sha256(data).hexdigest() == wanted
