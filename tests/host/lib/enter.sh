# shellcheck shell=bash
# Commands inside a host.

host_exec() {
  local name=${1:-} user=root
  check_name "$name"
  shift
  while [ $# -gt 0 ]; do
    case $1 in
      --user) user=$(value_of "$@"); shift 2 ;;
      --) shift; break ;;
      *) fail "exec: put -- before the command" ;;
    esac
  done
  [ $# -gt 0 ] || fail "exec: which command?"
  need_running "$name"
  enter "$name" "$user" "$@"
}

is_running() {
  local pid cgroup
  pid=$(fact "$1" pid) && cgroup=$(cgroup_of "$1") &&
    grep -sqx "$pid" "$cgroup/init.scope/cgroup.procs" "$cgroup/cgroup.procs"
}

need_running() {
  check_name "${1:-}"
  [ -d "$(host_dir "$1")" ] || fail "there is no host $1: host up $1"
  is_running "$1" || fail "host $1 is not running: host down $1, then host up $1"
}

# run_in NAME USER COMMAND...
run_in() (
  enter "$@"
)

# The same, but this process becomes the command.
enter() {
  local pid cgroup user=$2 name uid gid home shell environment become slice
  pid=$(fact "$1" pid) cgroup=$(cgroup_of "$1")
  shift 2
  while IFS=: read -r name _ uid gid _ home shell && [ "$name" != "$user" ]; do :; done <"/proc/$pid/root/etc/passwd"
  [ "$name" = "$user" ] || fail "there is no user $user in the host"
  environment=(
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" "LANG=C.UTF-8"
    "TERM=${TERM:-dumb}" "HOME=$home" "USER=$user" "LOGNAME=$user" "SHELL=$shell"
  )
  become=()
  slice=$cgroup
  if [ "$uid" != 0 ]; then
    become=(setpriv --reuid "$uid" --regid "$gid" --init-groups)
    environment+=("XDG_RUNTIME_DIR=/run/user/$uid" "DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/$uid/bus")
    if [ -d "$cgroup/user.slice/user-$uid.slice" ]; then slice=$cgroup/user.slice/user-$uid.slice; fi
  fi
  # In the host's own tree, as a login would be: systemd inside must see where it belongs.
  [ -d "$slice/enter.scope" ] || mkdir -p "$slice/enter.scope"
  echo "$BASHPID" >"$slice/enter.scope/cgroup.procs"
  # A shell waits for the command, not nsenter: that one stops itself when its child is stopped, as
  # systemd does with every process at power-off, and then nobody wakes it and the host hangs.
  # shellcheck disable=SC2016
  exec nsenter --target "$pid" --all --no-fork sh -c '"$@"; exit $?' sh \
    env --ignore-environment --chdir="$home" "${environment[@]}" "${become[@]}" "$@"
}
