"""Roots whose key is elsewhere: what the service sees, refusals, faults, whole stores."""

import base64
import contextlib
import json

import pyrage
import pytest

from adyton import SecretStore
from adyton.crypto.secretbytes import SecretBytes
from adyton.errors import ConfigurationError, RootLocked, RootUnavailable
from adyton.roots import open_root, transit
from adyton.roots.age import AgeRoot
from between import Between
from rootpeers import BAO_TOKEN

KEY = bytes(range(32))
CONTEXT = b"store 1, master key 1"


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(transit, "_PAUSE", 0.01)


@pytest.fixture
def way(request):
    """A proxy that a test can make misbehave, before the service it names."""
    made = []

    def to(target):
        made.append(Between(target))
        return made[-1]

    yield to
    for each in made:
        each.stop()


@pytest.fixture
def opened():
    """Opens roots, and closes them at the end."""
    with contextlib.ExitStack() as stack:

        def at(uri):
            root = open_root(uri)
            stack.callback(root.close)
            return root

        yield at


def wrap(root, key=KEY):
    with SecretBytes(key) as secret:
        return root.wrap(secret, CONTEXT)


def opens(root, wrapped, context=CONTEXT):
    with root.unwrap(wrapped, context) as key:
        return key.equals(KEY)


# -- transit ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["aes256-gcm96", "aes128-gcm96", "chacha20-poly1305"])
def test_transit_keys_that_bind_associated_data_are_roots(bao, token_file, kind, opened):
    """Each AEAD type of the engine wraps and opens."""
    root = opened(f"transit:{bao.key('kind-' + kind, kind)}?token_file={token_file}")
    assert opens(root, wrap(root))


def test_a_transit_key_that_binds_nothing_is_refused(bao, token_file, opened):
    """A key type without associated data is refused at the first wrap, with the types to use."""
    root = opened(f"transit:{bao.key('loose', 'rsa-2048')}?token_file={token_file}")
    with pytest.raises((RootLocked, RootUnavailable)):
        wrap(root)


def test_a_server_that_ignores_associated_data_is_refused(bao, token_file, way, opened):
    """An older server that drops the field would open anything: found out at the first wrap."""
    between = way(bao.address)
    place = bao.key("older").replace(bao.address, between.address)
    stored = {}

    def answer(path):
        body = json.loads(between.bodies[-1])
        if "/encrypt/" in path:
            stored["plain"] = body["plaintext"]
            return 200, b'{"data":{"ciphertext":"vault:v1:AAAA"}}'
        return 200, json.dumps({"data": {"plaintext": stored["plain"]}}).encode()

    between.answer = answer
    root = opened(f"transit:{place}?token_file={token_file}")
    with pytest.raises(RootUnavailable, match="does not bind"):
        wrap(root)


def test_the_service_itself_refuses_another_binding(bao, token_file, opened):
    """What was wrapped for one context does not open at the server under another's binding."""
    root = opened(f"transit:{bao.key('bound')}?token_file={token_file}")
    wrapped = wrap(root)
    size = int.from_bytes(wrapped[2:4], "big")
    body = {"ciphertext": wrapped[4 : 4 + size].decode()}
    for binding, status in ((root._binding(CONTEXT), 200), (root._binding(b"other"), 400)):
        given = {**body, "associated_data": base64.b64encode(binding).decode()}
        assert bao.ask("POST", "/v1/transit/decrypt/bound", given)[0] == status


def test_the_master_key_never_crosses_the_network(bao, moto, token_file, way, as_aws, opened):
    """Nothing that the services are sent or send holds the key that is wrapped, in any encoding."""
    bao_way, aws_way = way(bao.address), way(moto.address)
    place = bao.key("seen").replace(bao.address, bao_way.address)
    arn = moto.key().replace(moto.address, aws_way.address)
    for between, uri in (
        (bao_way, f"transit:{place}?token_file={token_file}"),
        (aws_way, f"awskms:{arn}"),
    ):
        root = opened(uri)
        assert opens(root, wrap(root))
        seen = b"".join(between.bodies)
        assert len(between.bodies) >= 4
        for form in (KEY, base64.b64encode(KEY), KEY.hex().encode()):
            assert form not in seen
        assert CONTEXT not in seen


