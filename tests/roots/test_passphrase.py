"""The passphrase root: cost, bounds, and where the passphrase may come from."""

import os
import struct
import subprocess
import sys
import time

import pytest

from adyton.crypto.secretbytes import SecretBytes
from adyton.errors import ConfigurationError, InvalidInput, RootLocked, RootUnavailable
from adyton.roots import Argon2Params, PassphraseRoot, open_root
from adyton.roots import passphrase as module
from adyton.roots.passphrase import DEFAULT_PARAMS, TEST_PARAMS
from isolated import run_isolated

GOOD = "correct horse battery"


def make(passphrase=GOOD, params=TEST_PARAMS):
    return PassphraseRoot(passphrase, params=params)


def wrap(root, context=b"c"):
    with SecretBytes(b"k" * 32) as key:
        return root.wrap(key, context)


def opens(root, wrapped, context=b"c"):
    with root.unwrap(wrapped, context) as key:
        return key.equals(b"k" * 32)


def test_the_default_cost_is_stored_in_the_wrap():
    """By default a wrap costs 64 MiB, 3 passes and 4 lanes, as its bytes 2 to 10 say."""
    root = PassphraseRoot(GOOD)
    wrapped = wrap(root)
    assert DEFAULT_PARAMS == (65536, 3, 4)
    assert wrapped[:11] == bytes.fromhex("0201 00010000 00000003 04")
    assert root.describe()["memory_kib"] == "65536"
    assert opens(PassphraseRoot(GOOD), wrapped)


def test_opening_uses_the_stored_cost():
    """A root with other parameters of its own opens what was wrapped with these."""
    wrapped = wrap(make(params=Argon2Params(64, 2, 2)))
    assert opens(make(), wrapped)


def test_each_wrap_has_its_own_salt():
    """Two wraps share no salt, so no two stores share a derived key."""
    root = make()
    assert wrap(root)[11:27] != wrap(root)[11:27]


def test_a_key_is_derived_once_while_the_root_is_open(monkeypatch):
    """Repeated opening of one wrap derives once; another root of the passphrase derives anew."""
    derived = []
    real = module.argon2id
    monkeypatch.setattr(module, "argon2id", lambda *a, **k: derived.append(1) or real(*a, **k))
    root = make()
    wrapped = wrap(root)
    assert all(opens(root, wrapped) for _ in range(5))
    assert len(derived) == 1
    assert opens(make(), wrapped)
    assert len(derived) == 2


def test_forged_wraps_do_not_fill_the_cache():
    """Only keys that opened something, or wrapped, are kept, and no more than sixteen."""
    root = make()
    for _ in range(40):
        forged = bytearray(wrap(make("another long passphrase")))
        with pytest.raises(RootLocked):
            root.unwrap(bytes(forged), b"c")
    assert len(root._keys) == 0
    first = wrap(root)
    for _ in range(40):
        wrap(root)
    assert len(root._keys) == 16
    assert opens(root, first)


@pytest.mark.parametrize(
    ("memory", "passes", "lanes"),
    [
        (2**32 - 1, 3, 4),
        (2 * 1024 * 1024 + 1, 1, 1),
        (65536, 2**32 - 1, 4),
        (65536, 33, 4),
        (65536, 3, 255),
        (65536, 3, 17),
        (0, 3, 4),
        (31, 3, 4),
        (65536, 0, 4),
        (65536, 3, 0),
    ],
)
def test_costs_out_of_bounds_are_refused_before_any_work(memory, passes, lanes, monkeypatch):
    """A hostile store can't make us allocate 4 TiB or compute for days: it is refused at once."""
    monkeypatch.setattr(module, "argon2id", lambda *a, **k: pytest.fail("it was computed"))
    with pytest.raises(RootLocked, match="not "):
        make().unwrap(
            b"\x02\x01" + struct.pack(">IIB16s", memory, passes, lanes, b"s") + bytes(61), b"c"
        )
    with pytest.raises(InvalidInput, match="not "):
        make(params=Argon2Params(memory, passes, lanes))


def test_a_wrap_without_a_box_costs_nothing(monkeypatch):
    """A wrap whose box is too short to open is refused before anything is derived."""
    monkeypatch.setattr(module, "argon2id", lambda *a, **k: pytest.fail("it was computed"))
    with pytest.raises(RootLocked):
        make().unwrap(b"\x02\x01" + struct.pack(">IIB16s", 8, 1, 1, b"s") + bytes(28), b"c")


