# shellcheck shell=bash
# What the benchmarks share: a fresh host with a release build of rivetr in it, and how figures are shown.

root=$(readlink -f "$(dirname "${BASH_SOURCE[0]}")/../../..")
readonly root
readonly host=$root/tests/host/host
readonly lib=$root/tests/bench/lib
readonly suite=${RIVETR_BENCH_SUITE:-trixie}
bench_host=bench-$(basename "$0")-$$
readonly bench_host

fail() { printf 'bench: %s\n' "$*" >&2; exit 1; }

# boot: sets address and host_root; the host ends with this script.
boot() {
  local info
  trap '"$host" down "$bench_host"' EXIT
  info=$("$host" up "$bench_host" --suite "$suite" --binary "$(release_binary)")
  address=$(jq --raw-output .address <<<"$info") host_root=$(jq --raw-output .root <<<"$info")
  in_host rivetr setup --url "http://$address" >/dev/null 2>&1 || fail "rivetr setup failed in the host"
}

release_binary() (
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

# The sample app, as a folder of the host.
copy_sample() {
  cp -rT "$root/tests/apps/hello" "$host_root$1"
  chmod -R a+rX "$host_root$1"
}

# The command `deliver` in the host, which sends webhooks.
install_deliver() { install --mode 755 "$lib/deliver" "$host_root/usr/local/bin/deliver"; }

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
