#!/usr/bin/env bash
# healthcheck.sh --connect --innodb_initialized: succeeds when each of what is asked for is so.
set -euo pipefail

query() { mariadb --defaults-file=/var/lib/mysql/.my-healthcheck.cnf --skip-column-names "$@"; }

[ $# -gt 0 ] || { echo "healthcheck.sh: what to check? --connect, --innodb_initialized" >&2; exit 1; }
for check in "$@"; do
  case $check in
    --connect) query --host=127.0.0.1 --protocol=tcp --execute='SELECT 1' >/dev/null ;;
    --innodb_initialized)
      [ "$(query --execute="SELECT 1 FROM information_schema.ENGINES WHERE engine = 'innodb' AND support IN ('YES', 'DEFAULT', 'ENABLED')")" = 1 ]
      ;;
    *) echo "healthcheck.sh: $check is not known here" >&2; exit 1 ;;
  esac
done
