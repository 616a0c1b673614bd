"""Write the description of the native API that the server gives to ``docs/spec/openapi.json``.

``--check`` fails if the file is not what would be written.
"""

import json
import sys
from pathlib import Path
from typing import Final

from adyton.server.native.table import document

TARGET: Final = Path(__file__).resolve().parent.parent / "docs" / "spec" / "openapi.json"


def main() -> int:
    """Write or check the file."""
    text = json.dumps(json.loads(document()), indent=1, ensure_ascii=False) + "\n"
    if "--check" not in sys.argv[1:]:
        TARGET.write_text(text, encoding="utf-8")
        return 0
    if TARGET.exists() and TARGET.read_text(encoding="utf-8") == text:
        return 0
    print("docs/spec/openapi.json is stale: run 'make format'", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
