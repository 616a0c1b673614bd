"""The self-contained proof of one record: it holds, or one of two errors comes out."""

import base64
import hashlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adyton.errors import AuditError, InvalidDocument
from adyton.translog import Checkpoint, NoteSigner, check_proof, sign_checkpoint, write_proof
from adyton.translog.proof import COMMITMENT_OFFSET, MAX_PROOF_BYTES
from translog import naive

SIGNER = NoteSigner("adyton/" + "0" * 32 + "/0", bytes(32))
OTHER = NoteSigner(SIGNER.name, b"\x01" * 32)
VKEY = SIGNER.verifier.vkey()
BODY, SALT = b"\x93\x01\xa5alice\xc3", bytes(range(16))
SIZE, INDEX = 11, 6


def record(body=BODY, salt=SALT):
    commitment = hashlib.sha256(b"adyton.audit-commit.v1\x00" + salt + body).digest()
    return b"\x01" + b"u" * 16 + bytes(4) + commitment + bytes(12) + b"ciphertext"


def made(*, signer=SIGNER, leaf=None, index=INDEX, **changes):
    """A proof that holds, unless something is changed."""
    leaf = record() if leaf is None else leaf
    hashes = [naive.leaf(b"%d" % at) for at in range(SIZE)]
    hashes[INDEX] = naive.leaf(leaf)
    given = {
        "index": index,
        "leaf": leaf,
        "inclusion": naive.path(INDEX, hashes),
        "checkpoint": sign_checkpoint(Checkpoint(signer.name, SIZE, naive.mth(hashes)), [signer]),
        "vkey": signer.verifier.vkey(),
        "salt": SALT,
        "body": BODY,
        **changes,
    }
    return write_proof(**given)


GOOD = made()
FIELDS = json.loads(GOOD)


def with_field(name, value):
    return json.dumps({**FIELDS, name: value}).encode()


def test_a_proof_holds():
    """A proof is checked under the trusted key and gives the committed body, exactly."""
    proof = check_proof(GOOD, vkey=VKEY)
    assert (proof.index, proof.body, proof.vkey) == (INDEX, BODY, VKEY)
    assert proof.checkpoint.size == SIZE
    assert proof.key_was_trusted is True


def test_without_a_key_the_answer_says_so():
    """A proof checked against its own key says that the key was not the caller's."""
    assert check_proof(GOOD).key_was_trusted is False


def test_another_key_is_refused():
    """A proof that a forger signs with a key of the same name fails under the trusted one."""
    forged = made(signer=OTHER)
    assert check_proof(forged).key_was_trusted is False
    with pytest.raises(AuditError):
        check_proof(forged, vkey=VKEY)
    fields = json.loads(forged)
    with pytest.raises(AuditError):  # the forger names the trusted key
        check_proof(json.dumps({**fields, "vkey": VKEY}).encode(), vkey=VKEY)


@pytest.mark.parametrize("stated", [OTHER.verifier.vkey(), " " + VKEY, VKEY + "\n", "x"])
def test_the_document_names_the_key_it_is_checked_with(stated):
    """A proof that the trusted key has signed is refused if the document names another key."""
    with pytest.raises(AuditError, match="another key"):
        check_proof(with_field("vkey", stated), vkey=VKEY)


@pytest.mark.parametrize("vkey", ["", "a+b+c", "x"])
def test_a_key_that_is_none_is_refused(vkey):
    """A trusted key that does not parse is InvalidDocument and is never left out."""
    with pytest.raises(InvalidDocument):
        check_proof(GOOD, vkey=vkey)


def test_lies_are_told():
    """Another body, salt, leaf, index or root is an AuditError."""
    for lie in (
        made(body=BODY + b"\0"),
        made(body=b""),
        made(salt=bytes(16)),
        made(index=INDEX + 1),
        made(index=INDEX - 1),
        made(index=SIZE),
        made(index=2**63 - 1),
        made(inclusion=[]),
        made(leaf=record(b"other")),
        made(leaf=b""),
        made(leaf=record()[: COMMITMENT_OFFSET + 31]),
        with_field("leaf", base64.b64encode(record() + b"\0").decode()),
        made(checkpoint=sign_checkpoint(Checkpoint(SIGNER.name, SIZE, bytes(32)), [SIGNER])),
        made(checkpoint=sign_checkpoint(Checkpoint(SIGNER.name, SIZE, bytes(32)), [OTHER])),
    ):
        with pytest.raises(AuditError):
            check_proof(lie, vkey=VKEY)


def test_every_inclusion_hash_counts():
    """Each hash of the path changed, dropped or added is an AuditError."""
    hashes = FIELDS["inclusion"]
    assert len(hashes) == 4
    zero = base64.b64encode(bytes(32)).decode()
    for at in range(len(hashes)):
        for wrong in (
            [*hashes[:at], zero, *hashes[at + 1 :]],
            hashes[:at] + hashes[at + 1 :],
            [*hashes[:at], zero, *hashes[at:]],
            [*hashes, zero],
        ):
            with pytest.raises(AuditError):
                check_proof(with_field("inclusion", wrong), vkey=VKEY)


def test_the_commitment_is_at_its_fixed_place():
    """The same commitment one byte further on in a signed leaf does not count."""
    leaf = record()
    moved = leaf[:COMMITMENT_OFFSET] + b"\0" + leaf[COMMITMENT_OFFSET:]
    with pytest.raises(AuditError, match="content"):
        check_proof(made(leaf=moved), vkey=VKEY)