@pytest.mark.parametrize(
    "told",
    [
        "cut",
        (503, b'{"errors":["Vault is sealed"]}'),
        (500, b"oops"),
        (429, b"{}"),
        (200, b""),
        (200, b"[]"),
        (200, b"{" * 10_000),
        (200, b'{"data":{"plaintext":"***"}}'),
        (200, b'{"data":null}'),
        (302, b"", {"location": "http://127.0.0.1:1/"}),
        (200, b'{"data":{"plaintext":"' + b"A" * 100_000 + b'"}}'),
    ],
)
def test_a_server_in_trouble_is_unavailable_and_then_works_again(
    bao, token_file, way, told, opened
):
    """Cuts, seals, garbage and redirects raise RootUnavailable; afterwards the root goes on."""
    between = way(bao.address)
    place = bao.key("trouble").replace(bao.address, between.address)
    root = opened(f"transit:{place}?token_file={token_file}")
    wrapped = wrap(root)
    between.answer = lambda _: told
    with pytest.raises(RootUnavailable) as caught:
        root.unwrap(wrapped, CONTEXT)
    assert BAO_TOKEN not in f"{caught.value} {caught.value.hint} {caught.value.__cause__}"
    between.answer = lambda _: None
    assert opens(root, wrapped)


def test_a_short_trouble_is_not_noticed(bao, token_file, way, opened):
    """A few failures in a row are tried again."""
    between = way(bao.address)
    place = bao.key("short").replace(bao.address, between.address)
    root = opened(f"transit:{place}?token_file={token_file}")
    wrapped = wrap(root)
    left = ["cut", (503, b"{}"), (500, b"{}")]
    between.answer = lambda _: left.pop() if left else None
    assert opens(root, wrapped)
    assert not left


def test_a_token_is_read_anew_and_a_bad_one_is_refused(bao, token_file, opened):
    """A token that was revoked is refused, with what to check; a renewed file works at once."""
    root = opened(f"transit:{bao.key('renewed')}?token_file={token_file}")
    wrapped = wrap(root)
    token_file.write_text("s.wrong\n")
    with pytest.raises(RootLocked, match="does not let the token") as caught:
        root.unwrap(wrapped, CONTEXT)
    assert "s.wrong" not in str(caught.value)
    token_file.write_text(BAO_TOKEN)
    assert opens(root, wrapped)
    token_file.chmod(0o644)
    with pytest.raises(RootUnavailable, match="token file"):
        root.unwrap(wrapped, CONTEXT)


def test_a_key_that_was_deleted_there_is_refused(bao, token_file, opened):
    """Deleting the key at the server closes the store: RootLocked."""
    root = opened(f"transit:{bao.key('gone')}?token_file={token_file}")
    wrapped = wrap(root)
    bao.ask("POST", "/v1/transit/keys/gone/config", {"deletion_allowed": True})
    assert bao.ask("DELETE", "/v1/transit/keys/gone")[0] == 204
    with pytest.raises(RootLocked):
        root.unwrap(wrapped, CONTEXT)


def test_rotating_the_transit_key_keeps_what_it_wrapped(bao, token_file, opened):
    """Older versions go on to open; below the least version they are refused."""
    root = opened(f"transit:{bao.key('turning')}?token_file={token_file}")
    wrapped = wrap(root)
    bao.ask("POST", "/v1/transit/keys/turning/rotate", {})
    assert opens(root, wrapped)
    newer = wrap(root)
    bao.ask("POST", "/v1/transit/keys/turning/config", {"min_decryption_version": 2})
    with pytest.raises(RootLocked):
        root.unwrap(wrapped, CONTEXT)
    assert opens(root, newer)


