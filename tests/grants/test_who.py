"""Who could read a secret, by any way."""

import datetime as dt

import pytest

from adyton.grantvalues import Conditions
from adyton.service.grants.who import readers
from grants.support import House
from grants.tried import DAY, NETWORK, OTHER, OWNER, Try
from support import Place


@pytest.fixture
def house(tmp_path):
    with Place(tmp_path).open() as store:
        store.set_secrets("alice", {"app/db": "1", "app/key": "2", "top": "3"})
        yield House(store)


def ways(house, path):
    found = house.run(readers(house.core, "alice", path))
    return [(one.kind, one.actor, one.path, one.conditions) for one in found]


def test_grants_shares_and_operators(house):
    store = house.store
    for name in ("ann", "ben", "cy"):
        store.members.add("alice", name)
    store.members.add("alice", "dora", kind="user", other="dora")
    until = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
    store.access.grant("alice", "ann", "app/", role="viewer", expires_at=until)
    store.access.grant("alice", "ben", "/", role="auditor")
    store.access.grant(
        "alice", "cy", "app/db", rights=["read"],
        conditions=Conditions(reads=3, networks=("10.0.0.0/8",)),
    )  # fmt: skip
    store.access.grant("alice", "dora", "/", role="editor")
    store.access.grant("alice", "dora", "app/key", rights=["read"], deny=True)
    store.shares.create("alice", "eve", "app/")
    operators = ("operator", "operators", "/", "")
    assert ways(house, "app/db") == [
        ("grant", "ann", "app/", ""),
        ("grant", "cy", "app/db", "from 10.0.0.0/8; 3 of 3 reads left"),
        ("grant", "user dora", "/", "where a policy of its own lets it"),
        ("share", "user eve", "app/", "once it was accepted"),
        operators,
    ]
    assert [one[1] for one in ways(house, "app/key")] == ["ann", "user eve", "operators"]
    assert [one[1] for one in ways(house, "top")] == ["user dora", "operators"]
    assert len(ways(house, "/")) == 5
    own = "where a policy of its own lets it"
    assert ways(house, "absent/") == [("grant", "user dora", "/", own), operators]


# -- each way by itself, in a world where it can be tried ------------------------------------------


@pytest.fixture
def world():
    made = Try()
    yield made
    made.close()


def lines(world, path, actor):
    """Kind, what gives it and conditions, of those whose name begins so."""
    return [
        (one["kind"], one["through"], one["conditions"])
        for one in world.who(path) if one["actor"].startswith(actor)
    ]  # fmt: skip


READ = ["read"]
MADE = "by a token that it makes"


def test_a_login_is_judged_by_the_entity_that_it_gets(world):
    """Though nobody is logged in: its id, its metadata, and what the login tells of it."""
    world.policy("own", [("secret/data/users/{{identity.entity.id}}/*", READ, "")])
    world.policy("team", [("secret/data/users/{{identity.entity.metadata.team}}/*", READ, "")])
    world.policy("role", [("secret/data/users/{{ROLE}}/k", READ, "")])
    world.policy("given", [("secret/data/users/{{TEAM}}/k", READ, "")])
    world.approle("ci", {"token_policies": ["own", "team", "role"]}, [{}])
    auth = world.log_in(*world.logins["approle:ci"][0])
    world.entity(auth, {"metadata": {"team": "red"}})
    own = f"users/{auth['entity_id']}/k"
    world.put(own)
    world.do("POST", "auth/token/revoke-accessor", {"accessor": auth["accessor"]})
    assert lines(world, own, "login approle:ci") == [("policy", "policies own", "")]
    assert lines(world, "users/red/k", "login approle:ci") == [("policy", "policies team", "")]
    assert lines(world, "users/ci/k", "login approle:ci") == [("policy", "policies role", "")]
    assert lines(world, "users/ann/k", "login") == []
    world.approle("box", {"token_policies": ["given"]}, [{"team": "ann"}, {"team": "red"}])
    for name in ("users/ann/k", "users/red/k"):
        assert lines(world, name, "login approle:box") == [("policy", "policies given", "")]


