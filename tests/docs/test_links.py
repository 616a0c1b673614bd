"""What pages refer to is there: files, headings, and the paths that they name in passing."""

import re
import subprocess

import pytest

from shell import ROOT

PAGES = [
    ROOT / name
    for name in subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()
]  # fmt: skip
FOLDERS = "benchmarks|deploy|docs|examples|scripts|src|tests|vectors"
MADE = {"benchmarks/results/"}
"""Made when it is wanted."""


def prose(page):
    """A page without its blocks of code."""
    return re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def anchors(page):
    """What headings of a page are called in links, as GitHub and others make it."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_refers_to_is_there(page):
    """Relative links and their anchors; paths of the project; what follows `::` is a test there."""
    text = prose(page)
    for target in re.findall(r"\]\((?!https?:|mailto:)([^)\s]+)\)", text):
        file, _, anchor = target.partition("#")
        found = page.parent / file if file else page
        assert found.exists(), target
        assert not anchor or anchor in anchors(found), target
    for path, test in re.findall(rf"`((?:{FOLDERS})/[\w./-]+)(?:::(\w+))?`", text):
        assert path in MADE or (ROOT / path).exists(), path
        assert not test or re.search(rf"\bdef {test}\b", (ROOT / path).read_text()), (path, test)


def test_every_guide_is_in_the_index():
    """Whoever starts at docs/README.md finds them all."""
    index = (ROOT / "docs/README.md").read_text()
    for page in (ROOT / "docs/guide").glob("*.md"):
        assert f"](guide/{page.name})" in index, page.name
