"""What the policies of one token allow together.

Of all patterns that match a path the most specific one alone decides; rules for the same pattern
add up, and deny wins among them. Nothing matches, nothing is allowed.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from adyton.service.access._patterns import filled
from adyton.service.access._tree import PatternTree
from adyton.service.access.policy import ROOT_NAME, Capability, Policy, Rule

_WITH_PARAMETERS: Final = Capability.READ | Capability.CREATE | Capability.UPDATE | Capability.PATCH
_NO_VALUES: Final[Mapping[str, str]] = {}


class Acl:
    """Decides, and never changes; a caller may keep its answers.

    Paths are compared as they are: the caller brings them to their one canonical form first.

    Args:
        policies: The token's policies. One of the name "root" allows everything.
        values: What templates stand for, by name ("identity.entity.id"). A rule whose template has
            no value, or one that would widen the pattern, is left out.
    """

    __slots__ = ("_exact", "_names", "_tree", "root")

    root: Final[bool]

    def __init__(self, policies: Iterable[Policy], values: Mapping[str, str] = _NO_VALUES) -> None:
        rules: dict[str, Rule] = {}
        names: dict[str, str] = {}
        root = False
        for policy in policies:
            root = root or policy.name == ROOT_NAME
            for rule in policy.rules:
                pattern = filled(rule.pattern, values)
                if pattern is not None:
                    known = rules.get(pattern)
                    rules[pattern] = known.merged(rule) if known else rule
                    names[pattern] = f"{names[pattern]},{policy.name}" if known else policy.name
        self.root = root
        # Rules hold tables and have no hash; those in here live as long as this does.
        self._names: Final = {id(rule): names[pattern] for pattern, rule in rules.items()}
        self._exact: Final[dict[str, Rule]] = {}
        self._tree: Final = PatternTree()
        for pattern, rule in rules.items():
            if pattern.endswith("*") or "+" in pattern.split("/"):
                self._tree.add(pattern, rule)
            else:
                self._exact[pattern] = rule

    def capabilities(self, path: str) -> list[str]:
        """What may be done to a path, by name, sorted; ["root"] or ["deny"] where it is that."""
        if self.root:
            return ["root"]
        rule = self._lookup(path, listing=True)
        if rule is None or not rule.grants:
            return ["deny"]
        return sorted(str(capability.name).lower() for capability in rule.capabilities)

    def allows(
        self,
        path: str,
        operation: Capability,
        *,
        body: Mapping[str, object] | None = None,
        wrap_ttl: int | None = None,
    ) -> bool:
        """Whether an operation may be done; see :meth:`decision`."""
        return bool(self.decision(path, operation, body=body, wrap_ttl=wrap_ttl))

    def denies(self, path: str, operation: Capability) -> bool:
        """Whether the rule that decides says deny, which is more than that none grants."""
        rule = None if self.root else self._lookup(path, listing=Capability.LIST in operation)
        return rule is not None and Capability.DENY in rule.capabilities

    def rule_at(self, path: str, operation: Capability) -> Rule | None:
        """The rule that decides on an operation, if there is one."""
        listing = Capability.LIST in operation
        if listing and path and not path.endswith("/"):
            path += "/"
        return self._lookup(path, listing=listing)

    def rules(self) -> Iterator[tuple[str, Rule]]:
        """All rules, by their patterns as paths are held against them: with templates replaced."""
        yield from self._exact.items()
        yield from self._tree.rules()

    def named(self, rule: Rule) -> str:
        """The policies whose rules add up to one of these, separated by commas."""
        return self._names[id(rule)]

    def refusal(self, path: str, operation: Capability) -> str:
        """What refuses an operation: ``deny:`` and the policies that decide, or ``deny``."""
        rule = self._lookup(path, listing=Capability.LIST in operation)
        return "deny" if rule is None else f"deny:{self._names[id(rule)]}"

    def decision(
        self,
        path: str,
        operation: Capability,
        *,
        body: Mapping[str, object] | None = None,
        wrap_ttl: int | None = None,
    ) -> str:
        """What allows an operation, as audit records name it; empty where nothing does.

        ``root``, or ``allow:`` and the names of the policies whose rules for the deciding pattern
        add up.

        Args:
            path: The canonical path, without leading slash.
            operation: What is asked; of several capabilities all are needed. SUDO, where a path
                demands it, is asked by itself or along with the operation.
            body: The request's parameters.
            wrap_ttl: Seconds for which the response is to be wrapped; None if it is not.
        """
        if self.root:
            return ROOT_NAME
        listing = Capability.LIST in operation
        if listing and path and not path.endswith("/"):
            path += "/"  # to list a path is to list the folder of that name
        rule = self._lookup(path, listing=listing)
        if rule is None or not rule.grants or not operation or operation & ~rule.capabilities:
            return ""
        # With sudo by itself, parameters and wrapping were judged with the operation.
        if operation != Capability.SUDO:
            if not _may_wrap(rule, wrap_ttl):
                return ""
            if operation & _WITH_PARAMETERS and not rule.parameters.permit(body or {}):
                return ""
        return f"allow:{self._names[id(rule)]}"

    def any_under(self, prefix: str) -> bool:
        """Whether a rule grants anything on some path that begins with this (a mount's) prefix."""
        if self.root:
            return True
        rule = self._lookup(prefix, listing=True)
        if rule is not None and rule.grants:
            return True
        if any(rule.grants and path.startswith(prefix) for path, rule in self._exact.items()):
            return True
        return self._tree.grants_under(prefix)

    def covers(self, folder: str, operation: Capability) -> bool:
        """Whether an operation may be done on all that is in a folder, or comes into it later.

        Args:
            folder: The folder's path, with its slash.
            operation: What is asked.
        """
        cover, others = (None, []) if self.root else self._inside(folder)
        return self.root or (cover is not None and all(map(_gives(operation), (cover, *others))))

    def denies_inside(self, folder: str) -> bool:
        """Whether a rule says deny of anything in a folder, or that comes into it later."""
        cover, others = (None, []) if self.root else self._inside(folder)
        return any(one is not None and Capability.DENY in one.capabilities
                   for one in (cover, *others))  # fmt: skip

    def _inside(self, folder: str) -> tuple[Rule | None, list[Rule]]:
        """The rule that decides wherever no other one does in a folder, and the others."""
        cover, others = self._tree.under(folder)
        exact = [
            rule for path, rule in self._exact.items() if path.startswith(folder) and path != folder
        ]
        return cover, others + exact

    def _lookup(self, path: str, *, listing: bool) -> Rule | None:
        """The rule that decides; to list, a path's form without the slash counts as well."""
        folder = path.removesuffix("/") if listing else path
        return (
            self._exact.get(path)
            or self._exact.get(folder)
            or self._tree.best(path)
            or (self._tree.best(folder) if folder != path else None)
        )


def _gives(operation: Capability) -> Callable[[Rule], bool]:
    def gives(rule: Rule) -> bool:
        return (
            rule.grants
            and not operation & ~rule.capabilities
            and _may_wrap(rule, None)
            and rule.parameters.permit({})
        )

    return gives


def _may_wrap(rule: Rule, wrap_ttl: int | None) -> bool:
    least, most = rule.min_wrapping_ttl, rule.max_wrapping_ttl
    if not least and not most:
        return True
    return wrap_ttl is not None and least <= wrap_ttl and (not most or wrap_ttl <= most)
