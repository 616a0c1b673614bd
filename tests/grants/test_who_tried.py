"""What ``who`` tells against what comes of it when everybody in a random world tries to read.

No line may be missing, and none told too many: a line that is bound to something says so in its
conditions, and is then held to it where a test can meet it.
"""

from itertools import zip_longest

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grants.tried import (
    BASES,
    DAY,
    FOLDERS,
    LOGINS,
    NAMES,
    NETWORK,
    OTHER,
    OWNER,
    TAILS,
    Try,
)

READ, LIST, DENY = ["read"], ["list", "update"], ["deny"]
MORE = ("", "", "", "min_wrapping_ttl = \"200s\"\nmax_wrapping_ttl = \"2h\"",
        'required_parameters = ["version"]')  # fmt: skip
MAKES = ("auth/token/create", "auth/token/create-orphan", "auth/token/create/r0",
         "auth/token/create/r1", "auth/token/create/*", "auth/token/+")  # fmt: skip
MADE = "by a token that it makes"


@st.composite
def rules(draw, before=""):
    found = []
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(["read", "read", "read", "deny", "make", "all"]))
        if kind == "make":
            given = draw(st.sampled_from([["update"], ["update", "sudo"]]))
            found.append((before + draw(st.sampled_from(MAKES)), given, ""))
        elif kind == "all":
            pattern = draw(st.sampled_from(["*", "+/data/*", "+/*", "secret/*", "two/*"]))
            found.append((before + pattern if pattern != "*" else pattern, READ, ""))
        else:
            pattern = draw(st.sampled_from(BASES)) + draw(st.sampled_from(TAILS))
            more = draw(st.sampled_from(MORE)) if kind == "read" else ""
            given = draw(st.sampled_from([READ, READ, LIST])) if kind == "read" else DENY
            found.append((before + pattern, given, more))
    return found


@st.composite
def bounds(draw, policies):
    found = {"token_policies": draw(st.lists(st.sampled_from(policies), max_size=2, unique=True))}
    if draw(st.integers(0, 4)) == 0:
        found["token_bound_cidrs"] = [NETWORK]
    kind = draw(st.sampled_from(["", "", "", "batch", "uses"]))
    return found | {"": {}, "batch": {"token_type": "batch"}, "uses": {"token_num_uses": 900}}[kind]


def draw_world(data, world):
    """Put together what is there."""
    draw = data.draw
    world.put_at("one/", "a")
    world.put_at("two/data/", "f/a")
    for number in range(draw(st.integers(2, 4))):
        world.policy(f"p{number}", draw(rules()))
    names = list(world.policies)
    _draw_roles(draw, world, names)
    _draw_logins(draw, world, names)
    _draw_tokens(draw, world, names)
    _draw_members(draw, world)
    _draw_handed(draw, world)
    world.policy("o0", draw(rules(before=f"{OWNER}/")), space="")
    world.policy("o1", draw(rules(before="+/")), space="")
    for policies in (["o0"], ["o0", "o1"]):
        body = {"policies": policies, "ttl": "700h"}
        world.keep(world.do("POST", "auth/token/create", body, space="")["auth"], "")
    wait = draw(st.sampled_from([0, 0, 2 * DAY]))
    world.server.world.wait(wait)


def _draw_roles(draw, world, names):
    for name in ("r0", "r1")[: draw(st.integers(0, 2))]:
        some = st.lists(st.sampled_from(names), max_size=2, unique=True)
        body = {
            "allowed_policies": draw(some),
            "disallowed_policies": draw(st.lists(st.sampled_from(names), max_size=1)),
            "orphan": draw(st.booleans()),
            "allowed_policies_glob": draw(st.sampled_from([[], [], ["p*"], ["*1"]])),
            "token_type": draw(st.sampled_from(["default-service", "batch"])),
            "allowed_entity_aliases": draw(st.sampled_from([[], [], ["*"], ["r*"], ["ci"]])),
        }
        if body["token_type"] == "batch":
            body |= {"orphan": True, "renewable": False}
        world.do("POST", f"auth/token/roles/{name}", body)
        world.roles[name] = bool(body["allowed_entity_aliases"])


def _draw_logins(draw, world, names):
    teams = st.sampled_from([[{}], [{"team": "red"}], [{"team": "red"}, {"team": "ann"}], []])
    for name in LOGINS[: draw(st.integers(1, 3))]:
        if draw(st.booleans()):
            world.approle(name, draw(bounds(names)), draw(teams))
        else:
            world.person(name, draw(bounds(names)))
    for ways in world.logins.values():
        if ways and draw(st.booleans()):  # has been there before, so that it has an entity
            auth = world.log_in(*ways[0])
            if auth is None:
                continue
            world.keep(auth, OWNER)
            team = draw(st.sampled_from([{}, {"team": "red"}]))
            world.entity(auth, {"metadata": team})
            if draw(st.booleans()):
                world.put(f"users/{auth['entity_id']}/k")


