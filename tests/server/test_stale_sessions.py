"""What is kept of tokens in memory ends with the change that ends the token, on whatever thread.

Groups are committed by the event loop, or by other threads. So a change may be committed at any
point of what the loop does: here at each await of letting a token in.
"""

import asyncio
import threading

import pytest

from adyton import SecretStore
from adyton.actions import Action
from adyton.config import HttpLimits
from adyton.errors import AccessDenied, InvalidInput, SecretNotFound
from adyton.model import Caller
from adyton.server.admission import Admission
from adyton.server.app import Application
from adyton.server.build import build_handler
from adyton.server.driver import Run
from adyton.server.jsonbody import LARGE
from adyton.server.vault.service import Services
from adyton.service.access.gate import Request
from adyton.service.access.logins import Logins
from adyton.service.access.policy import Capability
from adyton.service.access.records import CUBBYHOLE, PASSWORD_USERS, Bounds, Mount, PasswordUser
from adyton.service.access.shaping import TokenRequest
from adyton.service.access.shelves import put_object
from adyton.service.access.tokentext import token_id
from adyton.service.auditlog import AuditLog
from adyton.service.journal import Draft
from adyton.service.purging import Purging
from adyton.service.values import Item

HERE = Request("127.0.0.1", "request")
OPERATOR = Caller("test")
READ = 'path "secret/data/*" { capabilities = ["read"] }'


class World:
    """Services over one store in memory, with a token of a namespace."""

    def __init__(self, store):
        self.core = store._opened.core
        self.services = Services(self.core)
        self.gate = self.services.gate
        self.run = self.core.commit.run_sync
        self.run(self.services.spaces.put_policy(OPERATOR, "alice", "reader", READ))
        root = self.run(self.services.tokens.create_root(OPERATOR))
        parent = self.run(self.gate.enter(root.text, HERE))
        caller = self.gate.caller(parent, "alice", HERE)
        issued = self.run(
            self.services.tokens.create(caller, parent, TokenRequest(policies=("reader",)))
        )
        self.text, self.token = issued.text, issued.token
        self.operator = parent
        self.caller = Caller("test", "alice")

    def token_of_alice(self, kind):
        """Another token of the namespace."""
        caller = self.gate.caller(self.operator, "alice", HERE)
        asked = TokenRequest(policies=("reader",), type=kind)
        return self.run(self.services.tokens.create(caller, self.operator, asked)).text

    def beside(self, operation):
        """Run an operation to its end on another thread."""
        thread = threading.Thread(target=lambda: self.run(operation))
        thread.start()
        thread.join(10)
        assert not thread.is_alive()

    def may_read(self):
        """What the next request finds, by memory and by the store."""
        try:
            session = self.run(self.gate.enter(self.text, HERE))
        except AccessDenied:
            assert self.gate.sessions.known(self.text) is None
            return False
        return bool(self.gate.decide(session, "alice", "secret/data/x", Capability.READ))


@pytest.fixture
def world():
    with SecretStore.open("memory:", root="dev:", upkeep=False) as store:
        yield World(store)


async def revoke(world):
    ident, _ = await world.services.tokens.find(
        world.caller, "alice", accessor=world.token.accessor
    )
    await world.services.tokens.revoke(world.caller, "alice", ident)


async def close_policy(world):
    await world.services.spaces.put_policy(
        OPERATOR, "alice", "reader", READ.replace("read", "deny")
    )


async def remove_policy(world):
    await world.services.spaces.delete_policy(OPERATOR, "alice", "reader")


async def purge(world):
    await Purging(world.core).purge(OPERATOR, "alice")


