#!/bin/sh
# Make the secrets of deploy/compose.yaml, once: random, in deploy/.env, for you alone to read.
# What is there already stays as it is; what a later release adds is added.
set -eu
umask 077
cd "$(dirname "$0")"
touch .env
chmod 600 .env

made=""
add() {
    if ! grep -q "^$1=" .env; then
        printf '%s=%s\n' "$1" "$2" >>.env
        made="$made $1"
    fi
}
random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

add POSTGRES_PASSWORD "$(random)"
for login in owner collector worker api query; do
    add "DATABASE_URL_$(echo "$login" | tr '[:lower:]' '[:upper:]')" \
        "postgresql://obverse_$login:$(random)@postgres:5432/obverse"
done
password="$(random)"
if ! grep -q '^REDIS_PASSWORD=' .env; then
    add REDIS_PASSWORD "$password"
    add REDIS_URL "redis://:$password@redis:6379/0"
fi
add API_KEY "$(random)"
if [ -n "$made" ]; then
    echo "made in deploy/.env:$made" >&2
else
    echo "deploy/.env has every secret already" >&2
fi
