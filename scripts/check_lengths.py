"""Check that no source file is too long to be read at one sitting."""

import sys
from pathlib import Path
from typing import Final

MAX_LINES: Final = 500
SOURCES: Final = Path(__file__).resolve().parent.parent / "src"


def main() -> int:
    """Name each file that is too long; the exit status says whether there is one."""
    status = 0
    for path in sorted(SOURCES.rglob("*.py")):
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > MAX_LINES:
            name = path.relative_to(SOURCES.parent)
            print(f"{name}: {lines} lines are more than {MAX_LINES}; split it by subject")
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