CHANGES = [revoke, close_policy, remove_policy, purge]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
@pytest.mark.parametrize("warm", [False, True])
def test_a_change_while_a_token_is_loaded_is_not_missed(world, monkeypatch, change, warm):
    """Committed after the token was read and before it is kept: the next request is refused."""
    assert world.may_read()
    world.gate.sessions.forget(world.gate.sessions.known(world.text).ident)
    if not warm:
        world.services.spaces.forget("alice")
    as_it_is = world.gate.sessions.make
    done = []

    async def meanwhile(*args):
        session = None if warm else await as_it_is(*args)
        if not done:
            done.append(True)
            world.beside(change(world))
        return session or await as_it_is(*args)

    monkeypatch.setattr(world.gate.sessions, "make", meanwhile)
    world.may_read()  # it was asked before the change, and may be answered as of then
    assert done
    assert not world.may_read()


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_memory_ends_with_the_commit(world, change):
    """Not with the answer of who has made the change, whose thread may be slow."""
    assert world.may_read()
    assert world.gate.sessions.known(world.text) is not None
    world.beside(change(world))
    session = world.gate.sessions.known(world.text)
    assert session is None
    assert not world.may_read()


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_session_that_was_waited_with_is_looked_at_again(world, change):
    """It holds until the change is committed, then never again, though the token may."""
    world.may_read()
    session = world.gate.sessions.known(world.text)
    assert world.gate.sessions.holds(session)
    world.beside(change(world))
    assert not world.gate.sessions.holds(session)
    world.may_read()
    assert not world.gate.sessions.holds(session)


class Slow:
    """A write whose body comes when it is let go; in the place of both of Granian's objects."""

    proto, scheme, http_version, client = "http", "http", "1.1", "127.0.0.1:50000"
    method, path, query_string = "POST", "/v1/secret/data/x", ""

    def __init__(self, loop, token, body):
        self.headers = {
            "x-vault-token": token, "x-vault-namespace": "alice", "content-length": str(len(body)),
        }  # fmt: skip
        self.body, self.arriving = body, loop.create_future()
        self.answer = loop.create_future()
        self.loop = loop

    def __call__(self):
        return self.arriving

    def __aiter__(self):
        return self

    def __anext__(self):
        if not self.arriving.done():
            return self.arriving
        ended = self.loop.create_future()
        ended.set_exception(StopAsyncIteration())
        return ended

    def response_bytes(self, status, _, __):
        self.answer.set_result(status)

    def response_empty(self, status, _):
        self.answer.set_result(status)


@pytest.mark.parametrize("body", [b'{"data":{"a":1}}', b'{"data":{"a":"%s"}}' % (b"x" * 70_000)])
@pytest.mark.parametrize(
    "change", [None, *CHANGES], ids=lambda change: getattr(change, "__name__", "")
)
def test_what_changes_while_a_body_arrives_counts(world, body, change):
    """The token was let in by the head of the request; the body of a large one is looked at too."""
    policy = READ.replace('"read"', '"read", "create", "update"')
    world.run(world.services.spaces.put_policy(OPERATOR, "alice", "reader", policy))
    handler, services, _ = build_handler(world.core)
    world.services, gate = services, services.gate

    async def request():
        assert await gate.enter(world.text, HERE)
        admission = Admission(gate.sessions.known)
        admission.use(gate.sessions.known, holds=gate.sessions.holds)
        asking = Slow(asyncio.get_running_loop(), world.text, body)
        application = Application(handler, HttpLimits(), admission=admission)
        Run(application.__rsgi__(asking, asking), asyncio.get_running_loop())
        if change is not None and len(body) < LARGE:
            await asyncio.to_thread(world.run, change(world))
        asking.arriving.set_result(body)
        if change is not None and len(body) > LARGE:
            await asyncio.sleep(0)
            world.run(change(world))
        return await asking.answer

    assert asyncio.run(request()) == (200 if change is None else 403)


