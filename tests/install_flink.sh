#!/bin/sh
# Make the environment that Flink runs in, beside ours: what requirements-flink.lock names, and the jars of
# src/obverse/adapters/flink/pom.xml with the machine's Maven. Flink 2.3 takes Python 3.9 to 3.12, and Java 17.
set -e
cd "$(dirname "$0")/.."
mkdir -p .venv-flink
rm -rf .venv-flink/jars
# The Python of our own environment, if Flink takes it.
ours=$(.venv/bin/python -c 'import sys; print(sys.executable if (3, 11) <= sys.version_info < (3, 13) else ">=3.11,<3.13")')
if command -v java >/dev/null 2>&1 && command -v mvn >/dev/null 2>&1 &&
    .venv/bin/uv venv -q --clear --no-python-downloads --python "$ours" .venv-flink &&
    .venv/bin/uv pip install -q --python .venv-flink/bin/python --require-hashes -r requirements-flink.lock &&
    mvn -q -B -f src/obverse/adapters/flink/pom.xml dependency:copy-dependencies -DoutputDirectory="$PWD/.venv-flink/jars"; then
    touch .venv-flink/ready
elif [ "$CI" = "true" ]; then
    echo "Apache Flink could not be installed" >&2
    exit 1
else
    rm -rf .venv-flink/jars
    echo "Apache Flink could not be installed (Java 17, Maven and Python 3.11 or 3.12 are needed): its tests are skipped" >&2
    touch .venv-flink/ready
fi
