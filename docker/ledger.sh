#!/bin/sh
# Run once by PostgreSQL's image, when its database is made: a role for the ledger that owns its
# database, and nothing else. The superuser's password is given to no other service.
set -eu
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres <<'SQL'
\set password `cat "$LEDGER_PASSWORD_FILE"`
CREATE ROLE hpsearch LOGIN PASSWORD :'password' NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION;
CREATE DATABASE hpsearch OWNER hpsearch;
REVOKE ALL ON DATABASE hpsearch FROM PUBLIC;
REVOKE CONNECT ON DATABASE postgres FROM PUBLIC;
SQL