@pytest.mark.parametrize("short", ["", "hunter2", "a" * 11, b"b" * 11, "é" * 11, "🔑" * 11])
def test_short_passphrases_are_refused_without_being_shown(short):
    """Fewer than 12 characters, whatever their bytes, are refused, and the text shows none."""
    with pytest.raises(InvalidInput, match="fewer than 12 characters") as caught:
        make(short)
    if short:
        shown = short if isinstance(short, str) else short.decode()
        assert shown not in f"{caught.value} {caught.value.hint} {caught.value!r}"


@pytest.mark.parametrize("good", ["a" * 12, "é" * 12, "🔑" * 12, b"\xff" * 12, "x" * 4096])
def test_long_enough_passphrases_are_taken(good):
    """Twelve characters suffice, bytes that are no UTF-8 count one each, and 4096 bytes fit."""
    root = make(good)
    assert opens(root, wrap(root))


def test_over_long_passphrases_are_refused():
    """More than 4096 bytes are refused instead of cut."""
    with pytest.raises(InvalidInput, match="more than 4096 bytes"):
        make("x" * 4097)


def test_text_that_is_no_unicode_is_refused_without_being_shown():
    """A lone surrogate is refused, and no error in the chain carries the passphrase."""
    with pytest.raises(InvalidInput, match="surrogate") as caught:
        make("correct horse \udcff battery")
    assert caught.value.__context__ is None


def test_bytes_text_and_secret_are_the_same_passphrase():
    """The three ways to give one passphrase open each other's wraps; the caller's is kept."""
    with SecretBytes(GOOD.encode()) as secret:
        wrapped = wrap(make(secret))
        assert secret.text() == GOOD
    assert opens(make(GOOD.encode()), wrapped)
    assert opens(make(GOOD), wrapped)


def test_close_wipes_the_passphrase():
    """After close() the memory that held the passphrase is zero."""
    root = make()
    slot = root._passphrase._slot
    assert bytes(slot[: len(GOOD)]) == GOOD.encode()
    root.close()
    assert not any(slot)
    assert root._keys == {}


# --- where it comes from ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "uri",
    ["passphrase:hunter2", "passphrase:hunter2=x", "passphrase://hunter2", "passphrase:ENV=hunter2",
     "passphrase: env=hunter2", "passphrase:env=hunter2 horse", "passphrase:env=2hunter2"],
)  # fmt: skip
def test_a_passphrase_in_the_uri_is_refused_without_being_shown(uri):
    """Whatever is not env= or file= is refused, explained, and not repeated in the error."""
    with pytest.raises(ConfigurationError) as caught:
        open_root(uri, ask=lambda _: pytest.fail("asked"))
    assert "hunter2" not in f"{caught.value!r} {caught.value.hint}"
    assert "env=NAME" in caught.value.hint


def test_it_is_asked_for_once_to_open():
    """Opening asks once and wipes what was answered."""
    prompts, answers = [], []

    def ask(prompt):
        prompts.append(prompt)
        answers.append(SecretBytes(GOOD.encode()))
        return answers[-1]

    open_root("passphrase:", ask=ask).close()
    assert len(prompts) == 1
    assert "assphrase" in prompts[0]
    assert all(answer.wiped for answer in answers)


def test_a_new_one_is_asked_for_twice():
    """create= asks again; different answers are refused; both are wiped either way."""
    for second, accepted in ((GOOD, True), (GOOD + "!", False)):
        answers = [SecretBytes(GOOD.encode()), SecretBytes(second.encode())]
        queue = iter(answers)
        if accepted:
            open_root("passphrase:", create=True, ask=lambda _, q=queue: next(q)).close()
        else:
            with pytest.raises(InvalidInput, match="not the same"):
                open_root("passphrase:", create=True, ask=lambda _, q=queue: next(q))
        assert next(queue, None) is None
        assert all(answer.wiped for answer in answers)


def test_one_buffer_may_answer_both_questions():
    """A caller that hands out the same buffer twice is served."""
    answer = SecretBytes(GOOD.encode())
    open_root("passphrase:", create=True, ask=lambda _: answer).close()
    assert answer.wiped


