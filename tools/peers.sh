#!/bin/sh
# Makes an environment in .venv-peers for each engine that the bench compares with. Quick when nothing has changed.
# One that cannot be installed leaves its reason in .venv-peers/NAME.missing; the bench tells it.
set -eu
restate_server=1.7.12
restate_sha256=4d40ef3b28cd6d96503f2ae9f7d119b6902bead3fbeaadfd865530631959118f
mkdir -p .venv-peers
installer() { .venv/bin/python -m pip "$@"; }
. tools/index.sh

# The server of Restate comes as an npm package: one file, which needs no Node to run.
restate_binary() {
    command -v npm >/dev/null 2>&1 || { echo "its server comes through npm, which is not installed"; return 1; }
    (cd "$1" && npm pack --silent "@restatedev/restate-server-linux-x64@$restate_server" >/dev/null &&
        echo "$restate_sha256  restatedev-restate-server-linux-x64-$restate_server.tgz" | sha256sum --check --quiet &&
        tar xzf "restatedev-restate-server-linux-x64-$restate_server.tgz")
}

install() {
    .venv/bin/python -m venv --without-pip "$2" &&
        .venv/uv/bin/uv pip install --quiet --compile-bytecode --python "$2/bin/python" --require-hashes -r "bench/peers/$1.lock" &&
        { [ "$1" != restate ] || restate_binary "$2"; }
}

for lock in bench/peers/*.lock; do
    name=$(basename "$lock" .lock)
    place=.venv-peers/$name
    wanted="$restate_server $(cksum <"$lock")"
    [ "$(cat "$place/installed" 2>/dev/null || true)" = "$wanted" ] && continue
    echo "  $name, to compare with" >&2
    rm -rf "$place"
    if install "$name" "$place" >"$place.missing" 2>&1; then
        rm "$place.missing"
        echo "$wanted" >"$place/installed"
    else
        echo "  $name could not be installed: $(tail -1 "$place.missing")" >&2
    fi
done
