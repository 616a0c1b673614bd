"""The mounts of a namespace: those that every one begins with, and those that are stored."""

from adyton.service.access.records import Mount, MountTable
from adyton.service.core import Core


def first_table(core: Core, user: str) -> MountTable:
    """The mounts that every namespace begins with."""
    return MountTable(
        engines=[
            _built_in(core, user, "cubbyhole/", "cubbyhole", "per-token private secret storage"),
            _identity(core, user),
            _built_in(core, user, "secret/", "kv", "key/value secret storage"),
            _built_in(core, user, "sys/", "system", "system endpoints"),
        ],
        logins=[_built_in(core, user, "token/", "token", "token based credentials")],
    )


def whole_table(core: Core, user: str, table: MountTable | None) -> MountTable:
    """A stored table with what has become built in since it was written."""
    if table is None:
        return first_table(core, user)
    if not any(mount.path == "identity/" for mount in table.engines):
        table.engines.append(_identity(core, user))
        table.engines.sort(key=lambda one: one.path)
    return table


def _identity(core: Core, user: str) -> Mount:
    return _built_in(core, user, "identity/", "identity", "identity store")


def _built_in(core: Core, user: str, path: str, kind: str, description: str) -> Mount:
    # Stable without being stored; keyed, so that it tells nothing of the user.
    digest = core.ring.user_index(f"\x00mount\x00{user}\x00{kind}\x00{path}").hex()
    uuid = f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:]:0<12}"
    options = {"version": "2"} if kind == "kv" else None
    return Mount(path, kind, f"{kind}_{digest[:8]}", uuid, description, options)
