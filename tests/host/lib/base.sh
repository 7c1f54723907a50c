# shellcheck shell=bash
# The base: an unpacked Debian that every host has as its read-only lower layer. Made once per
# suite and recipe, aside, and renamed when a host booted from it has filled its registry.

readonly UNUSED_BASE_DAYS=14

host_prepare() {
  local suite suites=()
  while [ $# -gt 0 ]; do
    case $1 in
      --suite) suites+=("$(value_of "$@")"); shift 2 ;;
      *) fail "prepare: unknown argument \"$1\"" ;;
    esac
  done
  for suite in "${suites[@]:-trixie}"; do prepare_base "$suite" >/dev/null; done
  prepare_stock >/dev/null
}

# Prints the path of the base; makes it when it is not there.
prepare_base() {
  local suite=$1 base
  check_suite "$suite"
  need_machine
  need_host_programs
  base=$(base_path "$suite")
  if [ ! -e "$base/complete" ]; then make_base "$suite" "$base" >&2; fi
  touch "$base/complete"
  printf '%s\n' "$base"
}

base_path() { printf '%s/base-%s-%s\n' "$CACHE" "$1" "$(recipe_hash "$1")"; }

# Changes whenever the tree that would come out changes.
recipe_hash() {
  {
    printf '%s\n' "$1"
    sha256sum <"$here/lib/recipe.sh"
    hash_of_tree "$here/inside"
  } | sha256sum | cut -c 1-12
}

# The files of a folder and which of them are programs.
hash_of_tree() (
  cd "$1" || exit
  find . -type f -exec sha256sum {} + | LC_ALL=C sort
  find . -type f -perm -u+x | LC_ALL=C sort
)

make_base() (
  suite=$1 base=$2 began=$SECONDS
  exec {lock}>"$CACHE/lock-$suite"
  flock "$lock"
  if [ -e "$base/complete" ]; then exit; fi # another one made it meanwhile
  remove_unfinished "base-$suite"
  remove_unused_bases
  need_free_space
  mirror=$(find_mirror "$suite")
  say "making the base of $suite from $mirror (about a minute, once)"
  mkdir -p "$base.part"
  make_tree "$suite" "$mirror" "$base.part/root"
  touch "$base.part/lock"
  fill_registry "$suite" "$base.part"
  touch "$base.part/complete"
  mv "$base.part" "$base"
  say "base of $suite made in $((SECONDS - began)) s"
)

# Boots a host on the unfinished base: the registry is filled the way it is used, and a base
# that cannot boot or run Podman never becomes one.
fill_registry() {
  local suite=$1 part=$2 name=bake-$1-$$
  boot_new "$name" "$suite" "$part" "" ""
  run_in "$name" root /usr/local/libexec/host/bake || {
    remove_host "$name"
    fail "the images for the registry could not be made in the new host (see above)"
  }
  cp -aT "$(host_dir "$name")/upper/var/lib/docker-registry" "$part/root/var/lib/docker-registry"
  remove_host "$name"
}

# What a run that was killed left; only the holder of the lock makes such.
remove_unfinished() {
  local host
  for host in "$HOSTS/bake-${1#base-}-"*; do
    if [ -d "$host" ]; then remove_host "$(basename "$host")"; fi
  done
  rm -rf --one-file-system "$CACHE/$1-"*.part
}

# Every running host holds its base's lock file shared.
remove_unused_bases() {
  local old
  while read -r old; do
    flock --exclusive --nonblock "$old/lock" rm -rf --one-file-system "$old" || true
  done < <(find "$CACHE" -mindepth 2 -maxdepth 2 -name complete -mtime "+$UNUSED_BASE_DAYS" -printf '%h\n')
}
