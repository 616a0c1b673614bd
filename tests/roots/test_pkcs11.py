"""The HSM root on SoftHSM: keys that can't leave, PINs, lost sessions, tokens that go and come."""

import contextlib
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor

import pkcs11
import pytest
from pkcs11 import Attribute, KeyType

from adyton import SecretStore
from adyton.crypto.secretbytes import SecretBytes
from adyton.errors import AdytonError, ConfigurationError, RootLocked, RootUnavailable
from adyton.roots import _hsm, open_root
from isolated import run_isolated
from rootpeers import SOFTHSM

KEY = bytes(range(32))
CONTEXT = b"store 1, master key 1"


def wrap(root):
    with SecretBytes(KEY) as secret:
        return root.wrap(secret, CONTEXT)


def opens(root, wrapped):
    with root.unwrap(wrapped, CONTEXT) as key:
        return key.equals(KEY)


@pytest.fixture
def root(softhsm):
    opened = open_root(softhsm.uri("one"), create=True)
    yield opened
    opened.close()


def in_session(root, work):
    """Something done behind the root's back, in its own session."""
    return root._token().run(work)


def test_the_key_that_is_made_cannot_leave_the_token(root):
    """It is sensitive and not extractable from its making on, and its value can't be read."""

    def look(session):
        key = session.get_key(key_type=KeyType.AES, label="master")
        with pytest.raises(pkcs11.AttributeSensitive):
            key[Attribute.VALUE]
        return [
            key[name]
            for name in (
                Attribute.SENSITIVE,
                Attribute.ALWAYS_SENSITIVE,
                Attribute.NEVER_EXTRACTABLE,
                Attribute.PRIVATE,
                Attribute.TOKEN,
            )
        ]

    assert all(in_session(root, look))


@pytest.mark.parametrize(
    ("length", "sensitive", "extractable"),
    [(256, True, True), (256, False, True), (128, True, False)],
)  # fmt: skip
def test_a_key_that_can_leave_or_is_short_is_refused(softhsm, root, length, sensitive, extractable):
    """A root whose key could be copied out is none: refused when it is opened."""
    label = f"bad{length}{sensitive}{extractable}"
    template = {Attribute.SENSITIVE: sensitive, Attribute.EXTRACTABLE: extractable}
    in_session(
        root,
        lambda s: s.generate_key(KeyType.AES, length, label=label, store=True, template=template),
    )
    with pytest.raises(RootLocked):
        open_root(softhsm.uri("one", label), create=True)


def test_a_missing_key_is_not_made_unless_asked(softhsm, root):
    """Without create a key that is missing is RootUnavailable: a new one would open nothing."""
    with pytest.raises(RootUnavailable, match="no such key"):
        open_root(softhsm.uri("one", "absent"))


def test_two_keys_of_one_label_are_refused(softhsm, root):
    """An ambiguous key is a ConfigurationError, and its id tells it apart."""
    for ident in (b"\x01", b"\x02"):
        in_session(
            root,
            lambda s, ident=ident: s.generate_key(
                KeyType.AES, 256, label="twice", id=ident, store=True
            ),
        )
    with pytest.raises(ConfigurationError, match="several keys"):
        open_root(softhsm.uri("one", "twice"))
    open_root(softhsm.uri("one", "twice;id=%02")).close()


def test_a_wrong_pin_is_refused_and_not_shown(softhsm, tmp_path):
    """RootLocked, without the PIN in its text; a second opener needs the right one too."""
    wrong = tmp_path / "wrong"
    wrong.write_text("9999-hunter")
    wrong.chmod(0o600)
    uri = softhsm.uri("two").replace(str(softhsm.pin_file), str(wrong))
    with pytest.raises(RootLocked) as caught:
        open_root(uri)
    assert "hunter" not in f"{caught.value} {caught.value.hint} {caught.value.__cause__}"
    held = open_root(softhsm.uri("two"), create=True)
    with pytest.raises(RootLocked, match="PIN"):
        open_root(uri)
    assert opens(held, wrap(held))
    held.close()


def test_the_pin_may_be_asked_for(softhsm):
    """Without pin-source a person is asked; where there is none, that is a ConfigurationError."""
    uri = softhsm.uri("one").partition("&")[0]
    asked = []

    def ask(prompt):
        asked.append(prompt)
        return SecretBytes(softhsm.PIN.encode())

    open_root(uri, create=True, ask=ask).close()
    assert len(asked) == 1
    with pytest.raises(ConfigurationError, match="nobody to ask"):
        open_root(uri)


@pytest.mark.parametrize(
    "rest",
    [
        "",
        "token=one",
        "object=master",
        "token=one;object=k?pin-value=hunter2",
        "token=one;object=k;token=two?module-path=/x",
        "token=one;object=k;type=private?module-path=/x&pin-source=file:/dev/null",
        "token=one;object=k?module-name=x",
        "token=absent;object=k?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:PIN",
        "token=one;object=k?module-path=/usr/lib/absent.so&pin-source=file:PIN",
        "token=one;object=k?module-path=/etc/passwd&pin-source=file:PIN",
    ],
)
def test_wrong_uris_and_absent_tokens_give_our_errors(softhsm, rest):
    """Each is one of our errors with a next step, and never repeats what may be a PIN."""
    with pytest.raises(AdytonError) as caught:
        open_root("pkcs11:" + rest.replace("PIN", str(softhsm.pin_file)))
    assert caught.value.hint
    assert "hunter2" not in f"{caught.value} {caught.value.hint}"


def test_a_session_that_was_lost_is_opened_again(root):
    """Closing all sessions of the token, as a reset does, is not noticed by the next use."""
    wrapped = wrap(root)
    with _hsm._lock:
        root._hsm._session.close()
    assert opens(root, wrapped)
    with _hsm._lock:
        pkcs11.lib(str(SOFTHSM)).reinitialize()
    assert opens(root, wrapped)


