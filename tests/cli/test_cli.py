"""The command line as a program: results, errors, exit codes, terminals."""

import base64
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest

from shell import ADYTON, ROOT, Remote, Shell


@pytest.fixture
def sh(tmp_path):
    shell = Shell(tmp_path)
    shell("init")
    return shell


@pytest.fixture(params=["store", "server"])
def both(request, tmp_path):
    """The same commands on a store and on a server."""
    if request.param == "store":
        shell = Shell(tmp_path)
        shell("init")
        yield shell
        return
    remote = Remote(tmp_path)
    yield remote
    code, _, err = remote.server.stop()
    assert code == 0, err


def test_what_is_set_is_got_byte_for_byte(both):
    """Standard input and files go in and come out unchanged; one newline of a pipe is dropped."""
    both("set", "a", stdin="correct horse\n")
    assert both("get", "a") == b"correct horse"
    both("set", "a", "--keep-newline", stdin="x\n")
    assert both("get", "a") == b"x\n"
    raw = bytes(range(256))
    (both.folder / "raw").write_bytes(raw)
    both("set", "b", "--file", "raw")
    assert both("get", "b") == raw
    assert base64.b64decode(both.json("get", "b")["value_base64"]) == raw
    both("get", "b", "--out", "copy")
    assert (both.folder / "copy").read_bytes() == raw
    assert (both.folder / "copy").stat().st_mode & 0o777 == 0o600
    both("set", "j", "--json", stdin='{"user": "me", "n": 1}')
    assert both("get", "j", "--field", "user") == b"me"


def test_a_value_is_no_argument(both):
    """There is no way to write a value on the command line."""
    both("set", "a", "the-value", stdin="x", code=2)
    assert "the-value" not in both("--help").decode()


def test_the_main_commands(both):
    """Versions, tags, rollback, delete, undelete, destroy and listing do what they say."""
    both("set", "db/p", "--tag", "prod", "--expires", "30d", stdin="one")
    both("set", "db/p", "--cas", "1", stdin="two")
    both("set", "db/p", "--cas", "1", stdin="three", code=4)
    assert [v["version"] for v in both.json("versions", "db/p")] == [1, 2]
    both("tag", "db/p", "--add", "x", "--remove", "prod")
    assert both.json("metadata", "db/p")["tags"] == ["x"]
    both("metadata", "db/p", "--attribute", "owner=me", "--max-versions", "5")
    assert both.json("metadata", "db/p")["attributes"] == {"owner": "me"}
    both("rollback", "db/p", "1")
    assert both("get", "db/p") == b"one"
    assert both("get", "db/p", "--version", "2") == b"two"
    both("delete", "db/p")
    both("get", "db/p", code=3)
    both("undelete", "db/p")
    assert [s["name"] for s in both.json("list")["secrets"]] == ["db/p"]
    both("destroy", "db/p", code=2)
    both("destroy", "db/p", "--yes")
    assert both.json("list")["secrets"] == []
    both("list")
    assert "adyton set" in both.error


def test_exit_codes_and_errors_tell_the_next_step(sh, tmp_path):
    """Each kind of error has its code, one line, and a hint; never a traceback."""
    sh("get", "nope", code=3)
    assert sh.error.startswith("error: ")
    assert "Traceback" not in sh.error
    assert len(sh.error.splitlines()) == 2
    sh("get", "bad//name", code=2)
    sh("list", code=2, ADYTON_USER="")
    sh("list", code=6, ADYTON_STORE=str(tmp_path / "none.db"))
    sh("init", code=6)
    (tmp_path / "other").write_bytes(bytes(33))
    (tmp_path / "other").chmod(0o600)
    sh("list", code=8, ADYTON_ROOT=f"keyfile:{tmp_path / 'other'}")
    sh("list", "--no-such-option", code=2)
    body = json.loads((sh("get", "nope", "-o", "json", code=3), sh.error)[1])
    assert (body["error"], body["exit_code"]) == ("SecretNotFound", 3)


def test_another_process_is_told_who_has_the_store(sh):
    """While the store is open elsewhere, a command waits, then names the process."""
    from adyton import SecretStore

    with SecretStore.open(sh.env["ADYTON_STORE"], root=sh.env["ADYTON_ROOT"]):
        sh("list", "--wait", "0.1", code=6)
    assert str(os.getpid()) in sh.error


