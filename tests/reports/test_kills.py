"""Killed before or after each commit of counting: nothing is counted twice, nothing left out."""

import json

import pytest

from isolated import run_isolated

SCRIPT = """
import json, os, sys
from pathlib import Path
from adyton import SecretStore
from adyton.service.reports.folding import Folding
from adyton.service.reports.records import ALL, DAYS, STATES
from adyton.storage.sqlite_writing import SqliteTransaction

folder, where = Path(sys.argv[1]), sys.argv[2]


def opened():
    return SecretStore.open(
        str(folder / "s.db"), root=f"keyfile:{folder / 'k'}", create=True, upkeep=False
    )


async def counted(core, user):
    keys = await core.keys(user)
    async with core.storage.snapshot() as rows:
        return await STATES.get(rows, keys, ALL), await DAYS.all(rows, keys)


with opened() as store:
    for number in range(40):
        store.set_secret("u", f"s{number % 5}", b"x")
        store.set_secret("v", "other", b"x")

kills = 0
for at in range(1, 1000):
    child = os.fork()
    if child == 0:
        real, seen = SqliteTransaction.commit, [0]

        async def commit(self):
            seen[0] += 1
            if seen[0] == at and where == "before":
                os._exit(7)
            await real(self)
            if seen[0] == at and where == "after":
                os._exit(7)

        store = opened()
        core = store._opened.core
        SqliteTransaction.commit = commit
        for user in ("u", "v"):
            async def work(user=user):
                await Folding(core, stretch=3, unit=6).count(await core.keys(user))
            core.commit.run_sync(work())
        os._exit(0)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, 7), code
    kills += code == 7
    with opened() as store:
        core = store._opened.core
        for user in ("u", "v"):
            state, days = core.commit.run_sync(counted(core, user))
            if state is not None:
                assert sum(day.records for day in days.values()) == state.records
                store.reports.check(user)
    if code == 0:
        break
with opened() as store:
    core = store._opened.core
    found = {}
    for user in ("u", "v"):
        state, days = core.commit.run_sync(counted(core, user))
        writes = sum(use.changes for day in days.values() for use in day.secrets.values())
        found[user] = writes
    store.audit.verify()
print(json.dumps([kills, found]))
"""


@pytest.mark.parametrize("where", ["before", "after"])
def test_killed_at_each_commit(tmp_path, where):
    """Each kill leaves counts that are those of the log up to their bookmark."""
    kills, found = json.loads(run_isolated(SCRIPT, str(tmp_path), where, timeout=120))
    assert kills >= 3
    assert found == {"u": 40, "v": 40}
