"""Filling in statements: no value ends a quote, whatever the statement is."""

import hypothesis
import pytest
from hypothesis import strategies as st

from adyton.errors import InvalidInput
from adyton.issuers import _statements

VALUES = {
    "name": "adyton-app-abc234",
    "username": "adyton-app-abc234",
    "password": "SCRAM-SHA-256$4096:c2FsdA==$a+/=:b+/=",
    "expiration": "2026-01-02 03:04:05+00:00",
}
PARTS = st.sampled_from(
    ["{{name}}", "{{ name }}", "{{password}}", "{{expiration}}", "{{other}}", "{{", "}}", "'", "''",
     '"', "$$", "$a$", "--", "\n", "/*", "*/", ";", "x", " ", "%s", "\\", "E'"]
)  # fmt: skip


@pytest.mark.parametrize(
    ("statement", "filled"),
    [
        ("A {{name}}", 'A "adyton-app-abc234"'),
        ('A "{{name}}"', 'A "adyton-app-abc234"'),
        ('A "x{{name}}y"', 'A "xadyton-app-abc234y"'),
        ("A {{expiration}}", "A '2026-01-02 03:04:05+00:00'"),
        ("A '{{ expiration }}'", "A '2026-01-02 03:04:05+00:00'"),
        ("A 'it''s {{name}}'", "A 'it''s adyton-app-abc234'"),
        ("$$ {{name}} $$", "$$ adyton-app-abc234 $$"),
        ("$b$ '{{name}}' $$ $b$ {{name}}", "$b$ 'adyton-app-abc234' $$ $b$ \"adyton-app-abc234\""),
        ("-- it's {{name}}\nA {{name}}", ' \nA "adyton-app-abc234"'),
        ("/* ' {{name}} */ A", "  A"),
        ("A {{other}} 100%", "A {{other}} 100%"),
    ],
)
def test_filling_in(statement, filled):
    """As an identifier or literal of its own outside of quotes, as it is inside."""
    assert _statements.fill(statement, VALUES) == filled


@hypothesis.given(st.lists(PARTS, max_size=30).map("".join))
def test_values_add_no_quote(statement):
    """Of characters with a meaning, a filled statement has those that the template has."""
    bare = dict.fromkeys(VALUES, "x" * 8)
    filled, expected = _statements.fill(statement, VALUES), _statements.fill(statement, bare)
    for value in sorted(VALUES.values(), key=len, reverse=True):
        filled = filled.replace(value, "x" * 8)
    assert filled == expected


@hypothesis.given(st.text(max_size=20))
def test_a_value_that_could_end_a_quote_is_never_filled_in(value):
    """Were a plug-in or a change of ours to make one."""
    try:
        filled = _statements.fill("A '{{name}}'", {"name": value})
    except ValueError:
        return
    assert not set("'\"\\;\x00\n") & set(value)
    assert filled == f"A '{value}'"


def test_unknown_placeholders_are_refused_when_a_role_is_written():
    """With those that are known."""
    with pytest.raises(InvalidInput, match="not known") as caught:
        _statements.check("A {{nmae}}", "name")
    assert "{{name}}" in caught.value.hint
    _statements.check("A {{name}} {{", "name")