@pytest.mark.parametrize("again", [False, True], ids=["gone", "another one"])
@pytest.mark.parametrize("what", ["secret", "policy", "batch"])
def test_a_write_that_a_purge_overtakes_is_refused(world, again, what):
    """It was let in before: there is no namespace made for it, and none that came since is its."""
    alice = world.token_of_alice("batch" if what == "batch" else "service")
    session = world.run(world.gate.enter(alice, HERE))
    caller = world.gate.caller(session, "alice", HERE)
    world.run(purge(world))
    if again:
        world.run(world.services.spaces.put_policy(OPERATOR, "alice", "new", READ))
    with pytest.raises(AccessDenied):
        if what == "policy":
            world.run(world.services.spaces.put_policy(caller, "alice", "mine", READ))
        else:
            item = Item("mine", b"v", "text/plain")
            world.run(world.services.secrets.set_many(caller, "alice", [item]))
    space = world.run(world.services.spaces.get("alice"))
    assert ("mine" in space.policy_names(), "new" in space.policy_names()) == (False, again)
    assert (world.run(world.core.keys("alice")) is not None) == again
    with pytest.raises(AccessDenied):
        world.run(world.gate.enter(alice, HERE))
    operator = world.gate.caller(world.operator, "alice", HERE)
    world.run(world.services.spaces.put_policy(operator, "alice", "mine", READ))


def test_a_read_that_a_purge_overtakes_gives_nothing(world):
    """It has read, and waits for its record behind the purge: then there is no user any more."""
    item = Item("x", b"value", "text/plain")
    world.run(world.services.secrets.set(world.caller, "alice", item))
    purging = purge(world)
    purging.send(None)  # it looks for holds
    world.run(world.core.record(Draft(OPERATOR, Action.ACCESS_READ)))
    purging.send(None)
    reading = world.services.secrets.get(world.caller, "alice", "x")
    reading.send(None)
    many = world.services.secrets.get_many(world.caller, "alice", ["x", "x2"])
    many.send(None)
    world.run(world.core.record(Draft(OPERATOR, Action.ACCESS_READ)))
    for operation in (reading, many):
        with pytest.raises(SecretNotFound):
            operation.send(None)
    with pytest.raises(StopIteration):
        purging.send(None)


def test_what_a_token_kept_goes_with_it(world):
    """Values of its cubbyhole and of wrapped responses are not in the store any more."""
    ident = token_id(world.text)
    keys = world.run(world.core.keys("alice"))

    async def kept(of):
        async with world.core.storage.snapshot() as rows:
            return await CUBBYHOLE.all(rows, keys, of)

    write = world.services.cubbyhole.write
    for path in ("a", "b/c"):
        world.run(write(world.caller, "alice", ident, path, b"{}"))
    assert len(world.run(kept(ident))) == 2
    world.run(revoke(world))
    assert not world.run(kept(ident))
    wrapping = world.services.wrapping
    issued = world.run(wrapping.wrap(world.caller, "alice", b"{}", 60, "x"))
    assert len(world.run(kept(token_id(issued.text)))) == 1
    assert world.run(wrapping.unwrap(issued.text, HERE)) == b"{}"
    assert not world.run(kept(token_id(issued.text)))


def test_a_token_whose_end_is_committed_first_makes_no_child(world):
    """It was let in before; both wait for one commit."""
    parent = world.run(world.gate.enter(world.text, HERE))
    caller = world.gate.caller(parent, "alice", HERE)
    revoking = world.services.tokens.revoke(world.caller, "alice", token_id(world.text))
    revoking.send(None)
    making = world.services.tokens.create(caller, parent, TokenRequest(ttl=60))
    making.send(None)
    world.run(world.core.record(Draft(OPERATOR, Action.ACCESS_READ)))
    with pytest.raises(AccessDenied):
        making.send(None)
    with pytest.raises(StopIteration):
        revoking.send(None)


class Moving:
    """The store's own clock, and more."""

    def __init__(self, clock):
        self._clock, self.more = clock, 0

    def now_us(self):
        return self._clock.now_us() + self.more * 1_000_000


