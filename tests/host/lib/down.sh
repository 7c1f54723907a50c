# shellcheck shell=bash
# The end of a host: every process, cgroup, link and file of it, also of one that is half made.

readonly KILL_SECONDS=20

host_down() {
  local name names=()
  [ $# -gt 0 ] || fail "down: which host? (or --all)"
  if [ "$1" = --all ]; then
    mapfile -t names < <(find "$HOSTS" -mindepth 1 -maxdepth 1 -type d -printf '%f\n' 2>/dev/null)
  else
    names=("$@")
  fi
  for name in "${names[@]}"; do
    check_name "$name"
    remove_host "$name"
  done
}

host_list() {
  local dir name state
  for dir in "$HOSTS"/*/; do
    [ -d "$dir" ] || continue
    name=$(basename "$dir") state=ended
    if is_running "$name"; then state=running; fi
    printf '%s %s 10.213.%s.2 %s\n' "$name" "$state" "$(fact "$name" index)" "$(fact "$name" suite)"
  done
}

# Holds the host's lock to the end: a launcher that comes late finds it taken and gives up.
remove_host() {
  local dir index cgroup alive
  dir=$(host_dir "$1")
  [ -d "$dir" ] || return 0
  exec {alive}>"$dir/alive"
  index=$(fact "$1" index) || index=""
  if [ -n "$index" ]; then
    cgroup=$(cgroup_of "$1")
    kill_cgroup "$cgroup"
    flock --timeout "$KILL_SECONDS" "$alive" || fail "the processes of $1 do not end"
    ip link delete "$LINK_PREFIX$index" 2>/dev/null || true
    remove_cgroup "$cgroup"
  fi
  rm -rf --one-file-system "$dir"
  exec {alive}>&-
}

kill_cgroup() {
  if [ -e "$1/cgroup.kill" ]; then echo 1 >"$1/cgroup.kill"; fi
}

remove_cgroup() {
  [ -d "$1" ] || return 0
  clear_cgroup "$1"
  rmdir "$1"
}

# Removes all below a cgroup. The kernel refuses while a killed process is not quite gone yet.
clear_cgroup() {
  local cgroup=$1 deadline=$((SECONDS + KILL_SECONDS))
  until find "$cgroup" -mindepth 1 -depth -type d -exec rmdir {} + 2>/dev/null; do
    [ "$SECONDS" -lt "$deadline" ] || fail "processes of $cgroup do not end"
    sleep 0.02
  done
}
