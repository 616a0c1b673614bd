"""Two roles of PostgreSQL that take turns.

A role has one password, so one role alone can't have a former and a new one: whoever read the
former value just before the change would be refused. Two roles with the same rights take turns
instead: the one that is not in use gets a new password, is tested, and is promoted; the other one
loses its password when the grace period is over.
"""

from collections.abc import Callable, Mapping

from psycopg import sql

from adyton.errors import InvalidInput, RotationError
from adyton.rotating import Generated, Turn, known, needed
from adyton.rotators._login import Login, login_of, made
from adyton.rotators._postgres import SETTINGS, Connected, check_settings, verifier


class PostgresqlRotator:
    """Alternates between two roles (``rotating.Rotator``)."""

    def check(self, settings: Mapping[str, str], *, admin: bool) -> None:
        """Check the settings; an admin is needed.

        Raises:
            InvalidInput: They can't be used.
        """
        known(settings, "roles", *SETTINGS)
        _roles(settings)
        check_settings(settings, "rotator", admin=admin)

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
            kept = None if password is None else verifier(server, role, password)
            statement = sql.SQL("ALTER ROLE {} PASSWORD {}").format(
                sql.Identifier(role), sql.Literal(kept)
            )
            server.execute(statement)


def _roles(settings: Mapping[str, str]) -> tuple[str, str]:
    first, comma, second = needed(settings, "roles").partition(",")
    first, second = first.strip(), second.strip()
    if not comma or not first or not second or first == second or "," in second:
        raise InvalidInput("the setting 'roles' is not two roles", hint="As in 'app_a,app_b'.")
    return first, second


def _connected(turn: Turn, login: Login, how: str) -> Connected:
    return Connected(turn.settings, turn.bounds, login, how)
