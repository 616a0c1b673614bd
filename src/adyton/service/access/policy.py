"""Access policies: what their text means, rule by rule.

The language is that of Vault and OpenBao ACL policies. What can't be enforced here is refused and
never skipped: an unknown setting might have been a restriction.
"""

import enum
import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from adyton.errors import InvalidDocument
from adyton.service.access import _patterns
from adyton.service.access._document import Members, Statement, statements
from adyton.service.access._parameters import Parameters, Table, Values, frozen

MAX_RULES: Final = 1000
ROOT_NAME: Final = "root"
MAX_TTL_SECONDS: Final = 100 * 366 * 86_400


class Capability(enum.IntFlag):
    """What may be done to a path. DENY beats every other."""

    CREATE = 1
    READ = 2
    UPDATE = 4
    PATCH = 8
    DELETE = 16
    LIST = 32
    SUDO = 64
    DENY = 128


_UNCONSTRAINED: Final = Parameters()


@dataclass(frozen=True, slots=True)
class Rule:
    """What a policy says about one pattern.

    Attributes:
        pattern: The path pattern, without leading slash, templates still in it.
        capabilities: What is granted, or DENY alone.
        parameters: Constraints on the request's parameters.
        min_wrapping_ttl: Least time to live of a wrapped response, in seconds; 0 for no bound.
        max_wrapping_ttl: Greatest one; 0 for no bound.
    """

    pattern: str
    capabilities: Capability
    parameters: Parameters = _UNCONSTRAINED
    min_wrapping_ttl: int = 0
    max_wrapping_ttl: int = 0

    @property
    def grants(self) -> bool:
        """Whether it grants anything."""
        return bool(self.capabilities) and Capability.DENY not in self.capabilities

    def merged(self, other: "Rule") -> "Rule":
        """What two rules for this pattern say together: all capabilities, and the shorter times."""
        if Capability.DENY in self.capabilities | other.capabilities:
            return Rule(self.pattern, Capability.DENY)
        return Rule(
            self.pattern,
            self.capabilities | other.capabilities,
            self.parameters.merged(other.parameters),
            _least(self.min_wrapping_ttl, other.min_wrapping_ttl),
            _least(self.max_wrapping_ttl, other.max_wrapping_ttl),
        )


def _least(first: int, second: int) -> int:
    return min(first, second) if first and second else first or second


@dataclass(frozen=True, slots=True)
class Policy:
    """A named set of rules, one for each pattern, in the order of the text."""

    name: str
    rules: tuple[Rule, ...]


ROOT: Final = Policy(ROOT_NAME, ())
"""The policy that allows everything; it can't be written as text."""


def policy_names(names: Iterable[str]) -> list[str]:
    """Names of policies in their one canonical form: lower case, no space around, each once.

    What has ``root`` needs no other.
    """
    found = {name.strip().lower() for name in names} - {""}
    return [ROOT_NAME] if ROOT_NAME in found else sorted(found)


def parse_policy(name: str, text: str) -> Policy:
    """Read a policy from HCL or JSON.

    Raises:
        InvalidDocument: The text breaks a rule of the language or a limit; what, and where.
    """
    if name == ROOT_NAME:
        raise InvalidDocument("the policy 'root' has no text", hint="Choose another name.")
    rules: dict[str, Rule] = {}
    for count, statement in enumerate(statements(text), start=1):
        if count > MAX_RULES:
            raise InvalidDocument(
                f"the policy has more than {MAX_RULES} path blocks",
                hint="Split it into several policies.",
            )
        rule = _rule(statement)
        known = rules.get(rule.pattern)
        rules[rule.pattern] = known.merged(rule) if known else rule
    return Policy(name, tuple(rules.values()))


_KEYS: Final = (
    "capabilities",
    "policy",
    "allowed_parameters",
    "denied_parameters",
    "required_parameters",
    "min_wrapping_ttl",
    "max_wrapping_ttl",
    "comment",
)


