"""Grants against a small oracle: folders, overlaps, roles, denials, ends, conditions, policies."""

import ipaddress
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adyton.errors import InvalidInput
from adyton.grantvalues import BUILT_IN_ROLES, RIGHTS, Conditions
from adyton.service.access.acl import Acl
from adyton.service.access.policy import Capability, parse_policy
from adyton.service.access.records import Mount, MountTable
from adyton.service.access.spaces import Space
from adyton.service.grants.book import Book
from adyton.service.grants.conditions import Facts
from adyton.service.grants.deciding import Deciding
from adyton.service.grants.paths import covering, covers, grant_path, touches
from adyton.service.grants.permits import Actor
from adyton.service.grants.records import Grant, Member, Role
from adyton.service.grants.targets import target_of

SEGMENTS = ("a", "app", "application", "App", "é", "x")
NAMES = st.lists(st.sampled_from(SEGMENTS), min_size=1, max_size=3).map("/".join)
PATHS = st.one_of(NAMES, NAMES.map(lambda name: name + "/"), st.just("/"))
OWN = {"own": ("read", "share"), "none": ("unheard-of",)}
ADDRESSES = ("10.1.2.3", "192.0.2.9", "")
NOW = 1_000_000

GRANTS = st.builds(
    lambda member, path, role, rights, deny, ends, network: Grant(
        member=member, member_id=f"id-{member}", path=path, role=role,
        rights=() if role else tuple(rights), deny=deny, expires_us=ends,
        conditions=Conditions(() if deny or not network else (network,)),
    ),
    st.sampled_from(("ann", "ben")),
    PATHS,
    st.sampled_from(("", *BUILT_IN_ROLES, *OWN, "gone")),
    st.lists(st.sampled_from((*RIGHTS, "unheard-of")), max_size=3),
    st.booleans(),
    st.sampled_from((0, NOW - 1, NOW, NOW + 1)),
    st.sampled_from(("", "10.0.0.0/8", "nowhere")),
)  # fmt: skip


def book_of(grants):
    members = {
        name: Member(id=f"id-{name}", kind="person", entities=(f"e-{name}",))
        for name in ("ann", "ben")
    }
    return Book(
        {
            "member": members,
            "role": {name: Role(rights) for name, rights in OWN.items()},
            "grant": {f"g{number}": grant for number, grant in enumerate(grants)},
        }
    )


# -- the oracle: as a person would say it, with no index and no order ----------------------------


def is_in(name, path):
    """Segment by segment, not by the beginnings of texts."""
    if path == "/":
        return True
    if not path.endswith("/"):
        return name == path
    folder, parts = path[:-1].split("/"), name.split("/")
    return len(parts) > len(folder) and parts[: len(folder)] == folder


def in_force(grant, address):
    if grant.expires_us and grant.expires_us <= NOW:
        return False
    for network in grant.conditions.networks:
        try:
            return ipaddress.ip_address(address) in ipaddress.ip_network(network)
        except ValueError:
            return False
    return True


def gives(grant, right):
    names = grant.rights
    if grant.role:
        names = {**OWN, **BUILT_IN_ROLES}.get(grant.role, ())
    return right in names and right in RIGHTS


def oracle(grants, member, right, name, address):
    ours = [
        grant
        for grant in grants
        if grant.member == member and gives(grant, right) and is_in(name, grant.path)
        and in_force(grant, address)
    ]  # fmt: skip
    return bool(ours) and not any(grant.deny for grant in ours)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(GRANTS, max_size=8), st.sampled_from(("ann", "ben", "nobody")),
    st.sampled_from(RIGHTS), NAMES, st.sampled_from(ADDRESSES),
)  # fmt: skip
def test_what_grants_decide(grants, member, right, name, address):
    verdict = book_of(grants).judge(member, (right,), name, Facts(address, NOW))
    assert verdict.allowed == oracle(grants, member, right, name, address)
    assert not (verdict.allowed and verdict.denied)
    assert not verdict.spending


@settings(max_examples=100, deadline=None)
@given(st.lists(GRANTS, max_size=8), st.sampled_from(ADDRESSES), st.lists(NAMES, max_size=6))
def test_a_list_shows_what_list_is_given_for(grants, address, names):
    """And a folder is opened to a list only if the oracle could show something in it."""
    book = book_of(grants)
    facts = Facts(address, NOW)
    for folder in ("/", "a/", "app/", "app/a/"):
        shown = [
            name for name in names
            if is_in(name, folder) and oracle(grants, "ann", "list", name, address)
        ]  # fmt: skip
        if shown:
            assert book.touched("ann", ("list",), folder, facts)


