"""The database is away: what waits is done when it is back, and is told of in between."""

import logging
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import databases
from adyton.actions import Action
from adyton.dynamicvalues import Connection
from adyton.errors import LeaseError
from adyton.model import Caller
from adyton.service.dynamic.records import LEASES
from adyton.service.journal import Draft
from adyton.service.objects import ObjectChanges
from leasing import configure, lets_in, roles_in, settings, world


class Way:
    """A way to the database that can be cut."""

    def __init__(self, port):
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.open = True
        self._pairs = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                here, _ = self._listener.accept()
            except OSError:
                return
            if not self.open:
                here.close()
                continue
            there = socket.create_connection(("127.0.0.1", self._to))
            self._pairs += [here, there]
            for one, other in ((here, there), (there, here)):
                threading.Thread(target=self._pump, args=(one, other), daemon=True).start()

    @staticmethod
    def _pump(one, other):
        try:
            while data := one.recv(65536):
                other.sendall(data)
        except OSError:
            pass
        for each in (one, other):
            each.close()

    def cut(self):
        self.open = False
        for each in self._pairs:
            each.close()

    def close(self):
        self.cut()
        self._listener.close()


@pytest.fixture
def way(postgres):
    found = Way(postgres.port)
    yield found
    found.close()


@pytest.fixture
def store(tmp_path, postgres, way):
    with world(tmp_path, postgres) as found:
        where = settings(postgres) | {"port": str(way.port)}
        found.dynamic.set_connection("alice", "db", Connection(settings=where, admin="admin"))
        yield found


def test_revocation_waits_for_the_database(store, postgres, way, caplog):
    """By hand and by the clock; with growing pauses, an alarm, and an end."""
    with store.dynamic.issue("alice", "app") as first, store.dynamic.issue("alice", "app"):
        password = first.password.text()
    way.cut()
    with pytest.raises(LeaseError, match="tried again"):
        store.dynamic.revoke("alice", first.lease.id)
    store.ahead += 3601
    pauses = []
    with caplog.at_level(logging.WARNING, "adyton.leases"):
        for _ in range(3):
            assert store.dynamic.revoke_due() == (2, 0, 2)
            assert store.dynamic.revoke_due().taken == 0  # not before its pause is over
            lease = store.dynamic.lease("alice", first.lease.id)
            assert (lease.state, "can't be reached" in lease.error) == ("revoking", True)
            step = 0
            while store._opened.core.commit.run_sync(due_now(store)) < 2:
                store.ahead += 10
                step += 10
            pauses.append(step)
    assert pauses[-1] > pauses[0]
    levels = [record.levelno for record in caplog.records]
    assert logging.ERROR in levels
    assert "alice" not in caplog.text
    assert first.username not in caplog.text
    assert lets_in(postgres, first.username, password)  # by the database's clock it is early yet
    assert store.dynamic.revoke_all("alice").failed == 2
    way.open = True
    store.ahead += 7200
    assert store.dynamic.revoke_due() == (2, 2, 0)
    assert not roles_in(postgres)
    notices = store.notices.list("alice", kinds=["lease"])
    kinds = sorted(notice.kind for notice in notices)
    assert kinds == ["lease.revoked"] * 2 + ["lease.stuck"] * 2
    assert {notice.subject for notice in notices} == {"leases/app"}
    assert store.dynamic.leases("alice") == []


async def due_now(store):
    core = store._opened.core
    from adyton.service import due

    async with core.storage.snapshot() as rows:
        return len(await rows.due(core.clock.now_us(), 10, due.tag(core, "lease")))


def test_what_may_have_been_made_is_revoked_later(store, postgres, way, monkeypatch):
    """The way is cut when the role is there, and its maker does not know."""
    from adyton.issuers.postgresql import PostgresqlIssuer

    real = PostgresqlIssuer.create

    def cut(self, grant, password):
        real(self, grant, password)
        way.cut()
        raise LeaseError("the connection is lost")

    with monkeypatch.context() as patch:
        patch.setattr(PostgresqlIssuer, "create", cut)
        with pytest.raises(LeaseError, match="lost"):
            store.dynamic.issue("alice", "app")
    lease = store.dynamic.leases("alice")[0]
    assert (lease.state, {lease.username}) == ("revoking", roles_in(postgres))
    way.open = True
    store.ahead += 60
    store.dynamic.revoke_due()
    assert not roles_in(postgres)
    assert store.dynamic.leases("alice") == []


