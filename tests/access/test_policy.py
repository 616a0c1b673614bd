"""Reading policies: what is understood, what is refused and how."""

import json

import pytest

from access import support
from access.support import one, refused, rules
from adyton.errors import InvalidDocument
from adyton.service.access import policy as policies
from adyton.service.access.policy import Capability, Policy, Rule, parse_policy

READ, LIST, DENY, SUDO = Capability.READ, Capability.LIST, Capability.DENY, Capability.SUDO
WRITE = READ | LIST | Capability.CREATE | Capability.UPDATE | Capability.DELETE


# --- what is understood


@pytest.mark.parametrize(
    "text",
    ["", "\n", "  \t\r\n", "# nothing", "// nothing", "/* nothing\n */", "{}", ' {"path": {}}'],
)
def test_an_empty_policy_has_no_rules(text):
    """Nothing, comments and an empty object are a policy without rules."""
    assert parse_policy("p", text) == Policy("p", ())


@pytest.mark.parametrize("capability", list(Capability))
def test_each_capability(capability):
    """Every capability has its name."""
    name = capability.name.lower()
    assert one(f'path "a" {{ capabilities = ["{name}"] }}') == Rule("a", capability)


@pytest.mark.parametrize(
    ("word", "capabilities"),
    [("read", READ | LIST), ("write", WRITE), ("deny", DENY), ("sudo", WRITE | SUDO)],
)
def test_the_old_shorthand(word, capabilities):
    """'policy' stands for a set of capabilities, and adds to the list beside it."""
    assert one(f'path "a" {{ policy = "{word}" }}').capabilities == capabilities
    both = one(f'path "a" {{ policy = "{word}"\n capabilities = ["patch"] }}').capabilities
    assert both == (DENY if word == "deny" else capabilities | Capability.PATCH)


def test_deny_stands_alone():
    """Beside deny nothing else is kept, constraints neither."""
    text = 'path "a" { capabilities = ["read", "deny", "sudo"]\n required_parameters = ["x"] }'
    assert one(text) == Rule("a", DENY)


def test_no_capabilities_are_a_rule_that_grants_nothing():
    """An empty list, or none, is still a rule."""
    assert one('path "a" { capabilities = [] }') == Rule("a", Capability(0))
    assert one('path "a" {}') == Rule("a", Capability(0))
    assert not one('path "a" {}').grants


@pytest.mark.parametrize(
    ("written", "pattern"),
    [
        ("a/b", "a/b"),
        ("/a/b", "a/b"),
        ("//a", "/a"),
        ("", ""),
        ("/", ""),
        ("*", "*"),
        ("+", "+"),
        ("a/+/b*", "a/+/b*"),
        ("+/+/*", "+/+/*"),
        ("a b/ü/日本", "a b/ü/日本"),
        ("a/{{identity.entity.id}}/*", "a/{{identity.entity.id}}/*"),
        ("{{identity.entity.name}}*", "{{identity.entity.name}}*"),
        ("x{y}/}{", "x{y}/}{"),
        ("%41", "%41"),
        ("a#b//c", "a#b//c"),
        ("a\\b\"c'd", "a\\b\"c'd"),
        ("a" * 1024, "a" * 1024),
    ],
)
def test_paths(written, pattern):
    """A path is kept as it is but for one leading slash, in HCL and in JSON."""
    assert one(support.written([(written, ["read"])])) == Rule(pattern, READ)
    document = {"path": {written: {"capabilities": ["read"]}}}
    assert one(json.dumps(document)) == Rule(pattern, READ)
    assert one(json.dumps(document, ensure_ascii=False)) == Rule(pattern, READ)


@pytest.mark.parametrize(
    ("escaped", "pattern"),
    [(r"a\"b", 'a"b'), (r"a\\b", "a\\b"), (r"\u00e9", "é"), (r"\U0001f511", "🔑")],
)
def test_escapes(escaped, pattern):
    """The escapes of HCL strings are those of JSON, and eight digits."""
    assert one(f'path "{escaped}" {{ policy = "read" }}').pattern == pattern


