#!/usr/bin/env bash
# Initialises an empty data directory, then becomes the server, both as the user mysql.
set -euo pipefail
# shellcheck source=../common/file_env.sh
. /usr/local/lib/file_env.sh
# shellcheck source=../common/sql_server.sh
. /usr/local/lib/sql_server.sh
readonly data=/var/lib/mysql

# initialise SERVER...
initialise() {
  local variable
  for variable in ROOT_PASSWORD ROOT_HOST DATABASE USER PASSWORD; do file_env "MYSQL_$variable"; done
  local root_password=$MYSQL_ROOT_PASSWORD root_host=$MYSQL_ROOT_HOST
  local database=$MYSQL_DATABASE user=$MYSQL_USER password=$MYSQL_PASSWORD
  if [ -z "$root_password" ] && [ -n "${MYSQL_RANDOM_ROOT_PASSWORD:-}" ]; then
    root_password=$(guess_proof)
    echo "[Note] [Entrypoint]: GENERATED ROOT PASSWORD: $root_password"
  elif [ -z "$root_password" ] && [ -z "${MYSQL_ALLOW_EMPTY_PASSWORD:-}" ]; then
    echo "[ERROR] [Entrypoint]: Database is uninitialized and password option is not specified" >&2
    echo "    You need to specify one of MYSQL_ROOT_PASSWORD, MYSQL_ALLOW_EMPTY_PASSWORD and" >&2
    echo "    MYSQL_RANDOM_ROOT_PASSWORD" >&2
    exit 1
  fi
  if [ "$user" = root ]; then
    echo "[ERROR] [Entrypoint]: MYSQL_USER is a user besides root, and cannot be \"root\"" >&2
    exit 1
  fi
  # What it does not understand it shall say before there is half of a database.
  "$@" --validate-config
  "$@" --initialize-insecure
  fill_new mysqladmin mysql statements "$@"
  echo "[Note] [Entrypoint]: MySQL init process done. Ready for start up."
}

if [ "${1:-}" = "" ] || [ "${1#-}" != "$1" ]; then set -- mysqld "$@"; fi
if [ "$1" = mysqld ]; then
  if [ "$(id -u)" = 0 ]; then
    find "$data" ! -user mysql -exec chown mysql:mysql '{}' +
    exec setpriv --reuid mysql --regid mysql --init-groups "$0" "$@"
  fi
  if [ ! -d "$data/mysql" ]; then initialise "$@"; fi
fi
exec "$@"
