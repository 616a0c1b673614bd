"""The encoding of contexts: no two different lists of fields encode alike."""

import struct

from hypothesis import example, given
from hypothesis import strategies as st

from adyton.crypto import context as ctx

fields = st.lists(st.binary(max_size=40), max_size=6)


def parse(encoded):
    """An independent reader of section 2 of the spec: 32-bit big-endian lengths and parts."""
    parts = []
    while encoded:
        (size,) = struct.unpack_from("!L", encoded)
        assert len(encoded) >= 4 + size
        parts.append(encoded[4 : 4 + size])
        encoded = encoded[4 + size :]
    return parts


@given(st.binary(max_size=40), fields)
@example(b"", [])
@example(b"l", [b"", b""])
def test_a_context_parses_back_to_its_fields(label, rest):
    """An independent parser finds the label and fields again, so the encoding is injective."""
    assert parse(ctx.encode(label, *rest)) == [label, *rest]


@given(st.binary(max_size=8), fields, st.binary(max_size=8), fields)
@example(b"a", [b"bc"], b"ab", [b"c"])
@example(b"a", [], b"a", [b""])
@example(b"a", [b"", b"x"], b"a", [b"x", b""])
def test_different_fields_make_different_contexts(label, rest, label2, rest2):
    """Two contexts are equal only when label and all fields are."""
    same = (label, rest) == (label2, rest2)
    assert (ctx.encode(label, *rest) == ctx.encode(label2, *rest2)) == same


@given(
    st.binary(min_size=16, max_size=16),
    st.integers(0, 2**64 - 1),
)
def test_the_tail_of_the_hot_path_equals_the_plain_encoding(index, version):
    """secret_tail() is what encode() would have written behind store and user."""
    head = ctx.encode(ctx.LABEL_VALUE, b"store", b"user")
    whole = ctx.encode(ctx.LABEL_VALUE, b"store", b"user", index, ctx.u64(version))
    assert head + ctx.secret_tail(index, version) == whole


def test_every_label_is_different():
    """No two uses of the AEAD share a label."""
    labels = [value for name, value in vars(ctx).items() if name.startswith("LABEL_")]
    assert len(labels) >= 10
    assert len(set(labels)) == len(labels)
    assert all(label.startswith(b"adyton/v1/") for label in labels)
