"""JSON and YAML documents: one form, two spellings."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from adyton.canonical import canonical_json
from adyton.errors import InvalidDocument, InvalidInput
from adyton.model import CONTENT_BYTES, CONTENT_JSON, CONTENT_TEXT, State
from adyton.transfer import PortableVersion, TransferLimits
from adyton.transfer.json_doc import read_json, write_json
from adyton.transfer.yaml_doc import read_yaml, write_yaml
from transfer.helpers import CANARY, NAMES, NOW, chain, secret, values
from transfer.test_canonical import JSON

TEXTS = st.text(st.characters(codec="utf-8"))
OBJECTS = st.dictionaries(TEXTS, JSON, max_size=3)
TREES = st.dictionaries(NAMES, TEXTS | OBJECTS, max_size=4)
PAIRS = [(read_json, write_json), (read_yaml, write_yaml)]
both = pytest.mark.parametrize(("read", "write"), PAIRS, ids=["json", "yaml"])


def secrets_of(tree):
    return [
        secret(k, v.encode()) if isinstance(v, str) else secret(k, canonical_json(v), CONTENT_JSON)
        for k, v in tree.items()
    ]


@both
@given(tree=TREES)
@settings(deadline=None, max_examples=60)
def test_what_is_written_is_read(read, write, tree):
    """Text and JSON secrets come back with the same names, values and content types."""
    given_secrets = secrets_of(tree)
    found = read(write(given_secrets), now=NOW)
    assert values(found) == values(given_secrets)
    assert {s.name: s.current.content_type for s in found} == {
        s.name: s.current.content_type for s in given_secrets
    }


@given(st.dictionaries(NAMES, TEXTS, max_size=4))
@settings(deadline=None, max_examples=60)
def test_other_parsers_read_what_is_written(tree):
    """The standard library and a YAML loader read the exported texts as they are."""
    assert json.loads(write_json(secrets_of(tree))) == tree
    assert YAML(typ="safe", pure=True).load(write_yaml(secrets_of(tree)).decode()) == tree


@both
def test_long_and_strange_texts_survive(read, write):
    """Names of 512 characters that need escapes, and every kind of line break, survive."""
    strange = "\x00\x7f\x85\xa0\u2028\u2029\ufeff\ufffe\U0001f511\r\n\t end "
    tree = {"\U0001f511" * 512: strange, "a": {"\u2028" * 600: strange, "b": [[], {}, strange]}}
    assert values(read(write(secrets_of(tree)), now=NOW)) == values(secrets_of(tree))


@both
def test_values_that_are_no_text_are_refused(read, write):
    """Bytes, broken JSON, JSON that is no object and dead versions point to the bundle."""
    for value, kind in ((b"\xff", CONTENT_BYTES), (b"{", CONTENT_JSON), (b"[]", CONTENT_JSON)):
        with pytest.raises(InvalidInput, match="secret 2: its value") as caught:
            write([secret("a"), secret("b", value, kind)])
        assert "bundle" in caught.value.hint
    dead = PortableVersion(1, 0, "", State.DESTROYED, CONTENT_TEXT, None)
    with pytest.raises(InvalidInput, match="secret 1: its current version is not live"):
        write([secret(versions=(dead,))])
    with pytest.raises(InvalidInput, match="secret 2: its name is that of an earlier one"):
        write([secret(), secret()])


def test_bytes_that_are_text_are_written_as_text():
    """A value kept as bytes is written when it is UTF-8, and comes back as text."""
    (found,) = read_json(write_json([secret("a", b"x", CONTENT_BYTES)]), now=NOW)
    assert (found.current.value, found.current.content_type) == (b"x", CONTENT_TEXT)


TREE = b'{"a": "x", "b": {"c": {"d": "1"}, "e": "v"}}'


@pytest.mark.parametrize("read", [read_json, read_yaml])
def test_nested_objects_are_json_secrets_or_folders(read):
    """Without flatten an object is one JSON secret; with it, a folder."""
    assert values(read(TREE, now=NOW, prefix="p/")) == {
        "p/a": b"x",
        "p/b": b'{"c":{"d":"1"},"e":"v"}',
    }
    found = read(TREE, now=NOW, flatten=True, created_by="cli:a")
    assert values(found) == {"a": b"x", "b/c/d": b"1", "b/e": b"v"}
    assert [s.name for s in found] == ["a", "b/c/d", "b/e"]
    assert found[0].current.created_by == "cli:a"


@pytest.mark.parametrize("read", [read_json, read_yaml])
@pytest.mark.parametrize("flatten", [False, True])
@pytest.mark.parametrize(
    ("document", "fault"),
    [
        ('{"a": null}', "null|not take for text"),
        ('{"a": 1}', "a number, not text|not take for text"),
        ('{"a": 1.5}', "a number, not text|not take for text"),
        ('{"a": true}', "a boolean or a number|not take for text"),
        ('{"a": ["%s"]}', "a list, not text"),
        ('["%s"]', "not an object|not a mapping"),
        ('"%s"', "not an object|not a mapping"),
        ("", "not JSON|empty"),
        ('{"a": "%s",\n "a": "%s"}', "line 2.* same key came before"),
        ('{"a": {"%s": "", "b": "", "%s": ""}}', "line 1.* same key came before"),
        ('{"": "%s"}', "name is empty"),
        ('{"%s/": "x"}', "segment that is empty"),
        ('{"a/../%s": "x"}', "segment that is '..'"),
        ('{"a": "\\ud800%s"}', "unpaired surrogate"),
        ('{"a": "%s' + "x" * 100 + '"}', "over 100 bytes"),
        ("{" + ",".join(f'"a{n}":"x"' for n in range(9)) + "}", "more than 8 secrets"),
        ('{"a":' * 9 + '"%s"' + "}" * 9, "nested more than 8 deep"),
        ('{"a":{"b":' + "[" * 7 + "]" * 7 + "}}", "nested more than 8 deep|list, not text"),
        ('{"a": "%s"', "not JSON|not YAML"),
        ('{"a": {"b": "\\ud800%s"}}', "unpaired surrogate"),
        ('{"a": "\udcff"}', "not UTF-8"),
        ('{"a": "%s"}' + " " * 9000, "more than 8192"),
    ],
)
def test_each_fault_is_refused(read, flatten, document, fault):
    """What is no secret is refused with its place and nothing of its text."""
    limits = TransferLimits(
        depth=8, value_bytes=100, secrets=8, text_bytes=8192, document_bytes=8192
    )
    data = document.replace("%s", CANARY).encode("utf-8", "surrogateescape")
    with pytest.raises(InvalidDocument, match=fault) as caught:
        read(data, now=NOW, flatten=flatten, limits=limits)
    assert CANARY not in chain(caught.value)


def test_the_depth_limit_is_exact():
    """A document of the allowed depth is read, and one level more is not."""
    limits = TransferLimits(depth=3)
    for read in (read_json, read_yaml):
        assert read(b'{"a": {"b": [1]}}', now=NOW, limits=limits)
        for deeper in (b'{"a": {"b": [[]]}}', b'{"a": {"b": {"c": {}}}}', b'{"a":{"b":[{}]}}'):
            with pytest.raises(InvalidDocument, match="nested more than 3 deep"):
                read(deeper, now=NOW, limits=limits)


def test_flattened_names_must_not_meet():
    """Two ways to write one name are a duplicate, and an empty folder is a fault."""
    for read in (read_json, read_yaml):
        with pytest.raises(InvalidDocument, match="the name is that of"):
            read(b'{"a/b": "x", "a": {"b": "z"}}', now=NOW, flatten=True)
        with pytest.raises(InvalidDocument, match="a folder is empty"):
            read(b'{"a": {}}', now=NOW, flatten=True)


@pytest.mark.parametrize(
    ("tail", "fault"),
    [
        *((f" {plain}", "line 2: a value that YAML does not take for text") for plain in (
            "no", "Yes", "on", "null", "~", "007", "0x1F", "1_000", "12:30", "1e3", ".inf", ".NaN",
            "2026-01-31", "2026-01-31T00:00:00Z", "=", "<<", "0b1", "-0", "+1", "6.",
        )),
        ("", "line 2: an empty value"),
        (" &x v", "line 2: an anchor"),
        (" *x", "line 2: an alias"),
        (" !!str v", "line 2: a tag"),
        (" !x v", "line 2: a tag"),
        (" ! v", "line 2: a tag"),
        (" !!python/object/apply:os.system [id]", "line 2: a tag"),
        (" v\n---\nc: v", "more than one document"),
        (" v\n1: v", "line 3: a key that YAML does not take for text"),
        (" v\n<<: {c: v}", "line 3: a key that YAML does not take for text"),
        (" v\n? [x]\n: v", "line 3: a key is not text"),
        (" v\nb: v", "line 3: the same key came before in this mapping, at line 2"),
        (" {c: {d: 1, d: 2}}", "line 2: the same key came before"),
        (" {c: 010}", "line 2: a value that YAML does not take for text"),
        (" {c: }", "line 2: an empty value"),
        (" 'x", "not YAML"),
        (' "\\q"', "not YAML: line 2"),
        (" a: b", "not YAML: line 2"),
        ("\tx: y", "not YAML|line"),
        (" \x07", "not YAML"),
    ],
)  # fmt: skip
def test_yaml_that_could_mean_something_else_is_refused(tail, fault):
    """Untyped scalars, aliases, anchors, tags and repeated keys are refused with their line."""
    with pytest.raises(InvalidDocument, match=fault):
        read_yaml(f"a: v\nb:{tail}\n".encode(), now=NOW)


def test_yaml_versions_other_than_1_2_are_refused():
    """A directive of another version or of tags is refused; that of 1.2 is read."""
    assert read_yaml(b"%YAML 1.2\n---\na: v\n", now=NOW)
    for head in (b"%YAML 1.1", b"%YAML 2.0", b"%TAG ! tag:x,2000:"):
        with pytest.raises(InvalidDocument):
            read_yaml(head + b"\n---\na: v\n", now=NOW)


def test_yaml_block_and_json_values_are_read():
    """Block texts keep their lines; inside a JSON secret, JSON's own scalars have its types."""
    document = b"a: |\n  x\n  y\nb:\n  c: 1.10\n  d: [12345678901234567890, null, true, text]\n"
    assert values(read_yaml(document, now=NOW)) == {
        "a": b"x\ny\n",
        "b": b'{"c":1.10,"d":[12345678901234567890,null,true,"text"]}',
    }


