#!/usr/bin/env bash
# A server on a store that stays, the main job through it, and then the server until Ctrl-C.
#
# ADYTON_RUN_DIR    where the store and its key are (run/ of this repository); remove it to begin anew
# ADYTON_LISTEN     where to listen (127.0.0.1:8200, or a free port if that is taken)
# ADYTON_RUN_ONCE   1: end after the job
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
home=${ADYTON_RUN_DIR:-$here/run}
listen=${ADYTON_LISTEN:-}
once=${ADYTON_RUN_ONCE:-}
export PATH="$here/.venv/bin:$PATH" HOME="${HOME:-/nonexistent}"
for name in $(compgen -e | grep -E '^(ADYTON|BAO|VAULT)_' || true); do unset "$name"; done
umask 077
exec 2>&1
mkdir -p "$home/root"
cd "$home"

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$'\e[1;36m' plain=$'\e[0m'; else bold='' plain=''; fi
say() { printf '\n%s# %s%s\n' "$bold" "$*" "$plain"; }
show() { printf '%s$ %s%s\n' "$bold" "$*" "$plain"; }
run() { show "$@"; "$@"; }

server=''
stopped() { # end the server and wait for it; its exit code is ours
    local pid=$server code=0
    server=''
    [ -n "$pid" ] || return 0
    kill -TERM "$pid" 2>/dev/null || true
    while kill -0 "$pid" 2>/dev/null; do wait "$pid" 2>/dev/null && code=0 || code=$?; done
    return "$code"
}
end() { # as asked; a server that had not come up yet ends by the signal itself
    trap - EXIT INT TERM
    local code=0
    stopped || code=$?
    [ "$code" = 0 ] || [ "$code" = 143 ] || exit 1
    exit 0
}
trap end INT TERM
trap 'stopped || true' EXIT

started() { # start the server, and wait until it answers
    : > server.log
    set -m # a group of its own: Ctrl-C comes to this script, which stops it
    ADYTON_TELEMETRY_LOG_FORMAT=console adyton serve --listen "$listen" 2> server.log &
    set +m
    server=$!
    until grep -qs ' serving ' server.log; do
        kill -0 "$server" 2>/dev/null || { cat server.log; server=''; exit 1; }
        sleep 0.05
    done
    cat server.log
}

if [ -z "$listen" ]; then
    port=$(python - <<'PYTHON'
import socket
for port in (8200, 0):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        print(probe.getsockname()[1])
        break
PYTHON
    )
    [ "$port" = 8200 ] || say "port 8200 is taken: $port is free"
    listen=127.0.0.1:$port
fi

cat > adyton.toml <<TOML
[store]
url = "$home/adyton.db"
root = "keyfile:$home/root/master.key"
TOML
export ADYTON_CONFIG="$home/adyton.toml"
run adyton config check

if [ ! -e vkey ]; then
    say 'a store, and the key of its root of trust in another folder'
    show 'adyton init > vkey'
    adyton init > vkey.new
    mv vkey.new vkey
else
    say "the store of the last time, in $home"
fi
[ -e root-token ] || run adyton token root --out root-token

say 'a server'
show adyton serve --listen "$listen"
started
export BAO_ADDR="http://$listen"
BAO_TOKEN=$(cat root-token)
export BAO_TOKEN
bao token lookup > /dev/null || { echo "run.sh: the root token in $home/root-token is no longer valid"; exit 1; }

say 'two users: each has a namespace with keys of its own, a policy, and logs in to it'
rules='path "secret/*" { capabilities = ["create", "read", "update", "list"] }'
token_of() {
    local password
    password=$(python -c 'import secrets; print(secrets.token_urlsafe(16))')
    {
        show "bao policy write -namespace=$1 app - <<< '$rules'"
        bao policy write -namespace="$1" app - <<< "$rules"
        bao auth list -namespace="$1" | grep -q '^userpass/' || run bao auth enable -namespace="$1" userpass
        show "bao write -namespace=$1 auth/userpass/users/$1 token_policies=app password=-"
        printf %s "$password" | bao write -namespace="$1" "auth/userpass/users/$1" token_policies=app password=-
        show "bao login -namespace=$1 -method=userpass username=$1 password=-"
    } >&2
    printf %s "$password" | bao login -namespace="$1" -method=userpass -no-store -token-only "username=$1" password=-
}
alice=$(token_of alice)
bob=$(token_of bob)
as() { # a command of one user, with the user's token in the environment
    show "BAO_TOKEN=($1's) BAO_NAMESPACE=${3:-$1} $2"
    BAO_TOKEN=${!1} BAO_NAMESPACE=${3:-$1} bash -c "$2"
}

say 'they write and read the same name; values come from standard input'
as alice "printf 'correct horse' | bao kv put secret/db/password value=-"
as bob "printf 'battery staple' | bao kv put secret/db/password value=-"
as alice 'bao kv get -field=value secret/db/password'; echo
as bob 'bao kv get -field=value secret/db/password'; echo

say "neither gets into the other's namespace: what is not theirs looks like what is not there"
for path in secret/db/password secret/no/such/secret; do
    if as bob "bao kv get $path" alice; then exit 1; fi
done

say 'the same secrets through the native API, by the command line: who, what and when, while the server runs'
export ADYTON_ADDR="http://$listen" ADYTON_TOKEN="$BAO_TOKEN"
unset ADYTON_CONFIG
printf 'production' | run adyton set db/name --user alice --tag prod
run adyton list --user alice
run adyton get db/password --user bob; echo
run adyton keys rotate
run adyton audit log --user alice --limit 6

say 'the log is whole, and this record is in it: checked by anyone who has the verifier key'
if [ -e checkpoint ]; then
    run adyton audit verify --checkpoint checkpoint
else
    run adyton audit verify
fi
rm -f checkpoint.new proof.json
run adyton audit checkpoint --out checkpoint.new
mv checkpoint.new checkpoint
read_by_alice=$(adyton audit log --user alice --limit 50 --output json | python -c '
import json, sys
entries = json.load(sys.stdin)
print(next(each["index"] for each in entries if each["action"] == "secret.get"))')
run adyton audit prove "$read_by_alice" --out proof.json
run adyton audit check-proof proof.json --vkey "$(tail -n 1 vkey)"

say 'stopped and started again: everything is still there'
stopped
export ADYTON_CONFIG="$home/adyton.toml"
started
as alice 'bao kv get -field=value secret/db/password'; echo

cat <<NEXT

  address     http://$listen
  root token  $(cat root-token)
  store       $home/adyton.db, its key in $home/root

  export BAO_ADDR=http://$listen BAO_TOKEN=$(cat root-token)
  $here/.venv/bin/bao kv put secret/hello name=world
  $here/.venv/bin/bao kv get secret/hello

NEXT
[ "$once" = 1 ] && end
echo "Ctrl-C ends it."
wait "$server" || true
server=''
cat server.log
exit 1
