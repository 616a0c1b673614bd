"""Raises and delivers notices without pause until it is killed. Usage: worker.py FOLDER URL.

Each secret that is written has its notice in the same commit: its subject is the secret's name.
"""

import itertools
import os
import sys
import time
from pathlib import Path

from adyton import Caller, SecretStore
from adyton.actions import Action
from adyton.service import writing
from adyton.service.journal import Draft
from adyton.service.notices.outbox import put_notice
from adyton.service.notices.room import NoticeOptions
from adyton.service.values import Item

folder, url = Path(sys.argv[1]), sys.argv[2]
ACTOR = Caller("worker")


async def write(core, name):
    async def work(scope):
        keys = await core.keys_to_write(scope, ACTOR, "u", 1)
        batch = writing.Batch(core, scope, ACTOR, keys)
        await batch.add(Item(name, b"value", "text/plain"), Action.SECRET_SET)
        await batch.write()
        await put_notice(core, scope, ACTOR, keys, "test.kill", name)

    await core.write(Draft(ACTOR, Action.SECRET_SET, user_id="u"), work)


with SecretStore.open(
    str(folder / "store.db"),
    root=f"keyfile:{folder / 'master.key'}",
    upkeep=False,
    notices=NoticeOptions(
        ("127.0.0.0/8",), seconds=0.5, lease_seconds=0.6, retry_seconds=0.05, by_itself=True
    ),
) as store:
    print("ready", flush=True)
    for number in itertools.count():
        store._opened.core.commit.run_sync(write(store._opened.core, f"{os.getpid()}/{number}"))
        time.sleep(0.005)
