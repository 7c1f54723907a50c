# shellcheck shell=bash
# Messages, arguments, where things lie.

readonly CACHE=${RIVETR_DEV_CACHE:-/var/cache/rivetr-dev}
readonly HOSTS=${RIVETR_DEV_HOSTS:-$CACHE/hosts}
# Names in the kernel carry these prefixes and the host's index, so that leftovers can be told.
readonly CGROUP_PREFIX=rivetr-dev-
readonly LINK_PREFIX=rvtdev

say() { printf 'host: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

check_suite() {
  case $1 in
    trixie | forky) ;;
    *) fail "suite \"$1\" is not known: use trixie or forky" ;;
  esac
}

# Names end up in paths and host names.
check_name() {
  [[ $1 =~ ^[a-z0-9][a-z0-9-]{0,39}$ ]] ||
    fail "\"$1\" cannot name a host: use up to 40 of a-z, 0-9 and -, not - first"
}

# The value after an option, or a clear failure.
value_of() { [ $# -ge 2 ] || fail "$1 needs a value"; printf '%s\n' "$2"; }

cgroup_root() {
  local root
  root=$(findmnt --types cgroup2 --noheadings --output TARGET --first-only) ||
    fail "no cgroup v2 is mounted here: mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified"
  printf '%s\n' "$root"
}

host_dir() { printf '%s\n' "$HOSTS/$1"; }

# One recorded fact of a host: suite, index, cgroup, pid, base. Tests enter hosts thousands of times: no program is started.
fact() {
  local value
  { read -r value <"$HOSTS/$1/$2"; } 2>/dev/null && printf '%s\n' "$value"
}