def test_layout_is_free():
    """Comments, blank lines, commas at the end, one-line blocks and CRLF are all fine."""
    text = """
    # one
    name = "ignored"
    path "a" { capabilities = ["read",
      # inside
      "list", ] } // after
    /* two
       lines { [ */
    path b { policy = "read" comment = "why # not" }
    path "c" {
        policy = "read"

    }"""
    for layout in (text, text.replace("\n", "\r\n"), text + "\n"):
        assert rules(layout) == tuple(Rule(p, READ | LIST) for p in "abc")


def test_constraints_are_kept():
    """Parameters are lower case with their values; times are seconds."""
    rule = one(
        """path "a" {
          capabilities = ["update"]
          allowed_parameters = { "Foo" = ["a", 1, -2, 1.5, true, null, ["x"]], bar : [], "*" = [] }
          denied_parameters = { "baz" = ["*z"] }
          required_parameters = ["Foo"]
          min_wrapping_ttl = 90
          max_wrapping_ttl = "1h30m"
        }"""
    )
    assert rule.parameters.allowed == {
        "foo": ("a", 1, -2, 1.5, True, None, ("x",)),
        "bar": (),
        "*": (),
    }
    assert rule.parameters.denied == {"baz": ("*z",)}
    assert rule.parameters.required == {"foo"}
    assert (rule.min_wrapping_ttl, rule.max_wrapping_ttl) == (90, 5400)


def test_json_means_the_same():
    """The same policy as JSON, in each of its shapes, gives the same rules."""
    body = {
        "capabilities": ["read"],
        "allowed_parameters": {"a": ["x", 1, None]},
        "required_parameters": ["a"],
        "max_wrapping_ttl": "2m",
    }
    hcl = """path "x/*" { capabilities = ["read"]
      allowed_parameters = { a = ["x", 1, null] }
      required_parameters = ["a"]
      max_wrapping_ttl = 120 }"""
    expected = rules(hcl)
    for shape in ({"x/*": body}, [{"x/*": body}], {"x/*": [body]}, {"x/*": [body, body]}):
        found = rules(json.dumps({"path": shape, "name": "n"}))
        assert [(r.pattern, r.capabilities) for r in found] == [("x/*", READ)]
        assert found[0].max_wrapping_ttl == 120
    assert rules(json.dumps({"path": {"x/*": body}})) == expected


def test_json_strings_have_no_expressions():
    """What looks like an expression is plain text in JSON."""
    assert one('{"path": {"a/${x}%{y}": {"policy": "read"}}}').pattern == "a/${x}%{y}"


def test_the_same_path_twice_is_merged():
    """Blocks of one path add up, deny wins, and a leading slash makes no difference."""
    text = 'path "a" { policy = "read" }\npath "b" {}\npath "/a" { capabilities = ["sudo"] }'
    assert rules(text) == (Rule("a", READ | LIST | SUDO), Rule("b", Capability(0)))
    assert one('path "a" { policy = "deny" }\npath "a" { policy = "sudo" }') == Rule("a", DENY)
    twice = '{"path": {"a": {"policy": "read"}, "a": {"policy": "deny"}}}'
    assert one(twice) == Rule("a", DENY)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("0", 0),
        ("60", 60),
        ('"60"', 60),
        ('"60s"', 60),
        ('"1m"', 60),
        ('"1.5h"', 5400),
        ('"1h30m"', 5400),
        ('"1h30m5s"', 5405),
        ('"2000ms"', 2),
        ('"500ms500ms"', 1),
        ('"1d"', 86400),
        ('"0s"', 0),
    ],
)
def test_durations(written, seconds):
    """Seconds as a number or as text, or a duration with units."""
    rule = one(f'path "a" {{ policy = "read"\n min_wrapping_ttl = {written} }}')
    assert rule.min_wrapping_ttl == seconds


