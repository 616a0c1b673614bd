"""Secrets, MACs and digests are compared in constant time, everywhere (GHSA-34fc-gh42-pj53).

A rule over the source: an operand of ``==``, ``!=`` or ``in`` whose name says that it holds
something secret or a code that authenticates, is refused, unless it is listed here with a reason.
"""

import ast
import re
from pathlib import Path

import pytest

import adyton

SOURCE = Path(adyton.__file__).parent

WATCHED = re.compile(
    r"(^|_)(digest|mac|hmac|tag|root|hash|commitment|verifier|secret|token|password|passphrase"
    r"|plaintext|plain|signature|key)$"
)
"""The last word of a variable's or attribute's name, or of a function's that gives one."""

_HOLDER = "whoever gives the bundle knows its values and digests"
PUBLIC = {
    ("translog/checkpoint.py", "root"): "the root of an empty tree is a constant of RFC 6962",
    ("transfer/_bundle_doc.py", "whole_digest"): _HOLDER,
    ("transfer/_bundle_doc.py", "version_digest"): _HOLDER,
    ("attest/verifier/dcap.py", "root"): "certificates are public",
    ("attest/verifier/tpm.py", "digest"): "a quote and its PCRs are public",
    ("client/pinning.py", "_key"): "a certificate's key is public",
    ("model.py", "_key"): "what two public values are compared by",
}


def last_word(node: ast.expr) -> str:
    """What an operand calls itself."""
    while isinstance(node, ast.Call):
        node = node.func
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def harmless(node: ast.expr) -> bool:
    """Operands that give nothing away by time: constants of the code, sizes and types."""
    if isinstance(node, ast.Constant):
        return True
    return isinstance(node, ast.Call) and last_word(node) in {"len", "type"}


def variable_time(text: str) -> list[tuple[int, str]]:
    """Line and name of each comparison in some source that the rule refuses."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Compare):
            continue
        operands = [node.left, *node.comparators]
        for at, operator in enumerate(node.ops):
            pair = operands[at : at + 2]
            if not isinstance(operator, ast.Eq | ast.NotEq) or any(map(harmless, pair)):
                continue
            found += [
                (node.lineno, last_word(one)) for one in pair if WATCHED.search(last_word(one))
            ]
    return found


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda p: p.stem)
def test_nothing_secret_is_compared_in_variable_time(path):
    place = path.relative_to(SOURCE).as_posix()
    bad = [found for found in variable_time(path.read_text()) if (place, found[1]) not in PUBLIC]
    assert not bad, f"{place}: use hmac.compare_digest for {bad}"


@pytest.mark.parametrize(
    "planted",
    [
        "if root == expected: pass",
        "if given != self.token: pass",
        "ok = sha256(x).digest() == wanted",
        "while a.auth_tag != b: pass",
        "x = 1 < password == other",
    ],
)
def test_the_rule_sees_a_planted_comparison(planted):
    assert variable_time(planted)


def test_each_exception_is_still_needed():
    used = {
        (path.relative_to(SOURCE).as_posix(), name)
        for path in SOURCE.rglob("*.py")
        for _, name in variable_time(path.read_text())
    }
    assert set(PUBLIC) <= used