def test_import_export_and_a_second_store(both, tmp_path):
    """A .env file comes in, a bundle goes out, and another store takes it."""
    env = ROOT / "examples" / "dotenv" / "app.env"
    preview = both.json("import", str(env), "--prefix", "app/", "--dry-run")
    assert "app/DATABASE_URL" in preview["created"]
    assert both.json("list")["secrets"] == []
    both("import", str(env), "--prefix", "app/")
    both("import", str(env), "--prefix", "app/", code=4)
    both("import", str(env), "--prefix", "app/", "--on-conflict", "skip")
    (tmp_path / "pass").write_text("a long enough passphrase\n")
    both("export", "--passphrase-file", "pass", "--out", "b.age")
    other = both.elsewhere("o.db")
    both("init", **other)
    both("import", "b.age", "--passphrase-file", "pass", **other)
    assert both("get", "app/REDIS_URL", **other) == both("get", "app/REDIS_URL")
    (tmp_path / "b.age").write_bytes((tmp_path / "b.age").read_bytes()[:-1])
    both("import", "b.age", "--passphrase-file", "pass", code=2, **other)
    both("export", "--format", "json", code=2)
    plain = json.loads(both("export", "--format", "json", "--plaintext"))
    assert plain["app/APP_ENV"] == "production"


def test_run_gives_a_program_its_variables_and_its_exit_code(both):
    """The program sees the secrets, not Adyton's own settings, and its code is passed on."""
    both("set", "app/db-url", stdin="postgres://x")
    both("set", "app/2nd", stdin="2")
    script = 'printf "%s|%s|%s" "$DB_URL" "$_2ND" "${ADYTON_ROOT-unset}"; exit 7'
    assert (
        both("run", "--prefix", "app/", "--", "sh", "-c", script, code=7) == b"postgres://x|2|unset"
    )
    assert both("run", "--env", "X=app/2nd", "--", "sh", "-c", "echo $X") == b"2\n"
    both("set", "app/db_url", stdin="clash")
    both("run", "--prefix", "app/", "--", "true", code=2)
    both("run", "--env", "X=app/none", "--", "true", code=2)
    both("run", "--env", "X=app/2nd", "--", "no-such-program", code=2)
    both("run", code=2)


def test_render_fills_a_template_or_refuses_it(both):
    """References become values; an unknown one, or one without an end, refuses the whole."""
    both("set", "a", stdin="A")
    both("set", "j", "--json", stdin='{"k": "K"}')
    template = both.folder / "t"
    template.write_text("x={{ adyton:a }} y={{adyton:j#k}} {{ other }}\n")
    assert both("render", "t") == b"x=A y=K {{ other }}\n"
    template.write_text("line\n{{ adyton:nope }}")
    both("render", "t", code=2)
    assert "line 2" in both.error
    template.write_text("{{ adyton:a")
    both("render", "t", code=2)


def test_audit_commands(both):
    """The log is shown, verified, proven and archived; a wrong checkpoint ends with 7."""
    vkey = both("audit", "vkey").decode().strip()
    both("set", "a", stdin="x")
    both("get", "a")
    actions = [e["action"] for e in both.json("audit", "log", "--user", "42")]
    assert actions[:2] == ["secret.get", "secret.set"]
    both("audit", "checkpoint", "--out", "cp")
    assert both.json("audit", "verify", "--checkpoint", "cp")["secrets"] == 1
    leaf = both.json("audit", "log")[0]["index"]
    both("audit", "prove", str(leaf), "--out", "proof.json", ADYTON_USER="")
    checked = both.json("audit", "check-proof", "proof.json", "--vkey", vkey, ADYTON_STORE="/none")
    assert checked["key_was_trusted"]
    both("audit", "archive", "arch", code=2)
    other = both.elsewhere("o.db")
    both("init", **other)
    both("audit", "verify", "--checkpoint", "cp", code=7, **other)


def test_keys_users_and_doctor(both):
    """Keys rotate and are re-wrapped, a user is purged, and doctor finds nothing wrong."""
    both("set", "a", stdin="x")
    both("keys", "rotate")
    done = both.json("keys", "rewrap")
    assert done == {"users": 1, "keys": 1, "closed": 0} or (both.server and done["closed"] == 0)
    assert both.json("keys", "rotate", "--master") == {"master_version": 2}
    both("keys", "list")
    mine = {"root"} if both.server else set()
    assert {u["user"] for u in both.json("user", "list")} == {"42"} | mine
    assert {f["verdict"] for f in both.json("doctor")} == {"ok"}
    both("user", "purge", "--yes")
    assert {u["user"] for u in both.json("user", "list")} == mine
    if both.server:
        return
    Path(both.env["ADYTON_STORE"]).chmod(0o644)
    assert "warn" in {f["verdict"] for f in both.json("doctor")}
    both("doctor", code=6, ADYTON_STORE="/none.db")


