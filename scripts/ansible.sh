#!/usr/bin/env bash
# Install Ansible and its collection community.hashi_vault, pinned by hash, for tests.
#
# Usage: scripts/ansible.sh FOLDER
# Makes FOLDER/venv and FOLDER/collections, or does nothing where they are as pinned.
set -euo pipefail

folder=$1
requirements=$(cd "$(dirname "$0")/../requirements" && pwd)
pinned=$(cat "$requirements/ansible.lock" "$requirements/ansible-collections.lock" | sha256sum)
[ "$(cat "$folder/stamp" 2>/dev/null || true)" != "$pinned" ] || exit 0

rm -rf "$folder"
mkdir -p "$folder/collections"
"${PYTHON:-python3}" -m venv "$folder/venv"
pip() { "$folder/venv/bin/python" -m pip --disable-pip-version-check -q "$@"; }
pip install --require-hashes -r "$requirements/ansible.lock"
# The package that bundles all collections is large: one of them is taken out of it.
pip download --no-deps --require-hashes -r "$requirements/ansible-collections.lock" -d "$folder/wheel"
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import sys
import zipfile
from pathlib import Path

folder = Path(sys.argv[1])
(wheel,) = (folder / "wheel").iterdir()
with zipfile.ZipFile(wheel) as archive:
    for name in archive.namelist():
        if name.startswith("ansible_collections/community/hashi_vault/"):
            archive.extract(name, folder / "collections")
PYTHON
rm -r "$folder/wheel"
printf '%s\n' "$pinned" > "$folder/stamp"
