"""The native bundle: age outside, the document inside."""

import datetime as dt
import json
import re
import subprocess

import pyrage
import pytest
from hypothesis import given, settings

from adyton.canonical import canonical_json
from adyton.errors import AdytonError, InvalidDocument, InvalidInput
from adyton.model import State
from adyton.transfer import PortableVersion, TransferLimits, _age
from adyton.transfer.bundle import (
    read_bundle,
    read_document,
    write_bundle,
    write_document,
)
from transfer.helpers import BATCHES, CANARY, NOW, chain, need_program, secret

KEY = pyrage.x25519.Identity.generate()
OTHER = pyrage.x25519.Identity.generate()
TO, FROM = [str(KEY.to_public())], [str(KEY)]
LIMITS = TransferLimits()


def bundle(*secrets):
    return write_bundle(secrets, recipients=TO, now=NOW)


@given(BATCHES)
@settings(max_examples=50, deadline=None)
def test_what_is_written_is_read(secrets):
    """Any secrets come back equal, in the same order, through age and JSON."""
    assert read_bundle(bundle(*secrets), identities=FROM) == secrets


@given(BATCHES)
@settings(max_examples=50, deadline=None)
def test_a_document_is_canonical_json_on_lines(secrets):
    """Without its line feeds the document is RFC 8785, as the digest of the whole demands."""
    data = write_document(secrets, now=NOW)
    assert canonical_json(json.loads(data)) == data.replace(b"\n", b"")


def test_a_bytearray_value_is_written_like_bytes():
    """A wipeable value gives the same bundle document as an immutable one."""
    one, two = (write_document([secret(value=kind(b"x"))], now=NOW) for kind in (bytes, bytearray))
    assert one == two


def test_a_passphrase_bundle_opens_by_it_alone():
    """A bundle under a passphrase opens by it, and another passphrase is named as the cause."""
    data = write_bundle([secret()], passphrase="pass", now=NOW)
    limits = TransferLimits(scrypt_log_n=22)
    assert read_bundle(data, passphrase="pass", limits=limits) == [secret()]
    with pytest.raises(InvalidDocument, match="the passphrase does not open this bundle"):
        read_bundle(data, passphrase="word", limits=limits)
    with pytest.raises(InvalidDocument, match="none of the given identities"):
        read_bundle(data, identities=FROM)
    with pytest.raises(InvalidDocument, match="work factor is over 5"):
        read_bundle(data, passphrase="pass", limits=TransferLimits(scrypt_log_n=5))


def test_a_work_factor_is_refused_before_it_is_paid():
    """A hostile scrypt work factor is refused without deriving a key."""
    head = b"age-encryption.org/v1\n-> scrypt bUjVd0SRMVXIQXI6BSjpmw %d\n"
    for factor in (21, 22, 63, 999):
        with pytest.raises(InvalidDocument, match="work factor is over 20"):
            read_bundle(head % factor + b"x" * 200, passphrase="pass")
    with pytest.raises(InvalidDocument, match="binary age file under a passphrase"):
        read_bundle(head % 9999 + b"x" * 200, passphrase="pass")


def test_a_work_factor_beyond_the_machine_is_refused():
    """Even with the limit lifted, a factor that would take minutes is refused at once."""
    data = write_bundle([secret()], passphrase="pass", now=NOW)
    changed = re.sub(rb"(-> scrypt \S+) \d+\n", rb"\1 40\n", data)
    with pytest.raises(InvalidDocument, match="take too long on this machine"):
        read_bundle(changed, passphrase="pass", limits=TransferLimits(scrypt_log_n=63))


def test_encrypting_to_nobody_is_refused():
    """The edge to age turns its refusal of recipients into an error of ours."""
    with pytest.raises(InvalidInput, match="can't be used together"):
        _age.encrypt(b"", [])


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_ssh_keys_open_a_bundle(kind, tmp_path):
    """A bundle to an OpenSSH public key opens by the private key's text."""
    keygen = need_program("ssh-keygen", "openssh-client")
    path = tmp_path / "key"
    subprocess.run([keygen, "-q", "-t", kind, "-N", "", "-f", path], check=True)
    data = write_bundle([secret()], recipients=[path.with_suffix(".pub").read_text()], now=NOW)
    assert read_bundle(data, identities=[path.read_text()]) == [secret()]


