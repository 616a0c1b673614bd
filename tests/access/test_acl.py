"""Decisions: the table of ``cases.txt``, an oracle, and what single rules can't show."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from access import oracle, support
from adyton.service.access.acl import Acl
from adyton.service.access.policy import ROOT, Capability, Policy, Rule, parse_policy

CREATE, READ, UPDATE, PATCH = (
    Capability.CREATE,
    Capability.READ,
    Capability.UPDATE,
    Capability.PATCH,
)
DELETE, LIST, SUDO, DENY = Capability.DELETE, Capability.LIST, Capability.SUDO, Capability.DENY
EVERY = [CREATE, READ, UPDATE, PATCH, DELETE, LIST, SUDO]


def acl(*texts, **values):
    policies = [parse_policy(f"p{number}", text) for number, text in enumerate(texts)]
    return Acl(policies, {f"identity.{key}": value for key, value in values.items()})


def of(rules):
    return acl(support.written(rules))


# --- nothing and everything


def test_no_policy_allows_nothing():
    """Without policies everything is refused."""
    nobody = Acl([])
    assert not nobody.root
    assert nobody.capabilities("a") == ["deny"]
    assert not any(nobody.allows(path, one) for path in ("", "a", "sys/x") for one in EVERY)
    assert not nobody.any_under("")


def test_root_allows_everything():
    """The policy 'root' is enough, whatever the others deny."""
    root = Acl([parse_policy("p", 'path "*" { policy = "deny" }'), ROOT])
    assert root.root
    assert root.capabilities("sys/raw/x") == ["root"]
    assert all(root.allows("x", one, body={"a": 1}, wrap_ttl=1) for one in EVERY)
    assert root.any_under("anything/")


def test_a_policy_that_is_called_almost_root_is_none():
    """Only the exact name gives root."""
    for name in ("Root", "root ", "roots", ""):
        assert not Acl([Policy(name, ())]).root


# --- the table


TABLE = [
    pytest.param(rules, path, expected, id=f"{name}: {path or '<>'} #{number}")
    for name, rules, expectations in support.sections()
    for number, (path, expected) in enumerate(expectations)
]


def test_the_table_is_large():
    """The file of cases is read to its end."""
    assert len(TABLE) >= 400


@pytest.mark.parametrize(("rules", "path", "expected"), TABLE)
def test_capabilities(rules, path, expected):
    """A path has exactly the capabilities that the table says."""
    assert of(rules).capabilities(path) == expected


@pytest.mark.parametrize(("rules", "path", "expected"), TABLE)
def test_the_oracle_says_the_same(rules, path, expected):
    """The oracle, which judges random rules below, agrees with the table."""
    assert oracle.capabilities(rules, path) == expected


@pytest.mark.parametrize(("rules", "path", "expected"), TABLE)
def test_operations_follow_capabilities(rules, path, expected):
    """Where no slash is in play, an operation is allowed exactly if its capability is there."""
    decided = of(rules)
    for one in EVERY:
        name = one.name.lower()
        if one is LIST or path.endswith("/"):
            assert decided.allows(path, one) == oracle.allows(rules, path, name)
        else:
            assert decided.allows(path, one) == (name in expected)


def test_the_order_of_rules_and_policies_means_nothing():
    """Reversed, and split into one policy for each rule, every section decides alike."""
    for _, rules, expectations in support.sections():
        split = acl(*(support.written([rule]) for rule in reversed(rules)))
        for path, expected in expectations:
            assert split.capabilities(path) == expected


# --- the oracle


PIECES = st.sampled_from(["a", "b", "ab", "aa", "+", "+", "sys", "", "c"])
PATHS = st.lists(PIECES.map(lambda s: s.replace("+", "b")), min_size=1, max_size=5).map("/".join)


@st.composite
def patterns(draw):
    segments = draw(st.lists(PIECES, min_size=1, max_size=5))
    pattern = "/".join(segments).lstrip("/")  # one leading slash is taken off when read
    return pattern + "*" if segments[-1] != "+" and draw(st.booleans()) else pattern


RULES = st.lists(
    st.tuples(
        patterns(),
        st.one_of(
            st.just(["deny"]),
            st.lists(st.sampled_from(["read", "list", "update", "sudo"]), max_size=3, unique=True),
        ),
    ),
    max_size=12,
)


@settings(max_examples=400, deadline=None)
@given(RULES, st.lists(PATHS, min_size=1, max_size=8))
def test_decisions_are_the_oracles(rules, paths):
    """Random rules decide random paths as the slow oracle does."""
    decided = of(rules)
    for path in paths:
        assert decided.capabilities(path) == oracle.capabilities(rules, path)
        for one in EVERY:
            assert decided.allows(path, one) == oracle.allows(rules, path, one.name.lower())


@settings(max_examples=300, deadline=None)
@given(RULES, PATHS, st.integers(0, 12))
def test_what_is_allowed_is_under_its_prefixes(rules, path, length):
    """If anything is allowed on a path, any_under is true of every prefix of it."""
    decided = of(rules)
    allowed = any(decided.allows(path, one) for one in EVERY)
    if allowed or decided.capabilities(path) != ["deny"]:
        assert decided.any_under(path[:length])


# --- listing


def test_listing_means_the_folder():
    """To list 'a' is to list 'a/': its exact rule, a glob of it, or else the rule of 'a'."""
    both = of([("a", ["deny"]), ("a/", ["list"])])
    assert both.allows("a", LIST)
    assert both.allows("a/", LIST)
    assert of([("a/*", ["list"])]).allows("a", LIST)
    assert of([("a", ["list"])]).allows("a", LIST)
    assert of([("a", ["list"])]).allows("a/", LIST)
    assert not of([("a/", ["deny"]), ("a", ["list"])]).allows("a", LIST)
    assert not of([("a/*", ["list"])]).allows("", LIST)


def test_reading_does_not_mean_the_folder():
    """Only listing tries the other form of a path."""
    assert not of([("a", ["read"])]).allows("a/", READ)
    assert not of([("a/", ["read"])]).allows("a", READ)


# --- operations


def test_several_capabilities_are_all_needed():
    """An operation that needs sudo can ask for both at once."""
    decided = of([("a", ["read", "sudo"]), ("b", ["read"]), ("c", ["sudo"])])
    assert decided.allows("a", READ | SUDO)
    assert not decided.allows("b", READ | SUDO)
    assert not decided.allows("c", READ | SUDO)
    assert decided.allows("c", SUDO)


def test_nothing_and_deny_are_never_allowed():
    """Asking for no capability, or for deny, is refused."""
    decided = of([("a", ["read"]), ("b", ["deny"])])
    assert not decided.allows("a", Capability(0))
    assert not decided.allows("a", DENY)
    assert not decided.allows("b", DENY)
    assert not decided.allows("a", READ | DENY)


# --- templates


TEMPLATE = 'path "u/{{identity.entity.name}}/*" { capabilities = ["read"] }'


def test_a_template_becomes_its_value():
    """The identity's value takes the template's place."""
    decided = acl(TEMPLATE, **{"entity.name": "ann"})
    assert decided.allows("u/ann/x", READ)
    assert not decided.allows("u/bob/x", READ)
    assert not decided.allows("u/{{identity.entity.name}}/x", READ)


@pytest.mark.parametrize(
    "value", ["", "*", "a*", "*a", "+", "a/b", "/", "/a", "a/", "ann/../bob", "../x"]
)
def test_a_value_that_would_widen_drops_the_rule(value):
    """Wildcards, slashes and nothing at all never get into a pattern."""
    decided = acl(TEMPLATE, 'path "other" { policy = "read" }', **{"entity.name": value})
    assert not decided.any_under("u/")
    assert decided.allows("other", READ)


def test_a_missing_value_drops_the_rule():
    """A template without value grants nothing."""
    decided = acl(TEMPLATE, **{"entity.id": "ann"})
    assert not decided.any_under("")


def test_one_missing_value_of_two_drops_the_rule():
    """Every template of a path needs its value."""
    text = 'path "{{identity.entity.id}}/{{identity.entity.metadata.team}}" { policy = "read" }'
    assert not acl(text, **{"entity.id": "7"}).any_under("")
    assert acl(text, **{"entity.id": "7", "entity.metadata.team": "x"}).allows("7/x", READ)


def test_values_that_make_a_plus_together_drop_the_rule():
    """A '+' may not come about from two values or beside text either."""
    text = 'path "a/{{identity.x}}{{identity.y}}" { policy = "read" }'
    assert not acl(text, x="+", y="").any_under("")
    assert acl(text, x="+", y="b").allows("a/+b", READ)
    assert not acl(text, x="+", y="b").allows("a/cb", READ)


def test_a_value_is_not_a_template():
    """A value is taken as it is, never expanded again."""
    decided = acl(TEMPLATE, **{"entity.name": "{{identity.entity.id}}", "entity.id": "ann"})
    assert not decided.allows("u/ann/x", READ)
    assert decided.allows("u/{{identity.entity.id}}/x", READ)


@pytest.mark.parametrize(
    "name",
    [
        "entity.id",
        "entity.metadata.team name",
        "entity.aliases.auth_jwt_1.name",
        "entity.aliases.auth_jwt_1.metadata.sub",
        "groups.names.ops.id",
        "groups.ids.7.name",
    ],
)
def test_every_kind_of_template(name):
    """Templates are looked up by their whole name, blanks around it aside."""
    decided = acl(f'path "t/{{{{ identity.{name} }}}}" {{ policy = "read" }}', **{name: "v"})
    assert decided.allows("t/v", READ)


def test_filled_rules_merge_with_written_ones():
    """A filled template and the same written path are one pattern, where deny wins."""
    decided = acl(TEMPLATE, 'path "u/ann/*" { policy = "deny" }', **{"entity.name": "ann"})
    assert decided.capabilities("u/ann/x") == ["deny"]


# --- parameters


def rule(settings_text, capabilities="create,update,read,patch,list,delete"):
    listed = ", ".join(f'"{name}"' for name in capabilities.split(","))
    return f'path "p" {{\n capabilities = [{listed}]\n {settings_text}\n}}'


BODIES = [
    # settings, body, allowed
    ("", {"x": 1}, True),
    ("allowed_parameters = {}", {"x": 1}, True),
    ('allowed_parameters = { "a" = [] }', {}, True),
    ('allowed_parameters = { "a" = [] }', None, True),
    ('allowed_parameters = { "a" = [] }', {"a": "any"}, True),
    ('allowed_parameters = { "a" = [] }', {"a": {"deep": [1]}}, True),
    ('allowed_parameters = { "a" = [] }', {"b": 1}, False),
    ('allowed_parameters = { "a" = [] }', {"a": 1, "b": 1}, False),
    ('allowed_parameters = { "a" = [] }', {"A": 1}, True),
    ('allowed_parameters = { "A" = [] }', {"a": 1}, True),
    ('allowed_parameters = { "a" = ["x", "y"] }', {"a": "y"}, True),
    ('allowed_parameters = { "a" = ["x", "y"] }', {"a": "z"}, False),
    ('allowed_parameters = { "a" = ["x"] }', {"a": "X"}, False),
    ('allowed_parameters = { "a" = ["x"] }', {"a": ["x"]}, False),
    ('allowed_parameters = { "a" = ["x"] }', {"a": None}, False),
    ('allowed_parameters = { "a" = ["x*"] }', {"a": "xyz"}, True),
    ('allowed_parameters = { "a" = ["x*"] }', {"a": "x"}, True),
    ('allowed_parameters = { "a" = ["x*"] }', {"a": "ax"}, False),
    ('allowed_parameters = { "a" = ["*x"] }', {"a": "ax"}, True),
    ('allowed_parameters = { "a" = ["*x"] }', {"a": "xa"}, False),
    ('allowed_parameters = { "a" = ["*x*"] }', {"a": "axa"}, True),
    ('allowed_parameters = { "a" = ["*x*"] }', {"a": "aya"}, False),
    ('allowed_parameters = { "a" = ["a*z"] }', {"a": "abz"}, False),
    ('allowed_parameters = { "a" = ["a*z"] }', {"a": "a*z"}, True),
    ('allowed_parameters = { "a" = ["**"] }', {"a": "anything"}, True),
    ('allowed_parameters = { "a" = ["*"] }', {"a": "anything"}, False),
    ('allowed_parameters = { "a" = ["*"] }', {"a": "*"}, True),
    ("allowed_parameters = { a = [1, true, null, -2, 1.5] }", {"a": 1}, True),
    ("allowed_parameters = { a = [1] }", {"a": 1.0}, True),
    ("allowed_parameters = { a = [1] }", {"a": True}, False),
    ("allowed_parameters = { a = [true] }", {"a": 1}, False),
    ("allowed_parameters = { a = [1] }", {"a": "1"}, False),
    ("allowed_parameters = { a = [-2] }", {"a": -2}, True),
    ("allowed_parameters = { a = [1.5] }", {"a": 1.5}, True),
    ("allowed_parameters = { a = [null] }", {"a": None}, True),
    ("allowed_parameters = { a = [false] }", {"a": None}, False),
    ("allowed_parameters = { a = [false] }", {"a": 0}, False),
    ('allowed_parameters = { a = [["x", "y"]] }', {"a": ["x", "y"]}, True),
    ('allowed_parameters = { a = [["x", "y"]] }', {"a": ["y", "x"]}, False),
    ('allowed_parameters = { a = [["x*"]] }', {"a": ["xy"]}, False),
    ('allowed_parameters = { a = [["x"]] }', {"a": ["x", "z"]}, False),
    ('allowed_parameters = { "*" = [] }', {"z": 1}, True),
    ('allowed_parameters = { "*" = [], "a" = ["x"] }', {"z": 1}, True),
    ('allowed_parameters = { "*" = [], "a" = ["x"] }', {"a": "x", "z": 1}, True),
    ('allowed_parameters = { "*" = [], "a" = ["x"] }', {"a": "y"}, False),
    ('denied_parameters = { "a" = [] }', {"b": 1}, True),
    ('denied_parameters = { "a" = [] }', {"a": 1}, False),
    ('denied_parameters = { "a" = [] }', {"A": 1}, False),
    ('denied_parameters = { "a" = [] }', {}, True),
    ('denied_parameters = { "a" = ["x"] }', {"a": "y"}, True),
    ('denied_parameters = { "a" = ["x"] }', {"a": "x"}, False),
    ('denied_parameters = { "a" = ["x*"] }', {"a": "xx"}, False),
    ('denied_parameters = { "a" = [1] }', {"a": 1}, False),
    ('denied_parameters = { "*" = [] }', {"z": 1}, False),
    ('denied_parameters = { "*" = [] }', {}, True),
    ('denied_parameters = { "*" = ["x"] }', {"z": 1}, False),
    (
        'denied_parameters = { "a" = ["x"] }\n allowed_parameters = { "a" = [] }',
        {"a": "x"},
        False,
    ),
    ('denied_parameters = { "a" = ["x"] }\n allowed_parameters = { "a" = [] }', {"a": "y"}, True),
    ('required_parameters = ["a"]', {"a": 1}, True),
    ('required_parameters = ["A"]', {"a": 1}, True),
    ('required_parameters = ["a"]', {"b": 1}, False),
    ('required_parameters = ["a"]', {}, False),
    ('required_parameters = ["a"]', None, False),
    ('required_parameters = ["a", "b"]', {"a": 1}, False),
    ('required_parameters = ["a", "b"]', {"a": 1, "b": None}, True),
]


@pytest.mark.parametrize(("text", "body", "expected"), BODIES)
@pytest.mark.parametrize("operation", [CREATE, READ, UPDATE, PATCH])
def test_parameters(text, body, expected, operation):
    """Constraints judge the body of what can carry one."""
    assert acl(rule(text)).allows("p", operation, body=body) == expected


@pytest.mark.parametrize("operation", [LIST, DELETE])
def test_parameters_of_listing_and_deleting_are_free(operation):
    """As in Vault, listing and deleting are not judged by parameters."""
    decided = acl(rule('denied_parameters = { "*" = [] }\n required_parameters = ["x"]'))
    assert decided.allows("p", operation, body={"a": 1})


MERGES = [
    # one policy's settings, another's, body, allowed
    ('allowed_parameters = { a = ["x"] }', "", {"b": 1}, False),
    ('allowed_parameters = { a = ["x"] }', 'allowed_parameters = { a = ["y"] }', {"a": "x"}, True),
    ('allowed_parameters = { a = ["x"] }', 'allowed_parameters = { a = ["y"] }', {"a": "y"}, True),
    ('allowed_parameters = { a = ["x"] }', 'allowed_parameters = { a = ["y"] }', {"a": "z"}, False),
    ('allowed_parameters = { a = ["x"] }', "allowed_parameters = { a = [] }", {"a": "z"}, True),
    ('allowed_parameters = { a = ["x"] }', "allowed_parameters = { b = [] }", {"b": "z"}, True),
    ('allowed_parameters = { a = ["x"] }', "allowed_parameters = { b = [] }", {"a": "z"}, False),
    ('allowed_parameters = { a = ["x"] }', "allowed_parameters = { b = [] }", {"c": "z"}, False),
    ('denied_parameters = { a = ["x"] }', 'denied_parameters = { a = ["y"] }', {"a": "x"}, False),
    ('denied_parameters = { a = ["x"] }', 'denied_parameters = { a = ["y"] }', {"a": "y"}, False),
    ('denied_parameters = { a = ["x"] }', 'denied_parameters = { a = ["y"] }', {"a": "z"}, True),
    ('denied_parameters = { a = ["x"] }', "denied_parameters = { a = [] }", {"a": "z"}, False),
    ('denied_parameters = { a = ["x"] }', "", {"a": "x"}, False),
    ('required_parameters = ["a"]', 'required_parameters = ["b"]', {"a": 1}, False),
    ('required_parameters = ["a"]', 'required_parameters = ["b"]', {"a": 1, "b": 1}, True),
    ('required_parameters = ["a"]', "", {"b": 1}, False),
]


@pytest.mark.parametrize(("one", "two", "body", "expected"), MERGES)
def test_parameters_merge(one, two, body, expected):
    """Constraints of two policies add up, whichever comes first."""
    assert acl(rule(one), rule(two)).allows("p", UPDATE, body=body) == expected
    assert acl(rule(two), rule(one)).allows("p", UPDATE, body=body) == expected


# --- wrapping


@pytest.mark.parametrize(
    ("text", "ttl", "expected"),
    [
        ("", None, True),
        ("", 5, True),
        ("min_wrapping_ttl = 10", None, False),
        ("min_wrapping_ttl = 10", 9, False),
        ("min_wrapping_ttl = 10", 10, True),
        ("max_wrapping_ttl = 10", None, False),
        ("max_wrapping_ttl = 10", 10, True),
        ("max_wrapping_ttl = 10", 11, False),
        ('min_wrapping_ttl = "1m"\n max_wrapping_ttl = "1h"', 59, False),
        ('min_wrapping_ttl = "1m"\n max_wrapping_ttl = "1h"', 60, True),
        ('min_wrapping_ttl = "1m"\n max_wrapping_ttl = "1h"', 3600, True),
        ('min_wrapping_ttl = "1m"\n max_wrapping_ttl = "1h"', 3601, False),
        ("min_wrapping_ttl = 0\n max_wrapping_ttl = 0", None, True),
    ],
)
@pytest.mark.parametrize("operation", [READ, LIST, UPDATE, DELETE])
def test_wrapping(text, ttl, expected, operation):
    """A bound demands wrapping, and a time within it."""
    assert acl(rule(text)).allows("p", operation, wrap_ttl=ttl) == expected


def test_wrapping_bounds_merge_to_the_shorter():
    """Of two policies' bounds the smaller holds; bounds that cross let nothing pass."""
    decided = acl(rule("max_wrapping_ttl = 20"), rule("max_wrapping_ttl = 10"), rule(""))
    assert decided.allows("p", READ, wrap_ttl=10)
    assert not decided.allows("p", READ, wrap_ttl=11)
    crossed = acl(rule("min_wrapping_ttl = 20"), rule("max_wrapping_ttl = 10"))
    assert not any(crossed.allows("p", READ, wrap_ttl=ttl) for ttl in range(40))


