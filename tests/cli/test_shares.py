"""Shares at the command line: handed out once, asked for, never arguments."""

import json
import os
import signal

import pexpect
import pytest

from server.sealing import read, serve, status, write
from shell import ADYTON, Shell

COMMAND, *FIRST = ADYTON


def environment(folder, **more):
    plain = {k: v for k, v in os.environ.items() if not k.startswith("ADYTON_")}
    return {**plain, "HOME": str(folder), "TERM": "dumb", **more}


class Sharing(Shell):
    """A shell whose store is opened by shares, or that speaks to a server."""

    def __init__(self, folder, addr="", token=""):
        super().__init__(folder)
        self.env |= {"ADYTON_ROOT": "shamir:", "HOME": str(folder)}
        if addr:
            del self.env["ADYTON_ROOT"], self.env["ADYTON_STORE"]
            self.env |= {"ADYTON_ADDR": addr, "ADYTON_TOKEN": token}


@pytest.fixture
def sh(tmp_path):
    return Sharing(tmp_path)


def private(path, *shares):
    path.write_text("\n".join(shares) + "\n")
    path.chmod(0o600)
    return str(path)


def test_init_hands_the_shares_out_and_they_open(sh, tmp_path):
    """Each on a line, or in a private file each; kept nowhere; needed by every command."""
    made = json.loads(sh("init", "--root", "shamir:2/3", "-o", "json"))
    assert len(made["shares"]) == 3
    everything = b"".join(p.read_bytes() for p in tmp_path.iterdir() if p.is_file())
    assert not any(share.encode() in everything for share in made["shares"])
    some = private(tmp_path / "some", *made["shares"][1:])
    sh("set", "a", "--share-file", some, stdin="value")
    assert sh("get", "a", "--share-file", some) == b"value"
    sh("get", "a", "--share-file", private(tmp_path / "one", made["shares"][0]), code=2)

    (tmp_path / "shares").mkdir()
    sh("init", "--root", "shamir:2/2", "--store", "second.db", "--shares-dir", "shares")
    files = sorted((tmp_path / "shares").iterdir())
    assert [path.name for path in files] == ["share-1", "share-2"]
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in files)
    args = [word for path in files for word in ("--share-file", str(path))]
    sh("set", "a", "--store", "second.db", *args, stdin="other")
    sh("init", "--root", "shamir:2/2", "--store", "x.db", "--shares-dir", "shares", code=2)
    files[0].chmod(0o644)
    sh("get", "a", "--store", "second.db", *args, code=2)
    assert not (tmp_path / "x.db").exists()


def test_init_says_what_is_wrong(sh, tmp_path):
    """No numbers, numbers that make no sense, a store that is there."""
    for root in ("shamir:", "shamir:3/2", "shamir:x", "shamir:1/2"):
        sh("init", "--root", root, code=2)
        assert not (tmp_path / "s.db").exists()
    sh("init", "--root", "shamir:1/1")
    sh("init", "--root", "shamir:1/1", code=6)


def test_shares_are_asked_for_on_a_terminal_and_not_shown(sh, tmp_path):
    """Wrong ones are told and asked for again; nothing that is typed is echoed."""
    shares = json.loads(sh("init", "--root", "shamir:2/3", "-o", "json"))["shares"]
    child = pexpect.spawn(
        COMMAND, [*FIRST, "list", "--user", "42", "--store", "s.db", "--root", "shamir:"],
        env=environment(tmp_path), cwd=str(tmp_path), timeout=30, encoding="utf-8",
    )  # fmt: skip
    child.expect("Share 1 of 2: ")
    child.sendline("nonsense")
    child.expect("not a share.*Share 1 of 2: ")
    child.sendline(shares[2])
    child.expect("Share 2 of 2: ")
    child.sendline(shares[2])
    child.expect("share 3 has been entered already. Share 2 of 2: ")
    child.sendline(shares[0])
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    assert not any(share[20:40] in (child.before or "") for share in shares)


def test_rekey_of_a_store(sh, tmp_path):
    """By the present shares; both sets open until the new one has; show tells of both."""
    old = json.loads(sh("init", "--root", "shamir:2/3", "-o", "json"))["shares"]
    some = private(tmp_path / "old", *old[:2])
    sh("set", "a", "--share-file", some, stdin="value")
    made = json.loads(sh("root", "rekey", "--shares", "3/4", "--share-file", some, "-o", "json"))
    shown = json.loads(sh("root", "show", "-o", "json"))
    assert [(each["needed"], each["shares"]) for each in shown] == [("2", "3"), ("3", "4")]
    assert sh("get", "a", "--share-file", some) == b"value"
    new = private(tmp_path / "new", *made["shares"][1:])
    assert sh("get", "a", "--share-file", new) == b"value"
    assert len(json.loads(sh("root", "show", "-o", "json"))) == 1
    sh("get", "a", "--share-file", some, code=2)
    sh("root", "rekey", "--shares", "1/2", "--share-file", new, code=2)


def test_a_server_from_the_command_line(tmp_path):
    """Unseal by files and by prompts, one share alone, reset, seal, rekey, show."""
    sh = Sharing(tmp_path)
    shares = json.loads(sh("init", "--root", "shamir:2/3", "-o", "json"))["shares"]
    files = [private(tmp_path / f"s{at}", share) for at, share in enumerate(shares)]
    everyone = [word for path in files for word in ("--share-file", path)]
    token = json.loads(sh("token", "root", "-o", "json", *everyone))["token"]
    server = serve(tmp_path / "s.db")
    server.token = token
    remote = Sharing(tmp_path, server.addr, token)
    remote("status", code=8)
    assert json.loads(remote("unseal", "--one", "--share-file", files[0], "-o", "json")) == {
        "sealed": True, "given": 1, "needed": 2,
    }  # fmt: skip
    remote("unseal", "--share-file", files[0], code=2)
    remote("unseal", "--reset")
    assert status(server)["progress"] == 0
    child = pexpect.spawn(
        COMMAND, [*FIRST, "unseal"], env=environment(tmp_path, ADYTON_ADDR=server.addr),
        cwd=str(tmp_path), timeout=30, encoding="utf-8",
    )  # fmt: skip
    child.expect("Share 1 of 2: ")
    child.sendline(shares[0])
    child.expect("Share 2 of 2: ")
    child.sendline("ads1-zzzz")
    child.expect("not a share.*Share 2 of 2: ")
    child.sendline(shares[1])
    child.expect("the server is open")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    write(server, "a", 1)
    found = remote("root", "rekey", "--shares", "2/2", "-o", "json", *everyone)
    new = [private(tmp_path / f"n{at}", share)
           for at, share in enumerate(json.loads(found)["shares"])]  # fmt: skip
    remote("seal")
    assert status(server)["sealed"]
    remote("unseal", *[word for path in new for word in ("--share-file", path)])
    assert read(server, "a")[2]["data"]["data"] == {"v": 1}
    assert json.loads(remote("root", "show", "-o", "json"))[0]["kind"] == "shamir"
    server.process.send_signal(signal.SIGINT)
    server.process.communicate(timeout=30)
    assert server.process.returncode == 0
