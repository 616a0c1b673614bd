#!/usr/bin/env bash
# Make the virtual environment: exactly what the lock file pins, checked by hash, and this package.
#
# Usage: scripts/setup.sh VENV
# PYTHON names the interpreter to use; otherwise the first of python3, python3.13 ... 3.11 will do.
set -euo pipefail

venv=$1
cd "$(dirname "$0")/.."

recent() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

python=""
for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
  if recent "$candidate"; then
    python=$candidate
    break
  fi
done
if [ -z "$python" ]; then
  found=$("${PYTHON:-python3}" --version 2>&1 || true)
  echo "setup: Adyton needs Python 3.11 or newer; found: ${found:-none}" >&2
  echo "setup: install one (Debian 12: apt-get install python3), or name it: make setup PYTHON=/path" >&2
  exit 1
fi

# Another Python, or a former attempt that was broken off: start anew.
if [ -e "$venv" ] && ! { recent "$venv/bin/python" && "$venv/bin/python" -m pip --version; } >/dev/null 2>&1; then
  rm -rf "$venv"
fi

if [ ! -e "$venv" ]; then
  if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    # Debian has the module in a package of its own.
    scripts/debian-packages.sh python3-venv || exit 1
  fi
  "$python" -m venv "$venv"
fi

pip() { "$venv/bin/python" -m pip --disable-pip-version-check -q "$@"; }
echo "setup: installing what requirements/dev.lock pins into $venv; the first time takes a minute or two" >&2
pip install --require-hashes -r requirements/dev.lock
# Its dependencies and build backend are there already, pinned: nothing else is fetched.
pip install --no-deps --no-build-isolation -e .
