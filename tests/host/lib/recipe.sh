# shellcheck shell=bash
# What the base is made of. A change here, or in inside/, makes a new base.

readonly BASE_PACKAGES=(
  systemd systemd-sysv dbus dbus-user-session libpam-systemd
  podman catatonit crun passt netavark aardvark-dns uidmap nftables
  git openssh-client openssh-server lighttpd docker-registry pebble
  ca-certificates curl iproute2 procps python3-minimal busybox-static testssl.sh rpm
)

make_tree() {
  local suite=$1 mirror=$2 target=$3
  bootstrap "$suite" "$mirror" "$target" --variant=minbase --include="$(list "${BASE_PACKAGES[@]}")"
  (umask 022 && cp -rT "$here/inside" "$target") # modes whatever umask the checkout was made with
  in_tree "$target" /usr/local/libexec/host/customize
}

list() { local IFS=,; echo "$*"; }

# bootstrap SUITE MIRROR TARGET OPTION...
bootstrap() {
  local suite=$1 mirror=$2 target=$3 log=$CACHE/bootstrap-$1.log proxy options=("${@:4}")
  while read -r proxy; do
    options+=(--aptopt="$proxy")
  done < <(apt-config dump --format '%f "%v";%n' Acquire::http::Proxy Acquire::https::Proxy)
  # The index of a testing suite is signed for a shorter time than it may stand on a mirror.
  mmdebstrap --format=directory \
    --aptopt='Acquire::Check-Valid-Until "false"' --aptopt='Acquire::Retries "3"' \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    "${options[@]}" \
    "$suite" "$target" "$mirror" >"$log" 2>&1 ||
    { tail -n 20 "$log" >&2; fail "mmdebstrap could not make Debian $suite (all of it: $log)"; }
}

# Some tools want a /proc; it ends with the command.
in_tree() {
  # shellcheck disable=SC2016
  unshare --mount --pid --fork chroot "$1" sh -c 'mount -t proc proc /proc && exec "$@"' sh "${@:2}"
}