def test_an_ssh_key_under_a_passphrase_is_explained(tmp_path):
    """An encrypted SSH key is refused with the way to decrypt it."""
    keygen = need_program("ssh-keygen", "openssh-client")
    path = tmp_path / "key"
    subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "secret", "-f", path], check=True)
    with pytest.raises(InvalidInput, match="identity 1 is an SSH key under a passphrase") as caught:
        read_bundle(bundle(secret()), identities=[path.read_text()])
    assert "ssh-keygen -p" in caught.value.hint


def test_any_of_several_recipients_opens_it():
    """Each recipient alone opens the bundle, beside identities that do not."""
    data = write_bundle([secret()], recipients=[*TO, str(OTHER.to_public())], now=NOW)
    third = str(pyrage.x25519.Identity.generate())
    for key in (KEY, OTHER):
        assert read_bundle(data, identities=[third, str(key)]) == [secret()]


def test_the_age_program_opens_a_bundle(tmp_path):
    """The standard age program decrypts a bundle to JSON that any parser reads."""
    age = need_program("age", "age")
    (tmp_path / "key").write_text(str(KEY) + "\n")
    (tmp_path / "bundle").write_bytes(bundle(secret(tags=("prod",))))
    done = subprocess.run(
        [age, "-d", "-i", tmp_path / "key", tmp_path / "bundle"], check=True, capture_output=True
    )
    document = json.loads(done.stdout)
    assert document["format"] == "adyton.bundle.v1"
    assert document["secrets"][0]["tags"] == ["prod"]
    assert len(done.stdout.splitlines()) == 3


@pytest.mark.parametrize("options", [[], ["-a"]], ids=["binary", "armored"])
def test_a_file_of_the_age_program_is_read(tmp_path, options):
    """A document that the standard age program encrypted is read, armored or not."""
    age = need_program("age", "age")
    document = write_document([secret()], now=NOW)
    done = subprocess.run(
        [age, "-e", *options, "-r", TO[0]], input=document, check=True, capture_output=True
    )
    assert read_bundle(done.stdout, identities=FROM) == [secret()]


def test_no_single_byte_of_a_bundle_can_change():
    """Every byte, changed in its lowest, highest or all bits, makes the bundle refused."""
    data = bundle(secret())
    for position in range(len(data)):
        for bits in (0x01, 0x80, 0xFF):
            changed = bytearray(data)
            changed[position] ^= bits
            with pytest.raises(InvalidDocument):
                read_bundle(changed, identities=FROM)


def test_no_bundle_opens_that_is_cut_or_longer():
    """Every truncation is refused, and every appended byte."""
    data = bundle(secret())
    for size in range(len(data)):
        with pytest.raises(InvalidDocument):
            read_bundle(data[:size], identities=FROM)
    for tail in (b"\0", b"\n", data):
        with pytest.raises(InvalidDocument):
            read_bundle(data + tail, identities=FROM)


def test_a_bundle_cut_between_chunks_is_damaged():
    """A large bundle that ends exactly behind an age chunk is refused as damaged."""
    data = bundle(secret(value=b"x" * 200_000))
    header = data.index(b"\n--- ") + 1
    start = data.index(b"\n", header) + 1 + 16
    with pytest.raises(InvalidDocument, match="damaged or truncated"):
        read_bundle(data[: start + 65_536 + 16], identities=FROM)


def test_the_three_causes_are_told_apart():
    """A wrong key, a damaged file and another kind of file have texts of their own."""
    data = bundle(secret())
    with pytest.raises(InvalidDocument, match="none of the given identities opens this bundle"):
        read_bundle(data, identities=[str(OTHER)])
    with pytest.raises(InvalidDocument, match="the bundle is damaged or truncated"):
        read_bundle(data[:-1], identities=FROM)
    with pytest.raises(InvalidDocument, match="not an age file"):
        read_bundle(b"PK\x03\x04", identities=FROM)


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"recipients": []},
        {"recipients": TO, "passphrase": "x"},
        {"recipients": TO[0]},
        {"recipients": ["age1broken"]},
        {"recipients": ["ssh-ed25519 AAAA"]},
        {"recipients": ["ecdsa-sha2-nistp256 AAAA"]},
        {"recipients": [*TO, "age1\ud800"]},
        {"recipients": FROM},
        {"passphrase": "\ud800"},
    ],
)
def test_a_bundle_needs_good_keys_of_one_kind(how):
    """No recipient, an unknown one, or both ways at once is refused, and never shown."""
    with pytest.raises(InvalidInput) as caught:
        write_bundle([secret()], now=NOW, **how)
    assert FROM[0] not in chain(caught.value)


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"identities": []},
        {"identities": FROM, "passphrase": "x"},
        {"identities": FROM[0]},
        {"identities": ["AGE-SECRET-KEY-1" + CANARY]},
        {"identities": ["-----BEGIN OPENSSH PRIVATE KEY-----\n" + CANARY]},
        {"identities": [CANARY]},
        {"identities": ["AGE-SECRET-KEY-1\ud800"]},
    ],
)
def test_reading_needs_good_keys_of_one_kind(how):
    """No identity, a broken one, or both ways at once is refused, and never shown."""
    with pytest.raises(InvalidInput) as caught:
        read_bundle(bundle(secret()), **how)
    assert CANARY not in chain(caught.value)


