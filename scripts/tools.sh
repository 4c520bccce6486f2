#!/bin/sh
# Makes sure that what is needed is there: installs it where that is allowed, else says the one
# command to run. Needs nothing but a POSIX shell.
#
#   scripts/tools.sh          what building needs
#   scripts/tools.sh tests    and the real servers that tests start for themselves
set -eu

need=""
# The Debian package $1, unless the program $2 is there.
want() {
    command -v "$2" >/dev/null 2>&1 || need="$need $1"
}

want cmake cmake # libz-ng-sys, which Pingora brings
command -v cc >/dev/null 2>&1 || need="$need gcc libc6-dev"

case "${1:-build}" in
build) ;;
tests)
    # Tests start servers of their own, on ports of their own; whether the packages' services run
    # does not matter to them.
    want redis-server redis-server
    want redis-sentinel redis-sentinel
    want mariadb-server /usr/sbin/mariadbd # outside the path of a plain user
    want mariadb-client mariadb
    # Postgres has its programs in a folder for each version, outside every path.
    ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || need="$need postgresql"
    want prometheus promtool # judges the alert rules
    ;;
*)
    echo "usage: scripts/tools.sh [build|tests]" >&2
    exit 2
    ;;
esac

if ! command -v cargo >/dev/null 2>&1; then
    echo "cargo is missing: install Rust 1.95 or newer from https://rustup.rs, then run make again" >&2
    exit 1
fi

[ -n "$need" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    echo "missing, by their names in Debian:$need" >&2
    echo "install them with your system's packages, then run make again" >&2
    exit 1
fi

install="apt-get install -y --no-install-recommends$need"
if [ "$(id -u)" = 0 ]; then
    as_root=""
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    as_root="sudo"
else
    echo "missing:$need; run this once, then make again:" >&2
    echo "    sudo apt-get update && sudo $install" >&2
    exit 1
fi
echo "installing:$need"
$as_root apt-get update -qq
$as_root env DEBIAN_FRONTEND=noninteractive $install
