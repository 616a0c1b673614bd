"""Canonical JSON and exact parsing."""

import json
from collections import UserDict
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adyton.canonical import canonical_json, parse_exact
from adyton.errors import InvalidDocument, InvalidInput
from transfer.helpers import CANARY, chain

DECIMALS = st.decimals(allow_nan=False, allow_infinity=False).filter(
    lambda d: abs(d.adjusted()) <= 4300
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | DECIMALS | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(JSON)
def test_what_is_written_is_parsed_and_written_the_same(value):
    """Canonical text parses to an equal value, which has the same canonical text."""
    text = canonical_json(value)
    parsed = parse_exact(text)
    assert canonical_json(parsed) == text
    assert parsed == value
    assert json.loads(text) is not ...


@pytest.mark.parametrize(
    "number",
    [
        "12345678901234567890123456789",
        "-9007199254740993",
        "1.10",
        "0.1000000000000000055511151231257827",
        "1E+400",
        "-0.0",
        "1E-4300",
        "9" * 4300,
    ],
)
def test_numbers_stay_exact(number):
    """Integers of any size and fractions of any precision keep every digit."""
    assert canonical_json(parse_exact(f'{{"n":{number}}}')) == f'{{"n":{number}}}'.encode()


def test_the_form_is_fixed():
    """Keys are sorted by code point, nothing is spaced, and text stays UTF-8."""
    value = {
        "\U0001f511": 1,
        "\uffff": 2,
        "b": [1, None, True, False, {}, [], "\u00e9/\x7f"],
        "a": 1.5,
    }
    expected = '{"a":1.5,"b":[1,null,true,false,{},[],"\u00e9/\x7f"],"\uffff":2,"\U0001f511":1}'
    assert canonical_json(value) == expected.encode()
    assert canonical_json(UserDict(a=(1, 2))) == b'{"a":[1,2]}'


def test_text_is_escaped_as_msgspec_does():
    """Bundles rely on msgspec escaping each character as RFC 8785 says."""
    text = "".join(map(chr, [*range(0x300), 0x2028, 0xFFFD, 0xFFFE, 0x1F511]))
    assert canonical_json(text) == msgspec.json.encode(text)
    assert canonical_json('\x00\x1f\b\t\n\f\r"\\') == rb'"\u0000\u001f\b\t\n\f\r\"\\"'


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        Decimal("NaN"),
        Decimal("-Infinity"),
        {1: "x"},
        {None: "x"},
        b"x",
        [bytearray(b"x")],
        {"a": memoryview(b"x")},
        {"a": object()},
        {"a"},
        "\ud800",
        {"\udfff": 1},
        pytest.param(10**4300, id="4301-digits"),
    ],
)
def test_what_is_not_json_is_refused(value):
    """Anything that JSON can't hold is refused and not shown."""
    with pytest.raises(InvalidInput):
        canonical_json(value)


def test_nesting_is_bounded():
    """64 levels are written, the 65th is refused."""
    value = 1
    for _ in range(64):
        value = [value]
    assert canonical_json(value) == b"[" * 64 + b"1" + b"]" * 64
    with pytest.raises(InvalidInput, match="more than 64 deep"):
        canonical_json([value])
    loop = []
    loop.append(loop)
    with pytest.raises(InvalidInput):
        canonical_json(loop)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (b"", "not JSON: line 1, column 1"),
        (b'{"a":1,}', "not JSON"),
        (b'{"a":1}\n x', "not JSON: line 2, column 2"),
        (b"\xff", "not UTF-8: byte 0"),
        (b"NaN", "NaN"),
        (b"[-Infinity]", "NaN or Infinity"),
        (b'{"a":1,"a":1}', "same key twice"),
        (b'[{"b":{"a":1,"a":1}}]', "same key twice"),
        (b"[" * 1_000_000, "nested too deep"),
        (b'{"a":' * 200_000, "nested too deep"),
        (b"1" * 4301, "too long"),
        (b"1." + b"1" * 4300, "too long"),
        (b"1e4301", "too long"),
        (b"1e-99999999999999999999", "too long"),
        (b"0e99999", "too long"),
        (f'{{"{CANARY}":{CANARY}}}'.encode(), "not JSON"),
        (f'{{"{CANARY}":1,"{CANARY}":1}}'.encode(), "same key"),
    ],
)
def test_bad_json_is_an_invalid_document(text, fault):
    """Each fault is named with its place and without any content."""
    with pytest.raises(InvalidDocument, match=fault) as caught:
        parse_exact(text)
    assert CANARY not in chain(caught.value)
