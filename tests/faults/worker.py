"""The process that is killed: random operations, each told before and after on a pipe.

Run as a forked child of the test, which has imported everything already.
"""

import json
import os
import random

from adyton import Caller, SecretStore
from adyton.errors import AdytonError

USERS = ("alice", "bob")
NAMES = [f"n{n}" for n in range(6)]


def tell(pipe, **event):
    os.write(pipe, (json.dumps(event) + "\n").encode())


def work(path, root, pipe, seed, run):
    """Open the store and work until killed."""
    chance = random.Random(seed)
    store = SecretStore.open(path, root=root, upkeep=chance.random() < 0.3)
    tell(pipe, event="open")
    count = 0
    while True:
        count += 1
        request = f"{run}-{count}"
        face = store.acting_as(Caller("worker", request_id=request))
        user, name = chance.choice(USERS), chance.choice(NAMES)
        kind = chance.choices(
            ("set", "get", "batch", "delete", "tag", "rotate", "rewrap", "deep", "master", "move"),
            (30, 30, 8, 5, 5, 4, 4, 1, 1, 2),
        )[0]
        value = f"{request}-{chance.randrange(10**6)}"
        batch = dict.fromkeys(chance.sample(NAMES, 3), value)
        tell(pipe, event="begin", kind=kind, user=user, name=name, value=value,
             batch=sorted(batch), request=request)  # fmt: skip
        result = {}
        try:
            if kind == "set":
                result["version"] = face.set_secret(user, name, value).version
            elif kind == "get":
                with face.get_secret(user, name) as secret:
                    result["value"] = secret.text()
            elif kind == "batch":
                face.set_secrets(user, batch)
            elif kind == "delete":
                face.destroy_secret(user, name)
            elif kind == "tag":
                face.update_secret_tags(user, name, [request])
            elif kind == "rotate":
                face.keys.rotate(user)
            elif kind == "rewrap":
                face.keys.rewrap()
            elif kind == "deep":
                face.keys.rewrap(user, deep=True)
            elif kind == "master":
                face.keys.rotate(master=True)
            else:
                bundle = face.export_secrets(user, format="json")
                face.import_secrets(user, bundle, format="json", on_conflict="new-version")
        except AdytonError as error:
            result["refused"] = type(error).__name__
        tell(pipe, event="end", kind=kind, request=request, **result)