def test_a_login_that_never_was_is_told_what_could_match(world):
    """Its own id is chosen when it comes; its name at the method is known before."""
    world.policy("own", [("secret/data/users/{{identity.entity.id}}/*", READ, "")])
    world.policy("alias", [("secret/data/users/{{ALIAS}}/*", READ, "")])
    world.person("ann", {"token_policies": ["own", "alias"]})
    assert lines(world, "users/ann/k", "login people:ann") == [("policy", "policies alias", "")]
    assert lines(world, "users/red/k", "login") == []
    found = [one for one in world.who("users/") if one["actor"] == "login people:ann"]
    assert [(one["path"], one["conditions"]) for one in found] == [
        ("secret/data/users/ann/*", ""),
        ("secret/data/users/{{identity.entity.id}}/*", "of its own, once it has logged in"),
    ]


def test_what_no_login_gives_is_not_told(world):
    """A root token, a batch token with counted uses; and a role without a SecretID says so."""
    world.policy("all", [("secret/*", READ, "")])
    world.approle("ci", {"token_policies": ["root"]}, [])
    assert lines(world, "a", "login") == []
    world.approle("ci", {"token_policies": ["all"], "token_bound_cidrs": [NETWORK]}, [])
    assert lines(world, "a", "login") == [
        ("policy", "policies all", f"once it has a SecretID; from {NETWORK}")
    ]


@pytest.mark.parametrize("role", [
    {"allowed_policies": ["all"]}, {"allowed_policies_glob": ["a*"]},
    {"disallowed_policies": ["maker"]}, {"allowed_policies": ["all"], "orphan": True},
])  # fmt: skip
def test_whoever_may_make_tokens_by_a_role_is_told(world, role):
    world.policy("all", [("secret/*", READ, "")])
    world.policy("maker", [("auth/token/create/r0", ["update"], "")])
    world.do("POST", "auth/token/roles/r0", role)
    world.roles["r0"] = False
    body = {"policies": ["maker"], "ttl": "1h"}
    auth = world.do("POST", "auth/token/create", body)["auth"]
    maker = f"token token#{auth['accessor']}"
    assert lines(world, "a", "token ") == [("policy", "token role r0, policies all", MADE)]
    assert "a" in world.read_by(world.children(auth["client_token"]))
    world.do("POST", "auth/token/roles/r0", role | {"disallowed_policies": ["all"]})
    assert lines(world, "a", maker) == []
    world.do("POST", "auth/token/roles/r0", role | {"disallowed_policies": []} | role)
    assert lines(world, "a", maker)
    counted = world.do("POST", "auth/token/create", body | {"num_uses": 2})["auth"]
    assert lines(world, "a", f"token token#{counted['accessor']}") == []  # it makes none
    world.do("DELETE", "auth/token/roles/r0")
    assert lines(world, "a", maker) == []


def test_a_token_that_leaves_out_what_denies_is_told(world):
    """And one that is nobody's, of which no grant takes anything away."""
    world.policy("all", [("secret/*", READ, "")])
    world.policy("but", [("secret/data/a", ["deny"], ""), ("auth/token/create", ["update"], "")])
    body = {"policies": ["all", "but"], "ttl": "1h"}
    text = world.do("POST", "auth/token/create", body)["auth"]["client_token"]
    assert not world.reads(text, "a")
    assert lines(world, "a", "token ") == [("policy", "policies all", MADE)]
    assert lines(world, "f/a", "token ") == [("policy", "policies all", "")]
    world.policy("sudo", [("auth/token/create", ["update", "sudo"], "")])
    world.approle("ci", {"token_policies": ["all", "sudo"]}, [{}])
    world.member("ci", {"logins": ["approle:ci"]})
    world.grant("ci", "f/", rights=["read"], deny=True)
    assert lines(world, "f/a", "login") == [("policy", "policies all", MADE)]
    assert lines(world, "users/ci/k", "login") == [("policy", "policies all", "")]


