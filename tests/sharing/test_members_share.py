"""What members, and tokens that may not do everything, try to share beyond what they may do."""

import pytest

from access.support import written
from grants.joined import DAY
from inprocess import ALL, Handlers

EVERY = {"create", "read", "update", "delete", "list", "patch"}


class Owner:
    """A namespace with a member, and users who are shared with."""

    def __init__(self):
        self.server = server = Handlers()
        self.tokens = {}
        for user in ("alice", "bob", "carol", "dave"):
            server.done("POST", "sys/auth/approle", {"type": "approle"}, space=user)
            server.done("POST", "sys/policies/acl/all", {"policy": ALL}, space=user)
            server.approle(user, "all", "all")
            self.tokens[user] = server.login(user, "all")[0]
        for name in ("f/a", "f/g/b", "top"):
            self.put(name)
        self.tell("PUT", "members/ci", {"kind": "machine"})
        made = self.tell("POST", "members/ci/token", {"seconds": 9 * DAY})
        self.tokens["ci"] = made["token"]

    def put(self, name):
        value = {"encoding": "json", "data": {"k": name}}
        self.tell("PUT", f"secrets/{name}", {"value": value})

    def tell(self, method, path, body=None):
        return self.server.done(
            method, f"adyton/users/alice/{path}", body, token=self.tokens["alice"]
        )

    def grant(self, path, *rights, member="ci", **more):
        body = {"member": member, "path": path, "rights": rights, **more}
        return self.tell("POST", "grants", body)["id"]

    def share(self, name, by="ci", **more):
        """Offered to bob: (status, what was made)."""
        return self.server.native(
            "POST", "users/alice/shares", {"receiver": "bob", "name": name, **more},
            token=self.tokens[by],
        )  # fmt: skip

    def policy(self, user, *rules):
        """A token of a user's that may do this alone."""
        self.server.done(
            "POST", "sys/policies/acl/some", {"policy": written(list(rules))}, space=user
        )
        self.server.approle(user, "some", "some")
        return self.server.login(user, "some")[0]

    def accept(self, user, share):
        self.server.done("POST", f"adyton/users/{user}/shares/received/{share}/accept",
                         token=self.tokens[user])  # fmt: skip

    def read(self, user, share, name="", **more):
        at = f"users/{user}/shares/received/{share}/" + (f"secrets/{name}" if name else "secret")
        return self.server.native("GET", at, token=more.get("token", self.tokens[user]))[0]

    def after(self, seconds):
        return self.server.world.after(seconds).isoformat().replace("+00:00", "Z")


@pytest.fixture
def owner():
    made = Owner()
    yield made
    made.server.close()


@pytest.mark.parametrize("write", [False, True])
def test_a_folder_is_shared_by_who_may_do_so_to_all_that_comes_into_it(owner, write):
    """Rights on what is there now are none on what comes."""
    owner.grant("f/", "share")
    for name in ("f/a", "f/g/b"):
        owner.grant(name, "read", "write")
    assert owner.share("f/", write=write)[0] == 404
    assert owner.share("f/a", write=write)[0] == 200
    owner.grant("f/", "read")
    assert owner.share("f/", write=write)[0] == (404 if write else 200)
    owner.grant("f/", "write")
    assert owner.share("f/", write=write)[0] == 200


@pytest.mark.parametrize(("right", "more"), [
    ("read", {}), ("write", {"write": True}), ("delete", {"write": True, "delete": True}),
])  # fmt: skip
def test_what_is_taken_away_where_nothing_is_yet(owner, right, more):
    """A denial inside a folder holds for what comes there, which a share would take in."""
    owner.grant("f/", "share", "read", "write", "delete")
    denial = owner.grant("f/later/", right, deny=True)
    assert owner.share("f/", **more)[0] == 404
    if right != "read":
        assert owner.share("f/")[0] == 200
    assert owner.share("f/g/", **more)[0] == 200
    owner.tell("DELETE", f"grants/{denial}")
    assert owner.share("f/", **more)[0] == 200


@pytest.mark.parametrize("conditions", [
    {"networks": ["10.0.0.0/8"]}, {"window": "mon-sun 00:00-23:59"}, {"reads": 5},
    {"approval": ["f/g/"]}, {"approval": ["/"]},
])  # fmt: skip
def test_a_share_has_no_conditions_and_so_escapes_none(owner, conditions):
    """What is read from one network, at some hours, by count or approval, is not shared."""
    owner.grant("f/", "share")
    owner.grant("f/", "read", conditions=conditions)
    inside = "f/g/b"
    assert [owner.share(name)[0] for name in ("f/", inside)] == [404, 404]
    owner.grant("f/g/", "read")
    assert owner.share(inside)[0] == 200
    assert owner.share("f/")[0] == 404