def test_quotas(both):
    """Are shown, held to, and cleared."""
    both("quota", "set", "--secrets", "1", "--bytes", "0", "--user", "42")
    both("set", "a", "--user", "42", stdin="x")
    both("set", "b", "--user", "42", stdin="x", code=2)
    found = both.json("quota", "show", "--user", "42")
    assert found["quota"]["secrets"] == found["used"]["secrets"] == found["own"]["secrets"] == 1
    assert (found["own"]["versions"], found["own"]["bytes"]) == (None, 0)
    both("quota", "clear", "--user", "42")
    both("set", "b", "--user", "42", stdin="x")


def test_colours_only_on_a_terminal(sh):
    """A pipe gets no escape sequences; a terminal does, unless NO_COLOR is set."""
    sh("get", "nope", code=3)
    assert "\x1b" not in sh.error
    for colour, extra in ((True, {}), (False, {"NO_COLOR": "1"})):
        env = {**sh.env, "TERM": "xterm-256color", **extra}
        env.pop("NO_COLOR", None) if colour else None
        out = pexpect.run(" ".join([*ADYTON, "get", "nope"]), env=env, cwd=str(sh.folder))
        assert (b"\x1b[" in out and b"31m" in out) == colour, out


def test_the_log_fits_a_narrow_terminal(sh):
    """No line is longer, and neither a time, an action nor a reason is broken; a pipe has all."""
    sh("set", "a/rather/long/name/of/a/secret", stdin="x")
    command = " ".join([*ADYTON, "audit", "log"])
    shown = pexpect.run(command, env={**sh.env, "NO_COLOR": "1"}, cwd=str(sh.folder)).decode()
    out = re.sub(r"\x1b\[[0-9;]*m", "", shown)
    assert max(len(line) for line in out.splitlines()) <= 80
    assert re.search(r"^\d+ +\d{4}-\d\d-\d\d .* secret\.set ", out, re.MULTILINE), out
    assert "USER" not in out.splitlines()[0]  # it was named
    assert "a/rather/long/name/of/a/secret" in sh("audit", "log").decode()
    assert "USER" in sh("audit", "log").decode()


def test_a_value_is_asked_for_twice_without_echo(sh):
    """On a terminal the prompt hides what is typed, and two that differ are refused."""
    for second, code in (("typed-secret", 0), ("other", 2)):
        child = pexpect.spawn(
            sys.executable, ["-m", "adyton.cli.main", "set", "a"], env=sh.env, cwd=str(sh.folder),
            encoding="utf-8", timeout=20,
        )  # fmt: skip
        child.expect("value: ")
        child.sendline("typed-secret")
        child.expect("again.*: ")
        child.sendline(second)
        child.expect(pexpect.EOF)
        child.close()
        assert child.exitstatus == code
        assert "typed-secret" not in child.before
    assert sh("get", "a") == b"typed-secret"


def test_passphrase_root_from_a_file(tmp_path):
    """A store under a passphrase opens with it, and ends with 8 under another."""
    shell = Shell(tmp_path)
    (tmp_path / "p").write_text("correct horse battery\n")
    (tmp_path / "q").write_text("another passphrase\n")
    for name in "pq":
        (tmp_path / name).chmod(0o600)
    root = {"ADYTON_ROOT": f"passphrase:file={tmp_path / 'p'}"}
    shell("init", **root)
    shell("set", "a", stdin="x", **root)
    assert shell("get", "a", **root) == b"x"
    shell("get", "a", code=8, ADYTON_ROOT=f"passphrase:file={tmp_path / 'q'}")


def test_every_command_has_help():
    """Each command named in the readme's list explains itself and its options."""
    shell = Shell(Path("/"))
    commands = [
        "init",
        "set",
        "get",
        "list",
        "delete",
        "undelete",
        "destroy",
        "rollback",
        "versions",
        "metadata",
        "tag",
        "export",
        "import",
        "run",
        "render",
        "doctor",
        "audit",
        "keys",
        "user",
        "login",
        "logout",
        "status",
        "token",
        "policy",
    ]
    top = shell("--help").decode()
    for command in commands:
        assert re.search(rf"^\s+{command}\s", top, re.MULTILINE), command
        assert "Usage:" in shell(command, "--help").decode()


@pytest.mark.timeout(300)
def test_the_demonstration_runs_to_its_end(tmp_path):
    """What `make run` does ends well, without a terminal too."""
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        [str(ROOT / "scripts" / "demo.sh")],
        env={**env, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr
    assert "the log is whole" in done.stderr