def test_a_mere_question_for_sudo_is_not_about_wrapping():
    """SUDO alone looks at the capability only; along with another, at everything."""
    decided = acl(rule("min_wrapping_ttl = 20", "sudo,read"))
    assert decided.allows("p", SUDO)
    assert not decided.allows("p", SUDO | READ)


# --- mounts


@pytest.mark.parametrize(
    ("rules", "prefix", "expected"),
    [
        ([("kv/a", ["read"])], "kv/", True),
        ([("kv/a", ["deny"])], "kv/", False),
        ([("kv/a", [])], "kv/", False),
        ([("kv", ["list"])], "kv/", True),
        ([("kvx/a", ["read"])], "kv/", False),
        ([("kv/a/b/c", ["read"])], "kv/", True),
        ([("kv/*", ["read"])], "kv/", True),
        ([("k*", ["read"])], "kv/", True),
        ([("*", ["read"])], "kv/", True),
        ([("k*", ["read"]), ("kv/", ["deny"])], "kv/", True),
        ([("*", ["read"]), ("kv/*", ["deny"])], "kv/", False),
        ([("*", ["read"]), ("kv/*", [])], "kv/", False),
        ([("*", ["read"]), ("kv/*", ["deny"])], "other/", True),
        ([("*", ["read"]), ("kv/a*", ["deny"])], "kv/", True),
        ([("*", ["deny"]), ("kv/a*", ["read"])], "kv/", True),
        ([("*", ["deny"]), ("kv/a", ["read"])], "kv/", True),
        ([("kv/*", ["deny"]), ("kv/a", ["read"])], "kv/", True),
        ([("kv/*", ["deny"]), ("kv/+", ["read"])], "kv/", True),
        ([("kv/*", ["deny"]), ("kv/+/*", ["read"])], "kv/", False),
        ([("kv/*", ["deny"]), ("+/*", ["read"])], "kv/", False),
        ([("+/*", ["read"])], "kv/", True),
        ([("+/*", ["read"])], "a/b/", True),
        ([("+/data/*", ["read"])], "kv/", True),
        ([("+/data/*", ["read"])], "kv/data/", True),
        ([("+/data/*", ["read"])], "kv/metadata/", False),
        ([("+/data/*", ["read"])], "a/b/", False),
        ([("+/+", ["read"])], "kv/", True),
        ([("+/+", ["deny"])], "kv/", False),
        ([("+/x/+", ["read"])], "a/x/", True),
        ([("+/x/+", ["read"])], "a/y/", False),
        ([("a/b/c", ["read"])], "a/b/", True),
        ([("a/b/c*", ["read"])], "a/b/", True),
        ([("a/bc", ["read"])], "a/b/", False),
        ([("a/bc", ["read"])], "a/b", True),
        ([("a/+/c", ["read"])], "a/b", True),
        ([("+", ["list"])], "kv/", True),
        ([], "", False),
    ],
)
def test_any_under(rules, prefix, expected):
    """A mount shows if and only if a rule that is not hidden grants something below it."""
    assert of(rules).any_under(prefix) == expected


# --- speed and immutability


def test_thousands_of_rules_stay_quick():
    """A decision among 30 000 rules takes far less than a millisecond."""
    rules = [
        Rule(pattern, READ)
        for n in range(10_000)
        for pattern in (f"kv/{n}/exact", f"kv/{n}/glob*", f"kv/+/{n}/+/x*")
    ]
    decided = Acl([Policy("many", tuple(rules))])
    started = time.perf_counter()
    for n in range(1000):
        assert decided.allows(f"kv/{n}/glob/x", READ)
        assert decided.allows(f"kv/a/{n}/b/xy", READ)
        assert not decided.allows(f"kv/a/{n}/b/y", READ)
    assert time.perf_counter() - started < 3


def test_long_paths_and_patterns_do_not_recurse():
    """Segments by the hundred, in rules and in paths, are decided without deep calls."""
    decided = of([("/".join(["+"] * 512), ["read"])])
    assert decided.allows("/".join("a" * 512), READ)
    assert not decided.allows("/".join("a" * 100_000), READ)
    assert decided.any_under("a/")


def test_an_access_list_takes_no_attributes():
    """An Acl has no dictionary to put things into."""
    with pytest.raises(AttributeError):
        Acl([]).anything = 1