def test_a_renewal_that_fails_leaves_the_lease_as_it_was(store, way):
    """It ends when it would have, and can be renewed when the database is back."""
    with store.dynamic.issue("alice", "app") as made:
        pass
    way.cut()
    with pytest.raises(LeaseError, match="can't be reached"):
        store.dynamic.renew("alice", made.lease.id, 7200)
    assert store.dynamic.lease("alice", made.lease.id) == made.lease
    way.open = True
    assert store.dynamic.renew("alice", made.lease.id, 7200).expires_at > made.lease.expires_at
    store.dynamic.revoke_all("alice")


def test_nobody_is_purged_with_credentials_left_behind(store, postgres, way):
    """Until they are revoked, or forgotten by force."""
    with store.dynamic.issue("alice", "app"):
        pass
    way.cut()
    with pytest.raises(LeaseError, match="could not be revoked"):
        store.purge_user("alice")
    assert len(store.dynamic.leases("alice")) == 1
    assert store.dynamic.revoke_all("alice", force=True) == (1, 0)
    store.purge_user("alice")
    assert len(roles_in(postgres)) == 1  # the database ends its password by itself
    with postgres.connect() as server:
        server.execute(f'DROP ROLE "{roles_in(postgres).pop()}"')


def test_the_database_ends_a_password_by_itself(tmp_path, postgres):
    """Where nobody came by: VALID UNTIL is the second line of defence."""
    with world(tmp_path, postgres, ttl=1) as store:
        with store.dynamic.issue("alice", "app") as made:
            password = made.password.text()
        with postgres.connect() as server:
            server.execute("SELECT pg_sleep(6.5)")
        assert made.username in roles_in(postgres)
        assert not lets_in(postgres, made.username, password)
        assert lets_in(postgres, databases.ADMIN, databases.PASSWORD)
        assert store.dynamic.revoke_due() == (1, 1, 0)


def test_the_admins_secret_is_gone(store, postgres):
    """Revocation waits for it, and says what is missing."""
    with store.dynamic.issue("alice", "app") as made:
        pass
    store.delete_secret("alice", "admin")
    with pytest.raises(LeaseError, match="admin's secret is not there") as error:
        store.dynamic.revoke("alice", made.lease.id)
    assert "adyton set" in error.value.hint
    store.undelete_secret("alice", "admin")
    store.dynamic.revoke("alice", made.lease.id)
    assert not roles_in(postgres)


@pytest.fixture
def hole():
    """A place that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        yield listener.getsockname()[1]


def test_a_database_that_never_answers_holds_up_nobody_else(tmp_path, postgres, hole):
    """Neither making nor revoking: of one user's many that wait, others' come in between."""
    with world(tmp_path, postgres, seconds=4) as store:
        configure(store, postgres, "bob")
        leases = [store.dynamic.issue("alice", "app") for _ in range(20)]
        with store.dynamic.issue("bob", "app") as made:
            pass
        away = settings(postgres) | {"port": str(hole)}
        # As if the database that they were made in had come to be deaf.
        monkey = {"settings": away, "place": f"127.0.0.1:{hole}/postgres"}
        change_leases(store, "alice", monkey)
        store.dynamic.set_connection("alice", "db", Connection(settings=away, admin="admin"))
        with ThreadPoolExecutor(6) as pool:
            asked = [pool.submit(store.dynamic.issue, "alice", "app") for _ in range(6)]
            time.sleep(0.2)
            began = time.monotonic()
            with store.dynamic.issue("bob", "app"):
                pass
            assert time.monotonic() - began < 1.5
            assert all(isinstance(each.exception(), LeaseError) for each in asked)
        store.ahead = 3601
        began = time.monotonic()
        report = store.dynamic.revoke_due()
        spent = time.monotonic() - began
        assert made.username not in roles_in(postgres)
        assert report.taken > 20
        assert spent < 20 * 2 / 4  # as long as all of them would have taken, four at once
        back = {"settings": settings(postgres), "place": f"127.0.0.1:{postgres.port}/postgres"}
        change_leases(store, "alice", back)
        store.dynamic.set_connection(
            "alice", "db", Connection(settings=settings(postgres), admin="admin")
        )
        assert store.dynamic.revoke_all("alice").failed == 0
        assert len(leases) == 20
        assert not roles_in(postgres)


def change_leases(store, user, members):
    """Write into leases what they were made with."""
    core = store._opened.core

    async def work(scope):
        keys = await core.keys_in(scope, user)
        changes = ObjectChanges(scope, keys)
        for ident, lease in (await LEASES.all(scope.tx, keys)).items():
            for name, value in members.items():
                setattr(lease, name, value)
            changes.put(LEASES, ident, lease)
        await changes.write(Draft(Caller("test"), Action.LEASE_RENEW, keys, user))

    async def run():
        await core.commit.submit(work)

    core.commit.run_sync(run())
