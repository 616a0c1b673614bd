#!/usr/bin/env bash
# The main job, for real, through the command line, on a fresh store.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/adyton-demo.XXXXXX")
cd "$work"
umask 077

if [ -t 1 ]; then bold=$'\e[1;36m' plain=$'\e[0m'; else bold='' plain=''; fi
say() { printf '\n%s# %s%s\n' "$bold" "$*" "$plain"; }
run() { printf '%s$ %s%s\n' "$bold" "$*" "$plain"; "$@"; }

export ADYTON_STORE="$work/adyton.db" ADYTON_ROOT="keyfile:$work/elsewhere/master.key"
mkdir elsewhere

say 'a store, and a root of trust away from it'
run adyton init | tee vkey.txt

say "one user's settings, from a .env file"
run adyton import "$here/examples/dotenv/app.env" --user 42 --prefix app/ --dry-run
run adyton import "$here/examples/dotenv/app.env" --user 42 --prefix app/
run adyton list --user 42

say 'two users, who must never see each other: values come from standard input'
printf 'correct horse' | run adyton set db/password --user 42 --tag prod --expires 90d
printf 't0k3n-of-alice' | run adyton set db/password --user alice
run adyton get db/password --user 42; echo
run adyton get db/password --user alice; echo

say 'tag, update, look at the versions, roll back'
run adyton tag db/password --user 42 --add rotate-me
printf 'battery staple' | run adyton set db/password --user 42 --cas 1
run adyton versions db/password --user 42
run adyton rollback db/password 1 --user 42
run adyton get db/password --user 42; echo

say 'new keys: the old ones are destroyed once nothing needs them'
run adyton keys rotate
run adyton keys rewrap
run adyton keys rotate --master
run adyton keys list

say 'a program with secrets in its environment, and a file made from a template'
run adyton run --user 42 --prefix app/ -- sh -c \
  'printf "a program sees DATABASE_URL, %d characters long\n" "${#DATABASE_URL}"'
printf 'url: {{ adyton:app/APP_URL }}\npassword: {{ adyton:db/password }}\n' > config.tmpl
run adyton render config.tmpl --user 42 --out config.yaml
run ls -l config.yaml

say 'export for an age key, import into another store'
python - > identity.txt <<'PYTHON'
import pyrage
print(pyrage.x25519.Identity.generate())
PYTHON
recipient=$(python -c 'import pyrage; print(pyrage.x25519.Identity.from_str(open("identity.txt").read().strip()).to_public())')
run adyton export --user 42 --recipient "$recipient" --all-versions --out bundle.age
run adyton --store other.db --root keyfile:other.key init
run adyton --store other.db --root keyfile:other.key import bundle.age --user 42 --identity identity.txt
run adyton --store other.db --root keyfile:other.key get db/password --user 42; echo

say 'what happened, and the proof of it'
run adyton audit log --user 42 --limit 8
run adyton audit checkpoint --out checkpoint.txt
run adyton audit verify --checkpoint checkpoint.txt
run adyton audit prove 2 --out proof.json
run adyton audit check-proof proof.json --vkey "$(tail -n 1 vkey.txt)"
run adyton doctor

say "the store lies in $work; go on with"
cat <<NEXT
  export ADYTON_STORE=$ADYTON_STORE ADYTON_ROOT=$ADYTON_ROOT
  $here/.venv/bin/adyton list --user 42
  $here/.venv/bin/adyton --help
NEXT
