"""A random world of tokens, logins, members, shares and links, and everybody in it who tries.

Nothing here decides: who can read is what comes of reading, over HTTP's handlers, by each token
that there is, each login, each token that one of them can make, each share, link and wrapped
answer. All of them try from within the one network that conditions name.
"""

import datetime as dt
import json

from adyton import Caller
from adyton.errors import AdytonError
from inprocess import EVERY, Handlers

OWNER, OTHER = "alice", "bob"
NEAR = "10.1.2.3"
"""Where all are who try: in the one network that anything is bound to."""
NETWORK = "10.0.0.0/8"
DAY = 86_400
DOORS = ("secret/data/", "one/", "two/data/")
BASES = ("adyton/secrets/", *DOORS)
TAILS = (
    "*", "f/*", "f/a", "+/a", "f/+", "f/g/*", "f/+/b", "+", "+/+", "+/+/b", "a", "f*",
    "users/{{identity.entity.id}}/*", "users/{{identity.entity.name}}/k",
    "users/{{identity.entity.metadata.team}}/*", "users/{{ROLE}}/k", "users/{{ALIAS}}/*",
    "users/{{TEAM}}/k", "users/{{TOKEN}}/k",
)  # fmt: skip
NAMES = ("a", "f/a", "f/g/b", "users/red/k", "users/ci/k", "users/ann/k")
FOLDERS = ("/", "f/", "f/g/", "users/", "users/red/", "none/")
LOGINS = ("ci", "ann", "box")


