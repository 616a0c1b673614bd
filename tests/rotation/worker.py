"""Rotates secrets without pause until it is killed, and tells the values it gives out.

Usage: worker.py FOLDER. In FOLDER are a store, and ``policies.json``: for each secret its policy.
Each value that the store gives out is put into ``FOLDER/given``, whole or not at all, behind a line
with the time at which it was asked for.
"""

import base64
import json
import os
import sys
import threading
import time
from pathlib import Path

from adyton import SecretStore
from adyton.errors import RotationError
from adyton.rotating import Bounds
from adyton.service.rotation.room import RotationOptions

folder = Path(sys.argv[1])
names = list(json.loads((folder / "policies.json").read_text()))


def give_out(store, name):
    asked = time.monotonic()
    with store.get_secret("alice", name) as secret:
        value = b"%r\n%b" % (asked, secret.reveal())
    place = folder / "given" / base64.urlsafe_b64encode(name.encode()).decode()
    with Path(f"{place}.new").open("wb") as file:
        file.write(value)
    os.replace(f"{place}.new", place)


def read_without_pause(store):
    while True:
        for name in names:
            give_out(store, name)
        time.sleep(0.01)


def rotate_without_pause(store, name):
    while True:
        try:
            store.rotation.run("alice", name)
        except RotationError as error:
            if "failed" in error.message:
                print(name, error.message, file=sys.stderr, flush=True)
            time.sleep(0.1)


with SecretStore.open(
    str(folder / "store.db"),
    root=f"keyfile:{folder / 'master.key'}",
    upkeep=False,
    rotation=RotationOptions(Bounds(seconds=1.9), lease_seconds=2.0),
) as store:
    for name in names:
        give_out(store, name)
    threads = [threading.Thread(target=read_without_pause, args=(store,), daemon=True)]
    threads += [
        threading.Thread(target=rotate_without_pause, args=(store, name), daemon=True)
        for name in names
    ]
    for thread in threads:
        thread.start()
    print("ready", flush=True)
    for thread in threads:
        thread.join()
