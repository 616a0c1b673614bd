"""Reads ``cases.txt`` and policies, and writes policies of plain rules."""

from pathlib import Path

import pytest

from adyton.errors import InvalidDocument
from adyton.service.access.policy import parse_policy

LETTERS = {
    "c": "create",
    "r": "read",
    "u": "update",
    "p": "patch",
    "d": "delete",
    "l": "list",
    "s": "sudo",
    "!": "deny",
}


def names(letters):
    return sorted(LETTERS[letter] for letter in letters)


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def written(rules):
    """The text of a policy with these rules, each ``(pattern, names)``."""
    return "\n".join(
        f"path {quoted(pattern)} {{ capabilities = [{', '.join(map(quoted, sorted(given)))}] }}"
        for pattern, given in rules
    )


def sections():
    """Yield each section's name, rules and expectations (path, names)."""
    name, rules, expected = None, [], []
    for line in Path(__file__).with_name("cases.txt").read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        if line.startswith("= "):
            if name:
                yield name, rules, expected
            name, rules, expected = line[2:], [], []
            continue
        asked = line.startswith("? ")
        left, _, right = line.removeprefix("? ").rpartition(" :")
        if asked:
            expected += [(path.replace("<>", ""), names(left)) for path in right.split()]
        else:
            rules.append((left.replace("<>", ""), names(right.strip())))
    yield name, rules, expected


def rules(text):
    return parse_policy("p", text).rules


def one(text):
    (rule,) = rules(text)
    return rule


def refused(text, *words):
    """The refusal's text has every one of these words, and says how to mend it."""
    with pytest.raises(InvalidDocument) as caught:
        parse_policy("p", text)
    for word in words:
        assert word in caught.value.message
    assert caught.value.hint
    return caught.value
