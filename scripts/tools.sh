#!/bin/sh
# Makes sure that what building needs is there, and with the word `tests` also the servers that the
# tests run: installs it where that is allowed, else says the one command to run. Needs nothing but a
# POSIX shell.
set -eu

need=""
command -v cmake >/dev/null 2>&1 || need="$need cmake" # libz-ng-sys, which Pingora brings
command -v cc >/dev/null 2>&1 || need="$need gcc libc6-dev"
if [ "${1:-}" = tests ]; then
    # The tests start servers of their own, on free ports; those that Debian may start stay unused.
    command -v mariadbd >/dev/null 2>&1 || need="$need mariadb-server"
    command -v redis-server >/dev/null 2>&1 || need="$need redis-server"
    command -v redis-sentinel >/dev/null 2>&1 || need="$need redis-sentinel"
    command -v promtool >/dev/null 2>&1 || need="$need prometheus"
fi

if ! command -v cargo >/dev/null 2>&1; then
    echo "cargo is missing: install Rust 1.95 or newer from https://rustup.rs, then run make again" >&2
    exit 1
fi

[ -n "$need" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    echo "missing:$need; install them with your system's packages, then run make again" >&2
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
DEBIAN_FRONTEND=noninteractive $as_root $install
