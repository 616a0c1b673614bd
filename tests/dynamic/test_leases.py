"""Credentials that are made on request: what works by them, until when, and who may have them."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

import databases
from adyton.dynamicvalues import Connection, DynamicRole
from adyton.errors import (
    InvalidInput,
    LeaseError,
    LimitExceeded,
    QuotaExceeded,
    SecretNotFound,
)
from adyton.issuers.postgresql import PostgresqlIssuer
from adyton.model import Caller
from adyton.rotationpolicy import RotationPolicy
from adyton.service.dynamic.turns import LeaseTurn
from leasing import HOLD, Session, lets_in, roles_in, settings, world


@pytest.fixture
def store(tmp_path, postgres):
    with world(tmp_path, postgres) as found:
        yield found
        assert found.dynamic.revoke_all("alice").failed == 0
        found.audit.verify()


def test_what_is_made_lets_in_until_it_is_revoked(store, postgres):
    """With the sessions that were open by it, and the role itself."""
    with store.dynamic.issue("alice", "app") as made:
        username, password = made.username, made.password.text()
    session = Session(postgres, username, password)
    assert session.open
    lease = store.dynamic.leases("alice")[0]
    assert (lease.id, lease.state) == (made.lease.id, "live")
    store.dynamic.revoke("alice", made.lease.id)
    assert not session.open
    assert not lets_in(postgres, username, password)
    assert username not in roles_in(postgres)
    assert store.dynamic.leases("alice") == []
    with pytest.raises(SecretNotFound):
        store.dynamic.revoke("alice", made.lease.id)


def test_it_ends_by_the_clock_of_its_lease(store, postgres):
    """Not before, and renewed later; the database's own end is that of the lease."""
    with store.dynamic.issue("alice", "app", ttl=100) as made:
        username, password = made.username, made.password.text()
    ident = made.lease.id
    store.ahead = 90
    store.dynamic.revoke_due()
    assert lets_in(postgres, username, password)
    renewed = store.dynamic.renew("alice", ident)
    assert renewed.expires_at > made.lease.expires_at + dt.timedelta(seconds=80)
    with postgres.connect() as server:
        found = server.execute(
            "SELECT rolvaliduntil FROM pg_roles WHERE rolname = %s", (username,)
        ).fetchone()[0]
    assert 0 <= (found - renewed.expires_at).total_seconds() <= 6
    store.ahead = 180
    assert store.dynamic.revoke_due().taken == 0
    store.ahead = 191
    with pytest.raises(SecretNotFound):
        store.dynamic.renew("alice", ident)  # over, though nobody has come by
    assert store.dynamic.revoke_due() == (1, 1, 0)
    assert username not in roles_in(postgres)
    assert store.dynamic.leases("alice") == []


def test_renewing_ends_at_the_longest_time(store):
    """However much is asked for."""
    store.dynamic.set_role("alice", "app", DynamicRole(connection="db", ttl=100, max_ttl=150))
    with store.dynamic.issue("alice", "app") as made:
        pass
    store.ahead = 90
    renewed = store.dynamic.renew("alice", made.lease.id, ttl=10_000)
    assert renewed.expires_at == made.lease.max_at
    with pytest.raises(InvalidInput):
        store.dynamic.issue("alice", "app", ttl=151)


def test_no_password_is_kept_anywhere(tmp_path, postgres):
    """Neither in the store's files, nor in the log of the database."""
    with world(tmp_path, postgres) as store:
        with store.dynamic.issue("alice", "app") as made:
            password = made.password.text()
        assert password not in repr(made) + repr(made.lease)
        files = (
            b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
            + postgres.log.read_bytes()
        )
        assert b"VALID UNTIL" in files
        assert password.encode() not in files
        assert made.username.encode() not in b"".join(
            path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()
        )
        store.dynamic.revoke_all("alice")


