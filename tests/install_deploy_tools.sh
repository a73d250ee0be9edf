#!/bin/sh
# Build what checks deploy/: helm and kubeconform out of their Go modules, a reader of compose files with Docker
# Compose's own library, and the schemas that documents are held against. Needs Go, and Maven with Java.
set -e
cd "$(dirname "$0")/.."
out="$PWD/.venv/deploy"
mkdir -p "$out"
command -v go >/dev/null 2>&1 || PATH="$PATH:/usr/local/go/bin"

export GOBIN="$out"
if command -v go >/dev/null 2>&1 && command -v mvn >/dev/null 2>&1 &&
    go install helm.sh/helm/v3/cmd/helm@v3.19.5 &&
    go install github.com/yannh/kubeconform/cmd/kubeconform@v0.7.0 &&
    go build -C deploy/tools/compose -o "$out/compose-read" . &&
    .venv/bin/uv pip install -q --python .venv/bin/python --target "$out/packages" --no-deps --require-hashes \
        -r deploy/tools/requirements.lock &&
    mvn -q -B -f deploy/tools/pom.xml dependency:copy-dependencies -DoutputDirectory="$out/jars" &&
    .venv/bin/python tests/deploy_schemas.py "$out/packages" "$out/jars" "$out/schemas"; then
    rm -rf "$out/packages" "$out/jars"
    touch "$out/ready"
elif [ "$CI" = "true" ]; then
    echo "the tools that check deploy/ could not be built" >&2
    exit 1
else
    echo "the tools that check deploy/ could not be built (Go 1.24, Maven and Java are needed): their tests are skipped" >&2
    rm -rf "$out/schemas"
    touch "$out/ready"
fi
