"""Changing shares and the master key without stopping, with raw requests, hvac and bao."""

import json
import subprocess

import pytest

from server.sealing import (
    Shares,
    init,
    opened,
    read,
    serve,
    status,
    unseal,
    write,
)
from servers import BIN


@pytest.fixture
def server(tmp_path):
    made = serve(tmp_path / "store.db")
    yield made
    if made.process.poll() is None:
        code, out, err = made.stop()
        assert code == 0, (out, err)


def begin(server, total, threshold, *, verify=False):
    body = {"secret_shares": total, "secret_threshold": threshold, "require_verification": verify}
    code, _, answer = server.root("PUT", "/v1/sys/rekey/init", body)
    assert code == 200, answer
    return answer["nonce"]


def enter(server, nonce, keys, path="update"):
    answer = None
    for key in keys:
        body = {"key": key, "nonce": nonce}
        code, _, answer = server.root("PUT", f"/v1/sys/rekey/{path}", body)
        assert code == 200, answer
    return answer


def seal(server):
    assert server.root("PUT", "/v1/sys/seal")[0] == 204


def refused(server, keys):
    """Whether all shares are refused as of another set."""
    answers = [server.raw("PUT", "/v1/sys/unseal", {"key": key}) for key in keys]
    return all(code in {400, 429} for code, _, _ in answers) and any(
        "another set" in body["errors"][0] for _, _, body in answers
    )


def test_new_shares_open_and_the_old_ones_until_the_new_ones_have(server):
    """Both sets open until the new one has done so; then the old one is refused."""
    old = opened(server, 3, 2)
    write(server, "a", 1)
    nonce = begin(server, 5, 3)
    shown = server.root("GET", "/v1/sys/rekey/init")[2]
    assert shown == {
        "nonce": nonce, "started": True, "t": 3, "n": 5, "progress": 0, "required": 2,
        "pgp_fingerprints": None, "backup": False, "verification_required": False,
    }  # fmt: skip
    assert enter(server, nonce, old.hex[:1])["progress"] == 1
    done = enter(server, nonce, old.base64[2:])
    assert done["complete"]
    new = Shares(done, 3)
    assert len(new.hex) == 5
    assert (status(server)["t"], status(server)["n"]) == (3, 5)
    assert server.root("GET", "/v1/sys/rekey/init")[2]["started"] is False
    seal(server)
    assert not unseal(server, old.enough())["sealed"]  # in case the answer had been lost
    seal(server)
    assert not unseal(server, new.enough())["sealed"]
    assert read(server, "a")[2]["data"]["data"] == {"v": 1}
    seal(server)
    assert refused(server, old.hex)
    assert not unseal(server, new.hex[2:])["sealed"]


def test_with_verification_the_new_shares_count_once_they_were_entered(server):
    """Until then the old ones alone open; afterwards the new ones alone."""
    old = opened(server, 3, 2)
    assert server.root("GET", "/v1/sys/rekey/verify")[2] == {
        "errors": ["no rekey configuration found"]
    }
    nonce = begin(server, 3, 3, verify=True)
    done = enter(server, nonce, old.enough())
    new = Shares(done, 3)
    verify = done["verification_nonce"]
    assert done["verification_required"]
    assert server.root("PUT", "/v1/sys/rekey/update", {"key": old.hex[2], "nonce": nonce})[0] == 400
    seal(server)  # forgets the change
    assert refused(server, new.hex)
    unseal(server, old.enough())
    assert server.root("GET", "/v1/sys/rekey/init")[2]["started"] is False

    done = enter(server, begin(server, 3, 3, verify=True), old.enough())
    new, verify = Shares(done, 3), done["verification_nonce"]
    assert enter(server, verify, new.hex[:2], "verify")["progress"] == 2
    again = server.root("DELETE", "/v1/sys/rekey/verify")[2]
    assert (again["progress"], again["nonce"] == verify) == (0, False)
    assert (
        server.root("PUT", "/v1/sys/rekey/verify", {"key": new.hex[0], "nonce": verify})[0] == 400
    )
    assert enter(server, again["nonce"], new.hex, "verify")["complete"]
    seal(server)
    assert refused(server, old.hex)
    assert not unseal(server, new.hex)["sealed"]


def test_a_rekey_needs_a_right_the_nonce_and_the_shares(server):
    """No token or a narrow one, another nonce, wrong or repeated shares: refused, progress kept."""
    old = opened(server, 3, 2)
    numbers = {"secret_shares": 1, "secret_threshold": 1}
    narrow = server.token_with('path "sys/rekey/*" { capabilities = ["read", "update", "delete"] }')
    for token in ("", narrow):
        for method in ("GET", "PUT", "DELETE"):
            assert server.raw(method, "/v1/sys/rekey/init", numbers, token=token)[0] == 403
        assert server.raw("PUT", "/v1/sys/rekey/update", {"key": "x"}, token=token)[0] == 403
    headers = {"X-Vault-Namespace": "alice"}
    assert server.root("PUT", "/v1/sys/rekey/init", numbers, headers=headers)[0] == 403
    assert (
        "no barrier rekey"
        in server.root("PUT", "/v1/sys/rekey/update", {"key": old.hex[0]})[2]["errors"][0]
    )
    assert server.root("PUT", "/v1/sys/rekey/init", {"secret_shares": 1})[0] == 400
    assert server.root("PUT", "/v1/sys/rekey/init", numbers | {"pgp_keys": ["a"]})[0] == 400
    nonce = begin(server, 1, 1)
    assert (
        "already in progress" in server.root("PUT", "/v1/sys/rekey/init", numbers)[2]["errors"][0]
    )
    assert enter(server, nonce, old.hex[:1])["progress"] == 1
    for body, text in (
        ({"key": old.hex[1], "nonce": "x"}, "incorrect nonce"),
        ({"key": old.hex[0], "nonce": nonce}, "share 1 has been entered already"),
        ({"key": "zz", "nonce": nonce}, "not a share"),
        ({"nonce": nonce}, "'key' must be"),
    ):
        code, _, answer = server.root("PUT", "/v1/sys/rekey/update", body)
        assert code == 400
        assert text in answer["errors"][0]
    assert server.root("GET", "/v1/sys/rekey/init")[2]["progress"] == 1
    assert server.root("DELETE", "/v1/sys/rekey/init")[0] == 204
    assert server.root("PUT", "/v1/sys/rekey/update", {"key": old.hex[1], "nonce": nonce})[0] == 400
    seal(server)
    assert not unseal(server, old.enough())["sealed"]


