"""Killed at every write of making a store and of changing its shares: something always opens it."""

import pytest

from isolated import run_isolated

SCRIPT = """
import json, sys
from pathlib import Path
from adyton.crypto.gathering import Gathering
from adyton.crypto.shares import parse
from adyton.errors import AdytonError
from adyton.model import Caller
from adyton.roots import ShamirRoot
from adyton.roots.shamir import read_set
from adyton.server.seal.making import InitRequest, make
from adyton.service.rekey import Rekey
from adyton.wiring import Options, look, open_store
from killing import kill_at_writes

what, folder = sys.argv[1], Path(sys.argv[2])
told = folder / "told"  # what a client has received
store = folder / "now" / "store.db"
options = Options(str(store), "shamir:", upkeep=False)
keyfile = Options(str(store), f"keyfile:{folder}/now/key", upkeep=False)
OPERATOR = Caller("test")


def open_by(texts):
    for known in look(options).sets:
        gathering = Gathering([known])
        try:
            for text in texts:
                gathering.enter(parse(text.encode()))
        except AdytonError:
            continue
        with gathering.key(known) as key:
            root = ShamirRoot.of_key(key, known)
        opened = open_store(Options(str(store), root, upkeep=False))
        problems = opened.core.commit.run_sync(check(opened.core))
        opened.close()
        return problems == []
    return False


async def check(core):
    return await core.storage.check()


def tell(**shares):
    told.write_text(json.dumps({**heard(), **shares}))


def heard():
    return json.loads(told.read_text()) if told.exists() else {}


def do_init():
    made = make(options, InitRequest(2, 3))
    tell(new=[share.hex() for share in made.shares][:2])


def do_init_keyfile():
    made = make(keyfile, InitRequest(0, 0))
    tell(token=made.root_token)
    made.opened.close()


def rekey(verify):
    known = look(options).sets[-1]
    gathering = Gathering([known])
    old = heard()["old"]
    for text in old:
        gathering.enter(parse(text.encode()))
    with gathering.key(known) as key:
        root = ShamirRoot.of_key(key, known)
    opened = open_store(Options(str(store), root, upkeep=False))
    change, run = Rekey(opened.core, ShamirRoot.of_key, read_set), opened.core.commit.run_sync
    nonce = run(change.begin(OPERATOR, 2, 2, verify=verify)).nonce
    for text in old:
        made = run(change.enter(OPERATOR, nonce, parse(text.encode())))
    new = [share.hex() for share in made]
    tell(new=new)
    if verify:
        nonce = run(change.status()).verify_nonce
        for text in new:
            run(change.enter_new(OPERATOR, nonce, parse(text.encode())))
    tell(done=True)
    opened.close()


def check_init():
    found = look(options)
    if "new" in heard():
        assert open_by(heard()["new"]), "the shares that were told do not open the store"
        return
    assert not found.exists or found.pending, "a store is in force whose shares nobody has"
    made = make(options, InitRequest(2, 3))
    assert open_by([share.hex() for share in made.shares][1:])
    assert not look(options).pending


def check_init_keyfile():
    found = look(keyfile)
    if "token" not in heard() and found.exists and not found.pending:
        # The store counts from the moment when its root token is durable: at most that is lost.
        open_store(keyfile).close()
        return
    if "token" not in heard():
        made = make(keyfile, InitRequest(0, 0))
        made.opened.close()
    assert not look(keyfile).pending
    open_store(keyfile).close()


def check_rekey():
    shares = heard()
    old, new = open_by(shares["old"]), "new" in shares and open_by(shares["new"])
    assert old or new, "nothing opens the store"
    if "new" not in shares:
        assert old, "the old shares are gone before the new ones were told"
    if "done" in shares:
        assert new, "the new shares do not open"
    if new:
        assert not open_by(shares["old"]), "the old shares outlive the new ones' use"


operation = {
    "init": do_init, "init keyfile": do_init_keyfile,
    "rekey": lambda: rekey(False), "rekey verified": lambda: rekey(True),
}[what]
verdict = {"init": check_init, "init keyfile": check_init_keyfile}.get(what, check_rekey)


def prepare():
    store.parent.mkdir(exist_ok=True)
    if what.startswith("rekey"):
        made = make(options, InitRequest(2, 3))
        old = [share.hex() for share in made.shares][:2]
        assert open_by(old)
        tell(old=old)


def also(counted):
    global tell
    tell = counted(tell)  # also between the commit and the answer


print(kill_at_writes(folder, prepare, operation, verdict, also=also))
"""


@pytest.mark.parametrize("what", ["init", "init keyfile", "rekey", "rekey verified"])
def test_killed_at_every_write_and_answer(what, tmp_path):
    """Before each statement, each commit, and each answer."""
    folder = tmp_path / "crash"
    folder.mkdir()
    assert int(run_isolated(SCRIPT, what, str(folder), timeout=250)) > 20