def test_a_token_that_was_removed_is_unavailable_until_it_is_back(softhsm, root):
    """Away is RootUnavailable, not RootLocked; once it is back the open root goes on."""
    wrapped = wrap(root)
    away = softhsm.tokens.with_name("away")
    shutil.move(softhsm.tokens, away)
    softhsm.tokens.mkdir()
    try:
        with _hsm._lock:
            root._hsm._session.close()
        for _ in range(3):
            with pytest.raises(RootUnavailable):
                root.unwrap(wrapped, CONTEXT)
    finally:
        softhsm.tokens.rmdir()
        shutil.move(away, softhsm.tokens)
    assert opens(root, wrapped)


def test_threads_share_the_token_without_a_crash(softhsm):
    """Many roots of two tokens in many threads: every answer is right.

    In a process of its own, since the binding crashes the process when this goes wrong.
    """
    out = run_isolated(
        """
        import os, sys
        from concurrent.futures import ThreadPoolExecutor
        from adyton.crypto.secretbytes import SecretBytes
        from adyton.roots import open_root

        def work(n):
            root = open_root(sys.argv[1 + n % 2], create=False)
            key = bytes([n]) * 32
            good = 0
            for turn in range(15):
                with SecretBytes(key) as secret:
                    wrapped = root.wrap(secret, b"c")
                with root.unwrap(wrapped, b"c") as opened:
                    good += opened.equals(key)
            root.close()
            return good

        for uri in sys.argv[1:3]:
            open_root(uri, create=True).close()
        with ThreadPoolExecutor(8) as pool:
            print(sum(pool.map(work, range(32))))
        """,
        softhsm.uri("one"),
        softhsm.uri("two"),
    )
    assert out.strip() == str(32 * 15)


def test_a_token_without_gcm_wraps_by_aes_key_wrap(root, monkeypatch):
    """The fallback of RFC 5649 wraps and opens, refuses changes, and leaves no object behind."""
    from adyton.roots import _hsm_key

    with monkeypatch.context() as patch:
        # SoftHSM has GCM: the choice alone is turned, the mechanism is the module's own.
        patch.setattr(pkcs11.Slot, "get_mechanisms", lambda _: [], raising=False)
        patch.setattr(_hsm_key, "Mechanism", NoGcm)
        wrapped = wrap(root)
    assert wrapped[4] == 2
    assert opens(root, wrapped)
    for at in (5, 20, 44):
        changed = bytearray(wrapped)
        changed[at] ^= 1
        with pytest.raises(RootLocked):
            root.unwrap(bytes(changed), CONTEXT)
    count = in_session(root, lambda s: len(list(s.get_objects({Attribute.TOKEN: False}))))
    assert count == 0


class NoGcm:
    """The mechanisms, with one that no token has in the place of AES-GCM."""

    AES_GCM = pkcs11.Mechanism.SEED_CBC
    AES_KEY_WRAP_PAD = pkcs11.Mechanism.AES_KEY_WRAP_PAD


def test_a_store_lives_under_a_token_and_survives_a_loss_in_a_rotation(softhsm, tmp_path):
    """A session that is killed in the middle of a rotation of the master key loses nothing."""
    path, uri = str(tmp_path / "store.db"), softhsm.uri("two", "for-store")
    with SecretStore.open(path, root=uri, create=True) as store:
        for n in range(30):
            store.set_secret(f"user{n}", "n", b"value")
    with SecretStore.open(path, root=uri) as store:
        root = store._opened.core.roots[0]

        def kill():
            for _ in range(20):
                with _hsm._lock:
                    session = root._hsm._session
                    if session is not None:
                        with contextlib.suppress(pkcs11.PKCS11Error):
                            session.close()
                time.sleep(0.01)

        with ThreadPoolExecutor(1) as pool:
            killing = pool.submit(kill)
            for _ in range(10):
                store.keys.rotate(master=True)
            killing.result()
    with SecretStore.open(path, root=uri) as store:
        for n in range(30):
            with store.get_secret(f"user{n}", "n") as secret:
                assert secret.value.equals(b"value")
        store.audit.verify()


def test_without_the_library_the_error_says_what_to_install(softhsm):
    """Where python-pkcs11 is not installed, a ConfigurationError names the extra."""
    out = run_isolated(
        """
        import sys
        sys.modules["pkcs11"] = None
        from adyton.errors import ConfigurationError
        from adyton.roots import open_root
        try:
            open_root(sys.argv[1])
        except ConfigurationError as error:
            print(error.hint)
        """,
        softhsm.uri("one"),
    )
    assert "adyton[pkcs11]" in out


def test_a_fork_is_refused_and_the_parent_goes_on(softhsm):
    """A child that inherits the root is refused: the module was started before the fork."""
    out = run_isolated(
        """
        import os, sys
        from adyton.crypto.secretbytes import SecretBytes
        from adyton.errors import RootUnavailable
        from adyton.roots import open_root

        root = open_root(sys.argv[1], create=True)
        with SecretBytes(b"k" * 32) as key:
            wrapped = root.wrap(key, b"c")
        child = os.fork()
        if child == 0:
            try:
                root.unwrap(wrapped, b"c")
            except RootUnavailable as error:
                root.close()
                os._exit(7 if "fork" in str(error) else 1)
            os._exit(2)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        with root.unwrap(wrapped, b"c") as key:
            print(key.equals(b"k" * 32))
        root.close()
        """,
        softhsm.uri("one"),
    )
    assert out.split() == ["7", "True"]
    assert os.environ["SOFTHSM2_CONF"]
