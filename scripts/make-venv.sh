#!/bin/sh
# Makes the virtual environment FOLDER, unless it is there, with a Python from OLDEST to NEWEST ("3.11"; "-" for no limit),
# and installs the given requirements into it: with uv when that is present, else with venv and pip.
# PYTHON=/path/to/python chooses the interpreter. The Makefile and make_stubs.py call this.
#
# usage: scripts/make-venv.sh FOLDER OLDEST NEWEST [REQUIREMENT...]
set -eu

folder=$1 oldest=$2 newest=$3
shift 3

fits() { # fits INTERPRETER: does it run, and is its version in the range?
    "$1" - "$oldest" "$newest" 2>/dev/null <<'PY'
import sys
bounds = [bound and tuple(int(part) for part in bound.split(".")) for bound in (a.strip("-") for a in sys.argv[1:])]
here = sys.version_info[:2]
sys.exit(bool(bounds[0] and here < bounds[0]) or bool(bounds[1] and here > bounds[1]))
PY
}

range="Python $oldest or newer"
[ "$newest" = "-" ] || range="Python $oldest to $newest"

find_python() {
    for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 python3.10 python3.9 python3.8 python}; do
        if fits "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    echo "$range is needed${PYTHON:+, and $PYTHON is not one}: install it, or name one: make PYTHON=/path/to/python ..." >&2
    exit 1
}

if ! fits "$folder/bin/python"; then
    rm -rf "$folder"
    if command -v uv >/dev/null 2>&1; then
        request=">=$oldest"
        [ "$newest" = "-" ] || request=">=$oldest,<=$newest.99"
        echo "making $folder (uv)"
        uv venv --quiet --python "${PYTHON:-$request}" "$folder"
    else
        python=$(find_python)
        echo "making $folder ($("$python" --version))"
        "$python" -m venv "$folder" || {
            echo "$python cannot make a virtual environment; on Debian and Ubuntu its package python3-venv is missing" >&2
            exit 1
        }
    fi
fi

[ $# -gt 0 ] || exit 0
echo "installing into $folder: $*"
if command -v uv >/dev/null 2>&1; then
    uv pip install --quiet --python "$folder/bin/python" "$@"
else
    "$folder/bin/python" -m pip --version >/dev/null 2>&1 || "$folder/bin/python" -m ensurepip >/dev/null
    "$folder/bin/python" -m pip install --quiet --quiet --disable-pip-version-check "$@"
fi
