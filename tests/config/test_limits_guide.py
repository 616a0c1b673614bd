"""The guide's tables of limits are true: every setting is there, with its default."""

import re
from pathlib import Path

import pytest

from adyton.config import HttpLimits, QuotaSettings, RateSettings, TurnSettings
from adyton.server import jsonbody
from adyton.server.paths import MAX_CHARS

GUIDE = (Path(__file__).resolve().parents[2] / "docs/guide/server.md").read_text()
SECTION = GUIDE[GUIDE.index("## Limits") :]
UNITS = {"KiB": 1024, "MiB": 1024 * 1024, "s": 1}
SECTIONS = {
    "limits": HttpLimits(),
    "rates": RateSettings(),
    "turns": TurnSettings(),
    "quotas": QuotaSettings(),
}


def numbers(text):
    found = []
    for number, unit in re.findall(r"\b([0-9][0-9,.]*)(?: (KiB|MiB|s\b))?", text):
        found.append(float(number.replace(",", "").rstrip(".")) * UNITS.get(unit, 1))
    return found


@pytest.mark.parametrize(
    ("section", "key"),
    [
        (section, key)
        for section, settings in SECTIONS.items()
        for key in type(settings).__dataclass_fields__
    ],
)
def test_each_setting_is_told_with_its_default(section, key):
    """In the row, or the sentence, that names its key."""
    default = getattr(SECTIONS[section], key)
    if section == "rates" and key.endswith("_burst") and not default:
        assert "each with a `_burst`" in SECTION
        return
    assert f"`{section}.{key}`" in SECTION
    if section == "turns":
        before = SECTION[: SECTION.index(f"`turns.{key}`")]
        told = numbers(" ".join(before.split())[-60:])
        assert default in told
        return
    row = next(line for line in SECTION.splitlines() if f"`{section}.{key}`" in line)
    limit = row.split("|")[2]
    if default:
        assert default in numbers(limit)
    else:
        assert limit.strip() == "none"


def test_fixed_limits_are_told():
    """Those of paths and of JSON."""
    row = next(line for line in SECTION.splitlines() if line.startswith("| path |"))
    assert numbers(row.split("|")[2]) == [MAX_CHARS]
    row = next(line for line in SECTION.splitlines() if line.startswith("| JSON"))
    assert numbers(row.split("|")[2]) == [jsonbody.DEFAULT.depth, jsonbody.DEFAULT.elements]
