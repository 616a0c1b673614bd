"""Killed at every write, or at any time, while roots change: something always opens the store."""

import random
import signal
import subprocess
import sys
import time

import pytest

from isolated import run_isolated

COMMON = """
import sys
from pathlib import Path
from adyton import SecretStore
from adyton.errors import RootLocked
from adyton.roots import KeyFileRoot

folder = Path(sys.argv[2])
now = folder / "now"
told = folder / "told"
USERS = 8


def opens(name):
    if not (now / name).exists():
        return False
    try:
        store = SecretStore.open(str(now / "store.db"), root=f"keyfile:{now}/{name}", upkeep=False)
    except RootLocked:
        return False
    with store:
        assert store.health().problems == []
        store.audit.verify()
        for user in range(USERS):
            assert store.get_secret(f"u{user}", "a").text() == f"value {user}"
    return True


def prepare():
    now.mkdir(exist_ok=True)
    with SecretStore.open(
        str(now / "store.db"), root=f"keyfile:{now}/old", create=True, upkeep=False
    ) as store:
        for user in range(USERS):
            store.set_secret(f"u{user}", "a", f"value {user}")


def migrate():
    with SecretStore.open(str(now / "store.db"), root=f"keyfile:{now}/old", upkeep=False) as store:
        store.roots.migrate(f"keyfile:{now}/new")
    told.write_text("done")


def rotate():
    with SecretStore.open(str(now / "store.db"), root=f"keyfile:{now}/old", upkeep=False) as store:
        if len(store.roots.list()) == 1:
            store.roots.add(f"keyfile:{now}/new")
        store.keys.rotate(master=True, roots=[f"keyfile:{now}/new"])
    told.write_text("done")


def judge(what):
    old, new = opens("old"), opens("new")
    assert old or new, "nothing opens the store"
    if told.exists() and what == "migrate":
        assert new and not old, "the old root outlives the migration"
    if told.exists() and what == "rotate":
        assert old and new, "a root was left behind"
    if what == "rotate":
        assert old
    if old:  # the same command goes on where it was
        {"migrate": migrate, "rotate": rotate}[what]()
        assert opens("new")
        assert opens("old") == (what == "rotate")
"""

SCRIPT = (
    COMMON
    + """
from killing import kill_at_writes

what = sys.argv[1]
operation = {"migrate": migrate, "rotate": rotate}[what]


print(kill_at_writes(
    folder, prepare, operation, lambda: judge(what), first=int(sys.argv[3]), step=int(sys.argv[4])
))
"""
)


STEPS = {"migrate": 3, "rotate": 8}


@pytest.mark.parametrize("what", STEPS)
def test_killed_at_writes(what, tmp_path):
    """Before a statement or a commit; what was broken off is finished by the same call.

    Others in each run; together, all.
    """
    step = STEPS[what]
    first = random.randrange(step)
    assert int(run_isolated(SCRIPT, what, str(tmp_path), str(first), str(step), timeout=250)) > 3


@pytest.mark.soak
@pytest.mark.parametrize("what", STEPS)
def test_killed_at_every_write(what, tmp_path):
    """Before each of them."""
    assert int(run_isolated(SCRIPT, what, str(tmp_path), "0", "1", timeout=600)) > 15


AT_RANDOM = (
    COMMON
    + "{'prepare': prepare, 'migrate': migrate, 'judge': lambda: judge('migrate')}[sys.argv[1]]()\n"
)


def _killed_at_random(folder, rounds, seed):
    choose = random.Random(seed)
    whole = 0.0
    killed = 0
    for number in range(rounds):
        place = folder / str(number)
        place.mkdir()
        run_isolated(AT_RANDOM, "prepare", str(place))
        started = time.monotonic()
        process = subprocess.Popen([sys.executable, "-c", AT_RANDOM, "migrate", str(place)])
        if whole:
            time.sleep(choose.uniform(0.3, 1.0) * whole)
            process.send_signal(signal.SIGKILL)
        code = process.wait(60)
        whole = whole or time.monotonic() - started
        killed += code == -signal.SIGKILL
        run_isolated(AT_RANDOM, "judge", str(place))
    return killed


def test_killed_at_random(tmp_path):
    """By another process, at times that nobody has chosen."""
    _killed_at_random(tmp_path, 2, time.time_ns())


@pytest.mark.soak
def test_killed_at_random_for_long(tmp_path):
    """The same many times."""
    assert _killed_at_random(tmp_path, 150, time.time_ns()) > 50
