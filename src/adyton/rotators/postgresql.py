"""Logins of PostgreSQL: two that take turns.

A role has one password, so one login alone can't have a former and a new one: whoever read the
former value just before the change would be refused. Two logins with the same rights take turns
instead: the one that is not in use gets a new password, is tested, and is promoted; the other one
loses its password when the grace period is over.

The mode ``alternating`` takes two roles that are there. The mode ``single`` takes one, and makes
the other: a member of it, which acts as it (``_standin``).
"""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from psycopg import sql

from adyton.errors import InvalidInput, RotationError
from adyton.rotating import Generated, Turn, known, needed
from adyton.rotators import _standin
from adyton.rotators._login import Login, login_of, made
from adyton.rotators._postgres import SETTINGS, Connected, check_settings, verifier

_ALTERNATING: Final = "alternating"
_SINGLE: Final = "single"


class PostgresqlRotator:
    """Alternates between two logins (``rotating.Rotator``)."""

    def check(self, settings: Mapping[str, str], *, admin: bool) -> None:
        """Check the settings; an admin is needed.

        Raises:
            InvalidInput: They can't be used.
        """
        known(settings, "mode", "roles", "role", *SETTINGS)
        _pair(settings)
        check_settings(settings, "rotator", admin=admin)

    def create(self, turn: Turn, generate: Callable[[], Generated]) -> Generated:
        """A new password for the login that is not in use."""
        pair = _pair(turn.settings)
        used = "" if turn.former is None else login_of(turn.former, "the secret").username
        if used not in {"", pair.first, pair.second}:
            raise RotationError("the secret's username is none that the policy rotates")
        return made(pair.second if used == pair.first else pair.first, generate)

    def set(self, turn: Turn) -> None:
        """Give the login its new password; a stand-in that is not there is made."""
        new = login_of(turn.new, "the new value")
        pair = _pair(turn.settings)
        with self._admin(turn, pair, new.username) as server:
            kept = verifier(server, new.username, new.password)
            if pair.single and new.username == pair.second:
                _standin.prepare(server, pair.first, pair.second, kept)
            else:
                server.execute(_ALTER.format(sql.Identifier(new.username), sql.Literal(kept)))

    def test(self, turn: Turn) -> None:
        """Log in with the new value."""
        with _connected(turn, login_of(turn.new, "the new value"), "with the new value") as server:
            server.execute("SELECT 1")

    def retire(self, turn: Turn) -> None:
        """Take the former login's password away; sessions that it has open live on."""
        if turn.former is not None:
            self._close(turn, login_of(turn.former, "the former value").username)

    def undo(self, turn: Turn) -> None:
        """Take the new password away, if the login is one that could have been given it."""
        self._close(turn, login_of(turn.new, "the new value").username, undone=True)

    def _close(self, turn: Turn, role: str, *, undone: bool = False) -> None:
        pair = _pair(turn.settings)
        with self._admin(turn, pair, role) as server:
            there = server.execute("SELECT FROM pg_roles WHERE rolname = %s", (role,)).fetchone()
            ours = not (undone and pair.single and role == pair.second) or _standin.is_member(
                server, pair.first, role
            )
            # One that was never made, or is dropped, lets nobody in either.
            if there is not None and ours:
                server.execute(_ALTER.format(sql.Identifier(role), sql.Literal(None)))

    def _admin(self, turn: Turn, pair: "_Pair", role: str) -> Connected:
        """A connection as admin, to change one of the two roles and no other."""
        if role not in {pair.first, pair.second}:
            raise RotationError("the value's username is none that the policy rotates")
        return _connected(turn, login_of(turn.admin, "the admin's secret"), "as admin")


_ALTER: Final = sql.SQL("ALTER ROLE {} PASSWORD {}")


class _Pair(NamedTuple):
    first: str
    second: str
    single: bool


def _pair(settings: Mapping[str, str]) -> _Pair:
    mode = settings.get("mode", _ALTERNATING)
    if mode not in {_ALTERNATING, _SINGLE}:
        raise InvalidInput(f"the setting 'mode' is none of {_ALTERNATING}, {_SINGLE}")
    single = mode == _SINGLE
    if ("roles" if single else "role") in settings:
        raise InvalidInput(
            f"the mode '{mode}' takes the setting '{'role' if single else 'roles'}'",
            hint="As in 'mode=single' with 'role=app', or 'roles=app_a,app_b'.",
        )
    if single:
        role = needed(settings, "role")
        return _Pair(role, _standin.name_of(role), single=True)
    first, comma, second = needed(settings, "roles").partition(",")
    first, second = first.strip(), second.strip()
    if not comma or not first or not second or first == second or "," in second:
        raise InvalidInput(
            "the setting 'roles' is not two roles",
            hint="As in 'app_a,app_b'; for one role there is the mode 'single'.",
        )
    return _Pair(first, second, single=False)


def _connected(turn: Turn, login: Login, how: str) -> Connected:
    return Connected(turn.settings, turn.bounds, login, how)
