"""Which right, on what, a request needs (``docs/spec/grants.md``, section 5).

What is not in here no grant can give.
"""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from adyton.grantvalues import EVERYTHING
from adyton.service.access.policy import Capability
from adyton.service.access.records import Mount
from adyton.service.grants.paths import is_name

READ, LIST, DELETE = Capability.READ, Capability.LIST, Capability.DELETE
PATCH, UPDATE, CREATE = Capability.PATCH, Capability.UPDATE, Capability.CREATE
_WRITE: Final = CREATE | UPDATE | PATCH


class Target(NamedTuple):
    """What is asked for.

    Attributes:
        rights: Rights one of which is needed; none where being a member is enough.
        name: A secret, a folder with its slash, or ``/``.
        partly: Whether a right on anything in the folder is enough, as what is shown or done is
            judged name by name besides.
    """

    rights: tuple[str, ...]
    name: str
    partly: bool = False

    @property
    def once(self) -> bool:
        """Whether it is one thing, which can be counted or approved."""
        return not self.partly and not self.name.endswith("/")

    @property
    def whole(self) -> bool:
        """Whether it is for all that is in a folder, without a look at each name."""
        return not self.partly and self.name.endswith("/")


_Rule = tuple[Capability, tuple[str, ...]]
_VIEW: Final = ("read-metadata",)
_NAMED: Final[dict[str, tuple[_Rule, ...]]] = {
    "secrets": ((READ, ("read",)), (_WRITE, ("write",)), (DELETE, ("delete",))),
    "undelete": ((UPDATE, ("delete",)),),
    "destroy": ((UPDATE, ("delete",)),),
    "rollback": ((UPDATE, ("write",)),),
    "metadata": ((READ, _VIEW), (PATCH, ("write",))),
    "tags": ((PATCH, ("tag",)),),
    "rotation": ((READ, _VIEW), (UPDATE | DELETE, ("write",))),
    "rotation-history": ((READ, _VIEW),),
    "rotation-run": ((UPDATE, ("write",)),),
    "rotation-cancel": ((UPDATE, ("write",)),),
}
"""Of the native API: ``KIND/NAME``."""
_OF_FOLDERS: Final = frozenset({"rotation", "secrets"})
"""Those whose name may be a folder: its policy of rotation, and what is in it."""
_WHOLE: Final[dict[tuple[str, Capability], Target]] = {
    ("audit", READ): Target(("audit",), EVERYTHING, partly=True),
    ("export", UPDATE): Target(("read",), EVERYTHING, partly=True),
    ("import", UPDATE): Target(("write",), EVERYTHING, partly=True),
    ("rotation", LIST): Target(_VIEW, EVERYTHING),
    ("shares/given", LIST): Target(("share",), EVERYTHING),
    ("links", LIST): Target(("share",), EVERYTHING),
    ("links", UPDATE): Target(("share",), EVERYTHING),
    ("holds", LIST): Target(("admin", "audit"), EVERYTHING),
    ("lifecycle", READ): Target(_VIEW, EVERYTHING),
    ("lifecycle/notice", UPDATE): Target(("admin",), EVERYTHING),
    ("lifecycle/retention", UPDATE): Target(("admin",), EVERYTHING),
    ("expiring", LIST): Target(("list",), EVERYTHING, partly=True),
    ("grants", LIST): Target(("admin", "audit"), EVERYTHING, partly=True),
    ("access/requests", LIST): Target((), EVERYTHING, partly=True),
    ("access/requests", UPDATE): Target((), EVERYTHING, partly=True),
}
"""Of the native API: whole paths."""
_BY_BODY: Final = {
    "shares": ("share", "name", ""),
    "grants": ("admin", "path", ""),
    "holds": ("admin", "where", EVERYTHING),
}
"""Of the native API: what is made, by the right, by the member of the body that says where, and by
what it says if it is empty."""
_BEGINNING: Final[tuple[tuple[str, Capability, Target | None], ...]] = (
    ("access/who/", READ, None),
    ("access/explain/", READ, None),
    ("audit/", READ, Target(("audit",), EVERYTHING)),
    ("reports", READ | LIST, Target(("audit",), EVERYTHING)),
    ("shares/given/", DELETE, Target(("share",), EVERYTHING)),
    ("links/", DELETE, Target(("share",), EVERYTHING)),
    ("holds/", DELETE, Target(("admin",), EVERYTHING)),
    ("members", READ | LIST | UPDATE | DELETE, Target(("admin",), EVERYTHING)),
    ("roles", READ | LIST | UPDATE | DELETE, Target(("admin",), EVERYTHING)),
    ("dynamic-connections", READ | LIST | UPDATE | DELETE, Target(("admin",), EVERYTHING)),
    ("dynamic-roles", READ | LIST | UPDATE | DELETE, Target(("admin",), EVERYTHING)),
    ("dynamic-issue/", UPDATE, Target(("admin",), EVERYTHING)),
    ("leases", READ | LIST | UPDATE, Target(("admin",), EVERYTHING)),
    ("lease-", UPDATE, Target(("admin",), EVERYTHING)),
    ("access/requests/", UPDATE | DELETE, Target((), EVERYTHING, partly=True)),
)
"""Of the native API: paths that begin so; where no target is named, the rest of the path is it."""
_KV2: Final[dict[str, tuple[_Rule, ...]]] = {
    "data": ((READ, ("read",)), (_WRITE, ("write",)), (DELETE, ("delete",))),
    "subkeys": ((READ, ("read",)),),
    "metadata": ((READ, _VIEW), (_WRITE, ("write",)), (DELETE, ("delete",))),
    "delete": ((UPDATE, ("delete",)),),
    "undelete": ((UPDATE, ("delete",)),),
    "destroy": ((UPDATE, ("delete",)),),
}
"""Of version 2 of the key/value engine: ``AREA/PATH`` under the mount."""