def test_a_share_ends_with_the_grant_that_it_is_made_by(owner):
    grant = owner.grant("f/", "share", "read", "write", expires_at=owner.after(DAY))
    made = owner.share("f/")[1]
    assert made["expires_at"] == owner.tell("GET", f"grants/{grant}")["expires_at"]
    assert owner.share("f/a", expires_at=owner.after(2 * DAY))[0] == 400
    early = owner.after(DAY / 2)
    assert owner.share("f/a", expires_at=early)[1]["expires_at"] == early
    owner.accept("bob", made["id"])
    assert owner.read("bob", made["id"], "f/a") == 200
    owner.server.world.wait(DAY + 1)
    assert owner.read("bob", made["id"], "f/a") == 404
    # The latest end counts; of reading and writing the earlier one.
    owner.grant("f/", "share", "read")
    assert owner.share("f/")[1]["expires_at"] is None
    owner.grant("f/", "write", expires_at=owner.after(3 * DAY))
    assert owner.share("f/")[1]["expires_at"] is None
    assert owner.share("f/", write=True)[1]["expires_at"] is not None


def test_another_user_who_is_a_member_shares_no_more(owner):
    """Not with themselves either, past what a policy at home and the grant both allow."""
    owner.tell("PUT", "members/theirs", {"kind": "user", "user": "carol"})
    owner.grant("f/", "share", "read", member="theirs", expires_at=owner.after(DAY))
    body = {"receiver": "carol", "name": "f/"}

    def share(token):
        return owner.server.native("POST", "users/alice/shares", body, token=token)

    assert share(owner.tokens["carol"])[1]["expires_at"] is not None
    token = owner.policy(
        "carol", ("alice/adyton/shares", {"update"}), ("alice/adyton/secrets/f/*", {"read"}),
        ("alice/adyton/secrets/f/later/*", {"list"}),
    )  # fmt: skip
    assert share(token)[0] == 404


@pytest.mark.parametrize("more", [
    ("adyton/secrets/f/later", {"deny"}), ("adyton/secrets/f/later/*", {"list"}),
    ("adyton/secrets/f/+", {"list"}),
])  # fmt: skip
def test_policies_that_say_another_thing_inside_a_folder(owner, more):
    rules = [("adyton/shares", {"update"}), ("adyton/secrets/f/*", {"read"})]
    assert owner.share("f/", by=owner_token(owner, rules))[0] == 200
    assert owner.share("f/", by=owner_token(owner, [*rules, more]))[0] == 404
    # What is less specific than the folder's rule does not decide there.
    for wider in ("adyton/secrets/*", "adyton/secrets/+/later/*"):
        by = owner_token(owner, [*rules, (wider, {"deny"})])
        assert owner.share("f/", by=by)[0] == 200


def owner_token(owner, rules):
    owner.tokens["some"] = owner.policy("alice", *rules)
    return "some"


def test_a_pattern_for_names_that_are_there_is_none_for_a_folder(owner):
    rules = [("adyton/shares", {"update"}), ("adyton/secrets/f/a", {"read"}),
             ("adyton/secrets/f/+/+", {"read"}), ("adyton/secrets/f/", {"read"})]  # fmt: skip
    assert owner.share("f/", by=owner_token(owner, rules))[0] == 404
    assert owner.share("f/g/b", by=owner_token(owner, rules))[0] == 200


# -- passing on -----------------------------------------------------------------------------------


@pytest.fixture
def passing(owner):
    """A share of bob's that may be passed on, and how a token of his does so."""
    made = owner.share("f/", by="alice", write=True, delete=True, reshare=2)[1]["id"]
    owner.accept("bob", made)
    at = f"adyton/shares/received/{made}"

    def pass_on(token, **body):
        return owner.server.native(
            "POST", f"users/bob/shares/received/{made}/shares", {"receiver": "carol", **body},
            token=token,
        )[0]  # fmt: skip

    return owner, made, at, pass_on


def test_a_token_passes_on_no_more_than_it_may_do_by_the_share(passing):
    owner, _, at, pass_on = passing
    token = owner.policy("bob", (f"{at}/shares", {"update"}), (f"{at}/secrets/*", {"read"}))
    assert pass_on(token) == 200
    assert pass_on(token, write=True) == 404
    token = owner.policy(
        "bob", (f"{at}/shares", {"update"}), (f"{at}/secrets/*", {"read", "update"})
    )
    assert pass_on(token, write=True) == 200
    assert pass_on(token, write=True, delete=True) == 404


