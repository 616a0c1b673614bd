"""Grants on folders, their ends and conditions, policies, shares and time against one small model.

A server's handlers and the model are told the same; who reads, writes and lists what must be the
same at every moment, and so must be what ``who`` and ``explain`` tell of it.
"""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from access.support import written
from adyton.grantvalues import RIGHTS
from grants.joined import DAY, FAR, NEAR, Actor, Asked, Grant, Model, Share, is_in
from inprocess import ALL, Handlers

OWNER = "alice"
NAMES = ("a", "f/a", "f/g/b", "fg/a")
PATHS = ("/", "f/", "f/g/", "f", "a", "f/a", "f/g/b", "fg/")
FOLDERS = ("", "f/", "f/g/", "fg/")
EVERY = {"create", "read", "update", "delete", "list", "patch"}
POLICIES = {
    "nothing": [("none", {"read"})],
    "f": [("adyton/secrets/f/*", {"read", "list"}), ("secret/data/f/*", {"read"})],
    "all": [("*", EVERY)],
    "all but g": [
        ("*", EVERY), ("adyton/secrets/f/g/*", {"deny"}), ("secret/data/f/g/*", {"deny"}),
    ],
    "top": [("adyton/secrets/", {"list"}), ("adyton/secrets/a", {"read"})],
    "all but a": [("*", EVERY), ("adyton/secrets/+/a", {"deny"}), ("adyton/secrets/f/", {"deny"})],
    "writes": [("adyton/secrets/f/*", {"create", "update"}), ("adyton/shares", {"update"})],
}  # fmt: skip
AT_HOME = [("adyton/shares/*", EVERY)]
MEMBERS = ("ann", "ci", "bobby")
ACTORS = ("ann", "ci", "bob", "outsider", "op")
RECEIVERS = ("bob", "carol")
NAME, PATH = st.sampled_from(NAMES), st.sampled_from(PATHS)
ACTOR = st.sampled_from(ACTORS)
ADDRESS = st.sampled_from([NEAR, NEAR, FAR])
DAYS = st.sampled_from([0, 0, 1, 3])
WHICH = st.integers(0, 20)
GIVEN = st.one_of(
    st.sampled_from(["viewer", "viewer", "editor", "operator", "auditor", "own"]),
    st.sets(st.sampled_from(RIGHTS), min_size=1, max_size=4),
)