MountAt = Callable[[str], tuple[str, Mount] | None]
PathOf = Callable[[str], str | None]


def target_of(
    path: str,
    operation: Capability,
    body: Mapping[str, object] | None,
    mount_at: MountAt,
    path_of_grant: PathOf,
) -> Target | None:
    """What a request on a path of the policies needs; None for what no grant can give.

    Args:
        path: The path, as policies name it.
        operation: What is asked.
        body: The body's members, where the path does not name what it is about.
        mount_at: Finds the mount that serves a path.
        path_of_grant: The path of a grant, by its id.
    """
    if not operation:
        return None
    if path.startswith("adyton/"):
        found = _native(path[7:], operation, body or {}, path_of_grant)
    else:
        place = mount_at(path)
        if place is None or place[1].type != "kv":
            return None
        found = _kv(path[len(place[0]) :], operation, place[1])
    return found if found is not None and is_name(found.name) else None


def _native(
    path: str, operation: Capability, body: Mapping[str, object], path_of_grant: PathOf
) -> Target | None:
    whole = _WHOLE.get((path, operation))
    if whole is not None:
        return whole
    kind, _, name = path.partition("/")
    if kind in _BY_BODY and not name:
        right, member, empty = _BY_BODY[kind]
        return Target((right,), str(body.get(member) or empty)) if operation is UPDATE else None
    if kind == "grants":
        found = path_of_grant(name)
        return None if found is None else Target(("admin",), found)
    if kind == "secrets" and operation is LIST:
        return Target(("list",), name or EVERYTHING, partly=True)
    for start, operations, target in _BEGINNING:
        if path.startswith(start) and not operation & ~operations:
            return target or Target(("admin", "audit"), path[len(start) :] or EVERYTHING)
    return _named(_NAMED.get(kind, ()), operation, name, folders=kind in _OF_FOLDERS)


def _kv(rest: str, operation: Capability, mount: Mount) -> Target | None:
    if (mount.options or {}).get("version") != "2":
        if operation is LIST:
            return _folder(mount, rest)
        return _named(_NAMED["secrets"], operation, mount.prefix + rest)
    area, _, path = rest.partition("/")
    if area == "metadata" and operation is LIST:
        return _folder(mount, path)
    return _named(_KV2.get(area, ()), operation, mount.prefix + path) if path else None


def _folder(mount: Mount, path: str) -> Target:
    folder = path.rstrip("/")
    name = f"{mount.prefix}{folder}/" if folder else mount.prefix or EVERYTHING
    return Target(("list",), name, partly=True)


def _named(
    rules: tuple[_Rule, ...], operation: Capability, name: str, *, folders: bool = False
) -> Target | None:
    if not name or (name.endswith("/") and not folders):
        return None
    for operations, rights in rules:
        if not operation & ~operations:
            return Target(rights, name)
    return None
