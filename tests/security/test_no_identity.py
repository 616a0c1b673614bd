"""Every operation refuses a missing identity, and a bound one outside its own namespace.

The operations are read from the classes, so a new one is tested as soon as it exists.
"""

import inspect

import pytest

from adyton import Caller
from adyton.actions import Action
from adyton.crypto.secretbytes import SecretBytes
from adyton.crypto.shares import Share
from adyton.dynamicvalues import Connection, DynamicRole
from adyton.errors import AccessDenied, SecretNotFound
from adyton.grantvalues import NewGrant
from adyton.model import State
from adyton.roots import ShamirRoot
from adyton.roots.shamir import read_set
from adyton.rotationpolicy import RotationPolicy
from adyton.service import auditlog, directory, keyadmin, kv, links, portability, secrets, users
from adyton.service.access.gate import Gate
from adyton.service.access.identity import Identity
from adyton.service.access.leases import Leases
from adyton.service.access.records import MountTable, Token
from adyton.service.access.sessions import Session
from adyton.service.access.shaping import TokenRequest
from adyton.service.access.spaces import Space, Spaces
from adyton.service.access.tidy import Tidy
from adyton.service.access.tokens import Tokens
from adyton.service.access.wrapping import Cubbyhole, Wrapping
from adyton.service.anomalies.alerts import Alerts
from adyton.service.directory import Changes
from adyton.service.dynamic.configuration import Dynamics
from adyton.service.dynamic.leases import DynamicLeases
from adyton.service.grants.grants import Grants
from adyton.service.grants.members import Members
from adyton.service.grants.membertokens import MemberTokens
from adyton.service.grants.requests import Requests
from adyton.service.lifecycle.ending import Ends
from adyton.service.lifecycle.holds import LegalHolds
from adyton.service.lifecycle.rules import UserRules
from adyton.service.lifecycle.work import LifecycleWork
from adyton.service.notices.notices import Notices
from adyton.service.notices.webhooks import Webhooks
from adyton.service.quota.own import OwnQuotas
from adyton.service.quota.users import UserQuotas
from adyton.service.rekey import Rekey
from adyton.service.reports.reporting import Reporting
from adyton.service.rotation.rotations import Rotations
from adyton.service.sharing.shares import Shares
from adyton.service.values import Item
from adyton.transfer import PortableSecret, PortableVersion
from support import Place

ROOMS = {
    "secrets": secrets.Secrets,
    "directory": directory.Directory,
    "portability": portability.Portability,
    "users": users.Users,
    "keys": keyadmin.KeyAdmin,
    "audit": auditlog.AuditLog,
    "kv": kv.KeyValue,
    "spaces": Spaces,
    "cubbyhole": Cubbyhole,
    "tokens": Tokens,
    "wrapping": Wrapping,
    "tidy": Tidy,
    "leases": Leases,
    "identity": Identity,
    "rekey": Rekey,
    "links": links.Links,
    "quotas": UserQuotas,
    "shares": Shares,
    "rotations": Rotations,
    "notices": Notices,
    "alerts": Alerts,
    "webhooks": Webhooks,
    "members": Members,
    "grants": Grants,
    "membertokens": MemberTokens,
    "dynamics": Dynamics,
    "dynamic leases": DynamicLeases,
    "reports": Reporting,
    "holds": LegalHolds,
    "rules": UserRules,
    "ends": Ends,
    "lifecycle": LifecycleWork,
    "requests": Requests,
}


def made_tokens(core):
    return Tokens(core, Gate(core, Spaces(core)))


# As with what does not exist, and as little is done.
ABSENCE_IS_NO_ERROR = {("kv", "delete"), ("kv", "destroy"), ("kv", "undelete")}

MAKERS = {
    "tokens": made_tokens,
    "wrapping": lambda core: Wrapping(core, made_tokens(core)),
    "leases": lambda core: Leases(core, made_tokens(core)),
    "identity": lambda core: Identity(core, Spaces(core)),
    "membertokens": lambda core: MemberTokens(core, made_tokens(core)),
    "rekey": lambda core: Rekey(core, ShamirRoot.of_key, read_set),
    "tidy": lambda core: Tidy(core, Spaces(core), made_tokens(core)),
}
OPERATIONS = sorted(
    (room, name)
    for room, kind in ROOMS.items()
    for name, member in inspect.getmembers(kind, inspect.iscoroutinefunction)
    if not name.startswith("_") and "caller" in inspect.signature(member).parameters
)


