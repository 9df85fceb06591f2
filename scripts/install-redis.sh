#!/bin/sh
# Prints the path of a redis-server, for the tests: the one on PATH, else Debian's package redis-server, which is installed where
# that is allowed (no service is started), and else unpacked into .venv/redis. Exits with 1 and one line if none can be had.
set -eu
cd "$(dirname "$0")/.."

found() {
    command -v redis-server 2>/dev/null || ls .venv/redis/usr/bin/redis-server 2>/dev/null
}

found && exit 0
if ! command -v apt-get >/dev/null 2>&1; then
    echo "redis-server is not on PATH, and there is no apt-get to install it with" >&2
    exit 1
fi
log=$(mktemp)
if [ "$(id -u)" = 0 ]; then
    # policy-rc.d would be asked; without an init system the package starts nothing.
    { apt-get install -y -q redis-server || { apt-get update -q && apt-get install -y -q redis-server; }; } >"$log" 2>&1 || true
else
    mkdir -p .venv/redis
    { cd .venv/redis && apt-get download redis-server redis-tools libjemalloc2 liblzf1 liblua5.1-0 lua-bitop lua-cjson &&
        for package in *.deb; do dpkg -x "$package" .; done && cd ../..; } >"$log" 2>&1 || true
fi
if ! found; then
    echo "redis-server cannot be installed: $(tail -n 1 "$log")" >&2
    exit 1
fi
