"""What a rule demands of a request's parameters, and how several rules' demands add up."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, TypeAlias

Scalar: TypeAlias = str | int | float | bool | None
Values: TypeAlias = tuple["Scalar | tuple[object, ...]", ...]
Table: TypeAlias = Mapping[str, Values]

_ANY: Final = "*"
_NOTHING: Final[Table] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Parameters:
    """Constraints on the parameters of a request. Keys are lower case, as they are compared.

    Attributes:
        allowed: Parameters that may be given, with the values they may have; no values means any
            value, the key ``*`` any other parameter. Empty: all may be given.
        denied: Parameters that may not be given, or not with these values; the key ``*`` is every
            parameter.
        required: Parameters that must be given.
    """

    allowed: Table = field(default_factory=lambda: _NOTHING)
    denied: Table = field(default_factory=lambda: _NOTHING)
    required: frozenset[str] = frozenset()

    def merged(self, other: "Parameters") -> "Parameters":
        """The constraints of two rules for the same pattern."""
        return Parameters(
            allowed=_merged(self.allowed, other.allowed),
            denied=_merged(self.denied, other.denied),
            required=self.required | other.required,
        )

    def permit(self, body: Mapping[str, object]) -> bool:
        """Whether a request with these parameters may pass."""
        if not self.required <= body.keys():
            return False
        if body and _ANY in self.denied:
            return False
        others = not self.allowed or _ANY in self.allowed
        for name, value in body.items():
            key = name.lower()
            if key in self.denied and _is_in(value, self.denied[key]):
                return False
            if key in self.allowed:
                if not _is_in(value, self.allowed[key]):
                    return False
            elif not others:
                return False
        return True


def _merged(first: Table, second: Table) -> Table:
    table = dict(first)
    for key, values in second.items():
        known = table.get(key)
        # No values means every value, and that holds whatever the other rule lists.
        table[key] = () if known == () or not values else (*(known or ()), *values)
    return MappingProxyType(table)


def _is_in(value: object, values: Values) -> bool:
    return not values or any(_same(value, listed) for listed in values)


def _same(value: object, listed: object) -> bool:
    """Equal as JSON: a bool is no number. A listed string may begin or end with ``*``."""
    if isinstance(value, str) and isinstance(listed, str):
        return _glob(value, listed)
    if isinstance(value, bool) or isinstance(listed, bool):
        return value is listed
    if isinstance(value, list | tuple) and isinstance(listed, tuple):
        return len(value) == len(listed) and all(map(_equal, value, listed))
    return value == listed


def _equal(value: object, listed: object) -> bool:
    """Equality inside of a listed list, where ``*`` is an ordinary character."""
    if isinstance(value, str) and isinstance(listed, str):
        return value == listed
    return _same(value, listed)


def _glob(value: str, listed: str) -> bool:
    if len(listed) < 2:  # "*" by itself is a literal; any value is said by an empty list
        return value == listed
    starts, ends = listed.startswith(_ANY), listed.endswith(_ANY)
    if starts and ends:
        return listed[1:-1] in value
    if starts:
        return value.endswith(listed[1:])
    if ends:
        return value.startswith(listed[:-1])
    return value == listed


def frozen(values: Iterable[object]) -> Values | None:
    """Values of a parsed list as constraints hold them; None if one is an object."""
    result: list[Scalar | tuple[object, ...]] = []
    for value in values:
        if isinstance(value, list):
            inner = frozen(value)
            if inner is None:
                return None
            result.append(inner)
        elif value is None or isinstance(value, str | int | float):
            result.append(value)
        else:
            return None
    return tuple(result)
