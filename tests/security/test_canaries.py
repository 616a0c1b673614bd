"""A thief of the files, logs and error texts learns no value, name, tag or user id."""

import gc
import logging
import os
import subprocess
import sys
import traceback

import pyrage
import pytest

from adyton import Caller
from adyton.errors import AdytonError
from canaries import Canaries
from memory import scan
from support import Place

CHILD = r"""
import os, sys
from adyton import SecretStore
path, root, keep = sys.argv[1:]
store = SecretStore.open(path, root=root, upkeep=False)
kept = []
for n in range(40):
    with store.get_secret("u", f"s{n}") as secret:
        if keep == "keep":
            kept.append(secret.reveal())
store.list_secrets("u")
print("ready", flush=True)
sys.stdin.read()
"""


def test_nothing_private_is_in_files_logs_or_errors(tmp_path, caplog, monkeypatch):
    """After a workout with failures of each kind, no canary is in any file, log, error or repr."""
    caplog.set_level(logging.DEBUG)
    canaries = Canaries()
    new = canaries.new
    place = Place(tmp_path)
    sink = tmp_path / "sink.jsonl"
    shown = []
    identity = pyrage.x25519.Identity.generate()

    def attempt(call):
        try:
            shown.append(repr(call()))
        except AdytonError as error:
            shown.append(repr(error) + str(error) + error.hint)
            shown.extend(traceback.format_exception(error))

    with place.open(sinks=[f"file:{sink}"]) as store:
        for _ in range(2):
            user, name, tag, value = new("user"), new("name"), new("tag"), new("value")
            key, text = new("attr"), new("text")
            attempt(lambda: store.set_secret(
                user, f"{name}/x", value, tags=[tag], attributes={key: text}
            ))  # fmt: skip
            attempt(lambda: store.set_secret(user, name, {key: value}))
            attempt(lambda: store.get_secret(user, name))
            attempt(lambda: store.get_secret(user, f"{name}/x").metadata)
            attempt(lambda: store.get_secret(user, new("name")))
            attempt(lambda: store.get_secret(new("user"), name))
            attempt(lambda: store.set_secret(user, name, value, cas=7))
            attempt(lambda: store.set_secret(user, f"{new('name')}//", value))
            attempt(lambda: store.set_secret(user, name, value, tags=[new("tag") * 20]))
            attempt(lambda: store.set_secret(user, name, value, attributes={key: text * 99}))
            attempt(lambda: store.update_secret_tags(user, name, [tag + "\n"]))
            attempt(lambda: store.user(user).list_secrets(tags=[tag]))
            attempt(lambda: store.list_secrets(user, cursor=new("cursor")))
            attempt(lambda: store.acting_as(Caller("m", user="x")).get_secret(user, name))
            attempt(lambda: store.get_audit_log(user))
            attempt(store.users)
            attempt(store.keys.list)
            attempt(lambda: store.keys.rotate(user))
            attempt(store.keys.rewrap)
            bundle = store.export_secrets(user, recipients=[str(identity.to_public())])
            call = {"identities": [str(identity)]}
            attempt(lambda: store.import_secrets(user, bundle, **call))
            attempt(lambda: store.import_secrets(user, bundle[:-9] + b"123456789", **call))
            for kind, document in (
                ("json", '{"%s": 1, "a": "%s"}'),
                ("json", '{"%s": "%s"'),
                ("yaml", "%s: [%s]"),
                ("yaml", "{%s: &a %s"),
                ("dotenv", "%s = 'x\n%s"),
                ("dotenv", "A=%s\nA=%s"),
                ("bundle", "%s %s"),
            ):
                text = document % (new("docname"), new("docvalue"))
                attempt(lambda kind=kind, text=text: store.import_secrets(
                    user, text.encode(), format=kind, identities=None,
                    passphrase="long enough passphrase" if kind == "bundle" else None,
                ))  # fmt: skip
            attempt(lambda: store.export_secrets(user, format="dotenv"))
        for suffix in ("", "-wal", "-shm", ".lock"):
            path = tmp_path / f"store.db{suffix}"
            if path.exists():
                canaries.assert_absent(path.read_bytes(), f"the open store's {suffix or 'file'}")
    for path in tmp_path.iterdir():
        canaries.assert_absent(path.read_bytes(), path.name)
    assert sink.stat().st_size > 1000
    canaries.assert_absent("\n".join(shown).encode(), "an error, repr or traceback")
    canaries.assert_absent(caplog.text.encode(), "a log")


@pytest.mark.parametrize("keep", ["keep", "drop"])
def test_values_that_were_read_are_not_in_memory_afterwards(tmp_path, keep):
    """40 values read and not revealed leave no trace in memory; the revealed ones are found."""
    if os.geteuid() != 0 and sys.platform != "linux":
        pytest.skip("needs to read another process's memory")
    place = Place(tmp_path)
    wanted = [os.urandom(48) for _ in range(40)]
    with place.open() as store:
        for n, value in enumerate(wanted):
            store.set_secret("u", f"s{n}", value)
    gc.collect()
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(place.path), place.root, keep],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert child.stdout.readline() == b"ready\n"
        found = scan(child.pid, wanted)
    finally:
        child.communicate()
    if keep == "keep":
        assert len(found) == 40, "the scanner does not find what is there"
    else:
        assert len(found) == 0, f"{len(found)} of 40 values are still in memory"
