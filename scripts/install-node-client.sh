#!/bin/sh
# Prints the path of a node and of a folder of modules with the gRPC client of Node.js, for the tests: the versions that the lock file
# in tests/gateway/node pins, in .venv/node-client. Without node or npm on PATH, Debian's packages are installed where that is
# allowed. Exits with 1 and one line if none can be had.
set -eu
cd "$(dirname "$0")/.."
wanted=tests/gateway/node
kept=.venv/node-client
log=$(mktemp)
trap 'rm -f "$log"' EXIT

fail() {
    echo "the Node.js client cannot be installed: $1" >&2
    exit 1
}

if ! command -v node >/dev/null 2>&1 || ! command -v npm >/dev/null 2>&1; then
    command -v apt-get >/dev/null 2>&1 || fail "node and npm are not on PATH, and there is no apt-get to install them with"
    [ "$(id -u)" = 0 ] || fail "node and npm are not on PATH, and only root may install nodejs and npm with apt-get"
    packages="nodejs npm"
    { apt-get install -y -q --no-install-recommends $packages ||
        { apt-get update -q && apt-get install -y -q --no-install-recommends $packages; }; } >"$log" 2>&1 || fail "$(tail -n 1 "$log")"
fi

# Made beside its place and moved there whole: a folder that is there is complete.
if ! cmp -s "$wanted/package-lock.json" "$kept/package-lock.json"; then
    mkdir -p .venv
    making=$(mktemp -d .venv/node-client-XXXXXX)
    trap 'rm -rf "$log" "$making"' EXIT
    cp "$wanted/package.json" "$wanted/package-lock.json" "$wanted/.npmrc" "$making"
    (cd "$making" && npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier) >"$log" 2>&1 || fail "$(grep -v 'complete log' "$log" | tail -n 1)"
    rm -rf "$kept"
    mv "$making" "$kept"
fi
command -v node
echo "$PWD/$kept/node_modules"
