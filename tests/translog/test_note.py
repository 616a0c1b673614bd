"""Signed notes, keys and checkpoints."""

import base64
import contextlib
import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adyton.errors import AuditError, InvalidDocument
from adyton.translog import (
    EMPTY_ROOT,
    Checkpoint,
    NoteSigner,
    NoteVerifier,
    open_note,
    origin_of,
    parse_note,
    sign_checkpoint,
    verify_checkpoint,
)
from adyton.translog.note import MAX_NOTE, MAX_SIGNATURES, format_note

# The key and note of the reference tests of signed notes (golang.org/x/mod/sumdb/note).
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETER_SEED = base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
TEXT = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
)
PETER_LINE = (
    "\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngo"
    "tpRZb6KE6RyyBwJnAM=\n"
)
ENOCH = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
ENOCH_LINE = (
    "\u2014 EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLo"
    "x33WWd1RvMc+QQ=\n"
)
NOTE = f"{TEXT}\n{PETER_LINE}"

SIGNER = NoteSigner(origin_of(bytes(16), 0), bytes(32))


def known(*vkeys):
    return [NoteVerifier.parse(vkey) for vkey in vkeys]


def test_published_note_opens():
    """The published note opens under its key, as text and as bytes."""
    assert open_note(NOTE, known(PETER)) == TEXT
    assert open_note(NOTE.encode(), known(ENOCH, PETER)) == TEXT


def test_published_note_is_what_is_signed():
    """Signing the published text with the published seed makes the published line."""
    signer = NoteSigner("PeterNeumann", PETER_SEED)
    assert format_note(TEXT, [signer.sign(TEXT)]) == NOTE
    assert signer.verifier.vkey() == PETER


def test_unknown_signatures_are_ignored():
    """A note of two keys opens under either and under both."""
    for keys in ([PETER], [ENOCH], [PETER, ENOCH]):
        assert open_note(NOTE + ENOCH_LINE, known(*keys)) == TEXT


def test_unknown_signature_with_a_strange_name_is_ignored():
    """A key name that is odd but allowed does not spoil a note that a known key has signed."""
    strange = "\u2014 \u200ba\x7f\u00ad\U0001f511 AAAAAAAA\n"
    assert open_note(NOTE + strange, known(PETER)) == TEXT


@pytest.mark.parametrize("vkeys", [[], [ENOCH]])
def test_note_without_a_known_signature_is_refused(vkeys):
    """No known key, or not one that has signed, is an AuditError."""
    with pytest.raises(AuditError, match="no known key"):
        open_note(NOTE, known(*vkeys))


def test_known_key_with_a_bad_signature_spoils_the_note():
    """One wrong signature of a known key refuses the note, even beside a good one."""
    raw = bytearray(base64.b64decode(PETER_LINE.split(" ")[2]))
    for at in range(4, len(raw), 9):
        bad = bytearray(raw)
        bad[at] ^= 1
        line = f"\u2014 PeterNeumann {base64.b64encode(bad).decode()}\n"
        for note in (f"{TEXT}\n{line}", NOTE + line, f"{TEXT}\n{line}{PETER_LINE}"):
            with pytest.raises(AuditError, match="wrong"):
                open_note(note, known(PETER))
        assert open_note(NOTE + ENOCH_LINE + line, known(ENOCH)) == TEXT


def test_name_and_id_are_both_needed():
    """A signature under another name, or another key id, is of an unknown key."""
    raw = base64.b64decode(PETER_LINE.split(" ")[2])
    other_id = base64.b64encode(b"\0\0\0\0" + raw[4:]).decode()
    for line in (PETER_LINE.replace("PeterN", "PeterM"), f"\u2014 PeterNeumann {other_id}\n"):
        with pytest.raises(AuditError, match="no known key"):
            open_note(f"{TEXT}\n{line}", known(PETER))


