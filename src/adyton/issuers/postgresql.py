"""Roles of PostgreSQL that are made on request.

A role is made in one transaction, with ``VALID UNTIL`` the end of its lease: should nobody come
to remove it, its password stops working by itself. Revoking first stops logins, then ends
sessions, gives what the role owns to the admin, and removes the role.
"""

import random
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final
from weakref import WeakValueDictionary

import psycopg
from psycopg import sql

from adyton.dynamicvalues import DynamicRole
from adyton.errors import LeaseError
from adyton.issuers import _statements
from adyton.issuing import Grant
from adyton.rotating import known
from adyton.rotators._login import login_of
from adyton.rotators._postgres import SETTINGS, Connected, Server, check_settings, verifier

_CREATE: Final = "CREATE ROLE {{name}} LOGIN PASSWORD {{password}} VALID UNTIL {{expiration}}"
_LATE: Final = 5
"""Seconds that a password works after its lease, as clocks differ."""
_ROLE_CHARS: Final = 20
_END_SESSIONS: Final = sql.SQL(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usesysid = {}"
)
_SESSION: Final = sql.SQL("SELECT pid FROM pg_stat_activity WHERE usesysid = {}")
_TRIES: Final = 5
_COLLISIONS: Final = (
    psycopg.errors.InternalError_,
    psycopg.errors.SerializationFailure,
    psycopg.errors.DeadlockDetected,
)


class _Lock:
    """One lock, which is kept as long as somebody holds it."""

    __slots__ = ("__weakref__", "held")

    def __init__(self) -> None:
        self.held = threading.Lock()


_guard: Final = threading.Lock()
_locks: "Final[WeakValueDictionary[str, _Lock]]" = WeakValueDictionary()


class PostgresqlIssuer:
    """Makes and removes roles (``issuing.Issuer``)."""

    def check(self, settings: Mapping[str, str], *, admin: bool) -> None:
        """Check the settings; an admin is needed.

        Raises:
            InvalidInput: They can't be used.
        """
        known(settings, *SETTINGS)
        check_settings(settings, "issuer", admin=admin)

    def check_role(self, role: DynamicRole) -> None:
        """Check placeholders.

        Raises:
            InvalidInput: A statement has one that is not known.
        """
        names = tuple(sorted(_statements.NAMES))
        for statement in role.creation:
            _statements.check(statement, *names, "password", "expiration")
        for statement in role.renewal:
            _statements.check(statement, *names, "expiration")
        for statement in role.revocation:
            _statements.check(statement, *names)

    def place(self, settings: Mapping[str, str]) -> str:
        """Host, port and database."""
        port, database = settings.get("port", "5432"), settings.get("database", "postgres")
        return f"{settings.get('host', '')}:{port}/{database}"

    def username(self, role: str, ident: str) -> str:
        """A name of lower-case letters, digits, ``_`` and ``-``, of less than 63 characters."""
        plain = re.sub(r"[^a-z0-9_]+", "_", role.lower(), flags=re.ASCII)[:_ROLE_CHARS]
        return f"adyton-{plain}-{ident}"

    def test(self, grant: Grant) -> None:
        """Log in as admin."""
        with _connected(grant) as server:
            server.execute("SELECT 1")

    def create(self, grant: Grant, password: str) -> None:
        """Make the role, in one transaction."""
        with _connected(grant) as server:
            run = _timed(server, grant)
            values = _values(grant) | {"password": verifier(server, grant.username, password)}

            def make() -> None:
                for statement in grant.creation or (_CREATE,):
                    run(_statements.fill(statement, values))
                if _oid(server, grant.username) is None:
                    raise LeaseError(
                        "the creation statements did not make the role",
                        hint="They have to make one of the name {{name}}.",
                    )
                name = sql.Identifier(grant.username)
                for group in grant.member_of:
                    run(sql.SQL("GRANT {} TO {}").format(sql.Identifier(group), name))
                _set_end(run, grant)

            _change(server, self.place(grant.settings), make)

    def renew(self, grant: Grant) -> None:
        """Set the end anew."""
        with _connected(grant) as server:
            run = _timed(server, grant)

            def change() -> None:
                _set_end(run, grant)
                _fill_all(run, grant.renewal, grant)

            _change(server, self.place(grant.settings), change)

    def revoke(self, grant: Grant) -> None:
        """Stop logins, end sessions, then remove the role with its rights."""
        with _connected(grant) as server:
            run = _timed(server, grant)
            oid = _oid(server, grant.username)
            if oid is None:
                return
            name = sql.Identifier(grant.username)
            run(sql.SQL("ALTER ROLE {} NOLOGIN PASSWORD NULL").format(name))
            # The rights of the role are needed to end its sessions and to take what it owns.
            run(sql.SQL("GRANT {} TO CURRENT_USER").format(name))
            _end_sessions(server, run, oid)

            def remove() -> None:
                _fill_all(run, grant.revocation, grant)
                if _oid(server, grant.username) is not None:
                    run(sql.SQL("REASSIGN OWNED BY {} TO CURRENT_USER").format(name))
                    run(sql.SQL("DROP OWNED BY {}").format(name))
                    run(sql.SQL("DROP ROLE {}").format(name))

            _change(server, self.place(grant.settings), remove)


