# shellcheck shell=bash
# Boots a host: its folder, its index (addresses, cgroup and link are named by it), its start.

readonly BOOT_SECONDS=90 # three are enough on an idle machine
readonly SHUTDOWN_SECONDS=60

host_up() {
  local name=${1:-} suite=trixie binary="" base stock
  check_name "$name"
  shift
  while [ $# -gt 0 ]; do
    case $1 in
      --suite) suite=$(value_of "$@"); shift 2 ;;
      --binary) binary=$(value_of "$@"); shift 2 ;;
      *) fail "up: unknown argument \"$1\"" ;;
    esac
  done
  [ -z "$binary" ] || [ -f "$binary" ] || fail "$binary is not a file"
  base=$(prepare_base "$suite")
  stock=$(prepare_stock)
  boot_new "$name" "$suite" "$base" "$stock" "$binary"
  host_info "$name"
}

host_info() {
  local name=${1:-} index pid
  need_running "$name"
  index=$(fact "$name" index) pid=$(fact "$name" pid)
  printf '{"name":"%s","address":"10.213.%d.2","gateway":"10.213.%d.1","suite":"%s","index":%d,"pid":%d,"root":"/proc/%d/root","dir":"%s"}\n' \
    "$name" "$index" "$index" "$(fact "$name" suite)" "$index" "$pid" "$pid" "$(host_dir "$name")"
}

host_console() {
  check_name "${1:-}"
  cat "$(host_dir "$1")/console.log"
}

host_reboot() {
  local name=${1:-} dir
  need_running "$name"
  dir=$(host_dir "$name")
  run_in "$name" root systemctl start --no-block --job-mode=replace-irreversibly poweroff.target
  flock --timeout "$SHUTDOWN_SECONDS" "$dir/alive" true || # held until its last process has ended
    fail "$name did not power off in $SHUTDOWN_SECONDS s: see \"host console $name\""
  local state
  state=$(boot "$name")
  [ "$state" = running ] || say "$name came back $state"
  host_info "$name"
}

# boot_new NAME SUITE BASE STOCK BINARY, either of the last empty for none; takes back what it made when the host does not come up.
boot_new() {
  local name=$1 suite=$2 base=$3 stock=$4 binary=$5 dir state
  dir=$(host_dir "$name")
  mkdir "$dir" 2>/dev/null ||
    fail "there is a host $name already (or what is left of one): host down $name"
  mkdir -p "$dir"/{upper,work,root,run,containers,home,rivetr,upper/etc,upper/usr/local/bin}
  printf '%s\n' "$suite" >"$dir/suite"
  printf '%s\n' "$base" >"$dir/base"
  printf '%s\n' "$stock" >"$dir/stock"
  claim_index "$dir"
  [ -z "$binary" ] || install -m 755 "$binary" "$dir/upper/usr/local/bin/rivetr"
  write_identity "$dir" "$name"
  write_podman_limits "$dir"
  if state=$(boot "$name") && [ "$state" = running ]; then return; fi
  say "$name did not boot to \"running\" but \"${state:-nothing}\":"
  explain_boot "$name" >&2
  remove_host "$name"
  exit 1
}

# The cgroup is the claim: mkdir is atomic, so several hosts can be started at once.
claim_index() {
  local dir=$1 root index
  root=$(cgroup_root)
  for index in {0..255}; do
    [ ! -e "/sys/class/net/$LINK_PREFIX$index" ] || continue
    if mkdir "$root/$CGROUP_PREFIX$index" 2>/dev/null; then
      printf '%s\n' "$root/$CGROUP_PREFIX$index" >"$dir/cgroup"
      printf '%s\n' "$index" >"$dir/index"
      return
    fi
  done
  rm -rf "$dir"
  fail "no cgroup $root/$CGROUP_PREFIX{0..255} could be made: 256 hosts are up, or it is read-only"
}

cgroup_of() { fact "$1" cgroup; }

write_identity() {
  local dir=$1 name=$2
  tr -d - </proc/sys/kernel/random/uuid >"$dir/upper/etc/machine-id"
  printf '%s\n' "$name" >"$dir/upper/etc/hostname"
  printf '127.0.0.1 localhost %s\n::1 localhost\n' "$name" >"$dir/upper/etc/hosts"
}

# Podman's own defaults fail where this machine does not hand on a controller or its right to
# raise limits.
write_podman_limits() {
  local dir=$1 target=$1/upper/etc/containers/containers.conf.d root index
  root=$(cgroup_root) index=$(<"$dir/index")
  mkdir -p "$target"
  {
    echo '[containers]'
    if ! hand_on_controllers "$root" "$root/$CGROUP_PREFIX$index"; then echo 'pids_limit = 0'; fi
    if ! may_raise_limits; then
      printf 'default_ulimits = ["nofile=%s:%s", "nproc=%s:%s"]\n' \
        "$(ulimit -Hn)" "$(ulimit -Hn)" "$(ulimit -Hu)" "$(ulimit -Hu)"
    fi
  } >"$target/50-machine.conf"
}

# True when the host gets at least the pids controller.
hand_on_controllers() {
  local root=$1 child=$2 controller
  for controller in $(<"$root/cgroup.controllers"); do
    echo "+$controller" 2>/dev/null >"$root/cgroup.subtree_control" || true
  done
  grep -qw pids "$child/cgroup.controllers"
}

may_raise_limits() {
  local effective cap_sys_resource=24
  effective=$(awk '/^CapEff/ { print $2 }' /proc/self/status)
  (((0x$effective >> cap_sys_resource) & 1))
}

# Starts PID 1 and prints how boot ended: what the unit host-ready.service wrote to the pipe.
boot() {
  local name=$1 dir index ready state=""
  dir=$(host_dir "$name") index=$(fact "$name" index)
  rm -f "$dir/run/ready"
  mkfifo -m 600 "$dir/run/ready"
  exec {ready}<>"$dir/run/ready" # read and write: opening does not wait for the other end
  clear_last_boot "$name" "$LINK_PREFIX$index"
  setsid "$here/lib/launch" "$dir" "$(fact "$name" base)" "$(cgroup_of "$name")" \
    "$LINK_PREFIX$index" "10.213.$index" "$name" "$(fact "$name" stock)" </dev/null >>"$dir/console.log" 2>&1 &
  wait_for_boot "$!" "$ready" state
  exec {ready}>&-
  printf '%s\n' "${state:-no answer}"
}

# A cgroup that handed controllers on takes no process, PID 1 neither.
clear_last_boot() {
  local cgroup controller
  cgroup=$(cgroup_of "$1")
  clear_cgroup "$cgroup"
  for controller in $(<"$cgroup/cgroup.subtree_control"); do
    echo "-$controller" >"$cgroup/cgroup.subtree_control"
  done
  ip link delete "$2" 2>/dev/null || true
}

wait_for_boot() {
  local launcher=$1 pipe=$2 deadline=$((SECONDS + BOOT_SECONDS)) part
  local -n answer=$3
  answer=
  while [ "$SECONDS" -lt "$deadline" ]; do
    # A read whose time is over has taken what there was of the line.
    if read -r -t 1 -u "$pipe" part; then answer+=$part; return; fi
    answer+=$part
    if ! kill -0 "$launcher" 2>/dev/null; then answer="PID 1 ended"; return; fi
  done
}

explain_boot() {
  local name=$1
  tail -n 40 "$(host_dir "$name")/console.log"
  is_running "$name" || return 0
  run_in "$name" root timeout 10 sh -c 'systemctl list-jobs; systemctl --failed --no-legend; journalctl -b -n 60 --no-pager' || true
}