# --- what is refused


@pytest.mark.parametrize(
    "written",
    ['"500ms"', '"1.5s"', "1.5", "-1", '"-1h"', '"1h "', '"h"', '"1"1', '""', "true", "null", "[1]",
     '"1e3s"', '"1y"', "99999999999", '"' + "1h" * 40 + '"', '"\u0661h"'],
)  # fmt: skip
def test_durations_that_are_none(written):
    """Parts of seconds, negative, endless or odd times are refused."""
    refused(
        f'path "a" {{ policy = "read"\n min_wrapping_ttl = {written} }}',
        "policy" if written == '"1"1' else "TTL",
    )


def test_bounds_that_cross():
    """In one block the greatest time can't be below the least."""
    refused('path "a" { min_wrapping_ttl = 2\n max_wrapping_ttl = 1 }', "'a'", "below")


@pytest.mark.parametrize(
    "name", ["Read", "reed", "", "root", "subscribe", "recover", "scan", "READ", "read ", "*"]
)
def test_unknown_capabilities(name):
    """The refusal names the path and the capability, and lists the known ones."""
    error = refused(f'path "x/y" {{ capabilities = ["read", "{name}"] }}', "x/y", repr(name))
    assert "sudo" in error.hint
    refused(json.dumps({"path": {"x/y": {"capabilities": [name]}}}), "x/y", repr(name))


@pytest.mark.parametrize("value", ['"write2"', "1", '["read"]', "null", "{}", '""'])
def test_unknown_shorthands(value):
    """'policy' has four values."""
    refused(f'path "x" {{ policy = {value} }}', "'x'", "policy")


@pytest.mark.parametrize(
    "key",
    ["capability", "Capabilities", "mfa_methods", "control_group", "pagination_limit", "path", "x"],
)
def test_unknown_keys(key):
    """A setting that isn't known could be a restriction: it is refused."""
    refused(f'path "x" {{ {key} = [] }}', "'x'", repr(key))
    refused(json.dumps({"path": {"x": {key: []}}}), "'x'", repr(key))


