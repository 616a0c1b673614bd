"""Reading policies: limits of size and time, and garbage of every kind."""

import contextlib
import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from access import support
from access.support import one, refused, rules
from adyton.errors import AdytonError
from adyton.service.access import policy as policies
from adyton.service.access.policy import Capability, parse_policy

READ = Capability.READ


# --- limits


def test_the_limit_of_size():
    """64 KiB of text are read, one byte more is not; bytes count and not characters."""
    block = 'path "a" { policy = "read" }\n#'
    assert one(block + "x" * (65536 - len(block))).pattern == "a"
    refused(block + "x" * (65537 - len(block)), "65536")
    refused("# " + "é" * 33_000, "65536")
    refused("{" + " " * 65536, "65536")


def test_the_limit_of_blocks():
    """1000 blocks are read, 1001 are not, whatever they say."""
    assert len(rules("\n".join(f'path "a{n}" {{}}' for n in range(1000)))) == 1000
    refused("\n".join(f'path "a{n}" {{}}' for n in range(1001)), "1000")
    refused("\n".join(["path a {}"] * 1001), "1000")
    refused(json.dumps({"path": {f"a{n}": {} for n in range(1001)}}), "1000")


@pytest.mark.parametrize("opening", ["[", "{", "[[{", "{{"])
@pytest.mark.parametrize(
    "start", ["a = ", 'path "a" { x = ', '{"path": ', '"]]]]" = ', "# ]\n", ""]
)
def test_the_limit_of_nesting(start, opening):
    """Deep nesting is refused before a parser sees it, brackets in strings and comments aside."""
    refused(start + opening * (60_000 // len(opening)), "nested")


def test_strings_and_comments_do_not_nest():
    """Brackets that are text count neither up nor down."""
    braces = "{" * 100 + "[" * 100
    text = f'# {braces}\n/* {braces} */ path "a" {{ comment = "{braces}" }}'
    assert one(text).pattern == "a"
    hidden = '["]", ' * 100
    refused(f'path "a" {{ capabilities = {hidden}', "nested")


HEAVY = [
    "/*" * 32_000,
    "<<A\n" + "\n" * 60_000,
    '"' * 65_000,
    "\\" * 65_000,
    "\n" * 65_536,
    " " * 65_536,
    "#" * 65_536,
    "#\n" * 32_000,
    "/**/" * 16_000,
    "a" * 65_536,
    "a = 1\n" * 10_000,
    "a = " + "1+" * 30_000,
    "a = " + "-" * 60_000 + "1",
    "a = " + "!" * 60_000 + "1",
    "a = b" + ".c" * 30_000,
    "a = b" + "[0]" * 20_000,
    "a = [" + "1," * 30_000 + "]",
    "a " * 32_000,
    "path " * 13_000 + "{}",
    '"${' * 20_000,
    "path " + '"a" ' * 16_000,
    "9" * 65_000,
    "a = " + "9" * 65_000,
    "a = 1." + "9" * 65_000,
    "{" + '"a":' * 10_000,
    '{"path":[' + "{}," * 20_000 + "{}]}",
    'path "' + "{{identity." * 80 + '" {}',
    'path "' + "{{identity.a" + " " * 900 + '" {}',
]


@pytest.mark.parametrize("text", HEAVY, ids=range(len(HEAVY)))
def test_heavy_text_is_judged_quickly(text):
    """What could make a parser slow or deep ends in a policy or a refusal within seconds."""
    started = time.process_time()
    with contextlib.suppress(AdytonError):
        parse_policy("p", text)
    assert time.process_time() - started < 5


# --- fuzzing

WORDS = st.sampled_from(
    ['path "a" {', "}", "capabilities", " = ", '["read"]', '"', "[", "]", "{", "(", ")", ",", "\n",
     "policy", "null", "true", "-", "1", "1.5", "in", "for", "if", "path", "name", "/*", "*/", "//",
     "#", "<<E\n", "E\n", "${", "%{", "{{identity.entity.id}}", "+", "*", "/", "\\", "\\u00", " ",
     "\r", ":", "=>", "...", "?", "::", ".", ".*", "[*]", "é", "\ud800", "\x00", "\x85",
     "allowed_parameters",
     '{"path":', '{"a":', '"k":[]', "else", "endif", "~", "&&", "min_wrapping_ttl", '"1h"']
)  # fmt: skip


def survives(text):
    try:
        found = parse_policy("p", text)
    except AdytonError as error:
        refusal = error
    else:
        assert len({rule.pattern for rule in found.rules}) == len(found.rules)
        return
    assert refusal.message
    assert refusal.hint


@settings(max_examples=500, deadline=None)
@given(st.text(alphabet=st.characters(codec=None), max_size=200))
def test_arbitrary_text(text):
    """Any text is a policy or an error of ours."""
    survives(text)
    survives("{" + text)
    survives(f'path "{text}" {{ policy = "{text}" }}')


@settings(max_examples=1500, deadline=None)
@given(st.lists(WORDS, max_size=30).map("".join))
def test_words_of_the_language(text):
    """Any jumble of what policies are made of is a policy or an error of ours."""
    survives(text)
    survives(f'path "a" {{ {text} }}')
    survives(f'path "a" {{ capabilities = {text} }}')


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["path", "a", "policy", "capabilities", "allowed_parameters"]), inner
        )
    ),
    max_leaves=15,
)


@settings(max_examples=500, deadline=None)
@given(JSON)
def test_arbitrary_json(document):
    """Any JSON is a policy or an error of ours, wherever it stands."""
    for shape in (document, {"path": document}, {"path": {"a": document}}):
        survives(json.dumps(shape))
    for key in policies._KEYS:
        survives(json.dumps({"path": {"a": {key: document}}}))


PATTERN = st.lists(
    st.sampled_from(["a", "+", "b c", "ü", "", "x-1", "{{identity.entity.id}}"]), max_size=6
)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(
            PATTERN.map("/".join),
            st.lists(st.sampled_from(sorted(support.LETTERS.values())), unique=True),
        ),
        max_size=6,
        unique_by=lambda rule: rule[0].removeprefix("/"),
    )
)
def test_hcl_and_json_agree(written):
    """The same rules in both syntaxes are the same policy, and every rule is there."""
    as_json = {"path": {pattern: {"capabilities": given} for pattern, given in written}}
    found = rules(support.written(written))
    assert found == rules(json.dumps(as_json))
    for rule, (pattern, names) in zip(found, written, strict=True):
        expected = {"deny"} if "deny" in names else set(names)
        assert rule.pattern == pattern.removeprefix("/")
        assert {c.name.lower() for c in rule.capabilities} == expected