@pytest.mark.parametrize(
    "rest",
    [
        "",
        "https://host/transit/keys/",
        "https://host/keys/a",
        "https://user:pw@host/transit/keys/a",
        "http://bao.example/transit/keys/a?token_file=/x",
        "https://host/transit/keys/a?token=hunter2",
        "https://host/transit/keys/a?token_file=/x&token_file=/y",
        "https://host/transit/keys/a?token_file",
        "https://host/transit/keys/a?ca=/absent&token_file=/x",
        "https://[/transit/keys/a",
    ],
)
def test_wrong_transit_uris_are_refused_without_repeating_them(rest):
    """The error says what to write, and never shows what may be a secret in the wrong place."""
    with pytest.raises(ConfigurationError) as caught:
        open_root(f"transit:{rest}")
    assert caught.value.hint, caught.value
    assert "hunter2" not in f"{caught.value} {caught.value.hint}"
    assert "pw" not in str(caught.value)


def test_the_token_may_come_from_the_environment_once(bao, monkeypatch, opened):
    """ADYTON_TRANSIT_TOKEN is taken out of the environment when the root is opened."""
    import os

    monkeypatch.setenv("ADYTON_TRANSIT_TOKEN", BAO_TOKEN)
    root = opened(f"transit:{bao.key('env')}")
    assert "ADYTON_TRANSIT_TOKEN" not in os.environ
    assert opens(root, wrap(root))
    with pytest.raises(ConfigurationError, match="no token"):
        opened(f"transit:{bao.key('env')}")


# -- AWS KMS ------------------------------------------------------------------------------------


def test_throttling_is_waited_out(moto, way, as_aws, opened):
    """The service's own 'slow down' is tried again, and the caller sees nothing of it."""
    between = way(moto.address)
    root = opened(f"awskms:{moto.key().replace(moto.address, between.address)}")
    wrapped = wrap(root)
    left = [(400, b'{"__type":"ThrottlingException","message":"Rate exceeded"}')] * 2
    between.answer = lambda _: left.pop() if left else None
    assert opens(root, wrapped)
    assert not left


@pytest.mark.parametrize("code", ["DisabledException", "KMSInvalidStateException",
                                  "AccessDeniedException", "NotFoundException"])  # fmt: skip
def test_a_key_that_was_taken_away_is_refused_with_its_reason(moto, way, as_aws, code, opened):
    """What closes the key at the service closes the store, and the error names the reason.

    moto itself lets a disabled key decrypt, so the answers are those that AWS documents.
    """
    between = way(moto.address)
    root = opened(f"awskms:{moto.key().replace(moto.address, between.address)}")
    wrapped = wrap(root)
    between.answer = lambda _: (400, json.dumps({"__type": code, "message": "no"}).encode())
    with pytest.raises(RootLocked, match=code) as caught:
        root.unwrap(wrapped, CONTEXT)
    assert caught.value.hint


def test_a_service_that_is_away_is_unavailable_and_comes_back(
    moto, way, as_aws, monkeypatch, opened
):
    """A cut connection raises RootUnavailable once the tries are used up; then it works again."""
    from adyton.roots import awskms

    monkeypatch.setattr(awskms, "_TRIES", 2)
    between = way(moto.address)
    root = opened(f"awskms:{moto.key().replace(moto.address, between.address)}")
    wrapped = wrap(root)
    between.answer = lambda _: "cut"
    with pytest.raises(RootUnavailable):
        root.unwrap(wrapped, CONTEXT)
    between.answer = lambda _: None
    assert opens(root, wrapped)