@pytest.mark.parametrize("known", ["all", "child", "none"])
@pytest.mark.parametrize("renewed", [False, True])
def test_a_child_ends_at_its_ancestors_time(world, known, renewed):
    """At once, not when what has ended is removed; and not before, if that one was renewed."""
    world.core.clock = clock = Moving(world.core.clock)
    world.core.commit._clock = clock
    line = [world.run(world.services.tokens.create_root(OPERATOR))]
    for ttl in (10, 3_600, 3_600):
        parent = world.run(world.gate.enter(line[-1].text, HERE))
        caller = world.gate.caller(parent, "root", HERE)
        request = TokenRequest(policies=("root",), ttl=ttl)
        line.append(world.run(world.services.tokens.create(caller, parent, request)))
    child = line[-1].text
    if known == "all":
        assert world.run(world.gate.enter(child, HERE))
    else:
        for one in line[: None if known == "none" else -1]:
            world.gate.sessions.forget(token_id(one.text))
    clock.more += 9
    if renewed:
        caller = world.gate.caller(world.run(world.gate.enter(line[1].text, HERE)), "root", HERE)
        world.run(world.services.tokens.renew(caller, "root", token_id(line[1].text), 10))
    assert world.run(world.gate.enter(child, HERE))
    clock.more += 3
    if renewed:
        assert world.run(world.gate.enter(child, HERE))
        clock.more += 10
    assert world.gate.sessions.known(child) is None
    with pytest.raises(AccessDenied):
        world.run(world.gate.enter(child, HERE))


def test_the_log_tells_a_read_before_what_has_ended_its_token(world):
    """Both wait for one commit, the read behind the revocation: it had read before that."""
    item = Item("x", b"value", "text/plain")
    world.run(world.services.secrets.set(world.caller, "alice", item))
    ident, _ = world.run(
        world.services.tokens.find(world.caller, "alice", accessor=world.token.accessor)
    )
    revoking = world.services.tokens.revoke(world.caller, "alice", ident)
    revoking.send(None)
    reading = world.services.secrets.get(world.caller, "alice", "x")
    reading.send(None)
    world.run(world.core.record(Draft(OPERATOR, Action.ACCESS_READ)))
    with pytest.raises(StopIteration) as read:
        reading.send(None)
    read.value.value.wipe()
    with pytest.raises(StopIteration):
        revoking.send(None)
    page = world.run(AuditLog(world.core).page(OPERATOR, "alice", limit=10))
    actions = [entry.action for entry in page.entries]  # newest first
    assert actions.index(Action.TOKEN_REVOKE) < actions.index(Action.SECRET_GET)


def login_world(world):
    """A user of a login method, and how the method comes to be somewhere else."""
    mount = Mount("up/", "userpass", "auth_userpass_1", "uuid")
    logins = Logins(world.core, world.services.tokens)
    world.run(
        world.services.spaces.change_mounts(
            OPERATOR, "alice", "x", lambda table: table.logins.append(mount)
        )
    )

    async def hashed():
        return await logins.hasher.hash(b"pw")

    user = PasswordUser(world.run(hashed()), Bounds(policies=["reader"]))
    world.run(
        put_object(world.core, OPERATOR, "alice", PASSWORD_USERS, "ann", user, "x", mount.accessor)
    )

    def move(table):
        for one in table.logins:
            if one.accessor == mount.accessor:
                one.path = "elsewhere/"

    def remove(table):
        table.logins[:] = [one for one in table.logins if one.accessor != mount.accessor]

    return logins, mount, {"move": move, "remove": remove}


@pytest.mark.parametrize("how", ["move", "remove"])
def test_a_login_that_hashes_while_its_method_goes_gives_no_token(world, monkeypatch, how):
    """It would be a token of a path that nobody looks at any more when it is to end."""
    logins, mount, ways = login_world(world)
    caller = Caller("(login)", "alice", "127.0.0.1")
    assert world.run(logins.password(caller, mount, "ann", "pw")).text
    as_it_is = logins.hasher.verify

    async def meanwhile(*args):
        right = await as_it_is(*args)
        world.beside(world.services.spaces.change_mounts(OPERATOR, "alice", "x", ways[how]))
        return right

    monkeypatch.setattr(logins.hasher, "verify", meanwhile)
    with pytest.raises(InvalidInput, match="invalid username or password"):
        world.run(logins.password(caller, mount, "ann", "pw"))
