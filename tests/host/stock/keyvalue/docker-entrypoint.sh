#!/bin/sh
# Becomes the server, as its own user and open to the network, as the official images are.
set -eu
name=@NAME@
server=$name-server

if [ $# = 0 ] || [ "${1#-}" != "$1" ] || [ "${1%.conf}" != "$1" ]; then set -- "$server" "$@"; fi
if [ "$1" = "$server" ]; then
  if [ "$(id -u)" = 0 ]; then
    find . ! -user "$name" -exec chown "$name" '{}' +
    exec setpriv --reuid "$name" --regid "$name" --init-groups "$0" "$@"
  fi
  # Debian's is closed unless told otherwise; a file or an option that speaks of it is heard.
  if ! grep -qs protected-mode -- "${2:-/dev/null}" && ! echo "$*" | grep -q protected-mode; then
    set -- "$@" --protected-mode no
  fi
  if [ "$(umask)" = 0022 ]; then umask 0077; fi
fi
exec "$@"