Run = Callable[[str | sql.Composed], None]


def _connected(grant: Grant) -> Connected:
    login = login_of(grant.admin, "the admin's secret", LeaseError)
    return Connected(grant.settings, grant.bounds, login, "as admin", LeaseError)


def _timed(server: Server, grant: Grant) -> Run:
    """Runs statements, all of which end within the time of a step.

    A statement has half of it by the options of the connection; one that begins later has what
    is left.
    """
    ends = time.monotonic() + grant.bounds.seconds / 2

    def run(statement: str | sql.Composed) -> None:
        left = ends - time.monotonic()
        if left <= 0:
            raise LeaseError("PostgreSQL takes too long")
        if left < grant.bounds.seconds / 4:
            server.execute(
                "SELECT set_config('statement_timeout', %s, false)", (str(int(left * 1000) + 1),)
            )
        # Without parameters, so that a '%' is one, and a text may hold several statements.
        server.execute(statement.encode() if isinstance(statement, str) else statement)

    return run


def _change(server: Server, place: str, work: Callable[[], None]) -> None:
    """Do something in a transaction, one at a time for each place.

    Two that grant or revoke something on one object at once fail for one of them; against others
    than us there is another try.
    """
    with _guard:
        lock = _locks.setdefault(place, _Lock())
    with lock.held:
        for again in reversed(range(_TRIES)):
            try:
                with server.transaction():
                    work()
            except _COLLISIONS as error:
                if not again or (error.sqlstate == "XX000" and "concurrently" not in str(error)):
                    raise
                time.sleep(random.uniform(0.01, 0.1))  # noqa: S311 - not a secret
            else:
                return


def _values(grant: Grant) -> dict[str, str]:
    ends = f"{grant.expires.replace(microsecond=0):%Y-%m-%d %H:%M:%S}+00:00"
    return {"name": grant.username, "username": grant.username, "expiration": ends}


def _fill_all(run: Run, statements: Sequence[str], grant: Grant) -> None:
    for statement in statements:
        run(_statements.fill(statement, _values(grant)))


def _set_end(run: Run, grant: Grant) -> None:
    """The second line of defence, whatever a role's statements say."""
    ends = grant.expires.replace(microsecond=0).timestamp() + _LATE
    at = time.strftime("%Y-%m-%d %H:%M:%S+00:00", time.gmtime(ends))
    name = sql.Identifier(grant.username)
    run(sql.SQL("ALTER ROLE {} VALID UNTIL {}").format(name, sql.Literal(at)))


def _oid(server: Server, name: str) -> int | None:
    found = server.execute("SELECT oid::bigint FROM pg_roles WHERE rolname = %s", (name,))
    row = found.fetchone()
    return None if row is None else int(str(row[0]))


def _end_sessions(server: Server, run: Run, oid: int) -> None:
    """End all sessions, until there are none; one that was logging in shows a little later."""
    quiet = 0
    while quiet < 2:
        ended = sql.SQL(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usesysid = {}"
        )
        run(ended.format(sql.Literal(oid)))
        left = server.execute(_SESSION.format(sql.Literal(oid))).fetchone()
        quiet = quiet + 1 if left is None else 0
        if quiet < 2:
            time.sleep(0.02)