BAD_NOTES = [
    "",
    "\n",
    "\n\n",
    TEXT,
    TEXT + "\n",
    TEXT + PETER_LINE,
    NOTE[:-1],
    NOTE + "\n",
    NOTE + "Unexpected line.\n",
    "\x01" + NOTE,
    NOTE.replace("\n", "\r\n"),
    NOTE.replace("you", "y\tu", 1),
    NOTE.replace("\u2014", "-"),
    NOTE.replace("\u2014 ", "\u2014"),
    NOTE.replace("\u2014 ", "\u2014  "),
    NOTE.replace("PeterNeumann", "Peter Neumann"),
    NOTE.replace("PeterNeumann", "Peter\u00a0Neumann"),
    NOTE.replace("PeterNeumann", "Peter+Neumann"),
    NOTE.replace("PeterNeumann ", ""),
    NOTE.replace("AM=", "AN="),
    NOTE.replace("AM=", "AM"),
    NOTE.replace("x08g", "x08 g"),
    NOTE.replace("x08g", "-_8g"),
    f"{TEXT}\n\u2014 a AAAAAA==\n",
    f"{TEXT}\n\u2014 a \n",
    f"{TEXT}\n\u2014 a\n",
    "\ud800" + NOTE,
]


@pytest.mark.parametrize("note", BAD_NOTES)
def test_malformed_notes(note):
    """A note that breaks a rule of the format is InvalidDocument, whoever signed it."""
    with pytest.raises(InvalidDocument):
        open_note(note, known(PETER))


def test_note_that_is_not_utf8():
    """Bytes that are not UTF-8 are InvalidDocument."""
    for bad in (b"\xff", b"\xed\xa0\x80", b"\xc0\x8a"):
        with pytest.raises(InvalidDocument, match="UTF-8"):
            parse_note(bad + NOTE.encode())


def test_note_limits():
    """64 signatures are read and 65 are not, and nothing over 64 KiB is."""
    assert len(parse_note(TEXT + "\n" + PETER_LINE * MAX_SIGNATURES).signatures) == 64
    with pytest.raises(InvalidDocument, match="64 signatures"):
        parse_note(TEXT + "\n" + PETER_LINE * (MAX_SIGNATURES + 1))
    room = MAX_NOTE - len(NOTE.encode())
    assert parse_note("x" * room + NOTE).text == "x" * room + TEXT
    with pytest.raises(InvalidDocument, match="larger"):
        parse_note("x" * (room + 1) + NOTE)


def test_text_ends_at_the_last_blank_line():
    """A text may have blank lines, and one that looks like a signature is text."""
    signer = NoteSigner("a", PETER_SEED)
    text = f"first\n\n\n{PETER_LINE}\nlast\n"
    note = format_note(text, [signer.sign(text)])
    assert open_note(note, [signer.verifier]) == text


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_mutated_note_never_opens_to_another_text(data):
    """A note with bytes flipped, cut or put in opens to its own text or not at all."""
    raw = bytearray(NOTE.encode())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(raw) - 1))
        change = data.draw(st.sampled_from(["flip", "cut", "insert", "end"]))
        if change == "flip":
            raw[at] ^= data.draw(st.integers(1, 255))
        elif change == "cut":
            del raw[at]
        elif change == "insert":
            raw.insert(at, data.draw(st.sampled_from(b"\n \r\0\x80+=A\xe2")))
        else:
            del raw[at:]
        if not raw:
            break
    with contextlib.suppress(InvalidDocument, AuditError):
        assert open_note(bytes(raw), known(PETER)) == TEXT


@given(st.one_of(st.binary(max_size=300), st.text(max_size=200)))
def test_any_bytes_as_a_note(data):
    """Any bytes either are a note, which is written back alike, or are InvalidDocument."""
    try:
        note = parse_note(data)
    except InvalidDocument:
        return
    raw = data.encode() if isinstance(data, str) else data
    assert format_note(*note).encode() == raw


def test_every_mangled_vkey_is_refused():
    """No part of a verifier key, and none with a byte changed, is taken for a key."""
    for start in range(len(PETER)):
        for end in range(start + 1, len(PETER) + 1):
            if (start, end) != (0, len(PETER)):
                with pytest.raises(InvalidDocument):
                    NoteVerifier.parse(PETER[start:end])
    for at, char in enumerate(PETER):
        with pytest.raises(InvalidDocument):
            NoteVerifier.parse(PETER[:at] + chr(ord(char) + 1) + PETER[at + 1 :])


@pytest.mark.parametrize(
    "vkey",
    [
        # A key of another length and one of another algorithm, with ids that fit (same source).
        "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "",
        "++",
    ],
)
def test_vkeys_of_other_kinds_are_refused(vkey):
    """Another length, another algorithm or an id in capitals is InvalidDocument."""
    with pytest.raises(InvalidDocument):
        NoteVerifier.parse(vkey)


@given(st.text(max_size=80))
def test_any_text_as_a_vkey(text):
    """Any text is InvalidDocument; no other error comes out."""
    with pytest.raises(InvalidDocument):
        NoteVerifier.parse(text)


