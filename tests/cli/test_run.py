"""`make run`: a server on a store that stays, the main job through it, and a clean end."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pexpect

from servers import free_port

SCRIPT = Path(__file__).parents[2] / "scripts" / "run.sh"
CLEAN = {k: v for k, v in os.environ.items() if not k.startswith(("ADYTON_", "BAO_", "VAULT_"))}


def environment(folder, **more):
    return {**CLEAN, "ADYTON_RUN_DIR": str(folder / "run"), **more}


def once(folder, **more):
    done = subprocess.run(
        [SCRIPT], capture_output=True, text=True, check=False, timeout=120, cwd=folder,
        stdin=subprocess.DEVNULL, env=environment(folder, ADYTON_RUN_ONCE="1", **more),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def refuses(address):
    host, port = address.rsplit("/", 1)[1].split(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) != 0


def started(folder, **more):
    return pexpect.spawn(
        str(SCRIPT), env=environment(folder, **more), timeout=120, encoding="utf-8",
        dimensions=(50, 500),
    )  # fmt: skip


def ended(child):
    child.expect(pexpect.EOF)
    child.close()
    assert child.signalstatus is None
    return child.exitstatus


def test_it_does_the_job_again_and_again_and_leaves_the_server_running(tmp_path):
    """Without input, where the port is taken, on the same store; Ctrl-C ends it with 0."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # somebody else has it: as good
            stack.enter_context(socket.create_server(("127.0.0.1", 8200)))
        first = once(tmp_path, ADYTON_STORE="/nonexistent", BAO_NAMESPACE="elsewhere")
        child = started(tmp_path)
        child.expect("Ctrl-C ends it")
    second = re.sub(r"\x1b\[[0-9;]*m|\r", "", child.before)
    for told in (first, second):
        assert "port 8200 is taken" in told
        assert len(re.findall(r"(?m)^correct horse$", told)) == 2
        assert told.count("Code: 403") == 2
        assert re.search(r"ok \d+ records, .*: the log is whole", told)
        assert re.search(r"ok this record is leaf \d+ of the \d+ signed", told)
    assert "made the store" in first
    assert refuses(re.search(r"address +(\S+)", first)[1])
    assert "the store of the last time" in second
    assert "--checkpoint checkpoint" in second
    address = re.search(r"address +(\S+)", second)[1]
    token = re.search(r"root token +(\S+)", second)[1]
    assert (tmp_path / "run/root-token").read_text().strip() == token
    for path in (tmp_path / "run").rglob("*"):
        assert not path.stat().st_mode & 0o077, path
    request = urllib.request.Request(
        f"{address}/v1/auth/token/lookup-self", headers={"X-Vault-Token": token}
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert json.load(answer)["data"]["policies"] == ["root"]
    child.sendintr()
    assert ended(child) == 0
    assert refuses(address)


def test_sigterm_ends_it_with_0_at_any_time(tmp_path):
    """In the middle of the job, too: the server stops, and nothing listens any more."""
    listen = f"127.0.0.1:{free_port()}"
    child = started(tmp_path, ADYTON_LISTEN=listen)
    child.expect("two users")
    os.kill(child.pid, signal.SIGTERM)
    assert ended(child) == 0
    assert refuses(f"http://{listen}")


def test_it_tells_when_the_server_ends_by_itself(tmp_path):
    """Exit code 1, and not an endless wait."""
    child = started(tmp_path, ADYTON_LISTEN=f"127.0.0.1:{free_port()}")
    child.expect("Ctrl-C ends it")
    for pid in Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split():
        os.kill(int(pid), signal.SIGKILL)
    assert ended(child) == 1


def test_a_server_that_cannot_start_is_told(tmp_path):
    """The address is in use: exit code 1 with the server's own words."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        begun = time.monotonic()
        done = subprocess.run(
            [SCRIPT], capture_output=True, text=True, check=False, timeout=120,
            stdin=subprocess.DEVNULL,
            env=environment(tmp_path, ADYTON_LISTEN=f"127.0.0.1:{other.getsockname()[1]}"),
        )  # fmt: skip
    assert done.returncode == 1, (done.stdout, time.monotonic() - begun)
    assert "Address already in use" in done.stdout
