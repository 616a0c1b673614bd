"""What every root of trust has to do, run over all that are built in."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adyton.crypto.secretbytes import SecretBytes
from adyton.errors import RootLocked, RootUnavailable
from adyton.ports import RootOfTrust
from adyton.roots import DevRoot, KeyFileRoot, PassphraseRoot, ShamirRoot
from isolated import run_isolated

ALL = (
    "keyfile", "passphrase", "dev", "shamir", "transit", "awskms", "age", "credential", "gramine",
    "pkcs11", "tpm2",
)  # fmt: skip

KEY = bytes(range(32))
CONTEXT = b"store 1, master key 1"


@pytest.fixture
def wrapped(root):
    with SecretBytes(KEY) as key:
        return root.wrap(key, CONTEXT)


def test_a_wrapped_key_opens(root, wrapped):
    """unwrap() gives back what wrap() was given, in a buffer that the caller wipes."""
    with root.unwrap(wrapped, CONTEXT) as key:
        assert key.equals(KEY)
    with root.unwrap(wrapped, CONTEXT) as again:
        assert again.equals(KEY)


def test_wrapping_leaves_the_callers_key_alone(root):
    """The key that is wrapped is neither wiped nor changed."""
    with SecretBytes(KEY) as key:
        root.wrap(key, CONTEXT)
        assert key.equals(KEY)


def test_a_wrapped_key_does_not_show_the_key_or_repeat(root, wrapped):
    """The key is not in the wrapped bytes, and two wraps of it share no box."""
    with SecretBytes(KEY) as key:
        second = root.wrap(key, CONTEXT)
    assert KEY not in wrapped
    assert KEY[:8] not in wrapped
    assert wrapped[-60:] != second[-60:]


def test_opened_again_it_opens_what_it_wrapped_before(kind, wrapped):
    """A root that is opened again, as after a restart, opens the same wrapped keys."""
    again = kind.reopen()
    with again.unwrap(wrapped, CONTEXT) as key:
        assert key.equals(KEY)
    again.close()


def test_another_root_of_the_kind_is_refused(kind, wrapped):
    """A different key or passphrase raises RootLocked, without the low-level cause."""
    other = kind.other()
    with pytest.raises(RootLocked) as caught:
        other.unwrap(wrapped, CONTEXT)
    assert caught.value.__cause__ is None
    assert caught.value.hint
    other.close()


@pytest.mark.parametrize("context", [b"", CONTEXT[:-1], CONTEXT + b"\0", b"store 2, master key 1"])
def test_another_context_is_refused(root, wrapped, context):
    """A key that was wrapped for one place does not open for another."""
    with pytest.raises(RootLocked):
        root.unwrap(wrapped, context)


def test_every_changed_byte_is_refused(root, wrapped):
    """Each byte, changed in its lowest bit, its highest or all, raises RootLocked."""
    for position in range(len(wrapped)):
        for mask in (0x01, 0x80, 0xFF):
            changed = bytearray(wrapped)
            changed[position] ^= mask
            with pytest.raises(RootLocked):
                root.unwrap(bytes(changed), CONTEXT)


def test_every_other_length_is_refused(root, wrapped):
    """Each truncation, nothing at all, and one byte more raise RootLocked."""
    for size in range(len(wrapped)):
        with pytest.raises(RootLocked):
            root.unwrap(wrapped[:size], CONTEXT)
    with pytest.raises(RootLocked):
        root.unwrap(wrapped + b"\0", CONTEXT)


@given(garbage=st.binary(max_size=120))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_garbage_is_refused_with_one_kind_of_error(root, garbage):
    """Whatever a store holds instead of a wrapped key, the error is RootLocked."""
    for wrapped in (garbage, *(bytes((kind, 0x01)) + garbage for kind in range(1, 13))):
        with pytest.raises(RootLocked):
            root.unwrap(wrapped, CONTEXT)


def test_a_key_of_another_kind_is_named(root, kind, wrapped):
    """A key that another kind of root wrapped is refused with the name of that kind."""
    for number, name in enumerate(ALL, 1):
        if name == kind.name:
            assert wrapped[0] == number
        else:
            with pytest.raises(RootLocked, match=f"of kind {name}, not {kind.name}"):
                root.unwrap(bytes([number]) + wrapped[1:], CONTEXT)


def test_threads_use_one_root(root):
    """Many threads wrap and unwrap by one root at once, and each gets its own key back."""

    def work(number):
        own = bytes([number]) * 32
        with SecretBytes(own) as key:
            wrapped = root.wrap(key, b"%d" % number)
        for _ in range(5):
            with root.unwrap(wrapped, b"%d" % number) as key:
                assert key.equals(own)

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(work, number) for number in range(64)]:
            done.result()


def test_a_closed_root_is_unavailable(root, wrapped):
    """After close(), which may come twice, both ways raise RootUnavailable."""
    root.close()
    root.close()
    with SecretBytes(KEY) as key, pytest.raises(RootUnavailable, match="closed"):
        root.wrap(key, CONTEXT)
    with pytest.raises(RootUnavailable, match="closed"):
        root.unwrap(wrapped, CONTEXT)


def test_closing_while_threads_use_it_gives_only_clean_errors(kind):
    """A root that is closed under work answers rightly or is unavailable, nothing else."""
    root = kind.reopen()
    answers = []

    def work(number):
        try:
            with SecretBytes(KEY) as key:
                wrapped = root.wrap(key, CONTEXT)
            with root.unwrap(wrapped, CONTEXT) as opened:
                answers.append(opened.equals(KEY))
        except RootUnavailable:
            answers.append(None)
        if number == 40:
            root.close()

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(work, number) for number in range(200)]:
            done.result()
    assert len(answers) == 200
    assert False not in answers
    assert None in answers


def test_it_says_what_it_is_and_nothing_secret(root, kind):
    """Kind and describe() name the root; no text of it holds the passphrase."""
    assert root.kind == kind.name == root.describe()["kind"]
    shown = f"{root!r} {root} {root.describe()}"
    assert "horse" not in shown
    assert all(isinstance(v, str) for v in root.describe().values())


@pytest.mark.parametrize("misuse", [pickle.dumps, copy.deepcopy])
def test_it_cannot_be_copied(root, misuse):
    """Pickling or copying an open root is refused."""
    with pytest.raises(TypeError):
        misuse(root)


def test_the_built_in_roots_fit_the_port():
    """Each class has all that the Protocol asks for, and from_uri."""
    wanted = [name for name in vars(RootOfTrust) if not name.startswith("_")]
    assert len(wanted) == 5
    for made in (DevRoot, KeyFileRoot, PassphraseRoot, ShamirRoot):
        assert all(hasattr(made, name) for name in [*wanted, "from_uri"])


@pytest.mark.parametrize("scheme", ["keyfile", "passphrase", "dev", "shamir"])
def test_a_forked_child_is_refused(scheme, tmp_path):
    """In a child both ways raise RootUnavailable and close() returns; the parent goes on."""
    out = run_isolated(
        """
        import logging, os, sys
        from adyton.crypto.secretbytes import SecretBytes
        from adyton.errors import RootUnavailable
        from adyton.roots import ShamirRoot, open_root

        logging.getLogger("adyton").setLevel(logging.ERROR)
        os.environ["PASS"] = "correct horse battery"
        if sys.argv[1] == "shamir:":
            root = ShamirRoot.create(2, 3)[0]
        else:
            root = open_root(sys.argv[1], create=True)
        with SecretBytes(b"k" * 32) as key:
            wrapped = root.wrap(key, b"c")
        child = os.fork()
        if child == 0:
            refused = 0
            for use in (lambda: root.wrap(SecretBytes(b"k" * 32), b"c"),
                        lambda: root.unwrap(wrapped, b"c")):
                try:
                    use()
                except RootUnavailable as error:
                    refused += "fork" in str(error)
            root.close()
            os._exit(refused)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        print(root.unwrap(wrapped, b"c").reveal() == b"k" * 32)
        """,
        {
            "keyfile": f"keyfile:{tmp_path}/k",
            "passphrase": "passphrase:env=PASS",
            "dev": "dev:",
            "shamir": "shamir:",
        }[scheme],
    )
    assert out.split() == ["2", "True"]
