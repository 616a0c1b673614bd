"""Two roles of PostgreSQL that take turns.

A role has one password, so one role alone can't have a former and a new one: whoever read the
former value just before the change would be refused. Two roles with the same rights take turns
instead: the one that is not in use gets a new password, is tested, and is promoted; the other one
loses its password when the grace period is over. The SCRAM-SHA-256 verifier (RFC 5802, RFC 7677)
is made here, so that no statement, and so no log of the server, ever holds a password.
"""

from collections.abc import Callable, Mapping
from typing import Final

import psycopg
from psycopg import sql

from adyton.errors import InvalidInput, RotationError
from adyton.rotating import Generated, Turn, known, needed, number
from adyton.rotators._login import Login, login_of, made

_TLS: Final = ("disable", "prefer", "require", "verify-ca", "verify-full")
_WRONG: Final = frozenset({"28P01", "28000"})


class PostgresqlRotator:
    """Alternates between two roles (``rotating.Rotator``)."""

    def check(self, settings: Mapping[str, str], *, admin: bool) -> None:
        """Check the settings; an admin is needed.

        Raises:
            InvalidInput: They can't be used.
        """
        known(settings, "host", "port", "database", "roles", "sslmode", "sslrootcert")
        needed(settings, "host")
        number(settings, "port", 5432, 1, 65535)
        _roles(settings)
        if settings.get("sslmode", "verify-full") not in _TLS:
            raise InvalidInput(f"the setting 'sslmode' is none of {', '.join(_TLS)}")
        if not admin:
            raise InvalidInput(
                "the rotator 'postgresql' needs a secret that lets it in",
                hint="Name it as admin: a JSON object with 'username' and 'password'.",
            )

    def create(self, turn: Turn, generate: Callable[[], Generated]) -> Generated:
        """A new password for the role that is not in use."""
        first, second = _roles(turn.settings)
        used = "" if turn.former is None else login_of(turn.former, "the secret").username
        if used not in {"", first, second}:
            raise RotationError("the secret's username is neither of the two roles")
        return made(second if used == first else first, generate)

    def set(self, turn: Turn) -> None:
        """Give the role its new password."""
        new = login_of(turn.new, "the new value")
        self._alter(turn, new.username, new.password)

    def test(self, turn: Turn) -> None:
        """Log in with the new value."""
        with _connected(turn, login_of(turn.new, "the new value"), "with the new value") as server:
            server.execute("SELECT 1")

    def retire(self, turn: Turn) -> None:
        """Take the former role's password away; sessions that it has open live on."""
        if turn.former is not None:
            self._alter(turn, login_of(turn.former, "the former value").username, None)

    def undo(self, turn: Turn) -> None:
        """Take the new password away."""
        self._alter(turn, login_of(turn.new, "the new value").username, None)

    def _alter(self, turn: Turn, role: str, password: str | None) -> None:
        if role not in _roles(turn.settings):
            raise RotationError("the value's username is neither of the two roles")
        with _connected(turn, login_of(turn.admin, "the admin's secret"), "as admin") as server:
            verifier: str | None = None
            if password is not None:
                verifier = server.pgconn.encrypt_password(
                    password.encode(), role.encode(), b"scram-sha-256"
                ).decode()
            statement = sql.SQL("ALTER ROLE {} PASSWORD {}").format(
                sql.Identifier(role), sql.Literal(verifier)
            )
            server.execute(statement)


class _connected:  # noqa: N801 - a context manager that reads as a word
    """A connection for a few statements, each committed by itself; what fails is told as ours."""

    def __init__(self, turn: Turn, login: Login, how: str) -> None:
        self._turn, self._login, self._how = turn, login, how

    def __enter__(self) -> "psycopg.Connection[tuple[object, ...]]":
        settings, bounds = self._turn.settings, self._turn.bounds
        host, port = settings["host"], int(settings.get("port", "5432"))
        bounds.allow(host, port)
        seconds = max(2, int(bounds.seconds / 2))
        try:
            self._server = psycopg.connect(
                host=host,
                port=port,
                dbname=settings.get("database", "postgres"),
                user=self._login.username,
                password=self._login.password,
                sslmode=settings.get("sslmode", "verify-full"),
                # A server that is not the right one gets no password to read.
                require_auth="scram-sha-256",
                connect_timeout=seconds,
                options=f"-c statement_timeout={seconds * 1000}",
                application_name="adyton-rotation",
                autocommit=True,
                sslrootcert=settings.get("sslrootcert"),
            )
        except psycopg.Error as error:
            raise _ours(error, self._how) from None
        return self._server

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._server.close()
        if isinstance(error, psycopg.Error):
            raise _ours(error, self._how) from None


def _ours(error: psycopg.Error, how: str) -> RotationError:
    """What went wrong, by its SQLSTATE; the server's text may hold names."""
    state = error.sqlstate or ("28P01" if "password authentication failed" in str(error) else "")
    if state in _WRONG:
        return RotationError(f"PostgreSQL refuses the login {how}")
    if state:
        return RotationError(f"PostgreSQL refuses {how}: SQLSTATE {state}")
    return RotationError(
        f"PostgreSQL can't be reached {how}", hint="Check host, port and sslmode of the policy."
    )


def _roles(settings: Mapping[str, str]) -> tuple[str, str]:
    first, comma, second = needed(settings, "roles").partition(",")
    first, second = first.strip(), second.strip()
    if not comma or not first or not second or first == second or "," in second:
        raise InvalidInput("the setting 'roles' is not two roles", hint="As in 'app_a,app_b'.")
    return first, second
