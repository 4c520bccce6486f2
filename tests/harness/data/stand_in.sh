#!/bin/sh
# Stands in for the gateway in the tests of the launcher: says what it was given, and waits.
# `$3` is the configuration file; `ADMIN_PIPE` names a pipe on which it tells its admin address.
if [ -n "$TAKEN_ONCE" ] && [ ! -e "$TAKEN_ONCE" ]; then
    : > "$TAKEN_ONCE"
    echo "127.0.0.1:1 is in use, will try again" >&2
    exec sleep 60
fi
if [ -z "$ADMIN_PIPE" ]; then
    echo "$1 $2: no pipe" >&2
    exit 78
fi
trap 'sed "s/^/reloaded /" "$3"' HUP
trap 'echo drained; exit 0' TERM
sed -n 's/^admin: //p' "$3" > "$ADMIN_PIPE"
while :; do sleep 0.02; done