def test_a_token_may_be_given_a_name_that_fits(world):
    """By a role that allows aliases: those that there are, and any that its globs let through."""
    world.policy("mine", [("secret/data/users/{{TOKEN}}/k", READ, "")])
    world.policy("maker", [("auth/token/create/r0", ["update"], "")])
    role = {"allowed_policies": ["mine"], "allowed_entity_aliases": ["r*", "ann"]}
    world.do("POST", "auth/token/roles/r0", role)
    world.roles["r0"] = True
    body = {"policies": ["maker"], "ttl": "1h"}
    auth = world.do("POST", "auth/token/create", body)["auth"]
    told = [("policy", "token role r0, policies mine", MADE)]
    assert lines(world, "users/red/k", "token ") == lines(world, "users/ann/k", "token ") == told
    assert lines(world, "users/ci/k", "token ") == []
    world.aliases = ["red", "ann", "ci"]
    read = world.read_by(world.children(auth["client_token"]))
    assert read == {"users/red/k", "users/ann/k"}
    found = lines(world, "users/red/k", f"token token#{auth['accessor']}")
    assert found == told  # also once there is an entity of the name


def test_all_mounts_and_patterns_are_looked_at(world):
    """Of a mount of either version, under every spelling, and of the whole namespace as well."""
    world.put_at("one/", "app/x")
    world.put_at("two/data/", "app/x")
    one, two = sorted(name for name in world.secrets if name.startswith(".mounts/"))
    if world.secrets[one] != "value at one/app/x":
        one, two = two, one
    for pattern, seen in (
        ("one/+/x", {one}), ("one/*", {one}), ("two/data/app/+", {two}), ("+/data/+/x", {two}),
        ("two/metadata/*", set()), ("+/app/x", {one}), ("adyton/secrets/.mounts/*", {one, two}),
        ("*", {one, two}),
    ):  # fmt: skip
        world.policy("p", [(pattern, READ, "")])
        world.do("POST", "auth/token/create", {"policies": ["p"], "ttl": "1h"})
        for name in (one, two):
            assert bool(lines(world, name, "token ")) == (name in seen), (pattern, name)
        assert bool(lines(world, "/", "token ")) == bool(seen), pattern
        assert bool(lines(world, one[: one.rfind("app/") + 4], "token ")) == (one in seen)


def test_a_folder_is_not_told_by_a_pattern_that_another_one_closes(world):
    world.policy("p", [("secret/data/*", READ, ""), ("secret/data/f/*", ["deny"], ""),
                       ("secret/data/f/g/*", READ, "")])  # fmt: skip
    world.do("POST", "auth/token/create", {"policies": ["p"], "ttl": "1h"})

    def patterns(folder):
        return [one["path"] for one in world.who(folder) if one["actor"].startswith("token ")]

    assert patterns("/") == ["secret/data/*", "secret/data/f/g/*"]
    assert patterns("f/") == ["secret/data/f/g/*"]
    assert patterns("f/h/") == []
    assert patterns("users/") == ["secret/data/*"]


def test_a_token_is_told_with_its_end_and_bounds(world):
    """It ends with the one that made it; a value that it reads wrapped alone says so."""
    world.policy("p", [("secret/data/a", READ, 'min_wrapping_ttl = "60s"'),
                       ("secret/data/f/a", READ, 'required_parameters = ["x"]')])  # fmt: skip
    root = world.do("POST", "auth/token/create", {"policies": ["root"], "ttl": "1h"})["auth"]
    body = {"policies": ["p"], "ttl": "9h", "num_uses": 7}
    world.do("POST", "auth/token/create", body, token=root["client_token"])
    (line,) = [one for one in world.who("a") if one["kind"] == "policy" and "#" in one["actor"]]
    assert line["conditions"] == "7 uses left; wrapped, for 60 to 2764800 s"
    assert line["until"] <= world.ends(0.05).replace("+00:00", "Z")
    assert lines(world, "f/a", "token token-") == []
    world.server.world.wait(2 * 3600)
    assert lines(world, "a", "token ") == []


def test_operators_who_could_make_tokens_are_told(world):
    """And those whose policies name a folder, of the folder."""
    world.policy("all", [("secret/*", READ, "")])
    world.policy("op", [(f"{OWNER}/auth/token/create", ["update", "sudo"], "")], space="")
    world.policy("f", [("+/secret/data/f/*", READ, "")], space="")
    for name in ("op", "f"):
        world.do("POST", "auth/token/create", {"policies": [name], "ttl": "1h"}, space="")
    through = "policies default, {}, 1 token or login"
    found = lines(world, "a", "operators")
    assert ("operator", through.format("op"), MADE) in found
    assert ("operator", through.format("f"), "") not in found
    for folder in ("/", "f/"):
        assert ("operator", through.format("f"), "") in lines(world, folder, "operators")
    assert ("operator", through.format("f"), "") not in lines(world, "users/", "operators")


