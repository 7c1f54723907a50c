#!/usr/bin/env bash
# Initialises an empty data directory, then becomes the server, both as the user mysql.
set -euo pipefail
# shellcheck source=../common/file_env.sh
. /usr/local/lib/file_env.sh
readonly data=/var/lib/mysql

# either NAME: MARIADB_NAME, or else MYSQL_NAME.
either() {
  file_env "MYSQL_$1"
  local older=MYSQL_$1
  file_env "MARIADB_$1" "${!older}"
}

# A text of SQL, whatever is in it.
quoted() {
  local text=${1//\\/\\\\}
  printf "'%s'" "${text//\'/\\\'}"
}

initialise() {
  local variable server
  for variable in ROOT_PASSWORD USER PASSWORD DATABASE ROOT_HOST; do either "$variable"; done
  if [ -z "$MARIADB_ROOT_PASSWORD" ] &&
    [ -z "${MARIADB_ALLOW_EMPTY_ROOT_PASSWORD:-${MYSQL_ALLOW_EMPTY_PASSWORD:-}}" ]; then
    echo "[ERROR] [Entrypoint]: Database is uninitialized and password option is not specified" >&2
    echo "        You need to specify one of MARIADB_ROOT_PASSWORD and MARIADB_ALLOW_EMPTY_ROOT_PASSWORD" >&2
    exit 1
  fi
  mariadb-install-db --datadir="$data" --auth-root-authentication-method=normal --skip-test-db >/dev/null
  # On the socket alone: nobody shall take it for the real one.
  mariadbd --skip-networking &
  server=$!
  until mariadb-admin --silent ping 2>/dev/null; do
    kill -0 "$server" || { wait "$server"; exit 1; }
    sleep 0.1
  done
  users | mariadb --user=root
  # shellcheck disable=SC2317 # called below
  query() { MYSQL_PWD=$MARIADB_ROOT_PASSWORD mariadb --user=root ${MARIADB_DATABASE:+--database="$MARIADB_DATABASE"}; }
  run_init_files query
  kill "$server"
  wait "$server"
  echo "[Entrypoint]: MariaDB init process done. Ready for start up."
}

users() {
  local password who
  password=$(quoted "$MARIADB_ROOT_PASSWORD")
  echo "ALTER USER root@localhost IDENTIFIED BY $password;"
  echo "CREATE USER IF NOT EXISTS root@$(quoted "${MARIADB_ROOT_HOST:-%}") IDENTIFIED BY $password;"
  echo "GRANT ALL ON *.* TO root@$(quoted "${MARIADB_ROOT_HOST:-%}") WITH GRANT OPTION;"
  [ -z "$MARIADB_DATABASE" ] || echo "CREATE DATABASE \`${MARIADB_DATABASE//\`/\`\`}\`;"
  if [ -n "$MARIADB_USER" ] && [ -n "$MARIADB_PASSWORD" ]; then
    who="$(quoted "$MARIADB_USER")@'%'"
    echo "CREATE USER $who IDENTIFIED BY $(quoted "$MARIADB_PASSWORD");"
    [ -z "$MARIADB_DATABASE" ] || echo "GRANT ALL ON \`${MARIADB_DATABASE//\`/\`\`}\`.* TO $who;"
  fi
  # For healthcheck.sh, which reads the password there.
  password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
  (umask 077 && printf '[mariadb-client]\nuser=healthcheck\npassword=%s\n' "$password" >"$data/.my-healthcheck.cnf")
  for who in 127.0.0.1 ::1 localhost; do echo "CREATE USER healthcheck@'$who' IDENTIFIED BY '$password';"; done
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