@given(st.binary(min_size=32, max_size=32))
def test_keys_round_trip(seed):
    """A signer's verifier key as text gives the verifier again, with the id of the standard."""
    signer = NoteSigner("example.com/log", seed)
    verifier = NoteVerifier.parse(signer.verifier.vkey())
    assert verifier.public_key == signer.verifier.public_key
    name = b"example.com/log"
    assert verifier.key_id == hashlib.sha256(name + b"\n\x01" + verifier.public_key).digest()[:4]
    assert open_note(format_note("x\n", [signer.sign("x\n")]), [verifier]) == "x\n"


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb", "a\u2003b", "a\x01b", "a\ud800b"])
def test_key_names(name):
    """A key can't have a name that a signature line can't carry."""
    with pytest.raises(InvalidDocument):
        NoteVerifier(name, bytes(32))
    with pytest.raises(InvalidDocument):
        NoteSigner(name, bytes(32))


def test_public_key_length():
    """A public key that is not 32 bytes is InvalidDocument."""
    for size in (0, 31, 33):
        with pytest.raises(InvalidDocument):
            NoteVerifier("a", bytes(size))


def test_signer_does_not_show_its_key():
    """The signer's repr says nothing."""
    assert repr(SIGNER) == "<NoteSigner>"


@given(st.integers(1, 2**63 - 1), st.binary(min_size=32, max_size=32))
def test_checkpoints_round_trip(size, root):
    """A signed checkpoint is read back as what was signed."""
    checkpoint = Checkpoint(SIGNER.name, size, root)
    note = sign_checkpoint(checkpoint, [SIGNER])
    assert verify_checkpoint(note, [SIGNER.verifier]) == checkpoint
    assert verify_checkpoint(note.decode(), [SIGNER.verifier]) == checkpoint


def test_checkpoint_text():
    """A checkpoint's text is three lines, and the origin is the store's and log's."""
    text = Checkpoint(origin_of(bytes(range(16)), 3), 0, EMPTY_ROOT).text()
    assert text == (
        "adyton/000102030405060708090a0b0c0d0e0f/3\n0\n"
        "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"
    )


def test_checkpoint_of_another_log_is_refused():
    """A valid note of the known key is refused when its origin is not the wanted one."""
    other = NoteSigner("adyton/other/0", bytes(32))
    note = sign_checkpoint(Checkpoint(SIGNER.name, 0, EMPTY_ROOT), [other])
    with pytest.raises(InvalidDocument, match="another log"):
        verify_checkpoint(note, [other.verifier])
    assert verify_checkpoint(note, [other.verifier], SIGNER.name).size == 0
    with pytest.raises(InvalidDocument, match="another log"):
        verify_checkpoint(note, [other.verifier], "")


@pytest.mark.parametrize(
    "checkpoint",
    [
        Checkpoint("", 1, bytes(32)),
        Checkpoint("a\nb", 1, bytes(32)),
        Checkpoint("a", -1, bytes(32)),
        Checkpoint("a", 2**63, bytes(32)),
        Checkpoint("a", 1, bytes(31)),
    ],
)
def test_nothing_is_signed_that_would_not_be_read_back(checkpoint):
    """A checkpoint that breaks the format is not signed."""
    with pytest.raises(InvalidDocument):
        sign_checkpoint(checkpoint, [SIGNER])


def test_checkpoint_needs_a_signer():
    """A checkpoint without signatures is not made."""
    with pytest.raises(InvalidDocument):
        sign_checkpoint(Checkpoint("a", 0, EMPTY_ROOT), [])


@given(st.one_of(st.text(max_size=100), st.from_regex(r"[a\n]{0,4}\n[0-9+-]{1,30}\n[A-Za-z=]*\n")))
def test_any_text_as_a_checkpoint(text):
    """Any text is a checkpoint or InvalidDocument; no other error comes out."""
    try:
        checkpoint = Checkpoint.parse(text)
    except InvalidDocument:
        return
    assert text.startswith(checkpoint.text())


def test_long_sizes_are_refused_quickly():
    """A size of thousands of digits is InvalidDocument, not a ValueError of int()."""
    for digits in ("9" * 5000, "1" * 20, "1" * 21, "\u0661"):
        with pytest.raises(InvalidDocument):
            Checkpoint.parse(f"a\n{digits}\n{'A' * 43}=\n")
