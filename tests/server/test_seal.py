"""Making, opening and sealing a store over HTTP, with raw requests, hvac and the bao command."""

import fcntl
import json
import subprocess
import threading

import hvac
import pytest

from adyton.crypto.secretbytes import SecretBytes
from adyton.crypto.shares import Share, parse
from server.sealing import init, opened, random_share_like, read, serve, status, unseal, write
from servers import BIN

SERVED = {
    "/v1/sys/health": "GET HEAD",
    "/v1/sys/seal-status": "GET HEAD",
    "/v1/sys/init": "GET HEAD PUT POST",
    "/v1/sys/seal": "PUT POST",
}
SEALED = {"errors": ["Vault is sealed"]}


@pytest.fixture
def server(tmp_path):
    made = serve(tmp_path / "store.db")
    yield made
    if made.process.poll() is None:
        code, out, err = made.stop()
        assert code == 0, (out, err)


def test_states_and_health_codes(server):
    """Not initialised, sealed, open: the codes of health, each with its override, and hvac's."""
    client = server.hvac("nothing")

    def code(query=""):
        return server.raw("GET", f"/v1/sys/health{query}")[0]

    everything = "?uninitcode=299&sealedcode=298&activecode=297&haunhealthycode=1&x=y"
    assert code() == 501
    assert code(everything) == 299
    assert client.sys.read_health_status(method="GET").status_code == 501
    assert not client.sys.is_initialized()
    assert status(server) | {"version": ""} == {
        "type": "shamir", "initialized": False, "sealed": True, "t": 0, "n": 0, "progress": 0,
        "nonce": "", "version": "", "build_date": "", "commit_date": "", "migration": False,
        "recovery_seal": False, "storage_type": "sqlite",
    }  # fmt: skip
    made = init(server)
    assert code() == 503
    assert code(everything) == 298
    assert client.sys.read_health_status(method="HEAD").status_code == 503
    assert client.sys.is_initialized()
    assert client.sys.is_sealed()
    assert (status(server)["t"], status(server)["n"]) == (2, 3)
    unseal(server, made.enough())
    assert code() == 200
    assert code(everything) == 297
    assert client.sys.read_health_status(method="GET")["initialized"]
    assert not client.sys.is_sealed()
    assert status(server)["cluster_id"]


