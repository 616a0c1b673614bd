"""Connecting to PostgreSQL, for rotators and issuers."""

import time
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Final

import psycopg

from adyton.errors import InvalidInput, LeaseError, RotationError
from adyton.rotating import Bounds, number, one_host
from adyton.rotators._bounded import ending_socket, is_file
from adyton.rotators._login import Login

SETTINGS: Final = ("host", "port", "database", "sslmode", "sslrootcert")
"""What says where a database is."""
_TLS: Final = ("disable", "prefer", "require", "verify-ca", "verify-full")
_WRONG: Final = frozenset({"28P01", "28000"})
Server = psycopg.Connection[tuple[object, ...]]


def check_settings(settings: Mapping[str, str], what: str, *, admin: bool) -> None:
    """Check the settings of a place, and that somebody may be logged in as.

    Raises:
        InvalidInput: They can't be used.
    """
    one_host(settings, sockets=True)
    number(settings, "port", 5432, 1, 65535)
    if settings.get("sslmode", "verify-full") not in _TLS:
        raise InvalidInput(f"the setting 'sslmode' is none of {', '.join(_TLS)}")
    if not admin:
        raise InvalidInput(
            f"the {what} 'postgresql' needs a secret that lets it in",
            hint="Name it as admin: a JSON object with 'username' and 'password'.",
        )


class Connected:
    """A connection for a few statements, each committed by itself; what fails is told as ours.

    Args:
        settings: Where.
        bounds: What may be connected to, and how long it may take.
        login: As whom.
        how: Names the login in errors.
        fails: The class of errors.
    """

    def __init__(
        self,
        settings: Mapping[str, str],
        bounds: Bounds,
        login: Login,
        how: str,
        fails: type[RotationError] | type[LeaseError] = RotationError,
    ) -> None:
        self._settings, self._bounds, self._login = settings, bounds, login
        self._how, self._fails = how, fails

    def __enter__(self) -> Server:
        settings, bounds = self._settings, self._bounds
        host, port = settings["host"], int(settings.get("port", "5432"))
        try:
            bounds.allow(host, port)
        except RotationError as error:
            raise self._fails(error.message, hint=error.hint) from None
        if not is_file(settings.get("sslrootcert")):
            raise self._unreachable()
        seconds = max(2, int(bounds.seconds / 2))
        ends = time.monotonic() + bounds.seconds
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
            raise self._ours(error) from None
        # The limit on statements is the server's to keep; this one is ours.
        self._bounded = ExitStack()
        left = ends - time.monotonic()
        self._bounded.enter_context(ending_socket(left, self._server.fileno()))
        return self._server

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._bounded.close()
        self._server.close()
        if isinstance(error, psycopg.Error):
            raise self._ours(error) from None

    def _ours(self, error: psycopg.Error) -> RotationError | LeaseError:
        """What went wrong, by its SQLSTATE; the server's text may hold names."""
        how, fails = self._how, self._fails
        state = error.sqlstate or (
            "28P01" if "password authentication failed" in str(error) else ""
        )
        if state in _WRONG:
            return fails(f"PostgreSQL refuses the login {how}")
        if state:
            return fails(f"PostgreSQL refuses {how}: SQLSTATE {state}")
        return self._unreachable()

    def _unreachable(self) -> RotationError | LeaseError:
        return self._fails(
            f"PostgreSQL can't be reached {self._how}", hint="Check host, port and sslmode."
        )


def verifier(server: Server, role: str, password: str) -> str:
    """The SCRAM-SHA-256 verifier of a password (RFC 5802, RFC 7677).

    It is made here, so that no statement, and so no log of the server, ever holds a password.
    """
    made = server.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256")
    return made.decode()