def _rule(statement: Statement) -> Rule:
    pattern = _patterns.checked(statement.path)
    where = f"path {statement.path!r}"
    settings: dict[str, object] = {}
    for key, value in statement.body.items:
        if key not in _KEYS:
            raise InvalidDocument(
                f"{where} has the unknown key {key!r}", hint=f"Known: {', '.join(_KEYS)}."
            )
        if key in settings:
            raise InvalidDocument(f"{where} has {key!r} twice", hint="Keep one of them.")
        settings[key] = value
    granted = _capabilities(settings.get("capabilities", []), where)
    if "policy" in settings:
        granted |= _shorthand(settings["policy"], where)
    parameters = Parameters(
        allowed=_table(settings.get("allowed_parameters", Members(())), where),
        denied=_table(settings.get("denied_parameters", Members(())), where),
        required=frozenset(
            name.lower() for name in _texts(settings.get("required_parameters", []), where)
        ),
    )
    least = _seconds(settings.get("min_wrapping_ttl", 0), where)
    most = _seconds(settings.get("max_wrapping_ttl", 0), where)
    if 0 < most < least:
        raise InvalidDocument(
            f"{where} has a max_wrapping_ttl below its min_wrapping_ttl", hint="Swap them."
        )
    if Capability.DENY in granted:
        return Rule(pattern, Capability.DENY)
    return Rule(pattern, granted, parameters, least, most)


_BY_NAME: Final = {str(capability.name).lower(): capability for capability in Capability}
_READ: Final = Capability.READ | Capability.LIST
_WRITE: Final = _READ | Capability.CREATE | Capability.UPDATE | Capability.DELETE
_SHORTHANDS: Final = {
    "read": _READ,
    "write": _WRITE,
    "deny": Capability.DENY,
    "sudo": _WRITE | Capability.SUDO,
}


def _capabilities(value: object, where: str) -> Capability:
    granted = Capability(0)
    for name in _texts(value, where):
        if name not in _BY_NAME:
            raise InvalidDocument(
                f"{where} has the unknown capability {name!r}",
                hint=f"Known: {', '.join(_BY_NAME)}.",
            )
        granted |= _BY_NAME[name]
    return granted


def _shorthand(value: object, where: str) -> Capability:
    if not isinstance(value, str) or value not in _SHORTHANDS:
        raise InvalidDocument(
            f"{where} has an unknown 'policy'", hint=f"Known: {', '.join(_SHORTHANDS)}."
        )
    return _SHORTHANDS[value]


def _texts(value: object, where: str) -> list[str]:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return value
    raise InvalidDocument(
        f"{where} has capabilities or required_parameters that are not a list of strings",
        hint='Write a list, as in ["read", "list"].',
    )


def _table(value: object, where: str) -> Table:
    hint = 'Write a map of lists, as in { "ttl" = ["1h", "2h"], "name" = [] }.'
    if not isinstance(value, Members):
        raise InvalidDocument(f"{where} has parameters that are not a map", hint=hint)
    table: dict[str, Values] = {}
    for key, items in value.items:
        name = key.lower()
        values = frozen(items) if isinstance(items, list) else None
        if values is None:
            raise InvalidDocument(
                f"{where}, parameter {key!r}: not a list of strings, numbers, booleans and lists",
                hint=hint,
            )
        if name in table:
            raise InvalidDocument(f"{where} has the parameter {key!r} twice", hint="Merge them.")
        table[name] = values
    return MappingProxyType(table)


_DURATION: Final = re.compile(r"(?:[0-9]{1,12}(?:\.[0-9]{1,9})?(?:ms|[smhd]))+")
_PART: Final = re.compile(r"([0-9.]+)(ms|[smhd])")
_UNITS: Final = {
    "ms": Decimal("0.001"),
    "s": Decimal(1),
    "m": Decimal(60),
    "h": Decimal(3600),
    "d": Decimal(86_400),
}


def _seconds(value: object, where: str) -> int:
    """A time to live: whole seconds as a number or digits, or a duration as Go writes it."""
    seconds: Decimal | None = None
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if isinstance(value, str) and re.fullmatch("[0-9]{1,12}", value):
        seconds = Decimal(value)
    elif isinstance(value, str) and len(value) <= 64 and _DURATION.fullmatch(value):
        seconds = sum((Decimal(n) * _UNITS[unit] for n, unit in _PART.findall(value)), Decimal(0))
    if seconds is None or not 0 <= seconds <= MAX_TTL_SECONDS or seconds != int(seconds):
        # A part of a second would round to a bound that was not written, and 0 is no bound.
        raise InvalidDocument(
            f"{where} has a wrapping TTL that is not a whole number of seconds in 100 years",
            hint='Write seconds, as in 90, or a duration, as in "1h30m".',
        )
    return int(seconds)
