"""Roots of a running server: through its API, its client and its command line."""

import pytest

from adyton import Client
from adyton.crypto.secretbytes import SecretBytes
from adyton.errors import AccessDenied, InvalidInput, RootLocked, RootUnavailable
from natives import call, put, user_with
from servers import Server
from shell import Shell


@pytest.fixture
def served(tmp_path):
    """A server over a store of a key file, and the shell that can open it without one."""
    shell = Shell(tmp_path)
    shell("init")
    token = shell("token", "root").decode().strip()
    env = {key: value for key, value in shell.env.items() if key.startswith("ADYTON_")}
    server = Server("serve", env=env)
    server.token = token
    shell.remote = {"ADYTON_ADDR": server.addr, "ADYTON_TOKEN": token, "ADYTON_STORE": "",
                    "ADYTON_ROOT": ""}  # fmt: skip
    yield server, shell, tmp_path
    if server.process.poll() is None:
        server.stop()


def test_a_migration_while_the_server_serves(served):
    """Reads and writes go on; the old key file opens nothing afterwards, the new one does."""
    server, shell, folder = served
    with Client(server.addr, server.token) as client:
        client.set_secret("u", "a", "value")
        made = client.roots.migrate(f"keyfile:{folder}/new")
        assert (made.slot, made.removed) == (1, 0)
        assert client.get_secret("u", "a").text() == "value"
        client.set_secret("u", "b", "more")
        [only] = client.roots.list()
        assert (only.slot, only.kind, only.opened, only.at_hand) == (1, "keyfile", True, True)
        assert client.roots.test()[0].slot == 1
        assert client.keys.rotate(master=True) == 2
    assert server.stop()[0] == 0
    shell("list", "--user", "u", code=8)
    assert shell("get", "b", "--user", "u", ADYTON_ROOT=f"keyfile:{folder}/new") == b"more"


def test_a_passphrase_comes_with_the_request(served):
    """It is neither in the answer nor in the log; wrong ones are refused, and told apart."""
    server, _, folder = served
    word = "correct horse battery staple"
    with Client(server.addr, server.token) as client:
        with pytest.raises(InvalidInput, match="passphrase"):
            client.roots.add("passphrase:")
        with pytest.raises(InvalidInput, match="known scheme"):
            client.roots.add("nonsense")
        assert client.roots.add("passphrase:", secret=SecretBytes(word.encode())).slot == 1
        assert client.roots.test("passphrase:", secret=SecretBytes(word.encode()))[0].slot == 1
        with pytest.raises(RootLocked):
            client.roots.test("passphrase:", secret=SecretBytes(word[:-1].encode()))
        with pytest.raises(RootUnavailable):
            client.roots.test(f"keyfile:{folder}/missing")
        made = client.roots.add("shamir:2/3")
        assert len(made.shares) == 3
        client.roots.remove(made.slot)
        told = str(client.get_audit_log(limit=50))
        assert "root.add" in told
        assert word not in told
    _, out, err = server.stop()
    assert word not in out + err


def test_only_an_operator_with_sudo(served):
    """A token without sudo, and one of a user's namespace, are denied each route."""
    server, _, folder = served
    _, of_user = user_with(server, 'path "*" { capabilities = ["read", "update", "delete"] }')
    narrow = server.token_with('path "adyton/*" { capabilities = ["read", "update", "delete"] }')
    right = server.token_with(
        'path "adyton/roots*" { capabilities = ["read", "update", "delete", "sudo"] }'
    )
    uri = {"uri": f"keyfile:{folder}/another"}
    for method, path, body in (
        ("GET", "roots", None), ("POST", "roots", uri), ("POST", "roots/migrate", uri),
        ("POST", "roots/test", {}), ("DELETE", "roots/0", None),
    ):  # fmt: skip
        for token in (narrow, of_user):
            assert call(server, method, path, body, token=token)[0] == 403
    assert not (folder / "another").exists()
    assert call(server, "GET", "roots", token=right)[0] == 200
    with Client(server.addr, narrow) as client, pytest.raises(AccessDenied):
        client.roots.list()
    assert call(server, "DELETE", "roots/x")[0] == 400
    assert call(server, "DELETE", "roots/0")[0] == 400  # the only one
    assert put(server, "a", "v")[0] == 200


def test_the_command_line_on_a_store_and_on_a_server(served):
    """The same commands; a passphrase never in the arguments."""
    server, shell, folder = served
    there = shell.remote
    assert shell.json("root", "add", f"keyfile:{folder}/two", **there)["slot"] == 1
    shown = shell.json("root", "show", **there)
    assert [each["slot"] for each in shown] == [0, 1]
    assert b"opened the store" in shell("root", "show", **there)
    assert shell.json("root", "test", f"keyfile:{folder}/two", **there)[0]["slot"] == 1
    shell("root", "add", "passphrase:geheim-geheim", code=2, **there)
    assert "geheim-geheim" not in shell.error
    shell("root", "remove", "0", code=2, **there)  # wants a yes
    shell("root", "remove", "0", "--yes", **there)
    assert server.stop()[0] == 0

    shell("root", "show", code=0)  # the old root is configured: only kinds
    assert "only kinds" in shell.error
    here = {"ADYTON_ROOT": f"keyfile:{folder}/two"}
    (folder / "word").write_text("correct horse battery staple\n")
    (folder / "word").chmod(0o600)
    passphrase = f"passphrase:file={folder}/word"
    assert shell.json("root", "add", passphrase, **here)["slot"] == 2
    shell("keys", "rotate", "--master", code=8, **here)
    assert "slots 2 (passphrase)" in shell.error
    shell("keys", "rotate", "--master", "--also", passphrase, **here)
    shell("keys", "rotate", "--also", passphrase, code=2, **here)
    moved = shell.json("root", "migrate", f"keyfile:{folder}/three", **here)
    assert moved == {"slot": 3, "removed": 1}
    shell("list", code=8, **here)
    here = {"ADYTON_ROOT": f"keyfile:{folder}/three"}
    shell("keys", "rotate", "--master", "--drop-absent", **here)
    assert [each["slot"] for each in shell.json("root", "show", **here)] == [3]


def test_a_passphrase_is_asked_for_at_the_terminal_only(served):
    """Without a terminal there is a clear refusal, and nothing is sent."""
    _, shell, _ = served
    shell("root", "add", "passphrase:", code=2, **shell.remote)
    assert "terminal" in shell.error
