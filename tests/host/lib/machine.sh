# shellcheck shell=bash
# What this machine must have. Installs what is missing, says plainly what cannot be helped.

readonly MIN_FREE_MB=4096 # a base tree, one more in the making, and a few hosts

need_machine() {
  [ "$(id -u)" = 0 ] || fail "namespaces and mounts need root: run this as root"
  grep -qw overlay /proc/filesystems || modprobe overlay 2>/dev/null ||
    fail "this kernel has no overlay file system: load the module \"overlay\""
  local root
  root=$(cgroup_root)
  [ -w "$root/cgroup.procs" ] ||
    fail "$root is read-only: cgroup v2 must be writable (for a container: run it privileged)"
  [ -c /dev/net/tun ] ||
    fail "/dev/net/tun is missing, rootless networks need it: modprobe tun"
  need_cache_dir
}

need_cache_dir() {
  mkdir -p "$CACHE" "$HOSTS"
  case $(stat --file-system --format %T "$HOSTS") in
    overlayfs | tmpfs | nfs | fuseblk)
      fail "$HOSTS cannot carry overlays: set RIVETR_DEV_CACHE to a folder on ext4, xfs or btrfs" ;;
  esac
}

need_free_space() {
  local free
  free=$(df --output=avail --block-size=1M "$CACHE" | tail -n 1)
  [ "$free" -ge "$MIN_FREE_MB" ] ||
    fail "$CACHE has $free MB left and needs $MIN_FREE_MB: free some, or set RIVETR_DEV_CACHE"
}

# need_programs PROGRAM:PACKAGE... installs the packages whose program is not there.
need_programs() {
  local pair missing=()
  for pair in "$@"; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null ||
    fail "missing: ${missing[*]}. This machine has no apt-get: install them by hand"
  say "installing ${missing[*]}"
  {
    apt-get update && DEBIAN_FRONTEND=noninteractive \
      apt-get install --yes --no-install-recommends "${missing[@]}"
  } >"$CACHE/apt.log" 2>&1 ||
    { tail -n 20 "$CACHE/apt.log" >&2; fail "apt-get could not install: ${missing[*]}"; }
}

need_host_programs() {
  need_programs mmdebstrap:mmdebstrap ip:iproute2 unshare:util-linux findmnt:util-linux \
    curl:curl gpgv:gpgv git:git
}

# The mirror is the first of this machine's own apt sources that has the suite.
find_mirror() {
  local suite=$1 uri
  if [ -n "${RIVETR_DEV_MIRROR:-}" ]; then printf '%s\n' "$RIVETR_DEV_MIRROR"; return; fi
  while read -r uri; do
    if curl --silent --fail --head --location --max-time 20 --output /dev/null \
      "${uri%/}/dists/$suite/InRelease"; then
      printf '%s\n' "${uri%/}"
      return
    fi
  done < <(apt-get indextargets --format "\$(REPO_URI)" | awk '/^https?:/ && !seen[$0]++')
  fail "none of this machine's apt sources has Debian $suite: set RIVETR_DEV_MIRROR to a mirror"
}