@settings(max_examples=100, deadline=None)
@given(PATHS, NAMES)
def test_what_a_path_covers(path, name):
    assert covers(path, name) == is_in(name, path)
    assert (path in covering(name)) == is_in(name, path)
    folder = name + "/"
    inside = name + "/z"
    if covers(path, folder):
        assert covers(path, inside)
    if covers(path, inside) and path != inside:
        assert touches(path, folder)


POLICIES = st.lists(
    st.tuples(
        st.sampled_from(("adyton/secrets/*", "adyton/secrets/a/*", "adyton/secrets/app", "*")),
        st.sampled_from(("read", "list", "deny")),
    ),
    max_size=3,
    unique_by=lambda pair: pair[0],
)


@settings(max_examples=120, deadline=None)
@given(st.lists(GRANTS, max_size=6), POLICIES, NAMES, st.sampled_from(ADDRESSES))
def test_what_grants_and_policies_decide_together(grants, policies, name, address):
    """At home: deny of either wins, then the word of either is enough. Abroad both are needed."""
    book = book_of(grants)
    text = "\n".join(f'path "{path}" {{ capabilities = ["{what}"] }}' for path, what in policies)
    kv = Mount("secret/", "kv", "", "", "", {"version": "2"})
    spaces = {user: Space(user, MountTable([kv], []), {}) for user in ("alice", "eve")}
    books = {"alice": book, "eve": Book({}, elsewhere={"alice": "id-ann"})}
    core = SimpleNamespace(
        books=SimpleNamespace(cached=books.get), clock=SimpleNamespace(now_us=lambda: NOW)
    )
    deciding = Deciding(core, SimpleNamespace(cached=spaces.get))
    acl = Acl([parse_policy("p", text)] if text else [])
    path = f"adyton/secrets/{name}"

    def decide(acl, space, member):
        session = SimpleNamespace(acl=acl, space=spaces[space], member=member)
        return bool(
            deciding.decide(
                session, "alice", path, Capability.READ,
                body=None, wrap_ttl=None, address=address, spend=False,
            )
        )  # fmt: skip

    relevant = [g for g in grants if g.member == "ann" and gives(g, "read") and is_in(name, g.path)]
    taken = any(grant.deny and in_force(grant, address) for grant in relevant)
    granted = oracle(grants, "ann", "read", name, address)
    by_policy, by_deny = acl.allows(path, Capability.READ), acl.denies(path, Capability.READ)
    expected = not taken and not by_deny and (granted or by_policy)
    assert decide(acl, "alice", Actor("ann", "id-ann")) == expected
    assert decide(acl, "alice", Actor("ann", "id-of-an-earlier-one")) is False
    assert decide(acl, "alice", None) == by_policy
    # Eve is a member as Ben, by the id of another membership: no member at all.
    assert decide(Acl([]), "eve", None) is False


@pytest.mark.parametrize(
    "path",
    ["", "//", "/app", "app//", "a/../b", "..", "../", ".", "a/./", "a\x00b", "e\u0301/", "a\n",
     "x" * 600, "a/" * 300],
)  # fmt: skip
def test_paths_that_are_none(path):
    with pytest.raises(InvalidInput):
        grant_path(path)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("app/", "application/x"), ("app/", "App/x"), ("app/", "app"), ("app", "app/x"),
        ("app/", "appx"), ("\u00e9/", "e\u0301/x"), ("app/a", "app/a/"),
    ],
)  # fmt: skip
def test_what_looks_like_a_path_is_not_covered(path, name):
    assert not covers(path, name)


@pytest.mark.parametrize(
    "path",
    ["app//x", "app/../top", "app/./x", "/app/x", "e\u0301", "app/\x00"],
)
def test_a_request_for_what_is_no_name_needs_what_no_grant_gives(path):
    kv = Mount("secret/", "kv", "", "", "", {"version": "2"})
    space = Space("alice", MountTable([kv], []), {})
    for asked in (f"adyton/secrets/{path}", f"secret/data/{path}"):
        found = target_of(asked, Capability.READ, None, space.mount_at, lambda _: None)
        assert found is None, asked
