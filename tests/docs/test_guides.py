"""Blocks of commands in README.md and the guides, typed one after the other into an empty store."""

import shlex

import pytest

from docs.test_examples import bash, command_block
from servers import TOKEN
from shell import Remote, Shell


@pytest.fixture
def sh(tmp_path):
    shell = Shell(tmp_path)
    shell("init")
    shell.env.pop("ADYTON_USER")
    shell("set", "db/password", "--user", "42", stdin="correct horse")
    return shell


def typed(shell, page, first, *instead, refused=()):
    """What each command of a block has told; those that are to be refused end with another code."""
    text = command_block(page, first)
    for old, new in instead:
        assert old in text, old
        text = text.replace(old, new)
    told = {}
    for line in filter(None, text.splitlines()):
        words = shlex.split(line)
        if words[0] == "export":
            shell.env |= dict(word.split("=", 1) for word in words[1:])
            continue
        assert words[0] == "adyton", line
        out = shell(*words[1:], code=9 if line in refused else 0).decode()
        told[line] = out + shell.error
    return told


def test_the_second_shell_section_of_the_readme(sh, tmp_path):
    """After the first one; a database for the credentials is not here (``tests/dynamic``)."""
    sh("member", "add", "ci", "--machine", "--user", "42")
    sh("grant", "add", "ci", "db/", "--role", "viewer", "--user", "42")
    issue = "adyton dynamic issue reader --user 42\n"
    told = list(typed(sh, "README.md", "adyton access explain", (issue, "")).values())
    assert told[0].startswith("ci may read db/password: gives read on db/")
    assert "operators" in told[1]
    assert "UTC" in told[2]
    assert "whsec_" in told[4]
    assert "<svg" in (tmp_path / "review.html").read_text()


def test_reports(sh, tmp_path):
    """Of one user, and of the store; the files are where they were asked for."""
    told = typed(sh, "docs/guide/reports.md", "export ADYTON_USER")
    assert "review" in told["adyton report"]
    assert "Accesses of 42" in told["adyton report access"]
    assert "db/password" in (tmp_path / "usage.csv").read_text()
    assert "<svg" in (tmp_path / "review.html").read_text()
    assert "1 day" in next(
        iter(typed(sh, "docs/guide/reports.md", "adyton report --check").values())
    )


def test_rotation(sh):
    """A policy from its begin to its end, where nothing is stuck; then folders."""
    page, cancel = "docs/guide/rotation.md", "adyton rotation cancel api/token"
    told = typed(sh, page, "export ADYTON_USER", ("--grace 1h", "--grace 0s"), refused=[cancel])
    assert "api/token is at version 1" in told["adyton rotation run api/token"]
    assert "promote" in told["adyton rotation history api/token"]
    assert "there is no rotation to undo" in told[cancel]
    rows = typed(sh, page, "adyton rotation set db/ ")["adyton rotation list"].splitlines()
    policies = {row.split()[0]: row.split()[2] for row in rows[1:]}
    assert policies["db/password"] == "db/"
    assert policies["db/by-hand"] == "own"
    typed(sh, page, "adyton rotation set tls/")


def test_a_rotation_in_its_grace_says_what_to_wait_for(sh):
    """It can't be undone any more, and the error does not send anybody there."""
    user = ("--user", "42")
    sh("rotation", "set", "api/token", "--every", "30d", "--grace", "1h", *user)
    sh("rotation", "run", "api/token", *user)
    sh("rotation", "remove", "api/token", *user, code=9)
    assert "grace period" in sh.error
    assert "cancel" not in sh.error


def test_members(tmp_path):
    """On a server, as it is said there; then who may what, and by which grant."""
    shell = Remote(tmp_path)
    try:
        page = "docs/guide/roles.md"
        env = {"BAO_ADDR": shell.server.addr, "BAO_TOKEN": TOKEN}
        bao = command_block(page, "bao auth enable").splitlines()[0]
        assert "Success" in bash(bao, tmp_path, **env)
        told = typed(shell, page, "bao auth enable", (f"{bao}\n", ""))
        assert "ann" in told["adyton access who app/db/password --user alice"]
        shell.env["ADYTON_USER"] = "alice"
        shell("member", "add", "ci", "--machine")
        accessor = shell.json("member", "token", "ci", "--ttl", "1h")["accessor"]
        told = typed(shell, page, "adyton access explain ann", ("ACCESSOR", accessor))
        assert next(iter(told.values())).startswith("ann may read app/db: gives read on app/")
    finally:
        code, _, err = shell.server.stop()
        assert code == 0, err
