#!/bin/sh
# Makes .venv and installs exactly what a lock file names, with its hashes.  tools/environment.sh requirements.lock
# Needs Python 3.11+ with pip or venv; nothing else. Quick when nothing has changed.
set -eu
lock=$1
stamps=.venv/stamps
python=${PYTHON:-}

say() { printf '  %s\n' "$*"; }
fail() { printf 'opsloom: %s\n' "$*" >&2; exit 1; }

if [ -z "$python" ]; then
    for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
        if command -v "$candidate" >/dev/null 2>&1 &&
            "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            python=$candidate
            break
        fi
    done
fi
[ -n "$python" ] || fail "Python 3.11 or newer is needed and was not found. Name it: make up PYTHON=/path/to/python3.12"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail "$python is older than Python 3.11."

# An environment whose Python went away, or that was never finished, is made anew.
if .venv/bin/python -m pip --version >/dev/null 2>&1; then
    mkdir -p "$stamps"
    touch "$stamps/made"
fi
if ! [ -f "$stamps/made" ] || ! .venv/bin/python -c '' 2>/dev/null; then
    say "Virtual environment in .venv ($("$python" --version))"
    rm -rf .venv
    if ! "$python" -m venv .venv >/dev/null 2>&1; then
        # Debian keeps ensurepip in a package of its own; a pip that is there already serves as well.
        rm -rf .venv
        "$python" -m pip --version >/dev/null 2>&1 && "$python" -m venv --without-pip .venv ||
            fail "$python cannot make a virtual environment. On Debian and Ubuntu: apt-get install python3-venv"
    fi
    mkdir -p "$stamps"
    touch "$stamps/made"
fi

# What is installed depends on the lock and on the project's own description, and on nothing else.
wanted=$(cat "$lock" requirements-bootstrap.lock pyproject.toml | cksum)
[ "$(cat "$stamps/installed" 2>/dev/null || true)" = "$lock $wanted" ] && exit 0
# The environment of the tests holds everything that running needs.
[ "$lock" = requirements.lock ] && dev=$(cat requirements-dev.lock requirements-bootstrap.lock pyproject.toml | cksum) &&
    [ "$(cat "$stamps/installed" 2>/dev/null || true)" = "requirements-dev.lock $dev" ] && exit 0

installer() {
    if [ -x .venv/bin/pip ]; then .venv/bin/python -m pip "$@"; else "$python" -m pip "$@"; fi
}

uv=.venv/uv/bin/uv
if ! [ -x "$uv" ] || ! "$uv" --version >/dev/null 2>&1; then
    say "uv, which installs the rest"
    rm -rf .venv/uv
    installer install --quiet --disable-pip-version-check --require-hashes --no-deps --target .venv/uv \
        -r requirements-bootstrap.lock || fail "pip could not install uv. Is the package index reachable?"
fi

say "Packages of $lock (a minute or two)"
rm -f "$stamps/installed"
. tools/index.sh
export UV_LINK_MODE=${UV_LINK_MODE:-copy}
complaint=$stamps/uv.log
if ! "$uv" pip sync --quiet --require-hashes --python .venv/bin/python "$lock" 2>"$complaint"; then
    say "uv could not install them; pip tries the same"
    if ! installer --python .venv/bin/python install --quiet --require-hashes -r "$lock"; then
        cat "$complaint" >&2
        fail "The packages could not be installed. Is the package index reachable?"
    fi
fi
"$uv" pip install --quiet --python .venv/bin/python --offline --no-deps --no-build-isolation -e .
printf '%s' "$lock $wanted" > "$stamps/installed"
