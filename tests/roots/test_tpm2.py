"""The TPM root on swtpm: states of the machine, approvals, the counter, restarts, clears."""

import json
import os
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from adyton import SecretStore
from adyton.crypto.secretbytes import SecretBytes
from adyton.errors import ConfigurationError, InvalidInput, RootLocked, RootUnavailable
from adyton.roots import _tpm_policy as policy
from adyton.roots import open_root
from adyton.roots.tpm2 import Sealed
from isolated import run_isolated
from rootpeers import SoftTpm, Tap
from servers import BIN
from support import require_module, require_program

KEY = bytes(range(32))
CONTEXT = b"store 1, master key 1"
PCRS = "sha256:7+12"


@pytest.fixture
def own(tmp_path):
    """A TPM of the test's own, whose state it may change."""
    require_program("swtpm")
    require_module("tpm2_pytss")
    started = SoftTpm(tmp_path / "tpm")
    yield started
    started.stop()


def at(tpm, more="", pcrs=PCRS, **options):
    return open_root(f"tpm2:?pcrs={pcrs}&tcti={tpm.tcti}{more}", **options)


def wrap(root):
    with SecretBytes(KEY) as secret:
        return root.wrap(secret, CONTEXT)


def opens(root, wrapped):
    with root.unwrap(wrapped, CONTEXT) as key:
        return key.equals(KEY)


# -- states of the machine ----------------------------------------------------------------------


def test_another_state_of_the_machine_is_refused_until_it_is_back(own):
    """After an extend of a chosen PCR it does not open; in the same state again it does."""
    root = at(own)
    wrapped = wrap(root)
    own.extend(11)
    assert opens(root, wrapped), "a PCR that was not chosen counts"
    own.extend(12)
    with pytest.raises(RootLocked, match="PCRs") as caught:
        root.unwrap(wrapped, CONTEXT)
    assert caught.value.hint
    own.restart()
    assert opens(root, wrapped)


def test_each_chosen_pcr_and_bank_counts(own):
    """A change of any one of the chosen registers is refused."""
    for pcr in (7, 12):
        root = at(own)
        wrapped = wrap(root)
        own.extend(pcr)
        with pytest.raises(RootLocked):
            root.unwrap(wrapped, CONTEXT)
        own.restart()
        assert opens(root, wrapped)


def test_a_cleared_tpm_opens_nothing_and_says_so(own):
    """After TPM2_Clear the owner's seed is another: RootLocked, and the text names the cause."""
    root = at(own)
    wrapped = wrap(root)
    own.clear()
    with pytest.raises(RootLocked, match="cleared"):
        root.unwrap(wrapped, CONTEXT)


def test_a_tpm_that_is_away_is_unavailable_and_comes_back(own):
    """A stopped TPM is RootUnavailable, not RootLocked; started again, the open root goes on."""
    root = at(own)
    wrapped = wrap(root)
    own.stop()
    with pytest.raises(RootUnavailable):
        root.unwrap(wrapped, CONTEXT)
    own.start()
    assert opens(root, wrapped)


def test_a_tpm_that_another_program_uses_is_waited_for(own):
    """While another client holds the TPM, the root waits its turn."""
    root = at(own)
    wrapped = wrap(root)
    held, done = threading.Event(), threading.Event()

    def hold(esapi):
        held.set()
        done.wait(0.3)
        esapi.get_random(4)

    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(own.do, hold)
        held.wait(5)
        assert opens(root, wrapped)
        done.set()
        other.result()


def test_a_tpm_that_can_not_be_reached_at_once_is_tried_again(own):
    """One that comes up meanwhile answers; nobody is told."""
    root = at(own)
    wrapped = wrap(root)
    own.stop()
    later = threading.Timer(0.2, own.start)
    later.start()
    try:
        assert opens(root, wrapped)
    finally:
        later.join()


@pytest.mark.parametrize("code", [0x908, 0x909, 0x921, 0x922, 0x923])
def test_a_busy_tpm_is_unavailable_and_refuses_nothing(own, code):
    """It may answer so for a while, in the middle of its work too; then the root opens."""
    root = at(own)
    wrapped = wrap(root)
    tap = Tap(own)
    try:
        for passed in (0, 1, 2, 3):  # commands that are carried out before it is busy
            left = [passed]

            def busy(_, left=left):
                left[0] -= 1
                return None if left[0] >= 0 else code

            tap.instead = busy
            with pytest.raises(RootUnavailable, match="busy"):
                root.unwrap(wrapped, CONTEXT)
            tap.instead = lambda _: None
            own.restart()  # the kernel's resource manager would flush what is left in it
            assert opens(root, wrapped)
        once = [0x922]  # RETRY, as when it has just started another command
        tap.instead = lambda _: once.pop() if once else None
        assert opens(root, wrapped)
        assert not once
    finally:
        tap.stop()


