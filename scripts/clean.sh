#!/bin/sh
# Removes what the Makefile and its tools made: environments, caches, builds. Never a source, and never a `.venv` that
# these chores have not set up.
set -eu
cd "$(dirname "$0")/.."

if [ -d .venv ]; then
    if [ -e .venv/.made-in ]; then
        rm -rf .venv
    else
        echo ".venv was not set up by make: left alone" >&2
    fi
fi
rm -rf .venv-proto .venv-peers build dist docs/_build .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
find . \( -name .git -o -name .venv \) -prune -o -type d \( -name __pycache__ -o -name '*.egg-info' \) -print -exec rm -rf {} + >/dev/null