LAUGHS = b"a0: &a0 ['lol']\n" + b"".join(
    b"a%d: &a%d [%s]\n" % (n, n, b",".join([b"*a%d" % (n - 1)] * 9)) for n in range(1, 12)
)


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "document",
    [
        LAUGHS,
        b"[" * 1_000_000,
        b"{" * 1_000_000,
        b"a: {b: " * 100_000,
        b"- " * 500_000,
        b"? " * 500_000,
        b"a: {b: [" + b"[" * 1_000_000,
        b"&a " * 300_000,
        b'"' * 1_000_000,
        b"a: |\n" + b" " * 1_000_000,
    ],
)
def test_a_yaml_bomb_is_refused_quickly(document):
    """Billion laughs and deep or endless nesting are refused at once, or read at once."""
    try:
        found = read_yaml(document, now=NOW)
    except InvalidDocument:
        return
    assert values(found) == {"a": b""}


def test_the_place_of_a_repeated_key_is_exact():
    """The line and column are those of the second key, behind objects that have the same keys."""
    document = b'{"a": {"x": "{", "y": 1}, "b\\"": {"x": "x"},\n  "c": [{"x": 1,\n "\\u0078": 2}]}'
    with pytest.raises(InvalidDocument, match="line 3, column 2: the same key"):
        read_json(document, now=NOW)


@pytest.mark.parametrize("bomb", [b"[" * 1_000_000, b'{"a":' * 300_000, b'{"a":{"b":' + b"[" * 500])
def test_a_json_bomb_is_an_invalid_document(bomb):
    """Nesting that would exhaust the parser is refused, and is no RecursionError."""
    with pytest.raises(InvalidDocument):
        read_json(bomb, now=NOW)
    with pytest.raises(InvalidDocument, match="more than 100 commas"):
        read_json(b"[" + b"1," * 101 + b"1]", now=NOW, limits=TransferLimits(document_commas=100))