def test_links_are_told_until_they_are_used_revoked_or_over(world):
    store = world.server.store
    for accessor in range(3):
        world.link("a", DAY)
        assert len(lines(world, "a", "whoever has the link")) == accessor + 1
    store.links.create(OWNER, "of none")
    store.links.create(OWNER, "x", secret="f/a", passphrase="p", seconds=9 * DAY)
    assert (
        lines(world, "f/a", "whoever")[0][2] == "with its passphrase; the value of when it was made"
    )
    assert len(lines(world, "f/", "whoever")) == 1
    assert len(lines(world, "/", "whoever")) == 4
    used, revoked, left = world.links
    assert world.opened(used) == world.secrets["a"]
    store.links.revoke(OWNER, revoked)
    assert [one[1] for one in lines(world, "a", "whoever")] == [f"link {left}"]
    world.server.world.wait(DAY + 1)
    assert lines(world, "a", "whoever") == []
    assert len(lines(world, "f/a", "whoever")) == 1


def test_wrapped_answers_are_told_until_they_are_taken(world):
    world.wrap("secret/data/a", 60)
    world.wrap("secret/data/a", 600)
    _, kept = world.wrapped
    found = lines(world, "a", "whoever")
    assert {one[1] for one in found} == {
        f"response of secret/data/a#{one}" for one in world.wrapped
    }
    assert lines(world, "f/a", "whoever") == []
    assert len(lines(world, "/", "whoever")) == 2
    world.server.world.wait(61)
    assert [one[1] for one in lines(world, "a", "whoever")] == [f"response of secret/data/a#{kept}"]
    assert world.secrets["a"] in str(world.unwrap(world.wrapped[kept]))
    assert lines(world, "a", "whoever") == []


def test_shares_are_told_as_they_are(world):
    """Passed on, of one version, of a folder, offered; and none of a version that is gone."""
    whole = world.share(OTHER, "f/", accept=True, reshare=1, reshares=3)
    passed = world.pass_on(OTHER, whole, "carol", accept=False)
    one = world.share("carol", "f/a", accept=True, version=1)
    world.put("f/a")
    assert lines(world, "f/a", "user") == [
        ("share", f"share {whole}", ""),
        *sorted([
            ("share", f"share {one}", "version 1"),
            ("share", f"share {passed}, passed on by {OTHER}", "once it was accepted"),
        ], key=lambda line: "passed" not in line[1]),
    ]  # fmt: skip
    path = f"adyton/users/{OWNER}"
    world.do("DELETE", f"{path}/secrets/f/a?versions=1", space="")
    told = dict(line[1:] for line in lines(world, "f/a", "user carol"))
    assert told[f"share {one}"] == "version 1; once it is not deleted any more"
    world.do("POST", f"{path}/destroy/f/a", {"versions": [1]}, space="")
    assert f"share {one}" not in dict(line[1:] for line in lines(world, "f/a", "user carol"))
    world.do("DELETE", f"{path}/shares/given/{whole}", space="")
    assert lines(world, "f/a", "user") == []


def test_batch_tokens_are_told_as_what_they_could_be(world):
    """A role's that is gone, of which nothing is left but the token."""
    world.policy("all", [("secret/*", READ, "")])
    world.approle("ci", {"token_policies": ["all"], "token_type": "batch"}, [{}])
    text = world.log_in(*world.logins["approle:ci"][0])["client_token"]
    world.do("DELETE", "auth/approle/role/ci")
    assert world.reads(text, "a")
    assert lines(world, "a", "") == [
        ("policy", "policies all", "if one was made with any of them before: none is stored"),
        ("operator", "policies root, 1 token or login", ""),
    ]


