#!/usr/bin/env bash
# Report data of docs/spec/attestation.md, section 2, made by printf, xxd and openssl alone.
set -euo pipefail
field() { local hex=$1; printf '%08x%s' $(( ${#hex} / 2 )) "$hex"; }
one() { { field "$(printf 'adyton/v1/attestation' | xxd -p | tr -d '\n')"; field "$1"; field "$2"; field "$(printf '%s' "$3" | xxd -p | tr -d '\n')"; } | xxd -r -p | openssl dgst -sha512 -r | cut -d' ' -f1; }
n1=000102030405060708090a0b0c0d0e0f; k1=$(printf 'a key' | openssl dgst -sha256 -r | cut -d' ' -f1)
n2=$(printf 'ff%.0s' $(seq 64))
l1='adyton/25f309262206959c5a2cc843cbee3c55/0+15313e5a+AV/oMZPSWt5UHlU7WoU3tuImJy8e+nBz/p6pzi7rr0mt'
emit() { r=$(one "$1" "$2" "$3"); t=$(printf %s "$r" | xxd -r -p | openssl dgst -sha256 -r | cut -d' ' -f1); printf '  {"nonce": "%s", "tls_key": "%s", "log_key": "%s",\n   "report_data": "%s",\n   "tpm": "%s"}' "$1" "$2" "$3" "$r" "$t"; }
printf '[\n'; emit $n1 $k1 "$l1"; printf ',\n'; emit $n2 $k1 ""; printf ',\n'; emit $n1 "" ""; printf '\n]\n'
