"""What a person gets wrong on the first day: each error says what, where, and how to mend it."""

import json
import re
import shlex

import pytest
import typer

from adyton.cli.main import app
from adyton.cli.usage import built
from servers import TOKEN, free_port
from shell import Remote, Shell


@pytest.fixture
def sh(tmp_path):
    shell = Shell(tmp_path)
    shell("init")
    return shell


@pytest.fixture(scope="module")
def remote(tmp_path_factory):
    shell = Remote(tmp_path_factory.mktemp("mistakes"))
    yield shell
    code, _, err = shell.server.stop()
    assert code == 0, err


def test_no_command_shows_the_help(sh):
    """The help itself, not an error about it; the exit code still says that nothing was done."""
    shown = sh(code=2).decode()
    assert shown.startswith("Usage: adyton ")
    assert "error" not in sh.error
    assert sh("audit", code=2).decode().startswith("Usage: adyton audit ")


def test_help_speaks_of_values_and_not_of_types():
    """Placeholders are for people: TEXT, PATH, URI, not list[str]."""
    pages = [built(app)]
    while pages:
        command = pages.pop()
        shown = command.get_help(typer.Context(command, info_name="x"))
        options = shown.partition("Options:")[2]
        assert not re.search(r"<(str|int|path|list)", options), shown
        pages += getattr(command, "commands", {}).values()
    assert "--listen HOST:PORT" in built(app).commands["serve"].get_help(
        typer.Context(built(app).commands["serve"], info_name="serve")
    )


def test_what_is_told_is_json_where_that_is_asked_for(sh):
    """Of every command of a store that tells something."""
    sh.json("set", "a", stdin="x")
    for command in (
        "get a", "list", "versions a", "metadata a", "tag a --add x", "rollback a 1",
        "export --plaintext --format json", "audit log", "audit verify", "audit vkey",
        "audit checkpoint", "keys list", "keys rotate", "keys rotate --master", "keys rewrap",
        "root show", "token root", "config check", "config show", "tls self-signed --out tls",
        "doctor", "user list", "user purge --yes",
    ):  # fmt: skip
        assert sh.json(*command.split()) is not None, command


def test_a_command_that_tells_nothing_tells_an_empty_document(sh, remote, tmp_path):
    """On a store and on a server; not one that fails, or shows its help."""
    for shell in (sh, remote):
        for name in ("a", "b", "c/d"):
            shell("set", name, stdin="x")
        for command in (
            "delete a", "undelete a", "destroy b --yes", "reminders clear", "retention set 30d",
            "quota clear", "export --plaintext --format json --out e.json",
        ):  # fmt: skip
            assert shell.json(*command.split()) == {}, command
        assert shell("delete", "nothing", "-o", "json", code=3) == b""
        assert json.loads(shell.error)["exit_code"] == 3
        assert shell("delete", "--help", "-o", "json").startswith(b"Usage: ")
    assert sh.json("token", "root", "--out", "t") == {}
    assert remote.json("policy", "write", "p", stdin='path "x" { policy = "read" }') == {}
    assert remote.json("policy", "delete", "p") == {}
    (tmp_path / "t").write_text("{{ adyton:c/d }}")
    assert sh("render", str(tmp_path / "t"), "-o", "json") == b"x"
    assert sh("run", "-o", "json", "--", "true") == b""


def test_a_value_given_as_an_argument_is_not_repeated(sh):
    """Standard error ends up in logs; the hint says where a value comes from."""
    sh("set", "db/password", "hunter2hunter2", stdin="x", code=2)
    assert "hunter2" not in sh.error
    assert "standard input" in sh.error
    sh("set", "db/password", "hunter2hunter2", "-o", "json", stdin="x", code=2)
    assert "hunter2" not in sh.error
    assert json.loads(sh.error)["exit_code"] == 2


def test_wrong_usage_names_the_help_to_read(sh):
    """That of the command, not of the whole."""
    sh("get", "--nonsense", code=2)
    assert "adyton get --help" in sh.error
    sh("audit", "verfy", code=2)
    assert "verify" in sh.error
    assert "adyton audit --help" in sh.error


