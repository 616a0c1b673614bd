#!/usr/bin/env bash
# Install the TPM's library into a virtual environment, pinned by hash, and a TPM of software.
#
# Usage: scripts/tpm.sh VENV
# Does nothing where both are there as pinned. Fails, and says what to do, where it can't.
set -euo pipefail

venv=$1
cd "$(dirname "$0")/.."

scripts/debian-packages.sh libtss2-dev libtss2-tcti-swtpm0 pkg-config gcc swtpm swtpm-tools

pinned=$(sha256sum < requirements/tpm.lock)
[ "$(cat "$venv/.tpm-stamp" 2>/dev/null || true)" != "$pinned" ] || exit 0
pip() { "$venv/bin/python" -m pip --disable-pip-version-check -q "$@"; }
# What builds it comes first: it is not fetched again, without a hash, by the build itself.
grep -v '^#' requirements/tpm.lock > "$venv/tpm.txt"
"$venv/bin/python" - "$venv/tpm.txt" "$venv/tpm-build.txt" <<'PYTHON'
import re
import sys

text = open(sys.argv[1]).read()
parts = re.split(r"(?m)^(?=[a-z0-9])", text)
open(sys.argv[2], "w").write("".join(part for part in parts if not part.startswith("tpm2-pytss")))
PYTHON
pip install --require-hashes -r "$venv/tpm-build.txt"
pip install --require-hashes --no-build-isolation -r "$venv/tpm.txt"
printf '%s\n' "$pinned" > "$venv/.tpm-stamp"