class Try:
    """The world, and what everybody in it has to try with."""

    def __init__(self):
        self.server = Handlers()
        self.secrets = {}
        self.tokens = {}  # accessor: (text, home, entity)
        self.batch = []  # (text, entity)
        self.logins = {}  # name: [ways to log in]
        self.members = {}
        self.shares = {}
        self.links = {}
        self.wrapped = {}
        self.policies = []
        self.roles = {}
        self.aliases = ["red", "ci", "zed"]
        self._read = {}
        self._begin()

    def close(self):
        self.server.close()

    # -- asking ---------------------------------------------------------------------------------

    def do(self, method, path, body=None, *, space=OWNER, **more):
        return self.server.done(method, path, body, space=space, **more)

    def ask(self, method, path, body=None, *, token, space=OWNER, **more):
        return self.server.raw(method, path, body, token=token, space=space, **more)

    def _begin(self):
        do = self.do
        do("POST", "sys/mounts/one", {"type": "kv", "options": {"version": "1"}})
        do("POST", "sys/mounts/two", {"type": "kv", "options": {"version": "2"}})
        for path, kind in (("approle", "approle"), ("people", "userpass")):
            do("POST", f"sys/auth/{path}", {"type": kind})
        self.accessors = {
            path: one["accessor"] for path, one in do("GET", "sys/auth")["data"].items()
        }
        for name in NAMES:
            self.put(name)
        for user in (OTHER, "carol"):
            do("PUT", "sys/policies/acl/all",
               {"policy": f'path "*" {{ capabilities = {EVERY} }}'}, space=user)  # fmt: skip

    def put(self, name):
        value = {"k": f"value of {name}"}
        self.do("PUT", f"adyton/users/{OWNER}/secrets/{name}",
                {"value": {"encoding": "json", "data": value}}, space="")  # fmt: skip
        self.secrets[name] = f"value of {name}"

    def put_at(self, door, path):
        """A secret of a mount; its name is found in the list of all."""
        value = {"k": f"value at {door}{path}"}
        self.do("POST", f"{door}{path}", value if door == "one/" else {"data": value})
        found = self.do("GET", f"adyton/users/{OWNER}/secrets?limit=1000", space="")["items"]
        for one in found:
            if one["name"] not in self.secrets:
                self.secrets[one["name"]] = value["k"]

    def text(self, pattern):
        """A pattern with the accessors that only this world knows."""
        alias = "identity.entity.aliases.{}.{}"
        for word, path, what in (
            ("ROLE", "approle/", "metadata.role_name"), ("ALIAS", "people/", "name"),
            ("TEAM", "approle/", "metadata.team"), ("TOKEN", "token/", "name"),
        ):  # fmt: skip
            pattern = pattern.replace("{{" + word, "{{" + alias.format(self.accessors[path], what))
        return pattern

    # -- making ---------------------------------------------------------------------------------

    def policy(self, name, rules, space=OWNER):
        """Rules of (pattern, capabilities, more)."""
        text = "\n".join(
            f'path "{self.text(pattern)}" {{ capabilities = {json.dumps(given)}\n{more} }}'
            for pattern, given, more in rules
        )
        self.do("PUT", f"sys/policies/acl/{name}", {"policy": text}, space=space)
        if space == OWNER:
            self.policies.append(name)

    def approle(self, name, bounds, metadata):
        at = f"auth/approle/role/{name}"
        self.do("POST", at, bounds)
        role = self.do("GET", f"{at}/role-id")["data"]["role_id"]
        self.logins[f"approle:{name}"] = [
            ("auth/approle/login", {"role_id": role, "secret_id": self.secret_id(at, given)})
            for given in metadata
        ]

    def new_way(self, login):
        """A way to log in to a role that has had no SecretID."""
        at = f"auth/approle/role/{login.partition(':')[2]}"
        role = self.do("GET", f"{at}/role-id")["data"]["role_id"]
        return "auth/approle/login", {"role_id": role, "secret_id": self.secret_id(at, {})}

    def secret_id(self, at, metadata):
        body = {"metadata": json.dumps(metadata)} if metadata else {}
        return self.do("POST", f"{at}/secret-id", body)["data"]["secret_id"]

    def person(self, name, bounds):
        self.do("POST", f"auth/people/users/{name}", {"password": "long enough", **bounds})
        self.logins[f"people:{name}"] = [(f"auth/people/login/{name}", {"password": "long enough"})]

    def log_in(self, path, body):
        """What a login gives; None where it is refused. It may change what templates stand for."""
        self._read.clear()
        status, found = self.ask("POST", path, body, token="")
        return found["auth"] if status == 200 else None

    def member_of(self, entity):
        """The member of the namespace that an entity is; empty for none."""
        for member, logins in self.members.items():
            for login in logins if entity and isinstance(logins, list) else ():
                path, _, name = login.partition(":")
                role = f"auth/approle/role/{name}/role-id"
                alias = self.do("GET", role)["data"]["role_id"] if path == "approle" else name
                body = {"alias_name": alias, "alias_mount_accessor": self.accessors[f"{path}/"]}
                found = self.do("POST", "identity/lookup/entity", body)
                if found["data"]["id"] == entity:
                    return member
        return ""

    def keep(self, auth, home):
        """A token that there is before it is asked who could read."""
        if auth["token_type"] == "batch":
            self.batch.append((auth["client_token"], auth["entity_id"]))
        else:
            self.tokens[auth["accessor"]] = auth["client_token"], home, auth["entity_id"]
        return auth

    def accessor(self, text):
        return next(one for one, (known, *_) in self.tokens.items() if known == text)

    def entity(self, auth, body):
        self.do("POST", f"identity/entity/id/{auth['entity_id']}", body)

    def member(self, name, body):
        self.do("PUT", f"adyton/users/{OWNER}/members/{name}", body, space="")
        self.members[name] = body.get("user") or body["logins"]

    def grant(self, member, path, **more):
        body = {"member": member, "path": path, **more}
        self.do("POST", f"adyton/users/{OWNER}/grants", body, space="")

    def share(self, receiver, name, *, accept, **more):
        body = {"receiver": receiver, "name": name, **more}
        made = self.do("POST", f"adyton/users/{OWNER}/shares", body, space="")
        return self._shared(receiver, made, accept=accept)

    def pass_on(self, holder, share, receiver, *, accept):
        made = self.do("POST", f"adyton/users/{holder}/shares/received/{share}/shares",
                       {"receiver": receiver}, space="")  # fmt: skip
        return self._shared(receiver, made, accept=accept)

    def _shared(self, receiver, made, *, accept):
        self.shares[made["id"]] = receiver
        if accept:
            self.accept(receiver, made["id"])
        return made["id"]

    def accept(self, receiver, share):
        return self.server.raw("POST", f"adyton/users/{receiver}/shares/received/{share}/accept")[0]

    def link(self, name, seconds):
        store = self.server.store
        made = store.links.create(OWNER, self.secrets[name], seconds=seconds, secret=name)
        self.links[made.accessor] = name, made.text

    def wrap(self, path, seconds):
        found = self.do("GET", path, x_vault_wrap_ttl=str(seconds))["wrap_info"]
        self.wrapped[found["accessor"]] = found["token"]

    # -- trying ---------------------------------------------------------------------------------

    def reads(self, token, name):
        """Whether a token reads a secret, by any door; wrapped, where that is asked for."""
        paths = [f"secret/data/{name}"]
        if name.startswith(".mounts/"):
            paths = [f"{door}{name.split('/', 2)[2]}" for door in ("one/", "two/data/")]
        asked = [(f"adyton/users/{OWNER}/secrets/{name}", "", {})]
        asked += [(path, OWNER, {}) for path in paths]
        asked += [(path, OWNER, {"x_vault_wrap_ttl": "4000"}) for path in paths]
        for path, space, more in asked:
            status, found = self.ask("GET", path, token=token, space=space, **more)
            if status == 200 and found.get("wrap_info"):
                found = self.unwrap(found["wrap_info"]["token"])
            if status == 200 and self.secrets[name] in json.dumps(found):
                return True
        return False

    def read_by(self, made):
        """What is read by tokens that were made; those of the same policies and entity alike."""
        found = set()
        for key, text in made.items():
            if key not in self._read:
                self._read[key] = {name for name in self.secrets if self.reads(text, name)}
            found |= self._read[key]
        return found

    def unwrap(self, token):
        return self.ask("POST", "sys/wrapping/unwrap", {}, token=token)[1]

    def children(self, token):
        """All tokens that a token can make, over any number of steps, by policies and entity."""
        made, todo = {}, [token]
        while todo:
            for key, text in self._made_by(todo.pop()).items():
                if key not in made:
                    made[key] = text
                    todo.append(text)
        return made

    def _made_by(self, token):
        made = {}
        for role in ("", *self.roles, "orphan"):
            path = {"": "create", "orphan": "create-orphan"}.get(role, f"create/{role}")
            for orphan in (False,) if role == "orphan" else (False, True):
                aliases = (None, *self.aliases) if self.roles.get(role) else (None,)
                asked = [(one, alias) for one in (None, *self.policies) for alias in aliases]
                for policy, alias in asked:
                    body = {"ttl": "1h"} | ({"no_parent": True} if orphan else {})
                    body |= {"policies": [policy], "no_default_policy": True} if policy else {}
                    body |= {"entity_alias": alias} if alias else {}
                    status, found = self.ask("POST", f"auth/token/{path}", body, token=token)
                    if status == 403:
                        break  # by no policy and by no alias
                    if status == 200:
                        auth = found["auth"]
                        key = (*auth["policies"], auth["entity_id"], auth["token_type"])
                        made.setdefault(key, auth["client_token"])
        return made

    def embedded(self, member, name):
        """Whether a caller that acts for a member reads."""
        acting = self.server.store.acting_as(Caller("test", OWNER, NEAR, member=member))
        try:
            with acting.get_secret(OWNER, name) as found:
                return self.secrets[name] in found.text()
        except AdytonError:
            return False

    def shared(self, share, name):
        at = f"adyton/users/{self.shares[share]}/shares/received/{share}"
        self.accept(self.shares[share], share)
        for path in (f"{at}/secret", f"{at}/secrets/{name}"):
            status, found = self.server.raw("GET", path)
            if status == 200 and self.secrets[name] in json.dumps(found):
                return True
        return False

    def opened(self, accessor):
        """What opening a link gives."""
        try:
            with self.server.store.links.open(self.links[accessor][1]) as found:
                return found.text()
        except AdytonError:
            return ""

    def who(self, path):
        """What is told, as a test reads it."""
        found = self.do("GET", f"adyton/users/{OWNER}/access/who?path={path}", space="")["items"]
        return [one for one in found if one["through"] != "the store's root of trust"]

    def ends(self, days):
        return (self.server.world.now() + dt.timedelta(days=days)).isoformat()
