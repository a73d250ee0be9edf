#!/bin/sh
# Copy the jars that src/obverse/sandboxes/kafka/pom.xml names into the environment, with the machine's Maven.
set -e
cd "$(dirname "$0")/.."
mkdir -p .venv/kafka
if command -v mvn >/dev/null 2>&1 &&
    rm -f .venv/kafka/*.jar &&
    mvn -q -B -f src/obverse/sandboxes/kafka/pom.xml dependency:copy-dependencies -DoutputDirectory="$PWD/.venv/kafka"; then
    touch .venv/kafka/ready
elif [ "$CI" = "true" ]; then
    echo "the jars of Apache Kafka could not be installed" >&2
    exit 1
else
    echo "the jars of Apache Kafka could not be installed (Maven and Java 17 are needed): tests with a broker are skipped" >&2
    touch .venv/kafka/ready
fi