def test_rights_come_by_membership_whatever_the_names_are(store, postgres):
    """Names with quotes, semicolons and percent signs are names, and nothing else."""
    odd = "gr\"oup'; DROP ROLE %s; --"
    with postgres.connect() as server:
        server.execute(psycopg.sql.SQL("CREATE ROLE {}").format(psycopg.sql.Identifier(odd)))
        server.execute("CREATE TABLE IF NOT EXISTS goods (n int)")
        server.execute(
            psycopg.sql.SQL("GRANT SELECT ON goods TO {}").format(psycopg.sql.Identifier(odd))
        )
    store.dynamic.set_role("alice", "app", DynamicRole(connection="db", member_of=[odd]))
    with (
        store.dynamic.issue("alice", "app") as made,
        postgres.connect(made.username, made.password.text()) as server,
    ):
        assert server.execute("SELECT count(*) FROM goods").fetchone() == (0,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            server.execute("INSERT INTO goods VALUES (1)")


VAULTS = (
    "CREATE ROLE \"{{name}}\" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}';"
    ' GRANT SELECT ON goods TO "{{name}}";'
)
BARE = "CREATE ROLE {{name}} LOGIN PASSWORD {{password}}"
DOLLAR = (
    "DO $$ BEGIN EXECUTE format('CREATE ROLE %I LOGIN PASSWORD %L', '{{name}}', '{{password}}');"
    " END $$"
)
REMARK = "-- a remark's quote of {{name}}\nGRANT SELECT ON goods TO {{username}}"
STATEMENTS = [
    [VAULTS],
    [BARE, "COMMENT ON ROLE {{name}} IS 'of {{name}} 100%'"],
    [DOLLAR, REMARK],
]


@pytest.mark.parametrize("creation", STATEMENTS, ids=["vault", "bare", "dollar"])
def test_statements_of_ones_own(store, postgres, creation):
    """Placeholders in any kind of quotes, several statements in a text, percent signs."""
    with postgres.connect() as server:
        server.execute("CREATE TABLE IF NOT EXISTS goods (n int)")
    store.dynamic.set_role(
        "alice", "own",
        DynamicRole(connection="db", creation=creation, revocation=["SELECT '{{name}}'"]),
    )  # fmt: skip
    with store.dynamic.issue("alice", "own") as made:
        assert lets_in(postgres, made.username, made.password.text())
        with postgres.connect() as server:
            until = server.execute(
                "SELECT rolvaliduntil FROM pg_roles WHERE rolname = %s", (made.username,)
            ).fetchone()[0]
    assert until is not None  # also where the statements say nothing of it
    store.dynamic.revoke("alice", made.lease.id)
    assert made.username not in roles_in(postgres)


@pytest.mark.parametrize(
    "creation",
    [["SELECT 1"], ["CREATE ROLE {{name}} LOGIN", "nonsense"], ["CREATE ROLE other LOGIN"]],
)
def test_creation_is_done_whole_or_not_at_all(store, postgres, creation):
    """What fails leaves neither a role nor a lease."""
    store.dynamic.set_role("alice", "bad", DynamicRole(connection="db", creation=creation))
    before = roles_in(postgres, "")
    with pytest.raises(LeaseError):
        store.dynamic.issue("alice", "bad")
    assert roles_in(postgres, "") == before
    assert store.dynamic.leases("alice", "bad") == []


def test_what_a_role_owns_goes_to_the_admin(store, postgres):
    """Tables that were made by it stay; what it was granted goes."""
    with store.dynamic.issue("alice", "app") as made:
        with postgres.connect() as server:
            server.execute(
                psycopg.sql.SQL("GRANT CREATE ON SCHEMA public TO {}").format(
                    psycopg.sql.Identifier(made.username)
                )
            )
        with postgres.connect(made.username, made.password.text()) as server:
            server.execute("CREATE TABLE kept (n int)")
            server.execute("INSERT INTO kept VALUES (7)")
    store.dynamic.revoke("alice", made.lease.id)
    assert made.username not in roles_in(postgres)
    with postgres.connect() as server:
        assert server.execute("SELECT n FROM kept").fetchone() == (7,)
        server.execute("DROP TABLE kept")


@pytest.mark.parametrize("creation", [[], [VAULTS]], ids=["default", "grants on one table"])
def test_fifty_at_once(store, postgres, creation):
    """Each gets its own, all of them let in, and all of them end."""
    with postgres.connect() as server:
        server.execute("CREATE TABLE IF NOT EXISTS goods (n int)")
    store.dynamic.set_role("alice", "app", DynamicRole(connection="db", creation=creation))

    def one(_):
        with store.dynamic.issue("alice", "app") as made:
            return made.lease.id, made.username, made.password.text()

    with ThreadPoolExecutor(50) as pool:
        made = list(pool.map(one, range(50)))
    assert len({username for _, username, _ in made}) == 50
    assert all(lets_in(postgres, username, password) for _, username, password in made)
    assert {info.id for info in store.dynamic.leases("alice")} == {ident for ident, _, _ in made}
    assert store.dynamic.revoke_all("alice", "app") == (50, 0)
    assert not roles_in(postgres) & {username for _, username, _ in made}


def test_a_user_has_no_more_than_may_be(tmp_path, postgres):
    """Counted exactly, whoever asks at once; one that ends makes room."""
    with world(tmp_path, postgres, max_leases=5) as store:

        def one(_):
            try:
                with store.dynamic.issue("alice", "app"):
                    return True
            except LimitExceeded:
                return False

        with ThreadPoolExecutor(12) as pool:
            assert sum(pool.map(one, range(12))) == 5
        lease = store.dynamic.leases("alice")[0]
        store.dynamic.revoke("alice", lease.id)
        assert one(0)
        assert not one(0)
        assert store.dynamic.revoke_all("alice") == (5, 0)


def test_the_connection_names_who_may_use_it(store, postgres):
    """And is not removed while there are leases of it."""
    connection = Connection(settings=settings(postgres), admin="admin", allowed_roles=["other"])
    store.dynamic.set_connection("alice", "db", connection)
    with pytest.raises(LeaseError, match="allows"):
        store.dynamic.issue("alice", "app")
    store.dynamic.set_role("alice", "other", DynamicRole(connection="db"))
    with store.dynamic.issue("alice", "other") as made:
        pass
    with pytest.raises(LeaseError, match="leases of the connection"):
        store.dynamic.remove_connection("alice", "db")
    store.dynamic.remove_role("alice", "other")  # its leases live on
    assert lets_in(postgres, made.username, "wrong") is False
    assert [info.id for info in store.dynamic.leases("alice")] == [made.lease.id]
    store.dynamic.revoke("alice", made.lease.id)
    store.dynamic.remove_connection("alice", "db")
    assert store.dynamic.connections("alice") == {}


def test_a_lease_is_revoked_where_it_was_made(store, postgres):
    """A connection that now means another database is not asked there."""
    with store.dynamic.issue("alice", "app") as made:
        pass
    away = settings(postgres) | {"port": "1"}
    store.dynamic.set_connection("alice", "db", Connection(settings=away, admin="admin"))
    store.dynamic.revoke("alice", made.lease.id)
    assert made.username not in roles_in(postgres)


def test_what_can_not_be_meant_is_refused(store, postgres):
    """When it is written, with an error that says what to write instead."""
    dynamic = store.dynamic
    where = settings(postgres)
    for connection in (
        Connection(issuer="none", settings=where, admin="admin"),
        Connection(settings=where),
        Connection(settings=where | {"user": "x"}, admin="admin"),
        Connection(settings={"port": "5432"}, admin="admin"),
        Connection(settings=where | {"port": "x"}, admin="admin"),
        Connection(settings=where | {"sslmode": "maybe"}, admin="admin"),
    ):
        with pytest.raises(InvalidInput):
            dynamic.set_connection("alice", "x", connection)
    for role in (
        DynamicRole(connection="absent"),
        DynamicRole(connection="db", ttl=0),
        DynamicRole(connection="db", ttl=100, max_ttl=99),
        DynamicRole(connection="db", creation=[""]),
        DynamicRole(connection="db", creation=["CREATE ROLE {{nam}}"]),
        DynamicRole(connection="db", revocation=["SELECT {{password}}"]),
    ):
        with pytest.raises(InvalidInput):
            dynamic.set_role("alice", "x", role)
    for name in ("", "a/b", "-a", "a.", "x" * 65, "a b", "é", "a\n"):
        with pytest.raises(InvalidInput):
            dynamic.set_role("alice", name, DynamicRole(connection="db"))
        with pytest.raises(InvalidInput):
            dynamic.set_connection("alice", name, Connection(settings=where, admin="admin"))


def test_of_another_user_there_is_nothing(store):
    """Neither connections, roles nor leases, by any name."""
    with store.dynamic.issue("alice", "app") as made:
        pass
    bob = store.user("bob")
    assert bob
    assert store.dynamic.connections("bob") == store.dynamic.roles("bob") == {}
    assert store.dynamic.leases("bob") == []
    for call in (
        lambda: store.dynamic.issue("bob", "app"),
        lambda: store.dynamic.renew("bob", made.lease.id),
        lambda: store.dynamic.revoke("bob", made.lease.id),
        lambda: store.dynamic.lease("bob", made.lease.id),
        lambda: store.dynamic.get_role("bob", "app"),
    ):
        with pytest.raises(SecretNotFound):
            call()


def test_each_step_is_in_the_audit_log(store):
    """Making, renewing, revoking, with the reading of the admin's secret."""
    with store.dynamic.issue("alice", "app") as made:
        pass
    store.dynamic.renew("alice", made.lease.id)
    store.dynamic.revoke("alice", made.lease.id)
    found = [(e.action, e.secret_name, e.reason) for e in store.get_audit_log("alice", limit=40)]
    name = f"leases/{made.lease.id}"
    for wanted in (
        ("lease.create", name, "intent"), ("lease.create", name, ""), ("lease.renew", name, ""),
        ("lease.revoke", name, "by hand"), ("lease.revoke", name, "gone"),
        ("secret.get", "admin", ""),
    ):  # fmt: skip
        assert wanted in found


def test_revoking_many_while_some_are_made(store, postgres):
    """In the end no role is without a lease, nor a lease without a role."""

    def make(_):
        for _ in range(8):
            with store.dynamic.issue("alice", "app"):
                pass

    with ThreadPoolExecutor(3) as pool:
        makers = [pool.submit(make, at) for at in range(3)]
        for _ in range(5):
            store.dynamic.revoke_all("alice", "app")
    for maker in makers:
        maker.result()
    assert {info.username for info in store.dynamic.leases("alice")} == roles_in(postgres)


def test_the_admin_is_one_without_superuser(store, postgres):
    """One who may make roles, and no more, makes, ends sessions and removes."""
    with postgres.connect() as server:
        server.execute("CREATE ROLE maker LOGIN CREATEROLE PASSWORD 'of the maker'")
    store.set_secret("alice", "maker", {"username": "maker", "password": "of the maker"})
    store.dynamic.set_connection(
        "alice", "small", Connection(settings=settings(postgres), admin="maker")
    )
    store.dynamic.set_role("alice", "small", DynamicRole(connection="small"))
    with store.dynamic.issue("alice", "small") as made:
        session = Session(postgres, made.username, made.password.text())
        assert session.open
    store.dynamic.revoke("alice", made.lease.id)
    assert not session.open
    assert made.username not in roles_in(postgres)
    assert databases.ADMIN in roles_in(postgres, "")


def test_keys_may_be_rotated_while_there_are_leases(store, postgres):
    """User keys, deeply re-wrapped, and the master key: leases are renewed and revoked after."""
    store.rotation.set_policy("alice", "folder/", RotationPolicy(every=86_400))
    with store.dynamic.issue("alice", "app") as made:
        password = made.password.text()
    store.keys.rotate("alice")
    store.keys.rewrap("alice", deep=True)
    store.keys.rotate(master=True)
    store.audit.verify()
    store.dynamic.renew("alice", made.lease.id)
    assert lets_in(postgres, made.username, password)
    store.set_secret("alice", "folder/a", "x")
    assert store.rotation.get_policy("alice", "folder/a").folder == "folder/"
    with store.dynamic.issue("alice", "app"):
        pass
    assert store.dynamic.revoke_all("alice") == (2, 0)


def test_quotas_hold_back_making_and_never_revoking(store, postgres):
    """A user who stores as much as may be gets no more, and can still end what there is."""
    with store.dynamic.issue("alice", "app") as made:
        pass
    store.quotas.set("alice", objects=1)
    with pytest.raises(QuotaExceeded):
        store.dynamic.issue("alice", "app")
    assert roles_in(postgres) == {made.username}
    store.dynamic.revoke("alice", made.lease.id)
    assert not roles_in(postgres)
    store.quotas.clear("alice")


def test_a_renewal_that_was_overtaken_does_not_bring_a_lease_back(store, monkeypatch):
    """It took so long that another has begun to revoke: what that one says stays."""
    with store.dynamic.issue("alice", "app") as made:
        ident = made.lease.id
    real = PostgresqlIssuer.renew

    def slow(self, grant):
        real(self, grant)
        store.ahead += HOLD + 1
        core = store._opened.core
        other = LeaseTurn(core, Caller("test", "alice"), "alice", ident)
        assert core.commit.run_sync(other._begin("by hand", by_hand=True)) is not None

    with monkeypatch.context() as patch:
        patch.setattr(PostgresqlIssuer, "renew", slow)
        with pytest.raises(LeaseError, match="being revoked"):
            store.dynamic.renew("alice", ident)
    assert store.dynamic.lease("alice", ident).state == "revoking"
    store.ahead += HOLD + 1
    assert store.dynamic.revoke_due().failed == 0
    assert store.dynamic.leases("alice") == []
