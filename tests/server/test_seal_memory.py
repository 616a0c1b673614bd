"""What a sealed server's memory holds, read from outside by a process of its own."""

import os
import sys
import time

import pytest

from adyton.crypto.gathering import Gathering
from adyton.crypto.shares import parse
from adyton.roots import ShamirRoot
from adyton.service.keyring import Keyring
from adyton.service.ticket import run_now
from adyton.storage.sqlite import SqliteStorage
from adyton.wiring import Options, look
from memory import scan
from server.sealing import init, opened, read, serve, unseal, wait_for, write

VALUES = 40


async def stored(storage, root):
    """The keys that a root opens, by what they are."""
    async with storage.snapshot() as rows:
        ring = Keyring(await rows.setting("store-id"))
        await ring.unlock(rows, root)
        found = {}
        for row in await rows.master_keys():
            context = ring.master_context(ring.store_id, row.version)
            found["the master key"] = root.unwrap(row.wrapped, context).reveal()
        for row in await rows.store_keys():
            found[f"the {row.purpose} key"] = ring.open_store_key(row).reveal()
        for row in await rows.user_keys(ring.user_index("root")):
            found["the user key"] = ring.open_user_key(row).reveal()
        return found


def keys_of(path, shares):
    """The keys of a store that is closed, by what they are."""
    known = look(Options(str(path), "shamir:")).sets[-1]
    gathering = Gathering([known])
    for text in shares:
        gathering.enter(parse(text.encode()))
    storage = SqliteStorage(path)
    try:
        with gathering.key(known) as key:
            found = run_now(stored(storage, ShamirRoot.of_key(key, known)))
            return found | {"the root key": key.reveal()}
    finally:
        storage.close()


@pytest.mark.skipif(
    os.geteuid() != 0 or sys.platform != "linux", reason="reads another process's memory"
)
def test_no_key_is_in_memory_after_sealing(tmp_path):
    """Found while it is open; after sealing none: keys, shares in any form, tokens, values."""
    store = tmp_path / "store.db"
    server = serve(store)
    made = opened(server, 5, 3)
    values = [os.urandom(24).hex() for _ in range(VALUES)]
    for at, value in enumerate(values):
        assert write(server, f"s{at}", value)[0] == 200
        assert read(server, f"s{at}")[2]["data"]["data"] == {"v": value}
    pid = server.process.pid
    assert server.root("PUT", "/v1/sys/seal")[0] == 204
    wait_for(lambda: server.raw("GET", "/v1/sys/health")[0] == 503)
    keys = keys_of(store, made.enough())
    unseal(server, made.enough())
    for at in range(VALUES):
        read(server, f"s{at}")
    wanted = {key: name for name, key in keys.items()}
    for text in made.enough():
        wanted |= {bytes.fromhex(text)[10:42]: "a share", text[20:84].encode(): "a share's text"}
    wanted[server.token.encode()] = "a token"
    wanted |= {value.encode(): "a value" for value in values}
    before = scan(pid, wanted)
    assert {"the master key", "the user key"} <= {wanted[one] for one in before}
    assert server.root("PUT", "/v1/sys/seal")[0] == 204
    time.sleep(1.5)  # what is left is overwritten behind the last answer
    time.sleep(1.5)  # what is left is overwritten behind the last answer
    found = [wanted[one] for one in scan(pid, wanted)]
    assert not {name for name in found if name not in {"a token", "a value"}}, found
    # The HTTP server may keep the buffer of a connection until the next one needs it.
    assert len(found) <= 2, found
    assert server.stop()[0] == 0


@pytest.mark.skipif(
    os.geteuid() != 0 or sys.platform != "linux", reason="reads another process's memory"
)
def test_no_share_is_in_memory_after_it_was_told(tmp_path):
    """sys/init tells shares; soon they are nowhere in the server, though it was never opened."""
    server = serve(tmp_path / "store.db")
    made = init(server, 5, 3)
    wanted = {bytes.fromhex(text)[10:42]: "a share" for text in made.hex}
    wanted |= {text[20:84].encode(): "a share's text" for text in made.hex}
    wanted |= {text[:60].encode(): "a share in base64" for text in made.base64}
    wanted[made.root_token.encode()] = "the root token"

    def gone():
        server.raw("GET", "/v1/sys/health")  # the buffer of an answer is kept until the next one
        return not scan(server.process.pid, wanted)

    wait_for(gone, 60)
    assert server.stop()[0] == 0
