#!/bin/sh
# Installs the Debian packages that the tests need, where it can; says what is skipped, and why, where it cannot.
set -eu
packages=""
skipped=""
command -v chromium >/dev/null 2>&1 || { packages="chromium fonts-noto-core"; skipped="the end-to-end tests (Chromium)"; }
command -v faketime >/dev/null 2>&1 || { packages="$packages faketime"; skipped="${skipped:+$skipped, }wrong clocks (faketime)"; }

[ -n "$packages" ] || exit 0
if [ "$(id -u)" -ne 0 ]; then
    echo "  Skipped: $skipped. Installing what they need takes root: apt-get install $packages"
elif ! command -v apt-get >/dev/null 2>&1; then
    echo "  Skipped: $skipped. There is no apt-get here to install what they need."
else
    echo "  Debian packages: $packages"
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086 - several words are meant
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends $packages; } >/dev/null 2>&1 ||
        echo "  Skipped: $skipped. apt-get could not install $packages."
fi
