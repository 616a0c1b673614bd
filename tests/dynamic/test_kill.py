"""kill -9 at random moments while credentials are made, renewed and revoked.

After each restart whatever was broken off is found: in the end the database has exactly the roles
that there are leases for, and none of them outlives its lease.
"""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from adyton.rotating import Bounds
from adyton.service.rotation.room import RotationOptions
from leasing import configure, lets_in, roles_in
from support import Place

WORKER = Path(__file__).with_name("worker.py")
OPTIONS = RotationOptions(Bounds(seconds=1.9), lease_seconds=2.0)


def settle(store):
    """What was broken off is taken up once nobody can be at it any more."""
    end = time.monotonic() + 60
    while any(lease.state != "live" for lease in store.dynamic.leases("alice")):
        store.dynamic.revoke_due()
        assert time.monotonic() < end, store.dynamic.leases("alice")
        time.sleep(0.1)


def campaign(folder, postgres, kills):
    place = Place(folder)
    with place.open(rotation=OPTIONS) as store:
        configure(store, postgres, ttl=600, max_ttl=6000)
    made = broken = 0
    for _ in range(kills):
        (folder / "given").write_text("")
        with subprocess.Popen(
            [sys.executable, WORKER, folder], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True,
        ) as worker:  # fmt: skip
            assert worker.stdout.readline() == "ready\n"
            time.sleep(random.uniform(0.05, 1.0))
            worker.kill()
        with place.open(rotation=OPTIONS) as store:
            found = store.dynamic.leases("alice")
            names = {lease.username for lease in found}
            assert roles_in(postgres) <= names  # whatever there is, a lease leads to it
            broken += sum(lease.state != "live" for lease in found)
            settle(store)
            live = {lease.username for lease in store.dynamic.leases("alice")}
            assert roles_in(postgres) == live
            whole = (folder / "given").read_text().rpartition("\n")[0]
            lines = [line.split() for line in whole.splitlines()]
            made += len(lines)
            for username, password in lines[-5:]:
                assert lets_in(postgres, username, password) == (username in live)
    with place.open(rotation=OPTIONS) as store:
        clock = store._opened.core.clock
        real = clock.now_us
        clock.now_us = lambda: real() + 6001 * 1_000_000
        while store.dynamic.revoke_due().taken:
            pass
        assert store.dynamic.leases("alice") == []
        store.audit.verify()
    assert not roles_in(postgres)
    return made, broken


def test_no_role_is_left_behind_by_a_killed_process(tmp_path, postgres):
    """Five kills."""
    made, broken = campaign(tmp_path, postgres, 5)
    print("made, broken off:", made, broken)
    assert made > 5


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_long_campaign(tmp_path, postgres):
    """A hundred kills."""
    made, broken = campaign(tmp_path, postgres, 100)
    print("made, broken off:", made, broken)
    assert broken > 20
