#!/usr/bin/env bash
# Runs a command with a PostgreSQL of its own, which BREEZEWAY_TEST_POSTGRES names and which is gone
# afterwards: tools/postgres.sh cargo test …
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tools/lib.sh

programs() { find /usr/lib/postgresql/*/bin -maxdepth 0 2>/dev/null | sort -V | tail -n 1; }

bin=$(programs)
if [ -z "$bin" ]; then
  apt_install "PostgreSQL (the tests run on it too)" postgresql postgresql-contrib
  bin=$(programs)
fi

folder=$(mktemp -d)
# PostgreSQL does not run as root.
as=()
if [ "$(id -u)" = 0 ]; then
  chown postgres "$folder"
  as=(runuser -u postgres --)
fi
stop() {
  "${as[@]}" "$bin/pg_ctl" --pgdata "$folder/data" --mode immediate --silent stop || true
  rm -rf "$folder"
}
trap stop EXIT

port=$(node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close(); })')
"${as[@]}" "$bin/initdb" --pgdata "$folder/data" --username tester --auth trust --no-sync \
  --encoding UTF8 --locale C.UTF-8 >"$folder/initdb.log" 2>&1 || { cat "$folder/initdb.log" >&2; exit 1; }
# What the tests keep need not survive a power cut.
"${as[@]}" "$bin/pg_ctl" --pgdata "$folder/data" --log "$folder/log" --silent --wait start --options \
  "-h 127.0.0.1 -p $port -k $folder -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=500"
"$bin/psql" --quiet --host 127.0.0.1 --port "$port" --username tester --dbname postgres \
  --command 'CREATE EXTENSION unaccent'

BREEZEWAY_TEST_POSTGRES="postgres://tester@127.0.0.1:$port/postgres" "$@" || {
  code=$?
  echo "What PostgreSQL complained of, with how often:" >&2
  grep -A3 ERROR "$folder/log" | grep -oE '(ERROR|DETAIL|STATEMENT): .*' | sort | uniq -c | sort -rn | head -n 40 >&2
  exit "$code"
}
