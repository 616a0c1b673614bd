"""Makes, renews and revokes credentials without pause until it is killed.

Usage: worker.py FOLDER. In FOLDER is a store with the dynamic role ``app`` of ``alice``. What is
given out is written, a line each, to ``FOLDER/given``.
"""

import random
import sys
import threading
from pathlib import Path

from adyton import SecretStore
from adyton.errors import LeaseError, SecretNotFound
from adyton.rotating import Bounds
from adyton.service.rotation.room import RotationOptions

folder = Path(sys.argv[1])
given = (folder / "given").open("a", buffering=1)


def use_without_pause(store):
    mine = []
    while True:
        try:
            with store.dynamic.issue("alice", "app") as made:
                given.write(f"{made.username} {made.password.text()}\n")
            mine.append(made.lease.id)
            if random.random() < 0.5:
                store.dynamic.renew("alice", random.choice(mine))
            if random.random() < 0.6:
                store.dynamic.revoke("alice", mine.pop(random.randrange(len(mine))))
        except (LeaseError, SecretNotFound) as error:
            print(error.message, file=sys.stderr, flush=True)


with SecretStore.open(
    str(folder / "store.db"),
    root=f"keyfile:{folder / 'master.key'}",
    upkeep=False,
    rotation=RotationOptions(Bounds(seconds=1.9), lease_seconds=2.0, by_itself=True),
) as store:
    threads = [
        threading.Thread(target=use_without_pause, args=(store,), daemon=True) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    print("ready", flush=True)
    for thread in threads:
        thread.join()