def test_a_file_that_cannot_be_used_is_named(sh):
    """With the system's reason; whether it is read or written."""
    sh("set", "there", stdin="x")
    (sh.folder / "template").write_text("{{ adyton:there }}")
    for command in (
        ("set", "a", "--file", "no/such"),
        ("import", "no/such"),
        ("render", "no/such"),
        ("audit", "verify", "--checkpoint", "no/such"),
        ("audit", "check-proof", "no/such", "--vkey", "x"),
        ("get", "there", "--out", "no/such"),
        ("export", "--format", "json", "--plaintext", "--out", "no/such"),
        ("audit", "checkpoint", "--out", "no/such"),
        ("render", "template", "--out", "no/such"),
    ):
        sh(*command, code=2)
        assert "no/such" in sh.error
        assert "No such file or directory" in sh.error


def test_a_field_of_what_is_no_object(sh):
    """Is the caller's mistake and not ours."""
    sh("set", "text", stdin="not json")
    sh("get", "text", "--field", "x", code=2)
    sh("set", "object", "--json", stdin='{"a": 1}')
    sh("get", "object", "--field", "b", code=2)
    assert "field" in sh.error


def test_a_store_is_looked_for_before_its_root_is_asked(sh):
    """Nobody types a passphrase for a store that is not there; its path is told."""
    nowhere = {"ADYTON_STORE": "", "ADYTON_ROOT": ""}
    sh("list", code=6, **nowhere)
    assert "adyton.db" in sh.error
    sh("init", "--root", "keyfile:no/such/key", code=8, **nowhere)
    sh("list", code=6, **nowhere)
    assert "adyton init" in sh.error
    sh("init", code=6)
    assert sh.env["ADYTON_STORE"] in sh.error


def test_a_key_file_that_is_elsewhere(sh):
    """Without a terminal: which root was assumed, and how to name the right one."""
    (sh.folder / "elsewhere").mkdir()
    sh("list", code=2, ADYTON_ROOT="")
    assert "--root" in sh.error
    assert "keyfile:" in sh.error


def test_shares_in_files_say_what_the_root_is(sh):
    """--share-file without --root means shares."""
    made = {"ADYTON_STORE": "shares.db", "ADYTON_ROOT": ""}
    (sh.folder / "out").mkdir(mode=0o700)
    sh("init", "--root", "shamir:2/3", "--shares-dir", "out", **made)
    files = [option for number in (1, 2) for option in ("--share-file", f"out/share-{number}")]
    sh("list", *files, **made)
    sh("list", *files[:2], code=2, **made)
    assert "--share-file" in sh.error
    sh("list", *files[:2], "--share-file", "no/such", code=2, **made)
    assert "no/such" in sh.error


def test_what_init_says_is_next_works_as_it_stands(sh):
    """Also where store and root were named by options."""
    bare = {"ADYTON_STORE": "", "ADYTON_ROOT": ""}
    sh("init", "--store", "an other.db", "--root", "keyfile:its key", **bare)
    steps = [line for line in sh.error.splitlines() if line.startswith("  adyton ")]
    assert len(steps) == 3
    for step in steps:
        sh(*shlex.split(step)[1:], stdin="x", **bare)


def test_counts_are_told_in_good_english(sh):
    """One of them is not "1 users"."""
    sh("set", "a", stdin="x")
    sh("audit", "verify")
    assert re.search(r"1 secret of 1 user\b", sh.error)
    sh("keys", "rotate")
    assert "1 user key is new" in sh.error
    sh("keys", "rewrap")
    assert "of 1 user" in sh.error


def test_a_server_that_is_not_reached_is_named(tmp_path):
    """And why: it refuses, or its name is unknown, or does not speak TLS."""
    shell = Shell(tmp_path)
    port = free_port()
    shell("status", code=9, ADYTON_ADDR=f"http://127.0.0.1:{port}")
    assert f"127.0.0.1:{port}" in shell.error
    assert "refused" in shell.error


def test_tls_to_a_server_without_it(remote):
    """Says that the server may speak plain HTTP."""
    addr = remote.server.addr.replace("http:", "https:")
    remote("status", code=9, ADYTON_ADDR=addr)
    assert "plain HTTP" in remote.error


def test_a_file_of_authorities_is_named(remote):
    """With the variable that named it left for the hint."""
    addr = remote.server.addr.replace("http:", "https:")
    remote("status", code=2, ADYTON_ADDR=addr, ADYTON_CACERT="no/such.pem")
    assert "no/such.pem" in remote.error