def arguments(tmp_path):
    """A plausible value for each parameter that operations have."""
    version = PortableVersion(1, 1, "a", State.LIVE, "text/plain", bytearray(b"v"))
    return {
        "user": "alice",
        "prefix": "",
        "mount": kv.KvMount(),
        "path": "db",
        "data": {"a": 1},
        "patch": {"a": 1},
        "settings": kv.KvSettings(),
        "change": lambda _: None,
        "text": 'path "x" { capabilities = ["read"] }',
        "ident": "0" * 64,
        "increment": 0,
        "lease": "auth/token/create/none",
        "metadata": {},
        "parent": Session("0" * 64, Token("a"), Space("alice", MountTable([], []), {})),
        "session": Session("0" * 64, Token("a"), Space("alice", MountTable([], []), {})),
        "request": TokenRequest(),
        "response": b"{}",
        "seconds": 60,
        "name": "db",
        "names": ["db"],
        "item": Item("db", b"x", ""),
        "items": [Item("db", b"x", "")],
        "version": 1,
        "versions": [1],
        "changes": Changes(),
        "action": Action.SECRET_TAGS,
        "secrets": [PortableSecret("n", (), {}, None, 10, 1, 1, {}, (version,))],
        "on_conflict": "skip",
        "dry_run": False,
        "watch": lambda _: None,
        "leaf": 0,
        "folder": tmp_path / "archive",
        "outside": [],
        "archive_dir": None,
        "new": links.NewLink(bytes(16), bytes(32), bytes(64), 60, 5, False, ""),
        "accessor": "none",
        "receiver": "carol",
        "asked": links.Asked(bytes(16), bytes(16), bytes(32)),
        "own": OwnQuotas(secrets=9),
        "threshold": 2,
        "total": 3,
        "verify": False,
        "nonce": "none",
        "policy": RotationPolicy(),
        "url": "https://hooks.test/",
        "idents": None,
        "sensitivity": "low",
        "rights": ("read",),
        "connection": Connection(settings={"host": "h"}, admin="db"),
        "role": "r",
        "where": "db",
        "reason": "a case",
        "apart": "",
        "periods": [60],
        "within": 60,
        "right": "read",
        "share": Share(bytes(8), 2, 1, SecretBytes(bytes(32))),
    }


def call(store, room, name, caller, given, **more):
    """Call an operation of the service with whatever arguments it needs."""
    place = MAKERS.get(room, ROOMS[room])(store._opened.core)
    operation = getattr(place, name)
    needed = inspect.signature(operation).parameters
    args = {**given, **more}
    if (room, name) == ("dynamics", "set_role"):
        args["role"] = DynamicRole(connection="db")
    if room == "shares":
        args["share"] = "none"
    if room == "grants":
        args["new"] = NewGrant("carol", "db", role="viewer")
    chosen = {
        key: args[key]
        for key, one in needed.items()
        if key in args and (one.default is inspect.Parameter.empty or key in more)
    }
    if name == "export":
        chosen["compose"] = lambda _: b""
    if name in {"entries", "page"}:
        chosen["limit"] = 10
    return store._opened.core.commit.run_sync(operation(caller, **chosen))


@pytest.fixture
def store(tmp_path):
    with Place(tmp_path).open() as opened:
        opened.set_secret("alice", "db", "a value")
        opened.set_secret("bob", "db", "bob's own")
        yield opened


def state_of(store):
    """What an operation would have changed."""
    rows = [
        (user, found.name, found.version, found.updated_at)
        for user in ("alice", "bob")
        for found in store.list_secrets(user, include_deleted=True)
    ]
    return rows, list(store.keys.list())


@pytest.mark.parametrize(("room", "name"), OPERATIONS)
def test_no_operation_runs_without_an_identity(store, tmp_path, room, name):
    before = state_of(store)
    with pytest.raises(AccessDenied):
        call(store, room, name, None, arguments(tmp_path))
    assert state_of(store) == before


@pytest.mark.parametrize(("room", "name"), OPERATIONS)
def test_a_bound_identity_reaches_neither_others_nor_the_whole_store(store, tmp_path, room, name):
    bound = Caller("service:bob", user="bob")
    before = state_of(store)
    given = arguments(tmp_path)
    named = "user" in inspect.signature(getattr(ROOMS[room], name)).parameters
    if not named:
        with pytest.raises((AccessDenied, SecretNotFound)):
            call(store, room, name, bound, given)
        return
    if (room, name) in ABSENCE_IS_NO_ERROR:
        call(store, room, name, bound, given)
        assert state_of(store) == before
        return
    told = []
    for user in ("alice", "nobody-has-this-name"):
        with pytest.raises((AccessDenied, SecretNotFound)) as caught:
            call(store, room, name, bound, {**given, "user": user}, user=user)
        told.append((type(caught.value), str(caught.value), caught.value.hint))
    assert told[0] == told[1]
    assert state_of(store) == before


def test_a_face_cannot_be_taken_over_without_an_identity(store):
    for missing in (None, "", 0, "operator"):
        with pytest.raises(AccessDenied):
            store.acting_as(missing)


def test_an_identity_that_is_bound_cannot_widen_itself(store):
    bob = store.acting_as(Caller("service:bob", user="bob"))
    for wider in (Caller("service:bob"), Caller("service:bob", user="alice")):
        with pytest.raises(AccessDenied):
            bob.acting_as(wider)
    with pytest.raises(SecretNotFound):
        bob.user("alice").get_secret("db")
    assert bob.user("bob").get_secret("db").text() == "bob's own"


def test_the_whole_store_is_no_namespaces():
    """Whatever its policies say there: a caller for all of the store is the operator's alone."""

    class Here:
        address, request_id = "127.0.0.1", "request"

    def session(user):
        return Session(
            "id", Token("accessor", policies=["root"]), Space(user, MountTable([], []), {})
        )

    assert Gate.operator(session("root"), Here(), "root").user is None
    for user in ("alice", "Root", "root ", ""):
        with pytest.raises(AccessDenied):
            Gate.operator(session(user), Here(), "root")