class Machine(RuleBasedStateMachine):
    """Does the same to both, and compares."""

    @initialize()
    def begin(self):
        self.server = server = Handlers()
        self.model = Model(OWNER, roles={"own": {"read", "share"}})
        self.count = 0
        for user in (OWNER, "bob", "carol"):
            server.done("PUT", f"adyton/users/{user}/secrets/start", self.value("x"))
            server.done("POST", "sys/auth/approle", {"type": "approle"}, space=user)
            server.done("POST", "sys/policies/acl/all", {"policy": ALL}, space=user)
            server.approle(user, "all", "all")
        server.done("POST", "adyton/users/alice/destroy/start", {"versions": None})
        self.owner = self.entered(OWNER, "all")
        self.receivers = {user: self.entered(user, "all")[0] for user in RECEIVERS}
        self.actors = {}
        for name, home in (("ann", OWNER), ("outsider", OWNER), ("bob", "bob")):
            self.put_policy(name, home, "nothing")
            server.approle(home, name, name)
            self.actors[name] = Actor(*self.entered(home, name)[:1], home, [])
        self.put_policy("op", "", "nothing")
        made = server.done("POST", "auth/token/create", {"policies": ["op"], "ttl": "700h"})
        self.actors["op"] = Actor(made["auth"]["client_token"], "root", [])
        self.tell("PUT", "roles/own", {"rights": ["read", "share"]})
        self.join("ann", "ann", {"logins": ["approle:ann"]})
        self.join("ci", "ci", {"kind": "machine"})
        self.join("bobby", "bob", {"kind": "user", "user": "bob"})
        for name in NAMES[:3]:
            self.put(name)
        self.tell("POST", "grants", {"member": "ann", "path": "f/", "role": "viewer"})
        for ident in [one["id"] for one in self.tell("GET", "grants")["items"]]:
            self.model.grants[ident] = Grant("ann", "f/", "viewer", frozenset())

    def teardown(self):
        if hasattr(self, "server"):
            self.server.close()

    # -- helpers --------------------------------------------------------------------------------

    def entered(self, user, name):
        return self.server.login(user, name)

    @staticmethod
    def value(text):
        return {"value": {"encoding": "json", "data": {"k": text}}}

    def fresh(self):
        self.count += 1
        return f"value {self.count}"

    def tell(self, method, path, body=None):
        """Of the owner's, which must be done."""
        return self.server.done(method, f"adyton/users/{OWNER}/{path}", body, token=self.owner[0])

    def ask(self, method, path, body=None, *, token, address=NEAR):
        return self.server.native(
            method, f"users/{OWNER}/{path}", body, token=token, address=address
        )

    def put_policy(self, name, home, which):
        seen = "" if home == OWNER else f"{OWNER}/"
        rules = [(path if path == "*" else seen + path, given) for path, given in POLICIES[which]]
        text = written(rules + (AT_HOME if home == "bob" else []))
        self.server.done("POST", f"sys/policies/acl/{name}", {"policy": text}, space=home)
        return rules

    def join(self, member, actor, body):
        self.tell("PUT", f"members/{member}", body)
        self.model.members.add(member)
        if body.get("kind") == "machine":
            made = self.tell("POST", f"members/{member}/token", {"seconds": 4 * DAY})
            self.actors[actor] = Actor(
                made["token"], OWNER, [], member, self.model.now + 4 * DAY
            )  # fmt: skip
        self.actors[actor].member = member

    def moment(self, days):
        if not days:
            return 0, None
        # A minute earlier than the days that pass, as the real clock goes on as well.
        ends = self.model.now + days * DAY - 60
        at = self.server.world.after(days * DAY - 60)
        return ends, at.isoformat().replace("+00:00", "Z")

    def refused(self, actor, name, status, address):
        """A refusal tells a member nothing of what it has no right on."""
        over = actor.ends and actor.ends <= self.model.now
        if over or actor.home == "root" or not actor.member:
            assert status == 403
        else:
            expected = 403 if self.model.knows(actor, name, address) else 404
            assert status == expected, (actor, name, address, self.model)

    # -- what changes ---------------------------------------------------------------------------

    @rule(name=NAME)
    def put(self, name):
        text = self.fresh()
        self.tell("PUT", f"secrets/{name}", self.value(text))
        self.model.secrets[name] = text

    @rule(name=NAME)
    def destroy(self, name):
        if self.model.secrets.pop(name, None) is not None:
            self.tell("POST", f"destroy/{name}", {"versions": None})
            gone = [ident for ident, one in self.model.shares.items() if one.path == name]
            for ident in gone:  # a share of one secret ends with it
                del self.model.shares[ident]

    @rule(
        member=st.sampled_from(MEMBERS), path=PATH, given=GIVEN, deny=st.integers(0, 3),
        days=DAYS, network=st.sampled_from(["", "", "10.0.0.0/8"]),
        reads=st.sampled_from([None, None, 1, 3]),
        approval=st.sampled_from(["", "", "", "/", "f/g/"]),
    )  # fmt: skip
    def grant(self, member, path, given, deny, days, network, reads, approval):
        if member not in self.model.members:
            return
        ends, at = self.moment(days)
        role = given if isinstance(given, str) else ""
        made = Grant(member, path, role, frozenset() if role else frozenset(given), ends=ends)
        made.deny, made.order = not deny, len(self.model.grants)
        body = {"member": member, "path": path, "deny": made.deny, "expires_at": at}
        body |= {"role": role} if role else {"rights": sorted(given)}
        if not made.deny:
            if approval == "f/g/" and path not in {"/", "f/", "f/g/", "f/g/b"}:
                approval = ""
            made.network, made.left, made.approval = network, reads, approval
            priced = reads is not None or bool(approval)
            same = [one for one in self.model.grants.values() if one.path == path]
            if priced and any(one.left is not None or one.approval for one in same):
                return  # which of two on one path is asked first is not said
            body["conditions"] = {
                "networks": [network] if network else [], "reads": reads or 0,
                "approval": [approval] if approval else [],
            }  # fmt: skip
        self.model.grants[self.tell("POST", "grants", body)["id"]] = made

    @precondition(lambda self: self.model.grants)
    @rule(which=WHICH)
    def revoke(self, which):
        ident = chosen(self.model.grants, which)
        del self.model.grants[ident]
        self.tell("DELETE", f"grants/{ident}")

    @rule(rights=st.sets(st.sampled_from(RIGHTS), min_size=1, max_size=3))
    def role(self, rights):
        self.tell("PUT", "roles/own", {"rights": sorted(rights)})
        self.model.roles["own"] = rights

    @rule(
        name=st.sampled_from(["ann", "outsider", "bob", "op"]), which=st.sampled_from([*POLICIES])
    )
    def policy(self, name, which):
        home = self.actors[name].home
        self.actors[name].policy = self.put_policy(name, "" if home == "root" else home, which)

    @rule(member=st.sampled_from(MEMBERS))
    def leave_or_come_back(self, member):
        """Who was put out and let in again has nothing of before."""
        actor = {"bobby": "bob"}.get(member, member)
        if member in self.model.members:
            self.tell("DELETE", f"members/{member}")
            self.model.members.discard(member)
            for ident in [at for at, one in self.model.grants.items() if one.member == member]:
                del self.model.grants[ident]
            self.model.approved = [one for one in self.model.approved if one.member != member]
            self.actors[actor].member = ""
        else:
            body = {
                "ann": {"logins": ["approle:ann"]}, "ci": {"kind": "machine"},
                "bobby": {"kind": "user", "user": "bob"},
            }[member]  # fmt: skip
            self.join(member, actor, body)

    @rule(days=st.sampled_from([1, 2]))
    def wait(self, days):
        if self.model.now < 20 * DAY:  # less than tokens of logins live
            self.server.world.wait(days * DAY)
            self.model.now += days * DAY

    # -- approvals ------------------------------------------------------------------------------

    @rule(
        name=st.sampled_from(["ann", "ci", "bob"]), right=st.sampled_from(["read", "write"]),
        secret=NAME, uses=st.sampled_from([1, 2]), days=st.sampled_from([1, 3]),
    )  # fmt: skip
    def approve(self, name, right, secret, uses, days):
        actor, model = self.actors[name], self.model
        body = {"right": right, "path": secret}
        dead = actor.ends and actor.ends <= model.now
        home = name != "bob" or model.by_policy(actor, "adyton/access/requests", "update")
        status, found = self.ask("POST", "access/requests", body, token=actor.token)
        askable = actor.member and not dead and home and not model.taken(
            actor.member, right, secret
        ) and any(
            not grant.deny and model.asks(grant, secret)
            for _, grant in model.speaking(actor.member, right, secret, NEAR)
        )  # fmt: skip
        if status == 422 or (status == 400 and not actor.member):
            return
        if not askable:
            assert status in {400, 403, 404}, found
            return
        if status == 429:
            return
        assert status == 200, found
        path = f"access/requests/{found['id']}/approve"
        assert self.ask("POST", path, {}, token=actor.token)[0] in {403, 404}
        self.tell("POST", path, {"seconds": days * DAY - 60, "uses": uses})
        ends = model.now + days * DAY - 60
        model.approved.append(Asked(actor.member, right, secret, ends, uses))

    # -- shares ---------------------------------------------------------------------------------

    @rule(
        by=st.sampled_from(["owner", "owner", "ann", "ci"]), receiver=st.sampled_from(RECEIVERS),
        path=st.sampled_from(["f/", "f/g/", "a", "f/a"]), write=st.booleans(), days=DAYS,
        accept=st.integers(0, 3), reshare=st.integers(0, 2),
    )  # fmt: skip
    def share(self, by, receiver, path, write, days, accept, reshare):
        model = self.model
        covered = [name for name in model.secrets if is_in(name, path)]
        ends, at = self.moment(days)
        body = {"receiver": receiver, "name": path, "write": write, "expires_at": at,
                "reshare": reshare}  # fmt: skip
        allowed, token = True, self.owner[0]
        if by != "owner":
            actor = self.actors[by]
            token = actor.token
            if actor.member and model.spending(actor.member, "share", path, NEAR):
                return  # of one secret it could be paid for
            needed = [("read", "read")]
            needed += [("write", "update"), ("write", "create")][: (1 + path.endswith("/")) * write]
            untils = [model.until(actor, *one[:1], path, one[1]) for one in needed]
            allowed = None not in untils and model.may(
                actor, "share", path, "adyton/shares", "update", NEAR, free=True
            )
            until = min((one for one in untils if one), default=0) if allowed else 0
            if until and ends > until:  # later than the grants that it is made by
                status, found = self.ask("POST", "shares", body, token=token)
                assert status in ({400, 404} if covered else {400, 403, 404}), found
                return
            ends = ends or until
        status, found = self.ask("POST", "shares", body, token=token)
        if not (allowed and covered):
            assert status in {403, 404}, found
            return
        assert status == 200, found
        self.offered(found, Share(receiver, path, write, ends, bool(accept), reshare))

    def offered(self, made, share):
        if share.accepted:
            where = f"users/{share.receiver}/shares/received/{made['id']}"
            token = self.receivers[share.receiver]
            assert self.server.native("POST", f"{where}/accept", token=token)[0] == 204
        self.model.shares[made["id"]] = share

    @precondition(lambda self: self.model.shares)
    @rule(
        which=WHICH, path=st.sampled_from(["", "", "f/g/", "f/a", "f/g/b", "a"]),
        write=st.booleans(), days=DAYS, accept=st.integers(0, 3), reshare=st.integers(0, 1),
    )  # fmt: skip
    def pass_on(self, which, path, write, days, accept, reshare):
        """To the other one, also back to where it came from; never more than there is."""
        model = self.model
        ident = chosen(model.shares, which)
        share = model.shares[ident]
        path = path or share.path
        other = next(one for one in RECEIVERS if one != share.receiver)
        ends, at = self.moment(days)
        if ends == share.ends:  # by the real clock, which goes on, it would be later
            ends, at = self.moment(0)
        body = {"receiver": other, "name": path, "write": write, "expires_at": at,
                "reshare": reshare}  # fmt: skip
        status, found = self.server.native(
            "POST", f"users/{share.receiver}/shares/received/{ident}/shares", body,
            token=self.receivers[share.receiver],
        )  # fmt: skip
        live = share.accepted and not 0 < share.ends <= model.now
        within = share.reshare > reshare and share.write >= write and is_in(path, share.path)
        if not live or not within or not any(is_in(one, path) for one in model.secrets):
            assert status in {400, 403, 404}, found
        elif 0 < share.ends < ends:
            assert status == 400, found
        else:
            assert status == 200, found
            made = Share(other, path, write, ends or share.ends, bool(accept), reshare, ident)
            self.offered(found, made)

    @rule(
        receiver=st.sampled_from(RECEIVERS), path=st.sampled_from(["f/", "f/g/", "f/a"]),
        narrower=st.sampled_from(["", "", "f/g/", "f/a"]), write=st.booleans(), days=DAYS,
    )  # fmt: skip
    def chain(self, receiver, path, narrower, write, days):
        """A share, passed on and passed back: what the other rules seldom come to by chance."""
        shares = self.model.shares
        before = len(shares)
        self.share("owner", receiver, path, write, days, accept=1, reshare=2)
        for name, reshare in (narrower, 1), ("", 0):
            if len(shares) == before:  # it was refused, as the model has it
                return
            before = len(shares)
            self.pass_on(before - 1, name, write, 0, accept=1, reshare=reshare)

    @precondition(lambda self: self.model.shares)
    @rule(which=WHICH, rotate=st.booleans())
    def end_share(self, which, rotate):
        """By the owner, or whoever passed it on; all that came of it ends."""
        ident = chosen(self.model.shares, which)
        parent = self.model.shares[ident].parent
        if parent and not rotate:
            by = self.model.shares[parent].receiver
            self.server.done("DELETE", f"adyton/users/{by}/shares/given/{ident}",
                             token=self.receivers[by])  # fmt: skip
        else:
            self.tell("DELETE", f"shares/given/{ident}?rotate={str(rotate).lower()}")
        self.model.end_share(ident)

    @precondition(lambda self: self.model.shares)
    @rule(which=WHICH, name=NAME, write=st.booleans(), user=st.sampled_from(RECEIVERS))
    def use_share(self, which, name, write, user):
        """By whoever has it, and by whoever has not; whatever grants and policies say."""
        model = self.model
        ident = chosen(model.shares, which)
        share = model.shares[ident]
        token = self.receivers[user]
        single = not share.path.endswith("/")
        name = share.path if single else name
        at = f"users/{user}/shares/received/{ident}/" + ("secret" if single else f"secrets/{name}")
        allowed = model.shared(user, ident, name, write=write)
        if write:
            text = self.fresh()
            status, found = self.server.native("PUT", at, self.value(text), token=token)
            if allowed and not (single and name not in model.secrets):
                assert status == 200, found
                model.secrets[name] = text
            else:
                assert status in {400, 403, 404}, found
            return
        status, found = self.server.native("GET", at, token=token)
        if allowed and name in model.secrets:
            assert (status, found["value"]["data"]) == (200, {"k": model.secrets[name]})
        else:
            assert status in {400, 404}, found

    # -- what is compared -----------------------------------------------------------------------

    @rule(name=ACTOR, secret=NAME, address=ADDRESS, kv=st.booleans())
    def reads(self, name, secret, address, kv):
        actor, model = self.actors[name], self.model
        path = f"secret/data/{secret}" if kv else f"adyton/secrets/{secret}"
        allowed = model.may(
            actor, "read", secret, path, "read", address, spend=secret in model.secrets
        )
        if kv:
            status, found = self.server.raw(
                "GET", path, token=actor.token, space=OWNER, address=address
            )
            value = found["data"]["data"] if status == 200 else None
        else:
            status, found = self.ask("GET", f"secrets/{secret}", token=actor.token, address=address)
            value = found["value"]["data"] if status == 200 else None
        if allowed:
            text = model.secrets.get(secret)
            assert status == (404 if text is None else 200), (status, found)
            assert value == (None if text is None else {"k": text})
        else:
            self.refused(actor, secret, status, address)

    @rule(name=ACTOR, secret=NAME, address=ADDRESS)
    def writes(self, name, secret, address):
        actor, model = self.actors[name], self.model
        allowed = model.may(
            actor, "write", secret, f"adyton/secrets/{secret}", "update", address, spend=True
        )
        text = self.fresh()
        status, found = self.ask(
            "PUT", f"secrets/{secret}", self.value(text), token=actor.token, address=address
        )
        if allowed:
            assert status == 200, found
            model.secrets[secret] = text
        else:
            self.refused(actor, secret, status, address)

    @rule(name=ACTOR, address=ADDRESS)
    def lists(self, name, address):
        actor, model = self.actors[name], self.model
        for folder in FOLDERS:
            query = f"?prefix={folder}" if folder else ""
            status, found = self.ask("GET", f"secrets{query}", token=actor.token, address=address)
            shown = {
                one for one in model.secrets
                if one.startswith(folder) and model.lists(actor, one, address)
            }  # fmt: skip
            if status == 200:
                assert {one["name"] for one in found["items"]} == shown, (name, folder)
            else:
                assert status in {403, 404}
                assert not any(self.opens(actor, folder, one, address) for one in shown), (
                    name,
                    folder,
                    shown,
                )

    def opens(self, actor, folder, name, address):
        """Whether a list of a folder is answered for a name: by a policy there, or a grant."""
        model, path = self.model, f"adyton/secrets/{folder}"
        if model.policy_denies(actor, path, "list"):
            return False
        by_policy = model.by_policy(actor, path, "list")
        by_grant = actor.member and model.free(actor.member, "list", name, address)
        if actor.home == OWNER:
            return by_policy or by_grant
        return by_policy and (actor.home == "root" or by_grant)

    @rule()
    def everything(self):
        for name in ACTORS:
            for address in (NEAR, FAR):
                self.lists(name, address)
                for secret in NAMES:
                    self.reads(name, secret, address, kv=False)
        for secret in NAMES:
            self.who(secret)

    @rule(name=ACTOR, secrets=st.lists(NAME, min_size=1, max_size=3, unique=True), address=ADDRESS)
    def reads_many(self, name, secrets, address):
        actor, model = self.actors[name], self.model
        may = all(
            model.may(actor, "read", one, f"adyton/secrets/{one}", "read", address, free=True)
            for one in secrets
        )
        status, found = self.ask(
            "POST", "batch/read", {"names": secrets}, token=actor.token, address=address
        )
        if not may:
            assert status in {403, 404}, found
        elif set(secrets) <= set(model.secrets):
            assert [one["value"]["data"]["k"] for one in found["items"]] == [
                model.secrets[one] for one in secrets
            ]  # fmt: skip

    @rule(secret=NAME)
    def who(self, secret):
        """Everybody who could read now is told of, and no member's grant that gives nothing."""
        model = self.model
        items = self.tell("GET", f"access/who?path={secret}")["items"]
        by = {(one["actor"], one["kind"]) for one in items}
        path = f"adyton/secrets/{secret}"
        for name, member in (("ann", "ann"), ("ci", "ci"), ("bob", "bobby")):
            actor = self.actors[name]
            told = {one["through"] for one in items if one["kind"] == "grant"
                    and one["actor"] in {member, f"user {name}"}}  # fmt: skip
            assert told == {
                f"grant {ident}" for ident, grant in model.grants.items()
                if grant.member == member and "read" in model.rights(grant)
                and is_in(secret, grant.path) and not grant.deny
                and not 0 < grant.ends <= model.now and grant.left != 0
                and not model.taken(member, "read", secret)
            }  # fmt: skip
            if actor.home == OWNER and model.by_policy(actor, path, "read"):
                taken = actor.member and model.taken(member, "read", secret)
                assert (f"login approle:{name}", "policy") in by or taken
        if model.by_policy(self.actors["outsider"], path, "read"):
            assert ("login approle:outsider", "policy") in by
        if model.by_policy(self.actors["op"], path, "read"):
            assert any("policies" in one["through"] and "op" in one["through"] for one in items
                       if one["kind"] == "operator")  # fmt: skip
        shares = {one["through"] for one in items if one["kind"] == "share"}
        assert shares == {
            f"share {ident}" + (
                f", passed on by {model.shares[share.parent].receiver}" if share.parent else ""
            )
            for ident, share in model.shares.items()
            if share.ends == 0 or share.ends > model.now
            if secret == share.path or (share.path.endswith("/") and secret.startswith(share.path))
        }  # fmt: skip

    @rule(name=st.sampled_from(["ann", "ci"]), right=st.sampled_from(["read", "write"]),
          secret=NAME, address=ADDRESS)  # fmt: skip
    def explains(self, name, right, secret, address):
        """The explanation says what is so."""
        actor, model = self.actors[name], self.model
        if not actor.member:
            return
        operation = {"read": "read", "write": "update"}[right]
        expected = model.may(
            Actor(actor.token, OWNER, actor.policy, name), right, secret,
            f"adyton/secrets/{secret}", operation, address,
        )  # fmt: skip
        expected = expected or model.may(
            Actor(actor.token, OWNER, actor.policy, name), right, secret,
            f"secret/data/{secret}", operation, address,
        )  # fmt: skip
        asked = f"actor={name}&action={right}&path={secret}&address={address}"
        found = self.tell("GET", f"access/explain?{asked}")
        denied = any(
            model.policy_denies(actor, path, operation)
            for path in (f"adyton/secrets/{secret}", f"secret/data/{secret}")
        )
        if not denied:  # of one of two ways alone: told as denied, with the rule
            assert found["allowed"] == expected, found


