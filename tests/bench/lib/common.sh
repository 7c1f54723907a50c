# shellcheck shell=bash
# What the benchmarks share: a fresh host with a release build of rivetr in it, and how figures are shown.

root=$(readlink -f "$(dirname "${BASH_SOURCE[0]}")/../../..")
readonly root
readonly host=$root/tests/host/host
readonly lib=$root/tests/bench/lib
readonly suite=${RIVETR_BENCH_SUITE:-trixie}
bench_hosts=() setup_arguments=()

fail() { printf 'bench: %s\n' "$*" >&2; exit 1; }

# boot: sets bench_host, address and host_root; the host ends with this script. Of several, bench_host names the one that
# is used. It is set up with setup_arguments.
boot() {
  local info
  bench_host=bench-$(basename "$0")-$$-${#bench_hosts[@]}
  bench_hosts+=("$bench_host")
  trap '"$host" down "${bench_hosts[@]}"' EXIT
  info=$("$host" up "$bench_host" --suite "$suite" --binary "$(release_binary)")
  address=$(jq --raw-output .address <<<"$info") host_root=$(jq --raw-output .root <<<"$info")
  in_host rivetr setup --url "http://$address" "${setup_arguments[@]}" >/dev/null 2>&1 || fail "rivetr setup failed in the host"
}

# What is measured: a release of this tree, or the program that RIVETR_BENCH_PROGRAM names.
release_binary() (
  if [ -n "${RIVETR_BENCH_PROGRAM:-}" ]; then readlink -e "$RIVETR_BENCH_PROGRAM" && exit; fi
  cd "$root" || exit
  cargo build --quiet --release --bin rivetr || fail "rivetr was not built"
  readlink -m "${CARGO_TARGET_DIR:-target}/release/rivetr"
)

in_host() { "$host" exec "$bench_host" -- "$@"; }

# guest USER SCRIPT ARGUMENT...: runs a script of lib/ in the host.
guest() {
  local user=$1 script=$2
  shift 2
  "$host" exec "$bench_host" --user "$user" -- bash -s -- "$@" <"$lib/$script"
}

# What is beside rivetr's proxy in the host, for scripts that run there.
install_fronts() {
  install_in_host nginx haproxy caddy nghttp2-client apache2-utils openssl
  install --mode 644 "$lib/fronts" "$host_root/run/fronts"
}

# The sample app, as a folder of the host.
copy_sample() {
  cp -rT "$root/tests/apps/hello" "$host_root$1"
  chmod -R a+rX "$host_root$1"
}

# The command `load` in the host, which is a client and an app. It is no release build, which it would need one more of.
install_load() {
  (cd "$root" && cargo build --quiet --features failpoints --bin rivetr-load) || fail "rivetr-load was not built"
  install --mode 755 "$(readlink -m "${CARGO_TARGET_DIR:-$root/target}")/debug/rivetr-load" "$host_root/usr/local/bin/load"
}

# deploy_load APP: the same as an app, which can be deployed again without a build.
deploy_load() {
  install_load
  guest root answers-guest "$1" >"$host_root/run/said" 2>&1 || { cat "$host_root/run/said" >&2; fail "$1 was not deployed"; }
}

# The command `deliver` in the host, which sends webhooks.
install_deliver() { install --mode 755 "$lib/deliver" "$host_root/usr/local/bin/deliver"; }

# The host has no network but to this machine, so its packages come over this machine's.
install_in_host() {
  local pid
  pid=$("$host" info "$bench_host" | jq --raw-output .pid)
  cp /etc/resolv.conf "$host_root/run/resolv.outer"
  nsenter --target "$pid" --mount -- unshare --mount bash -s -- "$@" <"$lib/install-guest" >"$host_root/run/install.log" 2>&1 ||
    { tail -n 20 "$host_root/run/install.log" >&2; fail "$* could not be installed in the host"; }
}

# Figures of a machine that does other things too are worth little.
busy() {
  awk -v cpus="$(nproc)" '
    { print "  load of the machine at the end: " $1 " on " cpus " processors" ($1 > cpus + 1 ? " (busy: run it again)" : "") }' /proc/loadavg
}

# show NAME UNIT [BUDGET] <FIGURES: a row of median, least and most.
show() {
  sort -g | awk -v name="$1" -v unit="$2" -v budget="${3:-}" '
    { figure[NR] = $1 }
    END {
      if (NR == 0) { printf "  %-34s   no figures\n", name; exit 1 }
      median = NR % 2 ? figure[(NR + 1) / 2] : (figure[NR / 2] + figure[NR / 2 + 1]) / 2
      printf "  %-34s %9.2f %-8s %9.2f .. %-9.2f n=%-3d %s\n",
        name, median, unit, figure[1], figure[NR], NR, budget == "" ? "" : "budget " budget
    }'
}

# column NAME <TABLE of "name figure"
column() { awk -v name="$1" '$1 == name { print $2 }'; }
