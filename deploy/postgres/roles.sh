#!/bin/sh
# The database, and a login for each part of Obverse, as `obverse up` makes them for itself. Run once, as a superuser:
# the image of PostgreSQL does so when its data folder is new; elsewhere set PGHOST, PGUSER … as psql takes them.
# The passwords come out of the addresses in SECRETS (a folder, /run/secrets if not set). They are letters and digits.
set -eu
secrets="${SECRETS:-/run/secrets}"

password_of() {
    url="$(cat "$secrets/database-url-$1")"
    password="${url#postgresql://*:}"
    password="${password%%@*}"
    case "$password" in
    '' | *[!A-Za-z0-9]*)
        echo "the password in $secrets/database-url-$1 has to be letters and digits: make it with deploy/new-secrets.sh" >&2
        exit 1
        ;;
    esac
    printf %s "$password"
}

# Assigned first, since a command that fails within another one's arguments stops nothing.
owner="$(password_of owner)"
collector="$(password_of collector)"
worker="$(password_of worker)"
api="$(password_of api)"
query="$(password_of query)"

# Through stdin, so that no list of processes shows them.
psql -v ON_ERROR_STOP=1 --no-psqlrc --quiet --username "${POSTGRES_USER:-${PGUSER:-postgres}}" --dbname postgres <<SQL
set password_encryption = 'scram-sha-256';
create role obverse_owner login password '$owner';
create role obverse_collector login password '$collector';
create role obverse_worker login password '$worker';
create role obverse_api login password '$api';
create role obverse_query login password '$query';
create database obverse owner obverse_owner;
revoke all on database obverse, postgres, template1 from public;
grant connect on database obverse to obverse_collector, obverse_worker, obverse_api, obverse_query;
-- A checkpoint is put down in temporary tables first.
grant temporary on database obverse to obverse_worker;
SQL