def chosen(things, which):
    """One of some things, in the order of their making: their ids are random."""
    return list(things)[which % len(things)]


CALM = settings(
    deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)
TestJoined = Machine.TestCase
TestJoined.settings = settings(CALM, max_examples=8, stateful_step_count=30)


class Long(Machine):
    """The same for long."""


TestLong = pytest.mark.soak(Long.TestCase)
TestLong.settings = settings(CALM, max_examples=300, stateful_step_count=60)


# -- what the model has found, each by itself ------------------------------------------------------


@pytest.fixture
def machine():
    made = Machine()
    made.begin()
    yield made
    made.teardown()


def test_a_list_from_above_shows_nothing_that_a_policy_denies(machine):
    """A policy that denies the list of a folder hides what a grant on it would show."""
    machine.policy("ann", "all but a")
    machine.lists("ann", NEAR)
    token = machine.actors["ann"].token
    found = machine.ask("GET", "secrets", token=token)[1]["items"]
    assert [one["name"] for one in found] == ["a", "f/g/b"]


def test_another_user_lists_what_a_policy_at_home_lists_as_well(machine):
    machine.grant("bobby", "/", "viewer", 1, 0, "", None, "")
    machine.policy("bob", "top")
    token = machine.actors["bob"].token
    found = machine.ask("GET", "secrets", token=token)[1]["items"]
    assert [one["name"] for one in found] == ["a"]


@pytest.mark.parametrize(("reads", "approval"), [(None, "/"), (1, "")])
def test_who_may_not_read_now_is_not_told_what_is_there(machine, reads, approval):
    """Without an approval, or with no reads left, what is absent is refused like what is there."""
    machine.grant("ci", "/", {"read"}, 1, 0, "", reads, approval)
    token = machine.actors["ci"].token

    def ask(name):
        return machine.ask("GET", f"secrets/{name}", token=token)

    if reads:
        assert ask("absent")[0] == 404
        assert ask("a")[0] == 200
    there, absent = ask("a"), ask("absent")
    assert there[0] == absent[0] == 403
    assert there[1]["detail"] == absent[1]["detail"]


def test_an_auditor_by_policy_sees_no_record_that_a_grant_takes_away(machine):
    machine.policy("ann", "all")
    machine.grant("ann", "f/g/", {"audit", "admin"}, 0, 0, "", None, "")
    token = machine.actors["ann"].token
    items = machine.ask("GET", "audit", token=token)[1]["items"]
    assert "f/a" in str(items)
    assert "f/g/b" not in str(items)
    grants = machine.ask("GET", "grants", token=token)[1]["items"]
    assert {one["path"] for one in grants} == {"f/"}