def test_denied_without_a_token_says_how_to_log_in(remote):
    """With one, how to see what it may do."""
    remote("list", code=5, ADYTON_TOKEN="")
    assert "adyton login" in remote.error
    remote("list", code=5, ADYTON_TOKEN="adt_nonsense")
    assert "adyton token lookup" in remote.error


def test_logout_ends_a_token_of_another_namespace(remote, tmp_path):
    """The token file keeps the namespace: what follows a login needs no --namespace."""
    server = remote.server
    alice = {"X-Vault-Namespace": "alice"}
    server.raw("POST", "/v1/sys/auth/userpass", {"type": "userpass"}, token=TOKEN, headers=alice)
    user = {"password": "pw-of-ann"}
    server.raw("POST", "/v1/auth/userpass/users/ann", user, token=TOKEN, headers=alice)
    bare = {"ADYTON_TOKEN": "", "ADYTON_USER": "", "HOME": str(tmp_path)}
    by = ("--method", "userpass", "--name", "ann", "--namespace", "alice")
    remote("login", *by, stdin="pw-of-ann", **bare)
    token = (tmp_path / ".adyton-token").read_text().splitlines()[0]
    assert remote.json("token", "lookup", **bare)["display_name"] == "userpass-ann"
    remote("logout", **bare)
    assert "does not" not in remote.error
    status = server.raw("GET", "/v1/auth/token/lookup-self", token=token, headers=alice)[0]
    assert status == 403
    # An operator's token file has two lines, as before; an older one is read.
    remote("login", stdin=TOKEN, **bare)
    assert len((tmp_path / ".adyton-token").read_text().splitlines()) == 2
    assert remote.json("token", "lookup", **bare)["policies"] == ["root"]
    assert server.raw("GET", "/v1/auth/token/lookup-self", token=TOKEN)[0] == 200


@pytest.mark.parametrize(
    ("command", "what", "hint"),
    [
        ("member show nobody", "member", "adyton member list"),
        ("role remove nothing", "role", "adyton role list"),
        ("grant add nobody app/ --role viewer", "member or grant", "adyton grant list"),
        ("grant revoke nothing", "member or grant", "adyton grant list"),
        ("access explain nobody read app/x", "member, secret or request", "adyton member list"),
        ("access approve nothing", "member, secret or request", "adyton access requests"),
        ("share accept nothing", "share", "adyton share list"),
        ("dynamic issue nothing", "role", "adyton dynamic roles"),
        ("lease renew nothing/x", "lease", "adyton lease list"),
    ],
)
def test_what_is_not_there_is_called_by_its_name(sh, command, what, hint):
    sh("set", "app/x", "--user", "alice", stdin="v")
    sh(*command.split(), "--user", "alice", code=3)
    assert f"there is no such {what}" in sh.error
    assert hint in sh.error


def test_why_a_grant_holds_names_the_time_zone_of_its_hours(sh):
    sh("set", "app/x", "--user", "alice", stdin="v")
    sh("member", "add", "ci", "--machine", "--user", "alice")
    hours = ["--window", "mon-sun 00:00-23:59", "--timezone", "Europe/Berlin"]
    sh("grant", "add", "ci", "app/", "--role", "viewer", *hours, "--user", "alice")
    shown = sh("access", "explain", "ci", "read", "app/x", "--user", "alice").decode()
    assert "Europe/Berlin" in shown


def test_who_asks_for_approval_is_a_member(sh):
    """At a store itself it is the owner, always: the hint leads to a server and to a token."""
    sh("set", "app/x", "--user", "alice", stdin="v")
    sh("access", "request", "read", "app/x", "--user", "alice", code=2)
    assert "no member asks" in sh.error
    assert "a member's token" in sh.error
    assert "--addr https://" in sh.error
    assert "ADYTON_TOKEN" in sh.error


def test_what_only_a_server_does_names_the_way_to_one(sh):
    """On a store itself: the option that names a server, and what is to be done there first."""
    sh("set", "a", "--user", "u", stdin="x")
    for command in ("policy list", "token lookup", "member token ann --user u"):
        sh(*command.split(), code=2)
        assert "--addr https://" in sh.error
        assert "adyton serve --dev" in sh.error
    sh("member", "add", "ann", "--user", "u", "--login", "userpass:ann", code=2)
    assert "bao auth enable -namespace=USER userpass" in sh.error
    assert "--addr" in sh.error
