#!/bin/sh
# Signs a GET as the Nextcloud app does and sends it with curl:
#
#   scripts/signed_curl.sh '/api/v1/weather/current/?lat=-1.2921&lon=36.8219'
#
# The signature covers six lines: method, path, canonical query, time, nonce, hash of the body.
# The query must be given in canonical form: pairs sorted, strictly percent-encoded.
# Further arguments go to curl. Needs curl and openssl.
#
# The credentials are those of the environment (FARMGATE_URL, HMAC_CLIENT_ID, HMAC_SECRET_BASE64),
# or of the running demo.
set -eu

[ -n "${HMAC_SECRET_BASE64:-}" ] || . "$(dirname "$0")/../target/demo/credentials.env"
target=${1:?usage: scripts/signed_curl.sh PATH[?QUERY] [curl options]}
shift

path=${target%%\?*}
query=${target#"$path"}
query=${query#\?}
timestamp=$(date +%s)
nonce=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
body_hash=$(printf '' | openssl dgst -sha256 -r | cut -d' ' -f1)
key=$(printf %s "$HMAC_SECRET_BASE64" | openssl base64 -d -A | od -An -v -tx1 | tr -d ' \n')
signature=$(printf 'GET\n%s\n%s\n%s\n%s\n%s' "$path" "$query" "$timestamp" "$nonce" "$body_hash" |
    openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -binary | openssl base64 -A)

exec curl -i "$@" \
    -H "X-NC-CLIENT-ID: $HMAC_CLIENT_ID" \
    -H "X-NC-TIMESTAMP: $timestamp" \
    -H "X-NC-NONCE: $nonce" \
    -H "X-NC-SIGNATURE: $signature" \
    "$FARMGATE_URL$target"