@pytest.mark.parametrize("name", FIELDS)
def test_a_missing_field(name):
    """A proof without one of its fields is InvalidDocument."""
    fields = {key: value for key, value in FIELDS.items() if key != name}
    with pytest.raises(InvalidDocument):
        check_proof(json.dumps(fields).encode())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (name, value)
        for name in FIELDS
        for value in (None, True, 0.5, -1, 2**63, "\u00e9", "AA", [], [[]], {})
        if (name, value) != ("inclusion", [])  # an empty path parses: test_lies_are_told
    ],
)
def test_a_field_of_another_type(name, value):
    """A field of another type or out of bounds is InvalidDocument."""
    with pytest.raises(InvalidDocument):
        check_proof(with_field(name, value))


def test_unknown_and_repeated_fields():
    """A field that is not known, or given twice, however it is escaped, is InvalidDocument."""
    with pytest.raises(InvalidDocument):
        check_proof(with_field("more", 1))
    for again in (b'"index": 6, ', b'"index": 5, ', b'"\\u0069ndex": 6, '):
        doubled = GOOD.replace(b'"index"', again + b'"index"')
        assert doubled != GOOD
        with pytest.raises(InvalidDocument):
            check_proof(doubled)


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: b"\xef\xbb\xbf" + raw,
        lambda raw: raw + b"{}",
        lambda raw: raw.decode().encode("utf-16"),
        lambda raw: b"[" + raw + b"]",
        lambda raw: raw.replace(b"proof.v1", b"proof.v2"),
        lambda raw: raw.replace(b'"index": 6', b'"index": 6.0'),
        lambda raw: raw.replace(b'"index": 6', b'"index": 06'),
        lambda raw: raw.replace(b'"index": 6', b'"index": NaN'),
        lambda raw: raw.replace(b'"index": 6', b'"index": ' + b"9" * 10_000),
        lambda raw: raw.replace(b'"checkpoint": "', b'"checkpoint": "\\ud800'),
        lambda raw: raw.replace(b'Dw=="', b'Dx=="'),
        lambda raw: raw.replace(b'Dw=="', b'Dw"'),
        lambda raw: raw.replace(b'Dw=="', b'Dw==\\n"'),
    ],
)
def test_other_spellings(change):
    """Another encoding, a tail, another format or base64 that is not canonical is refused."""
    changed = change(GOOD)
    assert changed != GOOD
    with pytest.raises(InvalidDocument):
        check_proof(changed)


@pytest.mark.parametrize("opening", [b"[", b'{"format":', b'{"body":[', b'{"x":{"x":'])
def test_deep_nesting(opening):
    """Nesting as deep as the size allows is InvalidDocument, not a RecursionError."""
    deep = opening * (MAX_PROOF_BYTES // len(opening))
    for document in (deep, GOOD.replace(b'"index": 6', b'"index": ' + b"[" * 90_000)):
        with pytest.raises(InvalidDocument):
            check_proof(document)


def test_size_limit():
    """A document of 256 KiB is read and one byte more is not."""
    assert check_proof(GOOD + b" " * (MAX_PROOF_BYTES - len(GOOD))).index == INDEX
    with pytest.raises(InvalidDocument, match="larger"):
        check_proof(GOOD + b" " * (MAX_PROOF_BYTES - len(GOOD) + 1))


def test_path_limit():
    """65 hashes are more than any tree has."""
    zero = base64.b64encode(bytes(32)).decode()
    with pytest.raises(AuditError):
        check_proof(with_field("inclusion", [zero] * 64))
    with pytest.raises(InvalidDocument):
        check_proof(with_field("inclusion", [zero] * 65))


def test_repr_shows_no_content():
    """The checked proof's repr has its index and nothing of the record."""
    assert repr(check_proof(GOOD)) == "<AuditProof index=6>"


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_mutated_documents(data):
    """A proof with bytes flipped, cut or put in tells the same as before, or is refused."""
    raw = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(raw) - 1))
        change = data.draw(st.sampled_from(["flip", "cut", "insert", "end"]))
        if change == "flip":
            raw[at] ^= data.draw(st.integers(1, 255))
        elif change == "cut":
            del raw[at : at + data.draw(st.integers(1, 40))]
        elif change == "insert":
            raw[at:at] = data.draw(st.sampled_from([b'"', b"{", b"\\", b"\0", b"\xff", b"1", b" "]))
        else:
            del raw[at + 1 :]
        if not raw:
            break
    try:
        proof = check_proof(bytes(raw), vkey=VKEY)
    except (InvalidDocument, AuditError):
        return
    assert (proof.index, proof.body, proof.checkpoint.size) == (INDEX, BODY, SIZE)


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(FIELDS)), JSON)
def test_any_value_in_a_field(name, value):
    """Any JSON value in any field is refused with one of the two errors, or is the true one."""
    try:
        proof = check_proof(with_field(name, value), vkey=VKEY)
    except (InvalidDocument, AuditError):
        return
    assert FIELDS[name] == value
    assert proof.body == BODY


@given(st.one_of(st.binary(max_size=200), JSON.map(lambda value: json.dumps(value).encode())))
def test_any_bytes_as_a_proof(document):
    """Any bytes that are no proof are InvalidDocument."""
    with pytest.raises(InvalidDocument):
        check_proof(document)
