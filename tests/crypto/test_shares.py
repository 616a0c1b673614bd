"""Shares as text, and what a store knows of them."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adyton.crypto import shares
from adyton.crypto.gathering import Gathering
from adyton.crypto.secretbytes import SecretBytes
from adyton.errors import InvalidInput
from roots import shamir_vectors

CASES = json.loads((shamir_vectors.FOLDER / "v1.json").read_text())["cases"]


def dealt(case):
    with (
        SecretBytes(bytes.fromhex(case["key"])) as key,
        SecretBytes(bytes.fromhex(case["coefficients"])) as random,
    ):
        return shares.deal(
            key, case["threshold"], case["count"],
            set_id=bytes.fromhex(case["set_id"]), coefficients=random,
        )  # fmt: skip


def test_regeneration_matches():
    """The generator writes the committed vectors again, byte for byte."""
    assert (shamir_vectors.FOLDER / "v1.json").read_text() == shamir_vectors.vector_text()


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['threshold']}of{case['count']}")
def test_texts_and_commitments_are_those_of_the_vectors(case):
    """All written forms, and what the store keeps."""
    known, made = dealt(case)
    assert [one.hex() for one in known.commitments] == case["commitments"]
    for share, forms in zip(made, case["shares"], strict=True):
        assert share.text() == forms["text"]
        assert share.hex() == forms["hex"]
        assert share.base64() == forms["base64"]
        spellings = [*forms.values(), *(f"  {form}\n" for form in forms.values())]
        spellings += [forms["hex"].upper(), " ".join(forms["hex"])]
        spellings += [forms["text"].upper(), forms["text"].replace("-", " ")]
        spellings += [forms["text"].replace("-", ""), forms["base64"].rstrip("=")]
        for text in spellings:
            parsed = shares.parse(text.encode())
            assert known.holds(parsed)
            assert parsed.point == share.point


@given(st.integers(0, 4), st.sampled_from(["hex", "base64", "text"]), st.data())
@settings(deadline=None, max_examples=150)
def test_any_one_wrong_character_is_found(at, form, data):
    """A changed, missing or added character: the checksum or the form tells."""
    text = CASES[3]["shares"][at][form]
    where = data.draw(st.integers(5 if form == "text" else 0, len(text) - 1))
    how = data.draw(st.sampled_from(["change", "drop", "add"]))
    char = data.draw(st.sampled_from("0123456789abcdefXYZ234567"))
    if how == "change":
        changed = text[:where] + char + text[where + 1 :]
    else:
        changed = text[:where] + (char if how == "add" else "") + text[where + (how == "drop") :]
    if changed.replace("-", "").rstrip("=").lower() == text.replace("-", "").rstrip("=").lower():
        return
    known, _ = dealt(CASES[3])
    try:
        share = shares.parse(changed.encode())
    except InvalidInput:
        return
    assert form != "base64"  # there a letter's case counts, and all others were refused
    assert known.holds(share)


@given(st.binary(max_size=300))
@settings(deadline=None)
def test_garbage_is_refused_with_our_error_and_not_shown(data):
    """Whatever is entered, also with the prefix in front."""
    for text in (data, b"ads1-" + data, data.hex().encode(), b"ads1 " * 60):
        with pytest.raises(InvalidInput) as caught:
            shares.parse(text)
        assert data.hex()[:16] not in str(caught.value) or len(data) < 8


@pytest.mark.parametrize(
    ("threshold", "count", "text"),
    [
        (0, 1, "threshold must be at least one"),
        (1, 0, "shares must be at least one"),
        (3, 256, "shares must be less than 256"),
        (3, 2, "threshold cannot be larger than shares"),
        (1, 2, "threshold must be greater than one for multiple shares"),
    ],
)
def test_numbers_that_make_no_sense(threshold, count, text):
    """Refused in the words of Vault."""
    with pytest.raises(InvalidInput, match=text):
        shares.new_set(threshold, count, b"s" * 8)


def test_a_set_survives_packing_and_refuses_what_is_not_one():
    """Each truncation, and thresholds that can't be."""
    known, _ = dealt(CASES[3])
    packed = known.pack()
    assert shares.ShareSet.unpack(packed + b"rest") == (known, b"rest")
    for size in range(len(packed)):
        assert shares.ShareSet.unpack(packed[:size]) is None
    for numbers in (b"\x00\x05", b"\x06\x05", b"\x00\x00"):
        assert shares.ShareSet.unpack(packed[:8] + numbers + packed[10:]) is None


def test_wrong_foreign_and_repeated_shares_are_named_when_entered():
    """Each by a text of its own; none changes what was entered."""
    known, made = dealt(CASES[3])
    _, others = dealt(CASES[2])
    gathering = Gathering([known])
    assert gathering.enter(made[0]) is known
    forged = shares.Share(known.set_id, 3, 2, SecretBytes(bytes(32)))
    nobody = shares.Share(known.set_id, 3, 6, SecretBytes(bytes(32)))
    again = shares.parse(CASES[3]["shares"][0]["hex"].encode())
    for share, text in (
        (forged, "share 2 is wrong"),
        (nobody, "share 6 is wrong"),
        (others[0], "another set"),
        (again, "share 1 has been entered already"),
    ):
        with pytest.raises(InvalidInput, match=text):
            gathering.enter(share)
        assert share.value.wiped
        assert gathering.progress(known) == 1
    gathering.enter(made[1])
    assert not gathering.complete(known)
    gathering.enter(made[4])
    assert gathering.complete(known)
    assert gathering.points(known) == [1, 2, 5]
    with gathering.key(known) as key:
        assert key.equals(bytes.fromhex(CASES[3]["key"]))
    gathering.take_back(known, 2)
    assert gathering.points(known) == [1, 5]
    gathering.wipe()
    assert gathering.progress(known) == 0
    assert made[0].value.wiped


def test_nothing_shows_a_share():
    """No repr of a share, a set or a gathering holds it."""
    known, made = dealt(CASES[3])
    shown = f"{made[0]!r}{made[0]}{Gathering([known])!r}"
    assert CASES[3]["shares"][0]["hex"][20:40] not in shown
    assert shown == "<Share><Share><Gathering>"
