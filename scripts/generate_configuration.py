"""Write the table of settings in docs/guide/configuration.md from ``config/settings.py``.

``--check`` fails if the table is not what would be written.
"""

import inspect
import sys
import typing
from pathlib import Path
from typing import Final

from adyton.config import Configuration
from adyton.config.fields import Setting, settings_of

PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "guide" / "configuration.md"
BEGIN: Final = "<!-- from here on written by scripts/generate_configuration.py -->\n"


def _row(found: Setting) -> str:
    takes = "; ".join(filter(None, [found.takes, found.range]))
    names = f"`{found.environment}`"
    if found.rules.flag:
        names += f", `{found.rules.flag}`"
    default = found.shown(found.default)
    return f"| `{found.name}` | {found.rules.help} | {takes} | {default} | {names} |\n"


def table() -> str:
    """All sections with their settings."""
    parts = []
    kinds = typing.get_type_hints(Configuration)
    for section, kind in kinds.items():
        about = (inspect.getdoc(kind) or "").partition("\n")[0]
        rows = [
            _row(each) for each in settings_of(Configuration).values() if each.section == section
        ]
        parts.append(
            f"\n## `[{section}]`\n\n{about}\n\n"
            "| key | meaning | takes | default | environment, flag |\n"
            "| --- | --- | --- | --- | --- |\n" + "".join(rows)
        )
    return "".join(parts)


def main() -> int:
    """Write the page, or with ``--check`` compare it."""
    old = PAGE.read_text("utf-8")
    wanted = old.partition(BEGIN)[0] + BEGIN + table()
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(wanted, "utf-8")
        return 0
    if old != wanted:
        print(f"{PAGE.name} is not up to date; run scripts/generate_configuration.py")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