def test_nobody_to_ask_is_explained():
    """Without ask= the error names the two other ways."""
    with pytest.raises(ConfigurationError, match="nobody can be asked") as caught:
        open_root("passphrase:")
    assert "file=PATH" in caught.value.hint
    assert "env=NAME" in caught.value.hint


def test_the_environment_variable_is_taken_out(monkeypatch):
    """After reading, neither os.environ nor a child process has the variable."""
    monkeypatch.setenv("ADYTON_TEST_PASS", GOOD)
    root = open_root("passphrase:env=ADYTON_TEST_PASS")
    assert "ADYTON_TEST_PASS" not in os.environ
    child = subprocess.run(
        [sys.executable, "-c", "import os; print('ADYTON_TEST_PASS' in os.environ)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert child.stdout.strip() == "False"
    assert root._passphrase.equals(GOOD.encode())
    with pytest.raises(ConfigurationError, match="ADYTON_TEST_PASS with the passphrase is not set"):
        open_root("passphrase:env=ADYTON_TEST_PASS")


@pytest.mark.parametrize(
    ("content", "passphrase"),
    [
        (b"correct horse battery", b"correct horse battery"),
        (b"correct horse battery\n", b"correct horse battery"),
        (b"correct horse battery\r\n", b"correct horse battery"),
        (b"correct horse battery\n\n", b"correct horse battery\n"),
        (b" correct horse \n battery ", b" correct horse \n battery "),
        (b"x" * 4096 + b"\r\n", b"x" * 4096),
    ],
)
def test_one_newline_at_the_end_of_a_file_is_stripped(tmp_path, content, passphrase):
    """Exactly one line end is cut off and all other white space is part of the passphrase."""
    path = tmp_path / "pass"
    path.write_bytes(content)
    path.chmod(0o600)
    assert open_root(f"passphrase:file={path}")._passphrase.equals(passphrase)


@pytest.mark.parametrize("content", [b"", b"\n", b"short\n", b"x" * 4097, b"x" * 4099, b"x" * 9999])
def test_a_file_without_a_usable_passphrase_is_refused(tmp_path, content):
    """An empty, short or over-long file is refused, and never cut to fit."""
    path = tmp_path / "pass"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(InvalidInput, match="the passphrase has"):
        open_root(f"passphrase:file={path}")


def test_a_file_that_others_can_read_is_refused(tmp_path):
    """The rules of the key file hold for the passphrase's file."""
    path = tmp_path / "pass"
    path.write_text(GOOD)
    path.chmod(0o640)
    with pytest.raises(RootUnavailable, match="0640") as caught:
        open_root(f"passphrase:file={path}")
    assert f"chmod 600 {path}" in caught.value.hint
    link = tmp_path / "link"
    path.chmod(0o600)
    link.symlink_to(path)
    with pytest.raises(RootUnavailable, match="symbolic link"):
        open_root(f"passphrase:file={link}")


@pytest.mark.parametrize("uri", ["passphrase:file=", "passphrase:file=a\0b"])
def test_a_file_without_a_path_is_refused(uri):
    """An empty path, or one with a NUL, is a ConfigurationError."""
    with pytest.raises(ConfigurationError, match="path of a file"):
        open_root(uri)


def test_a_missing_file_is_unavailable(tmp_path):
    """A missing file is named in the error."""
    with pytest.raises(RootUnavailable, match="can't read the passphrase file") as caught:
        open_root(f"passphrase:file={tmp_path}/missing")
    assert f"{tmp_path}/missing" in str(caught.value)


def test_the_default_cost_is_not_cheap():
    """A guess at the default cost takes more than ten milliseconds on any machine of today."""
    root = PassphraseRoot(GOOD)
    start = time.perf_counter()
    wrap(root)
    assert time.perf_counter() - start > 0.01


def test_closing_in_a_forked_child_does_not_wait_for_the_parents_threads():
    """A child that was forked while a thread derived a key can close the root at once."""
    out = run_isolated(
        """
        import os, signal
        from adyton.roots.passphrase import TEST_PARAMS, PassphraseRoot

        root = PassphraseRoot("correct horse battery", params=TEST_PARAMS)
        root._lock.acquire()  # as the deriving thread has it at the moment of the fork
        child = os.fork()
        if child == 0:
            signal.alarm(10)
            root.close()
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """
    )
    assert out.split() == ["0"]