def test_a_denial_inside_a_share_is_not_passed_by(passing):
    """Neither by the path of a share of one secret, nor before there is anything."""
    owner, made, at, pass_on = passing
    every = (f"{at}/*", EVERY)
    for inside in ("f/g/*", "f/later/*", "f/g/b"):
        token = owner.policy("bob", every, (f"{at}/secrets/{inside}", {"deny"}))
        assert owner.read("bob", made, "f/a", token=token) == 200
        assert pass_on(token) == 404
        assert pass_on(token, name="f/a") == 200
        assert pass_on(token, name="f/g/b") == (200 if "later" in inside else 404)
    token = owner.policy("bob", (f"{at}/shares", {"update"}), (f"{at}/secret", {"read"}))
    assert owner.read("bob", made, "f/a", token=token) == 403
    assert pass_on(token) == pass_on(token, name="f/a") == 404


def test_of_one_secret_either_path_will_do(owner):
    made = owner.share("f/a", by="alice", reshare=1)[1]["id"]
    owner.accept("bob", made)
    at = f"adyton/shares/received/{made}"
    for path, expected in (("secret", 200), ("secrets/f/a", 200), ("secrets/f/b", 404)):
        token = owner.policy("bob", (f"{at}/shares", {"update"}), (f"{at}/{path}", {"read"}))
        found = owner.server.native(
            "POST", f"users/bob/shares/received/{made}/shares", {"receiver": "carol"}, token=token
        )
        assert found[0] == expected, path


def test_no_grant_reaches_what_others_share_with_the_owner(owner):
    """A member with every right may take, read, pass on, write and give back nothing of it."""
    body = {"receiver": "alice", "name": "s", "write": True, "delete": True, "reshare": 2}
    value = {"value": {"encoding": "json", "data": {"k": 1}}}
    owner.server.done("PUT", "adyton/users/bob/secrets/s", value, token=owner.tokens["bob"])
    made = owner.server.done("POST", "adyton/users/bob/shares", body, token=owner.tokens["bob"])
    at = f"users/alice/shares/received/{made['id']}"
    owner.grant("/", "read", "read-metadata", "write", "list", "tag", "delete", "share", "audit",
                "admin")  # fmt: skip
    asked = [
        ("POST", "/accept", None), ("GET", "/secret", None), ("GET", "/secrets", None),
        ("GET", "/secrets/s", None), ("PUT", "/secret", value), ("DELETE", "/secret", None),
        ("POST", "/shares", {"receiver": "carol"}), ("DELETE", "", None),
    ]  # fmt: skip
    for _ in range(2):
        for method, path, sent in asked:
            absent = at.replace(made["id"], "nothing")
            found = [
                owner.server.native(method, place + path, sent, token=owner.tokens["ci"])
                for place in (at, absent)
            ]
            assert found[0][0] == found[1][0] == 403, (method, path)
            for _, problem in found:
                problem.pop("request_id", None), problem.pop("instance", None)
            assert found[0][1] == found[1][1]
        owner.accept("alice", made["id"])


def test_only_who_may_share_everything_ends_what_was_passed_on(passing):
    """A member ends shares with the right on everything, and re-encrypts along with it."""
    owner, made, _, pass_on = passing
    assert pass_on(owner.tokens["bob"]) == 200
    passed = next(one for one in owner.tell("GET", "shares/given")["items"] if one["parent"])
    owner.accept("carol", passed["id"])
    owner.grant("f/", "share", "read", "write")

    def end(share):
        return owner.server.native(
            "DELETE", f"users/alice/shares/given/{share}?rotate=true", token=owner.tokens["ci"]
        )

    assert [end(made)[0], end("nothing")[0]] == [403, 403]
    assert owner.read("carol", passed["id"], "f/a") == 200
    owner.grant("/", "share")
    assert end(made)[1]["reencrypted"] == 2
    for user, share in (("bob", made), ("carol", passed["id"])):
        assert owner.read(user, share, "f/a") == 404
    for user in ("alice", "bob", "carol"):
        found = owner.server.done("GET", f"adyton/users/{user}/audit?limit=50",
                                  token=owner.tokens[user])["items"]  # fmt: skip
        assert "share.revoke" in [one["action"] for one in found if one["success"]]


def test_what_a_member_shared_stays_when_the_member_goes(owner):
    """It is the owner's, who finds it and ends it; the log says who made it."""
    owner.grant("f/", "share", "read")
    made = owner.share("f/")[1]["id"]
    owner.accept("bob", made)
    owner.tell("DELETE", "members/ci")
    assert owner.share("f/a")[0] in {403, 404}
    assert owner.read("bob", made, "f/a") == 200
    (record,) = [one for one in owner.tell("GET", "audit?limit=50&action=share.create")["items"]
                 if one["success"]]  # fmt: skip
    assert record["decision"].startswith("grant:")
    assert record["decision"].endswith(" ci")
    owner.tell("DELETE", f"shares/given/{made}")
    assert owner.read("bob", made, "f/a") == 404