def test_a_tpm_that_others_have_filled_is_unavailable(own):
    """Without a resource manager there is no room for our keys: that is no refusal."""
    from adyton.roots import _tpm

    root = at(own)
    wrapped = wrap(root)
    with pytest.raises(RootUnavailable, match="filled"):
        for _ in range(9):
            own.do(_tpm.parent)
    with pytest.raises(RootUnavailable, match="filled"):
        root.unwrap(wrapped, CONTEXT)
    own.restart()
    assert opens(root, wrapped)


def test_nothing_is_left_loaded_in_the_tpm(own):
    """After wraps, openings and refusals no object and no session takes room in the TPM."""
    root = at(own)
    wrapped = wrap(root)
    for _ in range(5):
        assert opens(root, wrapped)
    own.extend(12)
    for _ in range(5):
        with pytest.raises(RootLocked):
            root.unwrap(wrapped, CONTEXT)
    from tpm2_pytss.constants import TPM2_CAP, TPM2_HC

    for first in (TPM2_HC.TRANSIENT_FIRST, TPM2_HC.LOADED_SESSION_FIRST):
        _, found = own.do(lambda e, first=first: e.get_capability(TPM2_CAP.HANDLES, first, 20))
        assert len(found.data.handles) == 0


def test_the_unsealed_key_is_encrypted_on_the_way(own):
    """What crosses to the TPM and back holds neither what is sealed nor the master key."""
    root = at(own)
    seen = []
    sealing = root._sealing
    keep = sealing.seal

    def watched(pcrs, content):
        seen.append(content.reveal())
        return keep(pcrs, content)

    sealing.seal = watched
    tap = Tap(own)
    try:
        assert opens(root, wrap(root))
    finally:
        tap.stop()
    traffic = bytes(tap.data)
    assert len(traffic) > 1000
    assert seen[0] not in traffic
    assert seen[0][32:] not in traffic
    assert KEY not in traffic


# -- approved policies --------------------------------------------------------------------------


class Approver:
    """A key that approves policies, and the folder that they are put into."""

    def __init__(self, folder, key=None):
        self.key = key or ec.generate_private_key(ec.SECP256R1())
        self.pem = folder / "approver.pem"
        self.pem.write_bytes(
            self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        )
        self.folder = folder / "policies"
        self.folder.mkdir()
        self.more = f"&approver={self.pem}&policies={self.folder}"

    def approve(self, tpm, name="a", pcrs=PCRS, key=None):
        made = policy.approve(key or self.key, policy.parse_selection(pcrs), tpm.pcr_values(pcrs))
        (self.folder / f"{name}.json").write_bytes(made)


@pytest.fixture
def approver(tmp_path):
    return Approver(tmp_path)


def test_an_update_that_was_approved_before_it_happens_keeps_the_key(own, approver):
    """The same wrapped key opens in the old state and, once approved, in the new one."""
    root = at(own, approver.more)
    wrapped = wrap(root)
    with pytest.raises(RootLocked, match="no approved policy"):
        root.unwrap(wrapped, CONTEXT)
    approver.approve(own, "old")
    assert opens(root, wrapped)
    own.extend(12, b"new kernel")
    with pytest.raises(RootLocked, match="no approved policy"):
        root.unwrap(wrapped, CONTEXT)
    approver.approve(own, "new")
    assert opens(root, wrapped)
    own.restart()
    assert opens(root, wrapped), "the old state is approved still"


