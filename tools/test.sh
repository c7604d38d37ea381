#!/bin/sh
# All checks and tests, cheapest first; stops at the first that fails. With arguments: pytest with these alone.
set -eu
bin=.venv/bin

step() { printf '\n== %s\n' "$*"; }

if [ $# -gt 0 ]; then
    exec "$bin/pytest" "$@"
fi

step "Style";           "$bin/ruff" check .
step "Format";          "$bin/ruff" format --check .
step "Browser modules"; "$bin/oxlint" --quiet app
step "Types";           "$bin/mypy"
step "Import contracts"; "$bin/lint-imports" --no-logo

# What has a database of its own, or none, runs six at a time: it waits for its servers more than it works. What kills
# and waits, and what draws in a browser, runs one after the other, but the two beside each other, as each has servers of
# its own.
step "Tests"
"$bin/pytest" -q -n 6 tests --ignore=tests/chaos --ignore=tests/e2e

step "End-to-end tests, and chaos beside them"
said=$(mktemp)
"$bin/pytest" -q tests/chaos >"$said" 2>&1 &
chaos=$!
trap 'kill "$chaos" 2>/dev/null || true; rm -f "$said"' EXIT
trap 'exit 130' INT TERM
drawn=0
"$bin/pytest" -q tests/e2e || drawn=$?
killed=0
wait "$chaos" || killed=$?
step "Chaos tests"
cat "$said"
[ "$drawn" -eq 0 ] && [ "$killed" -eq 0 ] || exit 1
printf '\nAll passed.\n'
