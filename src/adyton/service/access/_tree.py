"""Patterns with ``+`` or ``*`` as a tree of segments, so that thousands stay quick to search."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from adyton.service.access.policy import Rule

Priority: TypeAlias = tuple[int, bool, int, int, str]


def priority(pattern: str) -> Priority:
    """A key that is greater for the pattern that decides when several match.

    In this order: the first wildcard comes later; the pattern does not end in ``*``; it has fewer
    ``+`` segments; it is longer; it is lexicographically greater.
    """
    fixed = pattern.removesuffix("*")
    segments = fixed.split("/")
    first = len(fixed)
    if "+" in segments:
        first = sum(len(segment) + 1 for segment in segments[: segments.index("+")])
    return (first, fixed == pattern, -segments.count("+"), len(fixed), fixed)


@dataclass(frozen=True, slots=True)
class _Leaf:
    priority: Priority
    rule: Rule


@dataclass(slots=True)
class _Node:
    """Where a number of segments has led to.

    Attributes:
        children: Next segment, literally, to where it leads.
        plus: Where any next segment leads to.
        leaf: The pattern that ends here.
        globs: Patterns that end here in ``*``, by how the next segment must begin.
        lengths: How long those beginnings are, longest first.
    """

    children: dict[str, "_Node"] = field(default_factory=dict)
    plus: "_Node | None" = None
    leaf: _Leaf | None = None
    globs: dict[str, _Leaf] = field(default_factory=dict)
    lengths: list[int] = field(default_factory=list)

    def glob(self, segment: str) -> _Leaf | None:
        """The longest of the globs that the next segment fits."""
        for length in self.lengths:
            leaf = self.globs.get(segment[:length]) if length <= len(segment) else None
            if leaf is not None:
                return leaf
        return None

    def step(self, segment: str) -> "Iterator[_Node]":
        """Where the next segment leads to."""
        child = self.children.get(segment)
        if child is not None:
            yield child
        if segment and self.plus is not None:
            yield self.plus

    def below(self) -> "Iterator[_Node]":
        """Where any next segment leads to."""
        yield from self.children.values()
        if self.plus is not None:
            yield self.plus


class PatternTree:
    """Finds the pattern that decides."""

    __slots__ = ("_top",)

    def __init__(self) -> None:
        self._top = _Node()

    def add(self, pattern: str, rule: Rule) -> None:
        """Add a pattern that is not in the tree yet."""
        leaf = _Leaf(priority(pattern), rule)
        segments = pattern.split("/")
        begin = segments.pop().removesuffix("*") if pattern.endswith("*") else None
        node = self._top
        for segment in segments:
            if segment == "+":
                node.plus = node.plus or _Node()
                node = node.plus
            else:
                node = node.children.setdefault(segment, _Node())
        if begin is None:
            node.leaf = leaf
        else:
            node.globs[begin] = leaf
            if len(begin) not in node.lengths:
                node.lengths = sorted([*node.lengths, len(begin)], reverse=True)

    def best(self, path: str) -> Rule | None:
        """The rule of the most specific pattern that matches a path."""
        segments = path.split("/")
        found: _Leaf | None = None
        level = [self._top]
        for segment in segments:
            following: list[_Node] = []
            for node in level:
                found = _better(found, node.glob(segment))
                following.extend(node.step(segment))
            level = following
            if not level:
                break
        for node in level:
            found = _better(found, node.leaf)
        return found.rule if found else None

    def rules(self) -> Iterator[tuple[str, Rule]]:
        """All rules with their patterns."""
        for leaf in _leaves([self._top], ""):
            *_, fixed = leaf.priority
            yield fixed if leaf.priority[1] else f"{fixed}*", leaf.rule

    def grants_under(self, prefix: str) -> bool:
        """Whether a rule grants something on some path that begins with a prefix."""
        cover, better = self.under(prefix)
        return any(rule.grants for rule in (cover, *better) if rule is not None)

    def under(self, prefix: str) -> tuple[Rule | None, list[Rule]]:
        """The rules that decide on paths that begin with a prefix.

        A pattern that matches the prefix and all that follows it hides every pattern of lower
        priority there, so only the best of those, and what is better than it, can count.

        Returns:
            The rule of that pattern, if there is one, and those of what is better than it.
        """
        *folders, begin = prefix.split("/")
        cover: _Leaf | None = None
        level = [self._top]
        for folder in folders:
            following: list[_Node] = []
            for node in level:
                cover = _better(cover, node.glob(folder))
                following.extend(node.step(folder))
            level = following
        for node in level:
            cover = _better(cover, node.glob(begin))
        better = [leaf.rule for leaf in _leaves(level, begin) if _better(cover, leaf) is leaf]
        return (None if cover is None else cover.rule), better


def _leaves(level: list[_Node], begin: str) -> Iterator[_Leaf]:
    """Patterns below these nodes of which some match begins so."""
    waiting: list[_Node] = []
    for node in level:
        yield from (leaf for start, leaf in node.globs.items() if start.startswith(begin))
        waiting.extend(child for name, child in node.children.items() if name.startswith(begin))
        if node.plus is not None:
            waiting.append(node.plus)
    while waiting:
        node = waiting.pop()
        if node.leaf is not None:
            yield node.leaf
        yield from node.globs.values()
        waiting.extend(node.below())


def _better(first: _Leaf | None, second: _Leaf | None) -> _Leaf | None:
    if first is None or second is None:
        return first or second
    return max(first, second, key=lambda leaf: leaf.priority)
