#!/bin/sh
# Makes sure that what building and testing need is there: installs it where that is allowed,
# else says the one command to run. Needs nothing but a POSIX shell.
set -eu

need=""
command -v cmake >/dev/null 2>&1 || need="$need cmake" # libz-ng-sys, which Pingora brings
command -v cc >/dev/null 2>&1 || need="$need gcc libc6-dev"

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
