"""A root that is away or refuses: the server waits for it, serves on for a while, then seals."""

import json
import shutil
import time

import pytest

from adyton import SecretStore
from adyton.errors import RootError, RootLocked, RootUnavailable
from adyton.roots.dev import DevRoot
from adyton.service.rootcheck import RootCheck, RootLimits
from adyton.wiring import Options, open_store
from rootpeers import BAO_TOKEN, Bao, SoftHsm
from server.sealing import status
from servers import TOKEN, Server
from shell import Shell
from support import require_program

HOUR = 3_600.0


class Fickle(DevRoot):
    """A root that does what a test says."""

    fails = None

    def unwrap(self, wrapped, context):
        if self.fails is not None:
            raise self.fails
        return super().unwrap(wrapped, context)


@pytest.fixture
def watched():
    """A root, its check, what was sealed and why, and a clock that a test turns."""
    opened = open_store(Options("memory:", Fickle()))
    sealed, now = [], [0.0]
    limits = RootLimits(away=24 * HOUR, refused=300.0)
    check = RootCheck(opened.core, limits, sealed.append, lambda: now[0])

    def at(seconds, error):
        now[0] = seconds
        opened.core.root.fails = error
        check.check()
        return len(sealed)

    yield at, sealed, check, opened
    opened.close()


AWAY = RootUnavailable("away")
LOCKED = RootLocked("disabled")


def test_served_for_hours_then_sealed(watched, caplog):
    """A day without the root is borne, with warnings that tell the time left; then it is over."""
    at, sealed, check, _ = watched
    assert at(0, None) == 0
    for hour in range(1, 25):
        assert at(hour * HOUR, AWAY) == 0
    assert check.failing_seconds == 23 * HOUR
    assert sum("is away" in record.message for record in caplog.records) == 24
    assert "sealed in" in caplog.records[-1].message
    assert at(25 * HOUR, AWAY) == 1
    assert sealed == ["its root was away for too long"]
    assert at(26 * HOUR, AWAY) == 1  # once


def test_an_answer_in_between_begins_anew(watched):
    """Time that the root was there does not count."""
    at, sealed, check, _ = watched
    at(0, AWAY)
    at(23 * HOUR, AWAY)
    at(23.5 * HOUR, None)
    assert check.failing_seconds == 0
    assert at(24 * HOUR, AWAY) == at(47 * HOUR, AWAY) == 0
    assert at(48 * HOUR, AWAY) == 1
    assert sealed


def test_a_refusal_is_borne_for_minutes_only(watched):
    """Counted from the first refusal; being away does not lengthen it, nor hide behind it."""
    at, sealed, _, _ = watched
    assert at(0, AWAY) == at(HOUR, LOCKED) == at(HOUR + 299, RootError("no")) == 0
    assert at(HOUR + 300, LOCKED) == 1
    assert sealed == ["its root refuses"]


def test_away_and_refused_by_turns_still_ends(watched):
    """The limit of a day holds over everything that is no success."""
    at, _, _, _ = watched
    seconds = 0
    while at(seconds, LOCKED if seconds % 480 else AWAY) == 0:
        seconds += 240
        assert seconds <= 24 * HOUR
    assert seconds == 24 * HOUR


def test_no_limits_no_end():
    """0 means for ever."""
    opened = open_store(Options("memory:", Fickle()))
    opened.core.root.fails = LOCKED
    sealed, now = [], [0.0]
    check = RootCheck(opened.core, RootLimits(), sealed.append, lambda: now[0])
    for year in range(5):
        now[0] = year * 366 * 24 * HOUR
        check.check()
    assert not sealed
    opened.close()


def test_only_the_root_that_opened_counts(watched):
    """A recovery root that is away is told in the metrics, and seals nothing."""
    at, sealed, check, opened = watched

    async def put():
        from adyton.service.rootadmin import RootAdmin

        return await RootAdmin(opened.core).add(opened.caller, other)

    other = Fickle()
    slot = opened.core.commit.run_sync(put())
    other.fails = LOCKED
    at(0, None)
    at(100 * HOUR, None)
    assert check.healthy == {0: True, slot: False}
    assert not sealed


@pytest.mark.parametrize("kind", ["keyfile", "passphrase", "age", "credential"])
def test_what_was_read_is_looked_for_again(kind, tmp_path, monkeypatch):
    """A file that is gone is away; another in its place refuses; back again is well."""
    file, other = tmp_path / "source", tmp_path / "elsewhere"
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    uri = {
        "keyfile": f"keyfile:{file}", "passphrase": f"passphrase:file={file}",
        "age": f"age:identity={file}", "credential": "credential:source",
    }[kind]  # fmt: skip

    def write(path):
        if kind == "age":
            import pyrage

            path.write_text(f"{pyrage.x25519.Identity.generate()}\n")
        elif kind == "passphrase":
            path.write_text(f"correct horse battery {path.name}\n")
        else:
            path.write_bytes(path.name.encode().ljust(32, b"."))
        path.chmod(0o600)

    write(file)
    write(other)
    with SecretStore.open(str(tmp_path / "s.db"), root=uri, create=True) as store:
        root = store._opened.core.root
        root.check_source()
        file.rename(tmp_path / "kept")
        with pytest.raises(RootUnavailable):
            root.check_source()
        shutil.copy(other, file)
        with pytest.raises(RootLocked):
            root.check_source()
        (tmp_path / "kept").replace(file)
        root.check_source()


# -- servers over real peers ---------------------------------------------------------------------