@pytest.mark.parametrize("coordinate", ["x", "y"])
def test_an_approver_may_have_a_key_with_leading_zeros(own, tmp_path, coordinate):
    """One in 128 has; whoever writes its numbers as short as they are opens nothing by it."""
    key = ec.generate_private_key(ec.SECP256R1())
    while getattr(key.public_key().public_numbers(), coordinate) >> 248:
        key = ec.generate_private_key(ec.SECP256R1())
    approver = Approver(tmp_path, key)
    root = at(own, approver.more)
    wrapped = wrap(root)
    approver.approve(own)
    assert opens(root, wrapped)
    approver.approve(own, key=ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(RootLocked, match="not signed by the key"):
        root.unwrap(wrapped, CONTEXT)


def test_only_the_keys_own_approvals_count(own, approver):
    """A policy signed by another key, or changed after signing, opens nothing."""
    root = at(own, approver.more)
    wrapped = wrap(root)
    approver.approve(own, key=ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(RootLocked, match="not signed by the key"):
        root.unwrap(wrapped, CONTEXT)
    approver.approve(own)
    assert opens(root, wrapped)
    file = approver.folder / "a.json"
    content = json.loads(file.read_text())
    own.extend(12)
    # The signature of one policy on the digest of another.
    now = policy.pcr_policy(policy.parse_selection(PCRS), own.pcr_values(PCRS))
    file.write_text(json.dumps({**content, "policy": now.hex()}))
    with pytest.raises(RootLocked, match="not signed by the key"):
        root.unwrap(wrapped, CONTEXT)


def test_another_approvers_root_does_not_open(own, approver, tmp_path):
    """The key is part of what was sealed: naming another one on opening is refused."""
    wrapped = wrap(at(own, approver.more))
    (tmp_path / "other").mkdir()
    other = Approver(tmp_path / "other")
    other.approve(own)
    with pytest.raises(RootLocked):
        at(own, other.more).unwrap(wrapped, CONTEXT)
    with pytest.raises(RootLocked, match="approved policies"):
        at(own).unwrap(wrapped, CONTEXT)


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[", b"[" * 70_000,
                b'{"format":1,"pcrs":"x","policy":"zz","signature":""}',
                b'{"format":1,"pcrs":"x","policy":"00","signature":"00"}', os.urandom(300)]
)  # fmt: skip
def test_files_that_are_no_approvals_are_passed_over(own, approver, content):
    """Rubbish in the folder neither opens anything nor keeps a good approval from counting."""
    root = at(own, approver.more)
    wrapped = wrap(root)
    (approver.folder / "0.json").write_bytes(content)
    with pytest.raises(RootLocked):
        root.unwrap(wrapped, CONTEXT)
    approver.approve(own)
    assert opens(root, wrapped)


def test_a_policy_is_computed_as_the_tpm_does_it(own):
    """Our digest of PolicyPCR, made without a TPM, is the TPM's own for one bank and for two."""
    from tpm2_pytss.constants import TPM2_SE

    from adyton.roots import _tpm
    from adyton.roots._tpm_sealing import _selection

    for text in ("sha256:0", "sha256:7+12", "sha256:23,sha384:0+1"):

        def trial(esapi, text=text):
            parent, _ = _tpm.parent(esapi)
            with _tpm.session(esapi, TPM2_SE.TRIAL, parent) as session:
                esapi.policy_pcr(session, b"", _selection(text))
                found = bytes(esapi.policy_get_digest(session))
            esapi.flush_context(parent)
            return found

        ours = policy.pcr_policy(policy.parse_selection(text), own.pcr_values(text))
        assert own.do(trial) == ours


def test_values_that_do_not_fit_and_other_curves_are_refused():
    """Approving takes a P-256 key, and one value of the right length for each PCR."""
    chosen = policy.parse_selection("sha256:7+11")
    key = ec.generate_private_key(ec.SECP256R1())
    for values in ([], [bytes(32)], [bytes(32), bytes(20)], [bytes(32)] * 3):
        with pytest.raises(InvalidInput):
            policy.approve(key, chosen, values)
    with pytest.raises(InvalidInput, match="P-256"):
        policy.approve(ec.generate_private_key(ec.SECP384R1()), chosen, [bytes(32)] * 2)


def test_the_commands_approve_a_state(own, approver, tmp_path):
    """`root pcrs` on the machine and `root approve` elsewhere make a file that opens."""
    root = at(own, approver.more)
    wrapped = wrap(root)
    key = tmp_path / "signer.pem"
    secret = approver.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    key.write_bytes(secret)
    shown = command("--output", "json", "root", "pcrs", "--pcrs", PCRS, "--tcti", own.tcti)
    (tmp_path / "values.json").write_text(shown.stdout)
    assert "sha256:7" in command("root", "pcrs", "--pcrs", PCRS, "--tcti", own.tcti).stdout
    out = approver.folder / "state.json"
    command("root", "approve", "--key", key, "--values", tmp_path / "values.json", "--out", out)
    assert opens(root, wrapped)
    for wrong in ("{}", "[", '{"pcrs":"sha256:7","values":["zz"]}'):
        (tmp_path / "wrong.json").write_text(wrong)
        told = command(
            "root", "approve", "--key", key, "--values", tmp_path / "wrong.json", "--out", out,
            code=2,
        )  # fmt: skip
        assert "root pcrs" in told.stderr
    told = command(
        "root", "approve", "--key", key, "--values", tmp_path / "values.json",
        "--out", approver.folder / "state", code=2,
    )  # fmt: skip
    assert ".json" in told.stderr
    told = command(
        "root", "approve", "--key", "/etc/passwd", "--values", tmp_path / "values.json",
        "--out", out, code=2,
    )  # fmt: skip
    assert "openssl" in told.stderr


def command(*args, code=0):
    done = subprocess.run(
        [BIN / "adyton", *map(str, args)], capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    return done


# -- the counter --------------------------------------------------------------------------------


def test_a_store_from_before_the_last_rotation_is_refused(own, tmp_path):
    """With a counter, a copy of the store that was put back does not open; the newest does."""
    uri = f"tpm2:?pcrs={PCRS}&tcti={own.tcti}&counter=0x01500010"
    path = tmp_path / "store.db"
    with SecretStore.open(str(path), root=uri, create=True) as store:
        store.set_secret("u", "n", b"first")
    older = path.read_bytes()
    with SecretStore.open(str(path), root=uri) as store:
        store.keys.rotate(master=True)
    newest = path.read_bytes()
    path.write_bytes(older)
    with pytest.raises(RootLocked, match="older than the last rotation"):
        SecretStore.open(str(path), root=uri)
    path.write_bytes(newest)
    with SecretStore.open(str(path), root=uri) as store, store.get_secret("u", "n") as secret:
        assert secret.value.equals(b"first")


def test_a_rotation_that_was_broken_off_locks_nobody_out(own):
    """Between wrapping anew and settling, both the older and the newer key open."""
    root = at(own, "&counter=0x01500011", create=True)
    first = wrap(root)
    root.settle(first)
    second = wrap(root)
    assert opens(root, first)
    assert opens(root, second)
    root.settle(first)  # the opening after a crash, which found the older one alone
    assert opens(root, second)
    root.settle(second)
    with pytest.raises(RootLocked, match="older"):
        root.unwrap(first, CONTEXT)
    with pytest.raises(RootLocked):
        root.settle(first)
    assert opens(root, second)


def test_a_missing_counter_is_not_made_by_opening(own):
    """Without create an absent counter is RootUnavailable: a new one would take old stores."""
    with pytest.raises(RootUnavailable, match="no counter"):
        at(own, "&counter=0x01500012")


# -- URIs and bytes -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rest",
    ["pcrs=", "pcrs=7", "pcrs=sha256:", "pcrs=sha256:24", "pcrs=md5:1", "pcrs=sha256:1,sha256:2",
     "pcr=sha256:7", "counter=5", "counter=x", "approver=/x", "policies=/x",
     "approver=/etc/passwd&policies=/tmp", "pcrs=sha256:7&pcrs=sha256:8"],
)  # fmt: skip
def test_wrong_uris_are_refused(rest):
    """Each is a ConfigurationError with a next step."""
    require_module("tpm2_pytss")
    with pytest.raises(ConfigurationError) as caught:
        open_root(f"tpm2:?{rest}")
    assert caught.value.hint


def test_without_a_tpm_the_root_is_unavailable():
    """Where no TPM is reached, the error says where to look."""
    require_module("tpm2_pytss")
    with pytest.raises(RootUnavailable) as caught:
        open_root("tpm2:?tcti=swtpm:host=127.0.0.1,port=1")
    assert "tcti" in caught.value.hint
    with pytest.raises(RootUnavailable):
        open_root("tpm2:?tcti=nonsense:x")


@given(st.binary(max_size=200))
def test_what_the_store_keeps_parses_strictly(data):
    """Any bytes are a sealed key that packs to the same bytes, or none."""
    found = Sealed.parse(data)
    assert found is None or found.pack() == data


def test_without_the_library_the_error_says_what_to_install():
    """Where tpm2-pytss is not installed, a ConfigurationError names what is missing."""
    out = run_isolated(
        """
        import sys
        sys.modules["tpm2_pytss"] = None
        from adyton.errors import ConfigurationError
        from adyton.roots import open_root
        try:
            open_root("tpm2:")
        except ConfigurationError as error:
            print(error.hint)
        """
    )
    assert "adyton[tpm]" in out