def test_a_sealed_server_answers_its_state_and_nothing_else(server):
    """Any other path, method or token: 503 with one text, before and after a store was made."""
    for round_ in range(2):
        for method in ("GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "LIST", "OPTIONS"):
            for path in (
                "/v1/sys/health", "/v1/sys/seal-status", "/v1/sys/init", "/v1/sys/seal",
                "/v1/sys/leader", "/v1/secret/data/a", "/v1/sys/internal/ui/mounts", "/v1/",
                "/", "/v2/x", "/v1/sys/health/", "/v1/sys/health/x", "/v1/auth/token/lookup-self",
                "/v1/auth/userpass/login/a", "/v1/sys/rekey/init", "/v1/sys/metrics",
                "/v1/sys/key-status", "/v1/sys/generate-root/attempt", "/v1/sys/unsealx",
                "/v1/sys/wrapping/lookup", "/v1/sys/Unseal",
            ):  # fmt: skip
                if method in SERVED.get(path, "").split():
                    continue
                for token in ("", "adt_whatever"):
                    got, headers, body = server.raw(method, path, token=token)
                    assert got == 503, (method, path)
                    assert body == (None if method == "HEAD" else SEALED)
                    if method != "HEAD":
                        assert headers["content-type"] == "application/json"
        for path in ("/v1/adyton/health", "/v1/adyton/users/me/secrets/a"):
            got, headers, body = server.raw("GET", path)
            assert got == body["status"] == 503
            assert headers["content-type"] == "application/problem+json"
        if not round_:
            init(server)


def test_init_says_what_is_wrong_and_comes_once(server):
    """The texts of Vault; PGP keys are refused; the second time is 400, sealed and open."""

    def put(**body):
        got, _, answer = server.raw("PUT", "/v1/sys/init", body)
        assert got == 400
        return answer["errors"][0]

    assert put() == "shares must be at least one"
    assert put(secret_shares=1000, secret_threshold=3) == "shares must be less than 256"
    assert put(secret_shares=1, secret_threshold=3) == "threshold cannot be larger than shares"
    assert "threshold must be greater than one" in put(secret_shares=5, secret_threshold=1)
    assert "pgp_keys is not supported" in put(secret_shares=1, secret_threshold=1, pgp_keys=["a"])
    assert "root_token_pgp_key is not" in put(
        secret_shares=1, secret_threshold=1, root_token_pgp_key="a"
    )
    assert "not applicable to seal type shamir" in put(
        secret_shares=1, secret_threshold=1, recovery_shares=1, recovery_threshold=1
    )
    assert "not a JSON object" in server.raw("PUT", "/v1/sys/init", data=b"[]")[2]["errors"][0]
    assert "not valid JSON" in server.raw("PUT", "/v1/sys/init", data=b"{")[2]["errors"][0]
    assert server.raw("PUT", "/v1/sys/unseal", {"key": "00"})[2] == {
        "errors": ["Vault is not initialized"]
    }
    made = init(server, 3, 2)
    assert len(set(made.hex)) == 3
    again = {"secret_shares": 3, "secret_threshold": 2}
    assert put(**again) == "Vault is already initialized"
    unseal(server, made.enough())
    assert put(**again) == "Vault is already initialized"


def test_shares_are_entered_one_at_a_time_in_any_form(server):
    """Progress and one nonce for all; hexadecimal, base64, escaped base64, several at once."""
    made = init(server, 5, 4)
    first = server.raw("PUT", "/v1/sys/unseal", {"key": made.hex[4]})[2]
    assert (first["progress"], first["t"], first["n"]) == (1, 4, 5)
    assert first["nonce"]
    second = server.raw("POST", "/v1/sys/unseal", {"key": made.base64[0], "migrate": False})[2]
    assert (second["progress"], second["nonce"]) == (2, first["nonce"])
    with_slashes = made.base64[1].replace("/", "\\/")
    third = server.raw("PUT", "/v1/sys/unseal", data=b'{"key":"%s"}' % with_slashes.encode())[2]
    assert third["progress"] == 3
    text = parse(made.hex[2].encode()).text()
    last = server.raw("PUT", "/v1/sys/unseal", {"keys": [text]})[2]
    assert (last["sealed"], last["progress"], last["nonce"]) == (False, 0, "")
    assert server.raw("PUT", "/v1/sys/unseal", {"key": "whatever"})[0] == 200  # as Vault does
    assert server.root("PUT", "/v1/sys/seal")[0] == 204
    assert not server.raw("PUT", "/v1/sys/unseal", {"keys": made.base64[:4]})[2]["sealed"]


def test_wrong_shares_are_named_and_change_nothing(server, tmp_path):
    """Another store's, made up, mistyped, repeated, no text: 400 with the cause, progress kept."""
    made = init(server, 3, 2)
    other = serve(tmp_path / "other.db")
    try:
        foreign = init(other, 3, 2).hex[0]
    finally:
        other.stop()
    assert unseal(server, made.hex[:1])["progress"] == 1
    right = parse(made.hex[1].encode())
    forged = Share(right.set_id, 2, right.point, SecretBytes(bytes(32))).hex()
    typo = made.hex[1][:20] + ("0" if made.hex[1][20] != "0" else "1") + made.hex[1][21:]
    for body, text in (
        ({"key": foreign}, "of another set"),
        ({"key": forged}, "share 2 is wrong"),
        ({"key": typo}, "checksum is wrong"),
        ({"key": made.hex[0]}, "share 1 has been entered already"),
        ({"key": "zz"}, "not a share"),
        ({"key": 7}, "a share is a text"),
        ({"key": ""}, "'key' must be specified"),
        ({}, "'key' must be specified"),
        ({"key": made.hex[1], "migrate": True}, "no migration seal found"),
    ):
        got, _, answer = server.raw("PUT", "/v1/sys/unseal", body)
        assert got in {400, 429}
        if got == 400:
            assert text in answer["errors"][0]
        assert made.hex[1][30:50] not in json.dumps(answer)
        assert status(server)["progress"] == 1
    assert not unseal(server, made.hex[1:2])["sealed"]  # a right one gets in all the same


def test_strangers_neither_stop_nor_reset_an_unseal(server):
    """A flood of wrong shares and of resets from elsewhere, while two people enter theirs."""
    made = init(server, 5, 3)
    stop = threading.Event()
    seen = []

    def flood(number):
        while not stop.is_set():
            body = {"reset": True} if number % 2 else {"key": random_share_like(made.hex[0])}
            source = f"127.0.0.{9 + number}"
            seen.append(server.raw("PUT", "/v1/sys/unseal", body, source=source)[0])

    threads = [threading.Thread(target=flood, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    try:
        for at, key in enumerate(made.hex[1:4], 1):
            while len(seen) < at * 60:
                assert any(thread.is_alive() for thread in threads)
            assert unseal(server, [key])["progress"] in {at, 0}
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not status(server)["sealed"]
    assert {200, 400} <= set(seen) <= {200, 400, 429}
    assert 429 in seen


def test_a_reset_takes_back_what_came_from_the_same_address(server):
    """As hvac and bao send it; what others have entered stays."""
    made = init(server, 5, 3)
    server.raw("PUT", "/v1/sys/unseal", {"key": made.hex[0]}, source="127.0.0.7")
    server.raw("PUT", "/v1/sys/unseal", {"key": made.hex[1]})
    assert status(server)["progress"] == 2
    assert server.hvac("x").sys.submit_unseal_key(reset=True)["progress"] == 1
    again = server.raw("PUT", "/v1/sys/unseal", {"reset": True}, source="127.0.0.7")[2]
    assert (again["progress"], again["nonce"]) == (0, "")
    assert not unseal(server, made.hex[:3])["sealed"]


def test_seal_needs_a_right_over_the_whole_store(server):
    """No token, a narrow one, sudo in another namespace: refused; root's seals at once."""
    opened(server)
    assert server.raw("PUT", "/v1/sys/seal")[0] == 403
    narrow = server.token_with('path "sys/seal" { capabilities = ["update"] }')
    assert server.raw("PUT", "/v1/sys/seal", token=narrow)[0] == 403
    headers = {"X-Vault-Namespace": "alice"}
    assert server.root("PUT", "/v1/sys/seal", headers=headers)[0] == 403
    assert status(server)["sealed"] is False
    able = server.token_with('path "sys/seal" { capabilities = ["update", "sudo"] }')
    assert server.raw("PUT", "/v1/sys/seal", token=able)[0] == 204
    assert status(server)["sealed"] is True
    assert server.root("PUT", "/v1/sys/seal")[0] == 204  # once more does nothing
    assert read(server, "a")[0] == 503


def test_what_was_written_is_there_after_sealing_and_the_log_tells_of_it(server, tmp_path):
    """Secrets, tokens and policies; the records name who sealed, and whose shares opened."""
    made = opened(server)
    assert write(server, "a", 1)[0] == 200
    token = server.token_with('path "secret/*" { capabilities = ["read"] }')
    for _ in range(2):
        assert server.root("PUT", "/v1/sys/seal")[0] == 204
        server.raw("PUT", "/v1/sys/unseal", {"key": random_share_like(made.hex[0])})
        unseal(server, made.hex[1:])
        assert read(server, "a", token)[2]["data"]["data"] == {"v": 1}
    assert server.root("PUT", "/v1/sys/seal")[0] == 204
    key = tmp_path / "shares"
    key.write_text("\n".join(made.hex[:2]) + "\n")
    key.chmod(0o600)
    assert server.stop()[0] == 0
    done = subprocess.run(
        [BIN / "adyton", "audit", "log", "-o", "json", "--store", tmp_path / "store.db",
         "--root", "shamir:", "--share-file", key],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    log = json.loads(done.stdout)
    seals = [entry for entry in log if entry["action"] == "store.seal"]
    opens = [entry for entry in log if entry["action"] == "store.unseal"]
    assert len(seals) == 3
    assert all("#" in entry["actor"] for entry in seals)
    assert [("share 2 from 127.0.0.1, share 3" in entry["reason"]) for entry in opens].count(
        True
    ) == 2
    assert sum("1 were wrong" in entry["reason"] for entry in opens) == 2


def test_hvac_and_bao_from_init_to_seal(tmp_path):
    """initialize, submit_unseal_keys, seal by hvac; init, unseal, seal, status by bao."""
    server = serve(tmp_path / "one.db")
    client = hvac.Client(url=server.addr)
    made = client.sys.initialize(secret_shares=5, secret_threshold=3)
    assert len(made["keys"]) == len(made["keys_base64"]) == 5
    assert client.sys.submit_unseal_keys(made["keys"][1:4])["sealed"] is False
    client.token = made["root_token"]
    client.secrets.kv.v2.create_or_update_secret("x", {"a": "b"})
    client.sys.seal()
    assert client.sys.is_sealed()
    with pytest.raises(hvac.exceptions.VaultDown):
        client.secrets.kv.v2.read_secret_version("x", raise_on_deleted_version=True)
    client.sys.submit_unseal_keys(made["keys_base64"][:3])
    found = client.secrets.kv.v2.read_secret_version("x", raise_on_deleted_version=True)
    assert found["data"]["data"] == {"a": "b"}
    assert server.stop()[0] == 0

    server = serve(tmp_path / "two.db")
    shown = json.loads(
        server.bao("operator", "init", "-key-shares=3", "-key-threshold=2", "-format=json")
    )
    assert "Vault is initialized" in server.bao("operator", "init", "-status")
    server.bao("operator", "unseal", shown["unseal_keys_hex"][0])
    again = json.loads(server.bao("status", "-format=json", fails=True, out=True))
    assert (again["sealed"], again["progress"], again["t"], again["n"]) == (True, 1, 2, 3)
    server.bao("operator", "unseal", "-reset")
    for key in shown["unseal_keys_b64"][1:]:
        server.bao("operator", "unseal", key)
    token = shown["root_token"]
    server.bao("kv", "put", "secret/y", "c=d", token=token)
    assert "sealed" in server.bao("operator", "seal", token=token)
    assert "Vault is sealed" in server.bao("kv", "get", "secret/y", token=token, fails=True)
    assert server.stop()[0] == 0


def test_a_root_that_opens_by_itself(tmp_path):
    """sys/init makes the store under a key file, open at once; sealed, only a restart opens it."""
    store, root = tmp_path / "store.db", f"keyfile:{tmp_path / 'key'}"
    server = serve(store, root=root)
    assert status(server)["recovery_seal"] is True
    refused = server.raw("PUT", "/v1/sys/init", {"secret_shares": 5, "secret_threshold": 3})
    assert refused[0] == 400
    assert "not applicable to seal type keyfile" in refused[2]["errors"][0]
    shown = json.loads(server.bao("operator", "init", "-format=json"))
    assert not shown["unseal_keys_b64"]
    assert not shown["recovery_keys_b64"]
    server.token = shown["root_token"]
    assert write(server, "a", 1)[0] == 200
    assert server.root("PUT", "/v1/sys/rekey/init", {"secret_shares": 1})[0] == 400
    assert server.root("PUT", "/v1/sys/seal")[0] == 204
    got, _, answer = server.raw("PUT", "/v1/sys/unseal", {"key": "00"})
    assert got == 400
    assert "restart the server" in answer["errors"][0]
    assert server.stop()[0] == 0
    server = serve(store, root=root)
    server.token = shown["root_token"]
    assert read(server, "a")[2]["data"]["data"] == {"v": 1}
    assert server.stop()[0] == 0


def test_a_store_whose_root_is_another_is_refused_at_the_start(tmp_path):
    """Shares are named for a store of a key file, and a passphrase for one that is not there."""
    store = tmp_path / "store.db"
    env = {"ADYTON_ROOT": f"keyfile:{tmp_path / 'key'}", "PATH": "/usr/bin:/bin"}
    subprocess.run([BIN / "adyton", "init", "--store", store], env=env, check=True,
                   capture_output=True)  # fmt: skip
    for path, root, text in (
        (store, "shamir:3/5", "no shares open this store"),
        (tmp_path / "none.db", "passphrase:", "there is no store"),
    ):
        done = subprocess.run(
            [BIN / "adyton", "serve", "--store", path, "--root", root, "--listen", "127.0.0.1:0"],
            capture_output=True, text=True, check=False, timeout=30,
        )  # fmt: skip
        assert done.returncode in {2, 6}
        assert text in done.stderr


@pytest.mark.parametrize("path", ["/v1/sys/unseal", "/v1/sys/init"])
def test_malformed_bodies_are_refused_and_change_nothing(server, path):
    """Whatever is sent is 400; the server goes on, and the share that was entered stays."""
    made = init(server, 3, 2)
    unseal(server, made.hex[:1])
    for body in (
        b"{", b"[]", b"null", b"1", b'"a"', b"{}", b'{"key":null}', b'{"key":{}}', b'{"key":["a"]}',
        b'{"key":1e999}', b'{"keys":"a"}', b'{"keys":[1]}', b'{"keys":[null]}', b'{"reset":"x"}',
        b'{"key":"\\u0000\\ud800"}', b'{"key":"\xff\xfe"}', b"\xff", b"\x00" * 100,
        b'{"key":"' + b"a" * 70_000 + b'"}',
        b'{"x":' + b"[" * 5_000 + b"]" * 5_000 + b"}", b'{"key":"' + b"-" * 200 + b'"}',
        b'{"key":"a","key":"b"}', b'{"migrate":1}', b'{"key":"\\"}',
    ):  # fmt: skip
        code, _, answer = server.raw("PUT", path, data=body)
        assert code in {400, 429}, (body[:40], code)
        assert answer["errors"]
        assert status(server)["progress"] == 1
    assert not unseal(server, made.hex[1:2])["sealed"]


def test_a_store_counts_once_its_shares_have_opened_it(tmp_path):
    """Killed behind sys/init: it can be initialised again, and shares that were told still open."""
    store = tmp_path / "store.db"
    server = serve(store)
    first = init(server, 3, 2)
    server.process.kill()
    server.process.communicate()
    server = serve(store)
    assert server.raw("GET", "/v1/sys/health")[0] == 501
    assert server.raw("GET", "/v1/sys/init")[2] == {"initialized": False}
    second = init(server, 3, 2)
    got, _, answer = server.raw("PUT", "/v1/sys/unseal", {"key": first.hex[0]})
    assert got == 400
    assert "another set" in answer["errors"][0]
    server.process.kill()
    server.process.communicate()
    server = serve(store)
    assert not unseal(server, second.enough())["sealed"]
    server.token = second.root_token
    assert write(server, "a", 1)[0] == 200
    server.process.kill()
    server.process.communicate()
    server = serve(store)
    assert server.raw("GET", "/v1/sys/health")[0] == 503
    assert server.raw("PUT", "/v1/sys/init", {"secret_shares": 1, "secret_threshold": 1})[0] == 400
    unseal(server, second.enough())
    assert read(server, "a", second.root_token)[2]["data"]["data"] == {"v": 1}
    assert server.stop()[0] == 0


def test_a_store_that_another_process_has_is_told_and_can_be_opened_later(tmp_path):
    """While sealed the lock is free for others; an unseal then fails cleanly, and works again."""
    store = tmp_path / "store.db"
    server = serve(store, env={"ADYTON_STORE_LOCK_TIMEOUT": "100ms"})
    made = init(server, 3, 2)
    with open(f"{store}.lock", "r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        unseal(server, made.hex[:1])
        got, _, answer = server.raw("PUT", "/v1/sys/unseal", {"key": made.hex[1]})
        assert got == 503
        assert "open in another process" in answer["errors"][0]
        assert status(server)["progress"] == 0
        assert status(server)["sealed"]
    assert not unseal(server, made.enough())["sealed"]
    assert server.stop()[0] == 0
