"""What a server's memory holds of a user whose own root was taken away, read from outside."""

import json
import os
import secrets
import sys

import pytest

from adyton import SecretStore
from adyton.crypto.secretbytes import SecretBytes
from memory import scan
from natives import b64, call, put, token_of
from server.sealing import wait_for
from servers import adyton, serve

ALL = 'path "*" { capabilities = ["create","read","update","delete","list","patch"] }\n'
VALUES = 40
FEW = 16
"""Names and values in answers that wait to be used again: a thread of the HTTP layer keeps up to
seven blocks of a size, and nobody else can reach those."""


def keys_of(store, user, given):
    """The keys of a user in a store that no server has open, by what they are."""
    with SecretStore.open(str(store), root=f"keyfile:{store}.key", upkeep=False) as opened:
        core = opened._opened.core
        if given is not None:
            opened.user_roots.give(user, SecretBytes(given))
        index = core.ring.user_index(user)

        async def found():
            async with core.storage.snapshot() as rows:
                keys = await core.ring.load_index(rows, index)
                named = {}
                for row in await rows.user_keys(index):
                    named[core.ring.open_user_key(row).reveal()] = "user key"
                for row in await rows.subkeys(index):
                    wrapper = keys.wrapping[row.key_version]
                    opened = wrapper.open_secret(row.wrapped, core.ring.subkey_context(row))
                    named[opened.reveal()] = f"subkey {row.purpose}"
                return named

        return core.commit.run_sync(found())


class User:
    """A user with values in both APIs."""

    def __init__(self, server):
        self.server = server
        self.name = "u" + secrets.token_hex(4)
        self.token = token_of(server, self.name, ALL)
        self.values = [secrets.token_hex(24) for _ in range(VALUES)]
        self.names = [f"name-{secrets.token_hex(12)}" for _ in range(VALUES)]
        for at, (name, value) in enumerate(zip(self.names, self.values, strict=True)):
            if at % 2:
                assert put(server, name, value, token=self.token)[0] == 200
            else:
                assert self.vault("POST", f"secret/data/{name}", {"data": {"v": value}})[0] == 200

    def vault(self, method, path, body=None):
        return self.server.raw(
            method, f"/v1/{path}", body, token=self.token,
            headers={"X-Vault-Namespace": self.name},
        )  # fmt: skip

    def read_all(self):
        seen = 0
        for at, (name, value) in enumerate(zip(self.names, self.values, strict=True)):
            if at % 2:
                path = f"users/me/secrets/{name}"
                answer = call(self.server, "GET", path, token=self.token)
            else:
                answer = self.vault("GET", f"secret/data/{name}")
            seen += value in json.dumps(answer[2])
        call(self.server, "GET", "users/me/secrets?limit=100", token=self.token)
        self.vault("LIST", "secret/metadata")
        return seen

    def root(self, verb, body=None):
        status, _, found = call(self.server, "POST", f"users/me/root{verb}", body, token=self.token)
        assert status == 200, found
        return found


@pytest.mark.skipif(
    os.geteuid() != 0 or sys.platform != "linux", reason="reads another process's memory"
)
def test_nothing_of_the_user_is_in_memory_after_the_root_was_taken_away(tmp_path):
    """Keys: none. Names and values: those of a few answers that the HTTP layer has freed.

    The other user's keys are there all the time, and that user reads on.
    """
    store = tmp_path / "store.db"
    adyton(store, "init")
    token = json.loads(adyton(store, "token", "root"))["token"]
    server = serve(store)
    server.token = token
    alice, bob = User(server), User(server)
    shown = {"root": b64(secrets.token_bytes(16)), "key": b64(key := secrets.token_bytes(32))}
    alice.root("", shown | {"roots": []})
    assert server.stop()[0] == 0
    keys = {key: "user root key"} | keys_of(store, alice.name, key)
    others = keys_of(store, bob.name, None)
    assert len(keys) >= 6
    server = serve(store)
    server.token = token
    alice.server = bob.server = server
    alice.root("/give", shown)
    assert alice.read_all() == bob.read_all() == VALUES
    values, names = ([each.encode() for each in made] for made in (alice.values, alice.names))
    before = scan(server.process.pid, {*keys, *others, *names})
    assert before & keys.keys()
    assert before & others.keys()
    assert len(before & set(names)) == VALUES
    alice.root("/take")

    def found():
        left = scan(server.process.pid, {*keys, *others, *names, *values})
        assert not left & keys.keys(), [keys[one] for one in left & keys.keys()]
        return left if len(left & {*names, *values}) <= FEW else None

    left = wait_for(found, 30)  # what is free is overwritten a second after the answer
    assert left & others.keys()
    assert bob.read_all() == VALUES
    assert alice.read_all() == 0
    assert server.stop()[0] == 0
