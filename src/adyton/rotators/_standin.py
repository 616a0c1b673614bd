"""The second login of a single role of PostgreSQL: a member that stands in for it.

It acts as the role from its first statement on (the setting ``role``), so what it makes is the
role's, and it has the role's settings, which PostgreSQL does not inherit. It stays between
rotations, without a password: sessions that it opened would fail if it were dropped.
"""

from typing import Final

from psycopg import sql

from adyton.errors import InvalidInput, RotationError
from adyton.rotators._postgres import Server

_SUFFIX: Final = "-adyton"
_MOST: Final = 63  # of a name in PostgreSQL, bytes; longer ones are cut off
_THERE: Final = """
    SELECT other.oid IS NOT NULL,
           EXISTS (SELECT FROM pg_auth_members AS m
                   WHERE m.member = other.oid AND m.roleid = role.oid)
    FROM pg_roles AS role LEFT JOIN pg_roles AS other ON other.rolname = %s
    WHERE role.rolname = %s"""
_SETTINGS: Final = """
    SELECT db.datname, entry.text
    FROM pg_db_role_setting AS s JOIN pg_roles AS r ON r.oid = s.setrole
         LEFT JOIN pg_database AS db ON db.oid = s.setdatabase
         CROSS JOIN unnest(s.setconfig) AS entry(text)
    WHERE r.rolname = %s"""
_NOT_SET: Final = frozenset({"role", "session_authorization"})
"""What the admin's own session can't take on for a moment: it would be the admin no more."""


def name_of(role: str) -> str:
    """The name of a role's stand-in.

    Raises:
        InvalidInput: It would be longer than PostgreSQL's names are.
    """
    name = role + _SUFFIX
    if len(name.encode()) > _MOST:
        raise InvalidInput(
            f"the role has a name of more than {_MOST - len(_SUFFIX)} bytes",
            hint=f"Its second login is called so, with '{_SUFFIX}' behind.",
        )
    return name


def is_member(server: Server, role: str, name: str) -> bool:
    """Whether what is called as the stand-in is a member of the role."""
    found = server.execute(_THERE, (name, role)).fetchone()
    return found is not None and bool(found[1])


def prepare(server: Server, role: str, name: str, kept: str) -> None:
    """Make the stand-in, or give it a new password, and the role's settings as they are now.

    Args:
        server: A connection as admin.
        role: The role.
        name: Its stand-in.
        kept: The verifier of the password.

    Raises:
        RotationError: There is no such role, or the stand-in's name is another's.
    """
    who = sql.Identifier(name)
    with server.transaction():
        found = server.execute(_THERE, (name, role)).fetchone()
        if found is None:
            raise RotationError("there is no such role in PostgreSQL")
        there, member = found
        if there and not member:
            raise RotationError(
                "the name of the second login is another's: a role that is no member",
                hint=f"Rename the role that is called as the policy's, with '{_SUFFIX}' behind.",
            )
        how = "ALTER ROLE {} LOGIN PASSWORD {}" if there else "CREATE ROLE {} LOGIN PASSWORD {}"
        server.execute(sql.SQL(how).format(who, sql.Literal(kept)))
        if not there:
            server.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(role), who))
        _copy_settings(server, role, name)


def _copy_settings(server: Server, role: str, name: str) -> None:
    who = sql.Identifier(name)
    for database in {row[0] for row in server.execute(_SETTINGS, (name,)).fetchall()}:
        server.execute(sql.SQL("ALTER ROLE {} {}RESET ALL").format(who, _within(database)))
    server.execute(sql.SQL("ALTER ROLE {} SET role = {}").format(who, sql.Literal(role)))
    for database, entry in server.execute(_SETTINGS, (role,)).fetchall():
        setting, _, value = str(entry).partition("=")
        where, what = _within(database), sql.Identifier(*setting.split("."))
        if setting in _NOT_SET:
            put = sql.SQL("ALTER ROLE {} {}SET {} = {}")
            server.execute(put.format(who, where, what, sql.Literal(value)))
            continue
        # A value is kept as PostgreSQL has read it; lists (search_path) can't be written back
        # as a literal. So it is set for a moment, and taken from there.
        moment = "SELECT current_setting(%s, true), set_config(%s, %s, true)"
        before = server.execute(moment, (setting, setting, value)).fetchone()
        put = sql.SQL("ALTER ROLE {} {}SET {} FROM CURRENT")
        server.execute(put.format(who, where, what))
        server.execute("SELECT set_config(%s, %s, true)", (setting, before and before[0]))


def _within(database: object) -> sql.Composable:
    if database is None:
        return sql.SQL("")
    return sql.SQL("IN DATABASE {} ").format(sql.Identifier(str(database)))