def until(true, seconds=30):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def served():
    """Makes a shell, and what starts servers with its settings; they end with the test."""
    started = []

    def make(folder, root, **env):
        shell = Shell(folder)
        shell.env |= {"ADYTON_ROOT": root, "ADYTON_SEAL_ROOT_CHECK": "0.2", **env}
        given = {k: v for k, v in shell.env.items() if k.startswith(("ADYTON_", "SOFT"))}

        def start():
            started.append(Server("serve", env=given, sealed=True))
            return started[-1]

        return shell, start

    yield make
    for server in started:
        if server.process.poll() is None:
            server.process.kill()
            server.process.communicate()


def reads(server):
    return server.raw("GET", "/v1/adyton/health/store", token=server.token)[0]


def test_a_key_file_that_comes_later_goes_and_comes_back(served, tmp_path):
    """Sealed until it is there; sealed when another is in its place; open when it is back."""
    key = tmp_path / "k"
    shell, start = served(
        tmp_path, f"keyfile:{key}", ADYTON_SEAL_ROOT_REFUSED_LIMIT="0.3",
        ADYTON_TELEMETRY_UNAUTHENTICATED_METRICS="true",
    )  # fmt: skip
    shell("init")
    token = shell("token", "root").decode().strip()
    key.rename(tmp_path / "kept")
    server = start()
    server.token = token
    assert status(server)["sealed"]
    assert status(server)["waiting_for_root"]
    assert status(server)["initialized"]
    code, _, answer = server.raw("PUT", "/v1/sys/unseal", {"key": "aa" * 47})
    assert (code, "is away" in answer["errors"][0]) == (400, True)
    (tmp_path / "kept").rename(key)
    until(lambda: not status(server)["sealed"])
    assert "waiting_for_root" not in status(server)
    assert reads(server) == 200
    key.rename(tmp_path / "kept")
    key.write_bytes(b"x" * 32)
    key.chmod(0o600)
    until(lambda: status(server)["sealed"])
    assert reads(server) == 503
    (tmp_path / "kept").replace(key)
    until(lambda: not status(server)["sealed"])
    assert reads(server) == 200
    metrics = server.raw("GET", "/v1/adyton/audit?action=store.seal", token=token)[2]["items"]
    assert [(each["actor"], each["reason"]) for each in metrics] == [
        ("adyton:root", "its root refuses")
    ]
    code, _, err = server.stop()
    assert code == 0, err
    events = [json.loads(line)["event"] for line in err.splitlines()]
    assert any("stays sealed until its root opens it" in event for event in events)
    assert any("the keyfile root refuses" in event for event in events)


def test_an_operator_who_seals_means_it(served, tmp_path):
    """The root is there, and is not asked."""
    shell, start = served(tmp_path, f"keyfile:{tmp_path}/k")
    shell("init")
    token = shell("token", "root").decode().strip()
    server = start()
    until(lambda: not status(server)["sealed"])
    assert server.raw("PUT", "/v1/sys/seal", token=token)[0] == 204
    time.sleep(1.5)
    assert status(server)["sealed"]
    assert "waiting_for_root" not in status(server)
    assert server.stop()[0] == 0


def test_a_wrong_root_is_an_error_at_the_start(served, tmp_path):
    """One that refuses is no reason to wait: the command ends and says why."""
    shell, _ = served(tmp_path, f"keyfile:{tmp_path}/k")
    shell("init")
    (tmp_path / "k").write_bytes(b"y" * 32)
    shell("serve", "--listen", "127.0.0.1:0", code=8)
    assert "does not open" in shell.error


def test_transit_that_starts_late_is_sealed_and_returns(served, tmp_path):
    """A real OpenBao: not ready at the start, then for longer than the limit; and it refuses."""
    bao = Bao(tmp_path)
    try:
        root = f"transit:{bao.key('root')}"
        shell, start = served(
            tmp_path, root, ADYTON_SEAL_ROOT_AWAY_LIMIT="1", ADYTON_SEAL_ROOT_REFUSED_LIMIT="1",
            ADYTON_TRANSIT_TOKEN=BAO_TOKEN,
        )  # fmt: skip
        shell("init")
        token = shell("token", "root").decode().strip()
        bao.seal()
        server = start()
        server.token = token
        assert status(server)["waiting_for_root"]
        bao.unseal()
        until(lambda: not status(server)["sealed"], 60)
        assert reads(server) == 200
        bao.seal()
        until(lambda: status(server)["sealed"], 60)
        bao.unseal()
        until(lambda: not status(server)["sealed"], 60)
        assert reads(server) == 200
        assert bao.ask("DELETE", "/v1/sys/mounts/transit")[0] == 204  # it answers, and refuses
        until(lambda: status(server)["sealed"], 60)
        code, _, err = server.stop()
        assert code == 0, err
        assert BAO_TOKEN not in err
    finally:
        bao.stop()


def test_an_hsm_that_goes_and_comes(served, tmp_path):
    """SoftHSM's token is plugged in late, taken out for longer than the limit, and is back."""
    require_program("softhsm2-util")
    hsm = SoftHsm(tmp_path)
    hsm.token("one")
    shell, start = served(tmp_path, hsm.uri("one"), ADYTON_SEAL_ROOT_AWAY_LIMIT="0.5", **hsm.env)
    shell("init")
    token = shell("token", "root").decode().strip()
    away = tmp_path / "drawer"
    hsm.tokens.rename(away)
    hsm.tokens.mkdir()
    server = start()
    server.token = token
    assert status(server)["waiting_for_root"]

    def plug():
        hsm.tokens.rmdir()
        away.rename(hsm.tokens)

    plug()
    until(lambda: not status(server)["sealed"])
    assert reads(server) == 200
    hsm.tokens.rename(away)
    hsm.tokens.mkdir()
    until(lambda: status(server)["sealed"])
    plug()
    until(lambda: not status(server)["sealed"])
    assert reads(server) == 200
    code, _, err = server.stop()
    assert code == 0, err
    assert hsm.PIN not in err
    assert TOKEN not in err