def test_the_operators_own_namespace_is_told_as_any(world):
    """Its tokens by name, and nobody twice."""
    at = "adyton/users/root/secrets/own"
    world.do("PUT", at, {"value": {"encoding": "json", "data": {"k": "v"}}}, space="")
    found = world.do("GET", "adyton/users/root/access/who?path=own", space="")["items"]
    assert [(one["kind"], one["through"]) for one in found] == [
        ("owner", "policy root"), ("operator", "the store's root of trust"),
    ]  # fmt: skip
    none = world.do("GET", "adyton/users/nobody/access/who?path=own", space="")["items"]
    assert none == []


def test_members_who_are_denied_are_not_told_for_a_folder(world):
    world.approle("ci", {"token_policies": ["none"]}, [{}])
    world.member("ci", {"logins": ["approle:ci"]})
    world.grant("ci", "f/", role="viewer")
    assert len(lines(world, "/", "ci")) == len(lines(world, "f/g/", "ci")) == 1
    world.grant("ci", "f/g/", rights=["read"], deny=True)
    assert len(lines(world, "/", "ci")) == len(lines(world, "f/", "ci")) == 1
    assert lines(world, "f/g/", "ci") == []
    world.grant("ci", "/", rights=["read"], deny=True)
    assert lines(world, "/", "ci") == []


def test_only_who_may_ask_is_told_and_each_time_recorded(world):
    """An auditor of the folder; nobody else, whatever they may read."""
    world.policy("all", [("secret/*", READ, ""), ("adyton/secrets/*", READ, "")])
    world.link("f/a", DAY)
    texts = {}
    for name, policies in (("ci", ["none"]), ("ann", ["all"])):
        world.approle(name, {"token_policies": policies}, [{}])
        texts[name] = world.log_in(*world.logins[f"approle:{name}"][0])["client_token"]
        world.member(name, {"logins": [f"approle:{name}"]})
    world.grant("ci", "f/", role="auditor")
    world.grant("ann", "f/", role="viewer")

    def ask(name, path):
        at = f"adyton/users/{OWNER}/access/who?path={path}"
        return world.ask("GET", at, token=texts[name], space="")

    status, found = ask("ci", "f/a")
    assert status == 200
    assert [one["kind"] for one in found["items"]].count("link") == 1
    assert ask("ci", "a")[0] == 404  # of which it knows nothing
    assert ask("ci", "/")[0] == ask("ann", "f/a")[0] == 403
    kept = world.do("GET", f"adyton/users/{OWNER}/audit?limit=200", space="")["items"]
    told = [(one["success"], one["secret_name"]) for one in kept if one["action"] == "access.who"]
    assert told == [(True, "f/a")]
    assert sum(one["action"] == "access.deny" for one in kept) == 3


def test_batch_tokens_are_told_past_templates_that_let_nothing_be_read(world):
    """Of an entity without a value the templated rule is not there, and the wider one decides."""
    world.policy("p", [("+/data/*", READ, ""), ("secret/data/users/{{ALIAS}}/*", ["list"], "")])
    body = {"policies": ["p"], "type": "batch", "ttl": "1h"}
    text = world.do("POST", "auth/token/create", body)["auth"]["client_token"]
    assert world.reads(text, "users/red/k")
    assert [one[1] for one in lines(world, "users/red/k", "batch")] == ["policies p"]


def test_an_operator_is_not_told_for_what_a_batch_token_would_make(world):
    """It makes none."""
    world.policy("all", [("secret/*", READ, "")])
    world.policy("maker", [("auth/token/create", ["update"], "")])
    world.policy("more", [("auth/token/create/r1", ["update"], "")])
    role = {"allowed_policies": ["more"], "orphan": True, "token_type": "batch", "renewable": False}
    world.do("POST", "auth/token/roles/r0", role)
    world.do("POST", "auth/token/roles/r1", {"allowed_policies": ["all"]})
    world.policy("op", [(f"{OWNER}/auth/token/create/r0", ["update", "sudo"], "")], space="")
    world.do("POST", "auth/token/create", {"policies": ["op"], "ttl": "1h"}, space="")
    through = "policies default, op, 1 token or login"
    assert ("operator", through, MADE) not in lines(world, "a", "operators")
    world.do("POST", "auth/token/roles/r0", role | {"token_type": "service"})
    assert ("operator", through, MADE) in lines(world, "a", "operators")