def _draw_tokens(draw, world, names):
    root = world.do("POST", "auth/token/create", {"policies": ["root"], "ttl": "1h"})["auth"]
    world.keep(root, OWNER)
    for _ in range(draw(st.integers(1, 3))):
        body = {
            "policies": draw(st.lists(st.sampled_from(names), min_size=1, max_size=2)),
            "ttl": draw(st.sampled_from(["24h", "700h"])),
            "type": draw(st.sampled_from(["service", "service", "batch"])),
        }
        if body["type"] == "service" and draw(st.integers(0, 3)) == 0:
            body["num_uses"] = 900
        by = root["client_token"] if draw(st.integers(0, 3)) == 0 else world.server.token
        status, found = world.ask("POST", "auth/token/create", body, token=by)
        assert status == 200, found
        world.keep(found["auth"], OWNER)


def _draw_members(draw, world):
    for number, login in enumerate(world.logins):
        if draw(st.booleans()):
            world.member(f"m{number}", {"logins": [login]})
    if draw(st.booleans()):
        world.member("other", {"kind": "user", "user": OTHER})
        body = {"policies": ["all"], "ttl": "700h"}
        world.keep(world.do("POST", "auth/token/create", body, space=OTHER)["auth"], OTHER)
        home = [("alice/*", READ, "")] if draw(st.booleans()) else []
        world.policy("all", [("*" if home else "none", READ, ""), *home], space=OTHER)
    paths = st.sampled_from(["/", "f/", "f/g/", "f/a", "a", "users/"])
    for member in world.members:
        for _ in range(draw(st.integers(0, 2))):
            more = draw(st.sampled_from([
                {"role": "viewer"}, {"rights": ["read"]}, {"rights": ["read"], "deny": True},
                {"role": "auditor"}, {"rights": ["read"], "conditions": {"networks": [NETWORK]}},
                {"rights": ["read"], "conditions": {"approval": ["/"]}},
                {"rights": ["read"], "conditions": {"reads": 500}}, {"role": "operator"},
            ]))  # fmt: skip
            ends = draw(st.sampled_from([{}, {}, {"expires_at": world.ends(1)}]))
            world.grant(member, draw(paths), **more, **ends)