@pytest.mark.parametrize(
    "rest",
    ["", "alias/x", "arn:aws:kms:eu-west-1:1:key/x", "arn:aws:s3:eu-west-1:111122223333:key/x",
     "arn:aws:kms:eu-west-1:111122223333:key/x?endpoint=nonsense",
     "arn:aws:kms:eu-west-1:111122223333:key/x?secret=1"],
)  # fmt: skip
def test_wrong_aws_uris_are_refused(rest):
    """What is not the ARN of a key is a ConfigurationError that says what to write."""
    with pytest.raises(ConfigurationError) as caught:
        open_root(f"awskms:{rest}")
    assert caught.value.hint


# -- age, credentials, Gramine ------------------------------------------------------------------


def test_any_recipients_identity_opens():
    """A second recipient, such as one kept in a safe, opens what the first has wrapped."""
    mine, spare = (pyrage.x25519.Identity.generate() for _ in range(2))
    root = AgeRoot(SecretBytes(str(mine).encode()), (str(spare.to_public()),))
    wrapped = wrap(root)
    assert opens(AgeRoot(SecretBytes(str(spare).encode())), wrapped)


@pytest.mark.parametrize("text", ["", "# nothing\n", "AGE-SECRET-KEY-1XYZ", "hunter2"])
def test_a_file_without_an_identity_is_refused(tmp_path, text, opened):
    """What is not an identity file is RootLocked, and its content is not shown."""
    path = tmp_path / "id"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(RootLocked) as caught:
        opened(f"age:identity={path}")
    assert not text or text not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize("content", [b"", b"x" * 31, bytes(32), b"zz" * 32, b"00" * 32])
def test_a_credential_that_is_no_key_is_refused(tmp_path, monkeypatch, content, opened):
    """A credential of another length, of zeros or not hexadecimal is RootLocked."""
    (tmp_path / "k").write_bytes(content)
    (tmp_path / "k").chmod(0o400)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    with pytest.raises(RootLocked):
        opened("credential:k")


@pytest.mark.parametrize("name", ["", "..", "a/b", "a\0"])
def test_a_credentials_name_stays_in_its_folder(tmp_path, monkeypatch, name, opened):
    """What could name a file elsewhere is refused."""
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    with pytest.raises(ConfigurationError):
        opened(f"credential:{name}")


def test_hexadecimal_and_raw_credentials_are_one_key(tmp_path, monkeypatch, opened):
    """The same key in both forms is the same root."""
    for name, content in (("raw", KEY), ("hex", KEY.hex().encode() + b"\n")):
        (tmp_path / name).write_bytes(content)
        (tmp_path / name).chmod(0o400)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert opens(opened("credential:hex"), wrap(opened("credential:raw")))


def test_outside_an_enclave_there_is_no_gramine_root(tmp_path, opened):
    """Without Gramine the root is unavailable, and says where it would be."""
    with pytest.raises(RootUnavailable, match="sealing key"):
        opened("gramine:mrsigner")
    with pytest.raises(ConfigurationError):
        opened("gramine:other")


# -- whole stores -------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["transit", "awskms", "age"])
def test_a_store_lives_under_each(tmp_path, bao, moto, token_file, as_aws, scheme):
    """A store is made, closed, opened again, its master key rotated, and opened once more."""
    identity = tmp_path / "identity"
    identity.write_text(str(pyrage.x25519.Identity.generate()))
    identity.chmod(0o600)
    uri = {
        "transit": f"transit:{bao.key('store')}?token_file={token_file}",
        "awskms": f"awskms:{moto.key()}",
        "age": f"age:identity={identity}",
    }[scheme]
    path = str(tmp_path / "store.db")
    with SecretStore.open(path, root=uri, create=True) as store:
        store.set_secret("u", "n", b"value")
    with SecretStore.open(path, root=uri) as store:
        store.keys.rotate(master=True)
        assert store.health().root["kind"] == scheme
    with SecretStore.open(path, root=uri) as store, store.get_secret("u", "n") as secret:
        assert secret.value.equals(b"value")
