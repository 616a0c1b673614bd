"""Slow decisions by regular expressions and sorting; shares no code with the package.

Rules are plain: ``(pattern, capabilities)`` with capabilities a set of names.
"""

import functools
import re


def expression(pattern):
    """The pattern as a regular expression, segment by segment."""
    glob = pattern.endswith("*")
    parts = [
        "[^/]+" if s == "+" else re.escape(s)
        for s in (pattern[:-1] if glob else pattern).split("/")
    ]
    return re.compile("/".join(parts) + (".*" if glob else ""), re.DOTALL)


def is_exact(pattern):
    return not pattern.endswith("*") and "+" not in pattern.split("/")


def first_wildcard(pattern):
    position = 0
    for segment in pattern.split("/"):
        if segment == "+":
            return position
        if segment.endswith("*"):
            return position + len(segment) - 1
        position += len(segment) + 1
    raise AssertionError(pattern)


def compare(one, two):
    """Negative where the first is of lower priority: the published rule, clause by clause."""
    if first_wildcard(one) != first_wildcard(two):
        return -1 if first_wildcard(one) < first_wildcard(two) else 1
    if one.endswith("*") != two.endswith("*"):
        return -1 if one.endswith("*") else 1
    if one.split("/").count("+") != two.split("/").count("+"):
        return -1 if one.split("/").count("+") > two.split("/").count("+") else 1
    if len(one) != len(two):
        return -1 if len(one) < len(two) else 1
    return -1 if one < two else 1


def merge(rules):
    table = {}
    for pattern, capabilities in rules:
        table[pattern] = table.get(pattern, set()) | set(capabilities)
    return {p: {"deny"} if "deny" in c else c for p, c in table.items()}


def matching(table, path):
    found = [p for p in table if not is_exact(p) and expression(p).fullmatch(path)]
    return sorted(found, key=functools.cmp_to_key(compare))


def deciding(table, path, listing):
    """The pattern that decides, or None."""
    forms = [path]
    if listing and path.endswith("/"):
        forms.append(path[:-1])
    for form in forms:
        if form in table and is_exact(form):
            return form
    for form in forms:
        found = matching(table, form)
        if found:
            return found[-1]
    return None


def capabilities(rules, path):
    table = merge(rules)
    pattern = deciding(table, path, listing=True)
    granted = table.get(pattern, set())
    return sorted(granted) or ["deny"]


def allows(rules, path, operation):
    table = merge(rules)
    listing = operation == "list"
    if listing and path and not path.endswith("/"):
        path += "/"
    granted = table.get(deciding(table, path, listing), set())
    return operation in granted and "deny" not in granted
