#!/usr/bin/env bash
# Install the Debian packages named as arguments that are missing, when that is possible.
#
# Fails, and says what to do, when one is missing and can't be installed.
set -euo pipefail

missing=()
for package in "$@"; do
  status=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
  [ "$status" = "install ok installed" ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
  echo "debian-packages: missing: ${missing[*]}" >&2
  echo "debian-packages: install by hand, as in: sudo apt-get install ${missing[*]}" >&2
  exit 1
fi
echo "debian-packages: installing ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
# Databases are started by the tests, in folders of their own: installing one starts no daemon.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
fi
apt-get -qq update >&2
apt-get -qq install -y --no-install-recommends "${missing[@]}" >&2