def test_names_come_once():
    """A name that comes twice is refused when writing, by its position."""
    with pytest.raises(InvalidInput, match="secret 2: its name is that of an earlier one"):
        bundle(secret(), secret())


@pytest.mark.parametrize(
    "now",
    [dt.datetime(2026, 1, 1), dt.datetime(1969, 1, 1, tzinfo=dt.UTC)],  # noqa: DTZ001
)
def test_the_time_of_an_export_is_checked(now):
    """A time without zone or before 1970 is refused."""
    with pytest.raises(InvalidInput):
        write_bundle([], recipients=TO, now=now)


@pytest.mark.parametrize(
    ("limits", "text"),
    [
        ({"document_bytes": 300}, "bytes, more than 300"),
        ({"document_commas": 5}, "more than 5 commas"),
        ({"secrets": 1}, "2 secrets, more than 1"),
        ({"versions": 1}, "secret 2: it has more than 1 versions"),
        ({"value_bytes": 2}, "secret 1: its value is over 2 bytes"),
    ],
)
def test_each_limit_holds(limits, text):
    """A bundle over any limit is refused with that limit; at the limit it is read."""
    v = PortableVersion(1, 0, "", State.LIVE, "x/y", b"ab")
    two = secret("b", versions=(v, PortableVersion(2, 0, "", State.DESTROYED, "x/y", None)))
    document = write_document([secret("a", b"abc"), two], now=NOW)
    with pytest.raises(InvalidDocument, match=text):
        read_document(document, limits=TransferLimits(**limits))
    exact = {
        "document_bytes": len(document),
        "document_commas": document.count(b","),
        "secrets": 2,
        "versions": 2,
        "value_bytes": 3,
    }
    assert len(read_document(document, limits=TransferLimits(**exact))) == 2


@pytest.mark.parametrize(
    "bomb",
    [
        b"[" * 1_000_000,
        b'{"secrets":' * 200_000,
        b'{"format":"adyton.bundle.v1","secrets":' + b"[" * 1_000_000,
        b'{"x":' + b"[" * 1_000_000,
        b'{"format":"adyton.bundle.v1","secrets":[{"attributes":' + b"[" * 1_000_000,
    ],
)
def test_a_nesting_bomb_is_an_invalid_document(bomb):
    """Nesting of any depth and place is refused, and is no RecursionError."""
    with pytest.raises(InvalidDocument):
        read_document(bomb, limits=LIMITS)


def test_no_error_shows_what_is_in_the_document():
    """Names, values, unknown keys and wrong enumerations never reach an error's text."""
    good = write_document([secret("ok"), secret(CANARY, CANARY.encode())], now=NOW).decode()
    for old, new in (
        ('"tags":', f'"{CANARY}":'),
        ('"live"', f'"{CANARY}"'),
        ("adyton.bundle.v1", CANARY),
        ('"max_versions":0', f'"max_versions":"{CANARY}"'),
        (CANARY, CANARY + "/"),
        ('"sha256":"', '"sha256":"' + CANARY),
        ('"created_at":"', '"created_at":"' + CANARY),
        ('"value":"', f'"value":"{CANARY}'),
        ("}", "\udcff"),
    ):
        assert old in good
        data = good.replace(old, new).encode("utf-8", "surrogateescape")
        with pytest.raises(AdytonError) as caught:
            read_document(data, limits=LIMITS)
        assert CANARY not in chain(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__ or caught.value.__context__ is None