def _draw_handed(draw, world):
    for _ in range(draw(st.integers(0, 2))):
        name = draw(st.sampled_from([*NAMES, "f/", "users/"]))
        more = {} if name.endswith("/") else draw(st.sampled_from([{}, {"version": 1}]))
        more |= draw(st.sampled_from([{}, {"expires_at": world.ends(1)}]))
        accept = draw(st.booleans())
        held = {"reshare": 1, "reshares": 2} if accept else {}
        share = world.share(OTHER, name, accept=accept, **more, **held)
        if accept and draw(st.booleans()):
            world.pass_on(OTHER, share, "carol", accept=draw(st.booleans()))
    for _ in range(draw(st.integers(0, 2))):
        name = draw(st.sampled_from(NAMES))
        world.link(name, draw(st.sampled_from([DAY // 2, 20 * DAY])))
        path = draw(st.sampled_from(["secret/data/a", "secret/data/f/a", "one/a", "two/data/f/a"]))
        world.wrap(path, draw(st.sampled_from([DAY // 2, 20 * DAY])))


def split(lines):
    """Lines of what one reads by itself, and by tokens that it makes."""
    made = [one for one in lines if MADE in one["conditions"]]
    return [one for one in lines if one not in made], made


def check_tokens(world, told):
    """Each token that there is, and each that comes of one of them."""
    for accessor, (text, home, entity) in world.tokens.items():
        made = world.read_by(world.children(text)) if home != OTHER else set()
        for name, items in told.items():
            reads = world.reads(text, name)
            if home == OWNER:
                check_actor(world, name, items, f"#{accessor}", entity, reads, name in made)
            elif home == OTHER:
                assert not reads or any(one["actor"] == f"user {OTHER}" for one in items)
            else:
                check_operator(world, text, items, reads, name in made)


def check_actor(world, name, items, ends, entity, reads, made):
    """A token or a login of the namespace: what it reads, it or its member is told for."""
    own, others = split([one for one in items if one["actor"].endswith(ends)])
    assert all(one["kind"] in {"owner", "policy"} for one in own + others)
    member = world.member_of(entity)
    granted = any(one["kind"] == "grant" and one["actor"] == member for one in items)
    assert not reads or own or granted, (name, ends, items)
    assert not own or reads, (name, own)
    if not own:
        assert not made or others or granted, ("made", name, ends, items)
        assert not others or made, ("made", name, others)


def check_operator(world, text, items, reads, made):
    policies = world.ask("GET", "auth/token/lookup-self", token=text, space="")[1]["data"]
    through = f"policies {', '.join(policies['policies'])}, 1 token or login"
    own, others = split([one for one in items if one["through"] == through])
    assert bool(own) == reads, (through, items)
    assert reads or bool(others) == made, ("made", through, items)


def check_logins(world, told):
    """Each login that could be, by each of its ways, with all tokens that then come of it."""
    for login, ways in world.logins.items():
        reads, made, entity = set(), set(), ""
        for way in ways or [world.new_way(login)]:  # to make one is the condition that is told
            auth = world.log_in(*way)
            if auth is None:
                continue
            entity = auth["entity_id"]
            reads |= {name for name in told if world.reads(auth["client_token"], name)}
            made |= world.read_by(world.children(auth["client_token"]))
        for name, items in told.items():
            check_actor(world, name, items, f"login {login}", entity, name in reads, name in made)


def check_members(world, told):
    for member, other in world.members.items():
        if other == OTHER:
            continue
        for name, items in told.items():
            found = [one for one in items if one["kind"] == "grant" and one["actor"] == member]
            free = [one for one in found if "approval" not in one["conditions"]]
            reads = world.embedded(member, name)
            assert bool(free) == reads, (member, name, found)


def check_handed(world, told):
    for name, items in told.items():
        shares = {one["through"].split()[1].strip(",") for one in items if one["kind"] == "share"}
        assert shares == {share for share in world.shares if world.shared(share, name)}, name
    for name, items in told.items():
        for text, entity in world.batch:
            tellers = {"batch tokens", world.member_of(entity)}
            told_of = any(one["actor"] in tellers for one in items)
            assert told_of or not world.reads(text, name), (name, items)
    opened = {accessor: world.opened(accessor) for accessor in world.links}
    wrapped = {accessor: str(world.unwrap(text)) for accessor, text in world.wrapped.items()}
    for name, items in told.items():
        links = {one["through"].split()[1] for one in items if one["kind"] == "link"}
        assert links == {
            one for one, text in opened.items() if text and world.links[one][0] == name
        }, name
        answers = {one["through"].split("#")[1] for one in items if one["kind"] == "wrapped"}
        assert answers == {
            one for one, text in wrapped.items() if f"'{world.secrets[name]}'" in text
        }, name


def check_folders(world, told):
    """Of a folder everybody is told who could read a secret in it, and nobody of an empty one."""
    for folder in FOLDERS:
        items = world.who(folder)
        actors = {(one["kind"], one["actor"]) for one in items}
        for name, found in told.items():
            if folder == "/" or name.startswith(folder):
                missing = {(one["kind"], one["actor"]) for one in found} - actors
                assert not missing, (folder, name, missing)
        for text, home, _ in world.tokens.values():
            for one in items if home == OWNER else ():
                if one["kind"] == "policy" and one["actor"].endswith(f"#{world.accessor(text)}"):
                    could = could_read(world, text, folder, one["path"])
                    # Capabilities of members leave out what may be read wrapped alone.
                    more = MADE in one["conditions"] or "wrapped" in one["conditions"]
                    assert could or more, (folder, one)


def could_read(world, text, folder, pattern):
    """Whether a token may read something in a folder that a pattern names, there or not."""
    begins = [base + folder.strip("/") + "/" * (folder != "/") for base in BASES[:2]]
    begins += [base for base in BASES[2:] if folder == "/"]
    ends = ["zz", "zz/zz", "zz/zz/zz", "zz/zz/zz/zz"]
    paths = {begin + end for begin in begins for end in ends}
    stem = pattern.removesuffix("*").replace("+", "zz")
    paths |= {stem, *(stem + end for end in ends if pattern.endswith("*"))}
    for begin in begins:
        pairs = zip_longest(pattern.split("/"), begin.split("/")[:-1])
        filled = "/".join(given if part == "+" and given else part for part, given in pairs if part)
        paths |= {filled.replace("+", "zz").replace("*", end) for end in ends}
    paths = sorted(path for path in paths if path.startswith(tuple(begins)))
    found = world.ask("POST", "sys/capabilities-self", {"paths": paths}, token=text)[1]["data"]
    return any({"read", "root"} & set(found[path]) for path in paths)


def attempt(data):
    world = Try()
    try:
        draw_world(data, world)
        told = {name: world.who(name) for name in world.secrets}
        check_folders(world, told)
        check_tokens(world, told)
        check_members(world, told)
        check_handed(world, told)
        check_logins(world, told)
    finally:
        world.close()


CALM = settings(
    deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@settings(CALM, max_examples=8)
@given(st.data())
def test_who_tells_what_comes_of_trying(data):
    attempt(data)


@pytest.mark.soak
@pytest.mark.timeout(3_600)
@settings(CALM, max_examples=500)
@given(st.data())
def test_who_tells_what_comes_of_trying_for_long(data):
    attempt(data)