@pytest.mark.parametrize(
    "body",
    [
        'capabilities = "read"',
        "capabilities = 1",
        "capabilities = [1]",
        'capabilities = [["read"]]',
        "capabilities = null",
        "capabilities = {}",
        "capabilities = read",
        'required_parameters = "a"',
        "required_parameters = [1]",
        'allowed_parameters = ["a"]',
        'allowed_parameters = "a"',
        'allowed_parameters = { a = "x" }',
        "allowed_parameters = { a = null }",
        "allowed_parameters = { a = [{}] }",
        "allowed_parameters = { a = [[{}]] }",
        "allowed_parameters = { a = [], A = [] }",
        "denied_parameters = { a = [x] }",
        "denied_parameters = { 1 = [] }",
    ],
)
def test_settings_of_the_wrong_shape(body):
    """Every setting has one shape."""
    refused(f'path "x" {{ {body} }}')


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("a+b", "'+'"),
        ("a/+b", "'+'"),
        ("a/b+/c", "'+'"),
        ("++", "'+'"),
        ("+*", "'+'"),
        ("a/+*", "'+'"),
        ("+{{identity.entity.id}}", "'+'"),
        ("*/a", "'*'"),
        ("a*b", "'*'"),
        ("**", "'*'"),
        ("a/*/b", "'*'"),
        ("*{{identity.entity.id}}", "'*'"),
        ("a/{{identity.entity.id", "template"),
        ("a/identity.entity.id}}", "template"),
        ("a/{{}}", "template"),
        ("a/{{entity.id}}", "template"),
        ("a/{{identity}}", "template"),
        ("{{{{identity.entity.id}}}}", "template"),
        ("a\u0000b", "control"),
        ("a\nb", "control"),
        ("a\u007fb", "control"),
        ("a\ud800b", "control"),
        ("a" * 1025, "1024"),
    ],
)
def test_paths_that_are_none(path, word):
    """The refusal names the rule that is broken, in HCL and in JSON."""
    escaped = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in path)
    refused(f'path "{escaped}" {{ policy = "read" }}', "path", word)
    refused(json.dumps({"path": {path: {"policy": "read"}}}), "path", word)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("path", 1),
        ('path "a"', 1),
        ('path "a" {', 1),
        ('path "a" }', 1),
        ('\n\npath "a" { policy "read" }', 3),
        ('path "a" { policy = }', 1),
        ('path "a" { policy = "read }\n', 1),
        ('path "a" {\n policy = "read" ;\n}', 2),
        ('path "a" { capabilities = ["read" "list"] }', 1),
        ('path "a" { capabilities = ["read"', 1),
        ('path "a" { policy = "re" + "ad" }', 1),
        ('path "a" { policy = upper("read") }', 1),
        ('path "a" { policy = var.x }', 1),
        ('path "a" { policy = x[0] }', 1),
        ('path "a" { capabilities = [for x in y: x] }', 1),
        ('path "a" { policy = "${x}" }', 1),
        ('path "a/$${x}" { policy = "read" }', 1),
        ('path "%{if x}" {}', 1),
        ('path "a" { comment = <<EOT\nx\nEOT\n}', 1),
        ('\npath "a" { comment = "\\x41" }', 2),
        ('path "\\U00110000" { }', 1),
        ("/* no end", 1),
        ('path "a" "b" {}', 1),
        ("path {}", 1),
        ('"path" "a" {}', 1),
        ('paths "a" {}', 1),
        ('path "a" { rule "b" {} }', 1),
        ("a \\ b", 1),
        ("\x00", 1),
        ("é", 1),
    ],
)
def test_text_that_is_not_a_policy(text, line):
    """The refusal says at which line; for an end that comes too soon, that it is the end."""
    message = refused(text).message
    assert f"line {line}" in message or "end" in message


@pytest.mark.parametrize(
    "text",
    [
        "{",
        '{"path"',
        '{"path": }',
        '{"path": {}} x',
        '{"path": 1}',
        '{"path": [1]}',
        '{"path": {"a": 1}}',
        '{"path": {"a": [1]}}',
        '{"path": {"a": null}}',
        '{"paths": {}}',
        '{"name": 1}',
        "{'path': {}}",
        '{"path": {"a": {"min_wrapping_ttl": NaN}}}',
        '{"path": {"a": {"min_wrapping_ttl": Infinity}}}',
        '{"path": {"a": {"min_wrapping_ttl": 1e999}}}',
        '{"path": {"a": {"min_wrapping_ttl": %s}}}' % ("9" * 5000),
        '{"path": {"a": {"policy": "read", "policy": "deny"}}}',
        '{"path": {"a\nb": {}}}',
        "\ufeff{}",
    ],
)
def test_json_that_is_not_a_policy(text):
    """Broken JSON, and JSON of another shape."""
    refused(text)


@pytest.mark.parametrize("text", ["name = 1", 'other = "x"', 'path = { "a" = {} }', 'path = "a"'])
def test_only_a_name_may_stand_outside_of_blocks(text):
    """Settings at the top are refused."""
    refused(text, "outside")


def test_a_setting_twice():
    """Of two settings of one name neither wins."""
    refused('path "a" {\n policy = "read"\n policy = "write" }', "'a'", "'policy'", "twice")


def test_root_has_no_text():
    """The policy 'root' can't be written."""
    with pytest.raises(InvalidDocument):
        parse_policy("root", "")
    assert policies.ROOT.name == "root"


def test_values_of_parameters_are_not_told():
    """A refusal shows paths and keys, and no parameter's values."""
    error = refused('path "a" { allowed_parameters = { k = ["hunter2", {}] } }')
    assert "hunter2" not in error.message + error.hint
