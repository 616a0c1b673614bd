"""What policies let read of a secret, or of a folder, by any of the paths that lead to it."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from adyton.grantvalues import EVERYTHING
from adyton.service.access.acl import Acl
from adyton.service.access.policy import Capability, Rule
from adyton.service.access.records import Mount
from adyton.service.access.spaces import Space
from adyton.service.access.wrapping import MAX_WRAP_SECONDS
from adyton.service.grants.paths import is_name
from adyton.service.kv import MOUNTS_FOLDER

_READ: Final = Capability.READ
_RARE: Final = "xq7jzwk0549ßñþжλЖѯ☃"
"""Characters one of which, as good as always, begins no segment of some policies."""


class Way(NamedTuple):
    """One way in which policies let something be read.

    Attributes:
        path: The secret that is asked about; in a folder, the pattern of a policy.
        policies: Names of the policies, separated by commas.
        conditions: What must be met besides, in words.
        name: The secret, or one in the folder that can be read so.
        pattern: The policy's pattern, as it is written, with its templates.
    """

    path: str
    policies: str
    conditions: str
    name: str
    pattern: str


class _Door(NamedTuple):
    """Paths that lead to secrets.

    Attributes:
        base: What the paths begin with.
        prefix: What the names begin with, in its place.
        mount: The mount; None for the native API.
    """

    base: str
    prefix: str
    mount: Mount | None


class Reach:
    """Says what policies let read of one path.

    Args:
        space: The namespace.
        path: A secret, a folder with its slash, or ``/``.
        before: What stands before its paths where another namespace's policies name them.
    """

    def __init__(self, space: Space, path: str, before: str = "") -> None:
        self._space = space
        self._before = before
        self.path: Final = path
        self.whole: Final = path.endswith("/")
        self._name = "" if path == EVERYTHING else path
        self._doors = [_Door("adyton/secrets/", "", None)]
        for mount in space.table.engines:
            if mount.type == "kv":
                area = "data/" if (mount.options or {}).get("version") == "2" else ""
                self._doors.append(_Door(mount.path + area, mount.prefix, mount))
        self._known: dict[int, tuple[Acl, list[Way]]] = {}

    def ways(self, acl: Acl) -> list[Way]:
        """The ways that policies open: for a secret the first one, for a folder one a pattern."""
        kept = self._known.get(id(acl))
        if kept is None:  # held along with its ways, so that its id stays its own
            found = list(self._in_folder(acl) if self.whole else self._to_secret(acl))
            if not self.whole:
                found = sorted(found, key=lambda way: bool(way.conditions))[:1]
            kept = self._known[id(acl)] = acl, found
        return kept[1]

    def places(self) -> list[str]:
        """The paths of mounts that lead to the secret, or that all paths in the folder begin with.

        Without what stands before them.
        """
        return [place for door, place in self._starts() if door.mount is not None]

    def every_place(self) -> list[str]:
        """As :meth:`places`, with those of the native API."""
        return [place for _, place in self._starts()]

    def _starts(self) -> Iterator[tuple[_Door, str]]:
        for door in self._doors:
            if self._name.startswith(door.prefix):
                place = door.base + self._name[len(door.prefix) :]
                if self.whole or self._leads(door, place, self._name):
                    yield door, place
            elif self.whole and door.prefix.startswith(self._name):
                yield door, door.base

    def _leads(self, door: _Door, place: str, name: str) -> bool:
        """Whether a path leads through a door to the secret of a name."""
        if not is_name(name) or name.endswith("/"):
            return False
        if door.mount is None:
            return True
        if not door.prefix and name.startswith(MOUNTS_FOLDER):
            return False
        found = self._space.mount_at(place)
        return found is not None and found[1] is door.mount

    def _to_secret(self, acl: Acl) -> Iterator[Way]:
        for door, place in self._starts():
            rule = acl.rule_at(self._before + place, _READ)
            conditions = None if rule is None else _reads(rule, door)
            if rule is not None and conditions is not None:
                yield Way(self.path, acl.named(rule), conditions, self._name, rule.pattern)

    def _in_folder(self, acl: Acl) -> Iterator[Way]:
        rules = [(pattern, rule) for pattern, rule in acl.rules() if _gives(rule)]
        if not rules:
            return
        patterns = [pattern for pattern, _ in acl.rules()]
        depth = max(pattern.count("/") for pattern in patterns) + 1
        begun = {part[:1] for pattern in patterns for part in pattern.split("/")}
        fresh = next((char for char in _RARE if char not in begun), _RARE[0])
        for pattern, rule in rules:
            found = [
                Way(pattern, acl.named(rule), conditions, name, rule.pattern)
                for door, conditions, name in self._seen(acl, pattern, rule, fresh, depth)
            ]
            yield from sorted(found, key=lambda way: bool(way.conditions))[:1]

    def _seen(
        self, acl: Acl, pattern: str, rule: Rule, fresh: str, depth: int
    ) -> Iterator[tuple[_Door, str, str]]:
        """For each door, a secret that a rule, and none that goes before it, lets read."""
        for door, start in self._starts():
            conditions = _reads(rule, door)
            if conditions is None:
                continue
            skipped = len(self._before) + len(door.base)
            for path in _matching(pattern, self._before + start, fresh, depth):
                name = door.prefix + path[skipped:]
                if acl.rule_at(path, _READ) is rule and self._leads(
                    door, path[len(self._before) :], name
                ):
                    yield door, conditions, name
                    break


def _gives(rule: Rule) -> bool:
    return rule.grants and bool(rule.capabilities & _READ)


def _reads(rule: Rule, door: _Door) -> str | None:
    """On which conditions a rule lets a value be read by a door; None if it doesn't."""
    if not _gives(rule) or not rule.parameters.permit({}):
        return None
    least, most = rule.min_wrapping_ttl, rule.max_wrapping_ttl
    if not least and not most:
        return ""
    if door.mount is None or least > MAX_WRAP_SECONDS:
        return None  # answers of the native API are not wrapped
    return f"wrapped, for {max(least, 1)} to {min(most or MAX_WRAP_SECONDS, MAX_WRAP_SECONDS)} s"


def _matching(pattern: str, start: str, fresh: str, depth: int) -> Iterator[str]:
    """Paths below a start that a pattern matches, each unlike all that policies name.

    Args:
        pattern: The pattern.
        start: What the paths begin with; it has a slash at its end.
        fresh: A segment that no pattern begins with.
        depth: How many segments may stand for a ``*``.
    """
    parts = pattern.removesuffix("*").split("/")
    tail = parts.pop() if pattern.endswith("*") else None
    given = start[:-1].split("/")
    for at, segment in enumerate(given):
        if at >= len(parts):
            if tail is not None and segment.startswith(tail):
                yield from (start + "/".join([fresh] * count) for count in range(1, depth + 1))
            return
        if parts[at] != segment and not (parts[at] == "+" and segment):
            return
    rest = [fresh if part == "+" else part for part in parts[len(given) :]]
    if tail is None:
        yield start + "/".join(rest)
        return
    if tail:
        yield start + "/".join([*rest, tail])
    for count in range(depth):
        yield start + "/".join([*rest, tail + fresh, *[fresh] * count])