def test_rekeys_one_after_another_and_rotations_between(server):
    """After each the newest shares open; the master key rotates where all its roots are there."""
    made = opened(server, 1, 1)
    write(server, "a", 1)
    for total, threshold in ((3, 2), (2, 2), (1, 1), (4, 3)):
        term = server.root("GET", "/v1/sys/key-status")[2]["term"]
        assert server.root("PUT", "/v1/sys/rotate")[0] == 204
        assert server.root("GET", "/v1/sys/key-status")[2]["data"]["term"] == term + 1
        made = Shares(enter(server, begin(server, total, threshold), made.enough()), threshold)
    assert server.root("POST", "/v1/sys/rotate/keyring")[0] == 204
    seal(server)
    assert not unseal(server, made.enough())["sealed"]
    assert read(server, "a")[2]["data"]["data"] == {"v": 1}


def test_the_master_key_does_not_rotate_past_shares_that_could_not_open_it(server):
    """Opened by the old shares while new ones wait: refused with the way out."""
    old = opened(server, 3, 2)
    new = Shares(enter(server, begin(server, 3, 2), old.enough()), 2)
    seal(server)
    unseal(server, old.enough())
    code, _, answer = server.root("PUT", "/v1/sys/rotate")
    assert code == 503
    assert "would not open" in answer["errors"][0]
    newer = Shares(enter(server, begin(server, 3, 2), new.enough()), 2)  # by the waiting ones
    assert server.root("PUT", "/v1/sys/rotate")[0] == 204
    seal(server)
    assert refused(server, old.hex)
    assert not unseal(server, newer.enough())["sealed"]


def test_hvac_and_bao_rekey(tmp_path):
    """rekey_multi and rekey_verify_multi; bao operator rekey, rotate-keys, rotate, key-status."""
    server = serve(tmp_path / "store.db")
    made = opened(server, 5, 3)
    client = server.hvac()
    started = client.sys.start_rekey(secret_shares=3, secret_threshold=2, require_verification=True)
    done = client.sys.rekey_multi(made.hex[:3], nonce=started["nonce"])
    assert done["complete"]
    verified = client.sys.rekey_verify_multi(done["keys"], nonce=done["verification_nonce"])
    assert verified["complete"]
    client.sys.start_rekey(secret_shares=1, secret_threshold=1)
    assert client.sys.read_rekey_progress()["started"]
    client.sys.cancel_rekey()
    assert client.sys.rotate_encryption_key().status_code == 204
    assert client.sys.get_encryption_key_status()["data"]["term"] == 2

    keys = done["keys"]
    for command in ("rekey", "rotate-keys"):
        shown = json.loads(
            server.bao(
                "operator", command, "-init", "-key-shares=2", "-key-threshold=2", "-format=json"
            )
        )
        shown = shown.get("data", shown)
        for key in keys[:2]:
            out = server.bao(
                "operator", command, f"-nonce={shown['nonce']}", "-format=json", "-", stdin=key
            )
        found = json.loads(out)
        keys = found.get("data", found)["keys"]
    assert "Success" in server.bao("operator", "rotate")
    server.bao("operator", "key-status")
    server.bao("operator", "seal")
    for key in keys:
        server.bao("operator", "unseal", key)
    assert not status(server)["sealed"]
    assert server.stop()[0] == 0


def test_the_records_tell_of_rekeys_without_shares(server, tmp_path):
    """Begin, each share, the outcome; nothing of a share is in the store or the output."""
    old = opened(server, 3, 2)
    new = Shares(enter(server, begin(server, 2, 2), old.enough()), 2)
    code, out, err = server.stop()
    assert code == 0
    files = [path.read_bytes() for path in tmp_path.iterdir()]
    for share in [*old.hex, *new.hex]:
        for needle in (bytes.fromhex(share)[10:42], share[20:84].encode()):
            assert not any(needle in content for content in files)
            assert needle not in (out + err).encode()
    shares = tmp_path / "shares"
    shares.write_text("\n".join(new.hex))
    shares.chmod(0o600)
    command = [BIN / "adyton", "audit", "log", "-o", "json", "--store", tmp_path / "store.db",
               "--root", "shamir:", "--share-file", shares]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    reasons = [e["reason"] for e in json.loads(done.stdout) if e["action"] == "root.rekey"]
    assert sorted(reasons) == sorted(
        ["begin 2/2", "enter a share", "enter a share", "shares are 2/2", "older shares have ended"]
    )


def test_init_is_not_rekey(server):
    """A store that is there is not made anew by whoever asks."""
    made = init(server)
    for _ in range(2):
        body = {"secret_shares": 1, "secret_threshold": 1}
        assert server.raw("PUT", "/v1/sys/init", body)[0] == 400
    assert not unseal(server, made.enough())["sealed"]
