#!/bin/sh
# Signatures of webhooks (docs/spec/notices.md, section 4), made by OpenSSL alone.
set -eu

# One vector: key in hexadecimal, id, timestamp, body.
vector() {
  secret="whsec_$(printf '%s' "$1" | xxd -r -p | base64 -w0)"
  signature="v1,$(printf '%s.%s.%s' "$2" "$3" "$4" |
    openssl dgst -sha256 -mac HMAC -macopt "hexkey:$1" -binary | base64 -w0)"
  body=$(printf '%s' "$4" | base64 -w0)
  printf '  {"secret": "%s", "id": "%s", "timestamp": %s, "body_base64": "%s",\n' \
    "$secret" "$2" "$3" "$body"
  printf '   "signature": "%s"}' "$signature"
}

least=$(printf '00%.0s' $(seq 24))
key=$(seq -f '%02.0f' 10 41 | tr -d '\n')
most=$(printf 'ff%.0s' $(seq 64))

printf '[\n'
vector "$key" msg_00000000002a_0123456789abcdef 1767225600 \
  '{"data":{"details":{"step":"set"},"subject":"db/password","user":"42"},"timestamp":"2026-01-01T00:00:00.000000Z","type":"rotation.failed"}'
printf ',\n'
vector "$least" msg_1 0 ''
printf ',\n'
vector "$most" msg_ütf 9999999999 '{"data":"käse 🔑"}'
printf '\n]\n'
