# shellcheck shell=bash
# What MySQL and MariaDB have in common: a new server's passwords, users and databases. What they are is set by
# who sources this: $root_password, $root_host, $database, $user and $password.

# A text of SQL, whatever is in it.
quoted() {
  local text=${1//\\/\\\\}
  printf "'%s'" "${text//\'/\\\'}"
}

# A password that nobody can guess.
guess_proof() { od -An -N16 -tx1 /dev/urandom | tr -d ' \n'; }

# What a new server is told.
statements() {
  local word who
  : "${root_password?}" "${root_host?}" "${database?}" "${user?}" "${password?}"
  word=$(quoted "$root_password") who=root@$(quoted "${root_host:-%}")
  echo "ALTER USER root@localhost IDENTIFIED BY $word;"
  echo "CREATE USER IF NOT EXISTS $who IDENTIFIED BY $word;"
  echo "GRANT ALL ON *.* TO $who WITH GRANT OPTION;"
  [ -z "$database" ] || echo "CREATE DATABASE \`${database//\`/\`\`}\`;"
  if [ -n "$user" ] && [ -n "$password" ]; then
    who="$(quoted "$user")@'%'"
    echo "CREATE USER $who IDENTIFIED BY $(quoted "$password");"
    [ -z "$database" ] || echo "GRANT ALL ON \`${database//\`/\`\`}\`.* TO $who;"
  fi
}

# fill_new ADMIN CLIENT STATEMENTS SERVER...: starts the server for it alone, tells it what the command STATEMENTS
# says, and runs the files for a new one.
fill_new() {
  local admin=$1 client=$2 statements=$3 server
  shift 3
  # On the socket alone: nobody shall take it for the real one.
  "$@" --skip-networking &
  server=$!
  until "$admin" --silent ping 2>/dev/null; do
    kill -0 "$server" || { wait "$server"; exit 1; }
    sleep 0.1
  done
  "$statements" | "$client" --user=root
  # shellcheck disable=SC2317 # called below
  query() { MYSQL_PWD=$root_password "$client" --user=root ${database:+--database="$database"}; }
  run_init_files query
  kill "$server"
  wait "$server"
}
