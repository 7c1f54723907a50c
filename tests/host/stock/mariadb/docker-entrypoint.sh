#!/usr/bin/env bash
# Initialises an empty data directory, then becomes the server, both as the user mysql.
set -euo pipefail
# shellcheck source=../common/file_env.sh
. /usr/local/lib/file_env.sh
# shellcheck source=../common/sql_server.sh
. /usr/local/lib/sql_server.sh
readonly data=/var/lib/mysql

# either NAME: MARIADB_NAME, or else MYSQL_NAME.
either() {
  file_env "MYSQL_$1"
  local older=MYSQL_$1
  file_env "MARIADB_$1" "${!older}"
}

initialise() {
  local variable
  for variable in ROOT_PASSWORD ROOT_HOST DATABASE USER PASSWORD; do either "$variable"; done
  local root_password=$MARIADB_ROOT_PASSWORD root_host=$MARIADB_ROOT_HOST
  local database=$MARIADB_DATABASE user=$MARIADB_USER password=$MARIADB_PASSWORD
  if [ -z "$root_password" ] &&
    [ -z "${MARIADB_ALLOW_EMPTY_ROOT_PASSWORD:-${MYSQL_ALLOW_EMPTY_PASSWORD:-}}" ]; then
    echo "[ERROR] [Entrypoint]: Database is uninitialized and password option is not specified" >&2
    echo "        You need to specify one of MARIADB_ROOT_PASSWORD and MARIADB_ALLOW_EMPTY_ROOT_PASSWORD" >&2
    exit 1
  fi
  mariadb-install-db --datadir="$data" --auth-root-authentication-method=normal --skip-test-db >/dev/null
  fill_new mariadb-admin mariadb with_healthcheck mariadbd
  echo "[Entrypoint]: MariaDB init process done. Ready for start up."
}

# The user of healthcheck.sh, too, which reads the password there.
with_healthcheck() {
  local word who
  statements
  word=$(guess_proof)
  (umask 077 && printf '[mariadb-client]\nuser=healthcheck\npassword=%s\n' "$word" >"$data/.my-healthcheck.cnf")
  for who in 127.0.0.1 ::1 localhost; do echo "CREATE USER healthcheck@'$who' IDENTIFIED BY '$word';"; done
}

if [ "${1:-}" = "" ] || [ "${1#-}" != "$1" ]; then set -- mariadbd "$@"; fi
if [ "$1" = mariadbd ] || [ "$1" = mysqld ]; then
  shift
  set -- mariadbd "$@"
  if [ "$(id -u)" = 0 ]; then
    find "$data" ! -user mysql -exec chown mysql:mysql '{}' +
    exec setpriv --reuid mysql --regid mysql --init-groups "$0" "$@"
  fi
  if [ ! -d "$data/mysql" ]; then initialise; fi
fi
exec "$@"
