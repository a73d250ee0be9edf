#!/bin/sh
# Make the environment that Spark runs in, beside ours: what requirements-spark.lock names, and the jars of
# src/obverse/adapters/spark/pom.xml with the machine's Maven. Spark 4.2 takes Java 17 or 21.
set -e
cd "$(dirname "$0")/.."
mkdir -p .venv-spark
rm -rf .venv-spark/jars
if command -v java >/dev/null 2>&1 && command -v mvn >/dev/null 2>&1 &&
    .venv/bin/uv venv -q --clear --no-python-downloads --python .venv/bin/python .venv-spark &&
    .venv/bin/uv pip install -q --python .venv-spark/bin/python --require-hashes -r requirements-spark.lock &&
    mvn -q -B -f src/obverse/adapters/spark/pom.xml dependency:copy-dependencies -DoutputDirectory="$PWD/.venv-spark/jars"; then
    touch .venv-spark/ready
elif [ "$CI" = "true" ]; then
    echo "Apache Spark could not be installed" >&2
    exit 1
else
    rm -rf .venv-spark/jars
    echo "Apache Spark could not be installed (Java 17 and Maven are needed): its tests are skipped" >&2
    touch .venv-spark/ready
fi
