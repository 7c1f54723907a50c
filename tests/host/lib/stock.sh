# shellcheck shell=bash
# The stock: a layer that every host has above its base, whatever its suite. It fills the registry with images
# of databases, made of Debian's packages, that keep to what their official images promise.

readonly STOCK_SUITE=trixie
readonly COMMON_PACKAGES=(
  base-files base-passwd bash coreutils dash debianutils findutils grep gzip hostname libc-bin mawk sed tar util-linux
)
# Repository, folder of the recipe, packages; tags are the version of the first package and what it begins with.
readonly STOCK_IMAGES=(
  "library/postgres postgres postgresql-17"
  "library/mariadb mariadb mariadb-server-core mariadb-client"
  "library/redis keyvalue redis-server"
  "valkey/valkey keyvalue valkey-server"
)
# What servers and their tools run without.
readonly NOT_IN_IMAGES='^(.*perl.*|libllvm.*|libz3-.*|locales|libc-l10n|postgresql.*-common|debconf|ucf|adduser)$'

# Prints the path of the stock; makes it when it is not there.
prepare_stock() {
  local stock
  stock=$CACHE/stock-$(stock_hash)
  if [ ! -e "$stock/complete" ]; then make_stock "$stock" >&2; fi
  touch "$stock/complete"
  printf '%s\n' "$stock"
}

# What it is made in counts too: the registry's user there is the one whose files these are.
stock_hash() {
  {
    recipe_hash "$STOCK_SUITE"
    sha256sum <"$here/lib/stock.sh"
    hash_of_tree "$here/stock"
  } | sha256sum | cut -c 1-12
}

make_stock() (
  stock=$1 name=bake-stock-$$ began=$SECONDS
  exec {lock}>"$CACHE/lock-stock"
  flock "$lock"
  if [ -e "$stock/complete" ]; then exit; fi
  remove_unfinished stock
  need_free_space
  base=$(prepare_base "$STOCK_SUITE")
  say "making the images of databases (half a minute, once)"
  mkdir -p "$stock.part"
  lay_out_images "$stock.part/work"
  boot_new "$name" "$STOCK_SUITE" "$base" "" ""
  mv "$stock.part/work" "$(host_dir "$name")/home/stock"
  run_in "$name" root /home/stock/bake || {
    remove_host "$name"
    fail "the images of databases could not be made in the new host (see above)"
  }
  mkdir -p "$stock.part/root/var/lib"
  cp -a "$(host_dir "$name")/upper/var/lib/docker-registry" "$stock.part/root/var/lib"
  remove_host "$name"
  touch "$stock.part/lock" "$stock.part/complete"
  mv "$stock.part" "$stock"
  say "images of databases made in $((SECONDS - began)) s"
)

# Fills a folder with what `bake` needs: the recipes, the files of each image's packages, and a list.
lay_out_images() {
  local work=$1 packages all=("${COMMON_PACKAGES[@]}") image repository recipe
  cp -rT "$here/stock" "$work"
  for image in "${STOCK_IMAGES[@]}"; do
    read -r repository recipe packages <<<"$image"
    read -ra packages <<<"$packages"
    all+=("${packages[@]}")
  done
  # Unpacked below, each apart: here it is the packages and their index that count.
  bootstrap "$STOCK_SUITE" "$(find_mirror "$STOCK_SUITE")" "$work/apt" --variant=extract \
    --include="$(list "${all[@]}")" --skip=download/empty,essential/unlink,cleanup
  needs_of "$work/apt" "${COMMON_PACKAGES[@]}" >"$work/common.list"
  unpack "$work/apt" "$work/common/layer.tar" <"$work/common.list"
  for image in "${STOCK_IMAGES[@]}"; do
    read -r repository recipe packages <<<"$image"
    read -ra packages <<<"$packages"
    mkdir -p "$work/layers/$repository"
    cp -rT "$work/$recipe" "$work/layers/$repository"
    needs_of "$work/apt" "${COMMON_PACKAGES[@]}" "${packages[@]}" | comm -13 "$work/common.list" - |
      unpack "$work/apt" "$work/layers/$repository/layer.tar"
    printf '%s %s\n' "$repository" "$(version_of "$work/apt" "${packages[0]}")" >>"$work/images"
  done
  rm -rf "$work/apt"
}

# needs_of APT PACKAGE...: these and all that they depend on, sorted.
needs_of() {
  local apt=$1
  shift
  # Its index is parsed once: some machines keep nothing of it, as they install once.
  apt-get -o Dir="$apt" -o Dir::Cache::pkgcache=pkgcache.bin -o Dir::Cache::srcpkgcache=srcpkgcache.bin \
    -o Dir::State::status=/dev/null -o Debug::NoLocking=true --no-install-recommends --simulate \
    install "$@" | awk '/^Inst / { print $2 }' | grep -vE "$NOT_IN_IMAGES" | LC_ALL=C sort
}

# unpack APT TAR: the files of the packages that are named on standard input.
unpack() {
  local apt=$1 tar=$2 tree=$1.tree package
  mkdir "$tree"
  while read -r package; do
    dpkg-deb --extract "$apt/var/cache/apt/archives/${package}_"*.deb "$tree"
  done
  rm -rf "$tree"/usr/share/{doc,info,locale,man}
  tar --directory="$tree" --create --file="$tar" .
  rm -rf "$tree"
}

# version_of APT PACKAGE: 11.8.9 of 1:11.8.9+ds-0+deb13u1.
version_of() {
  local version
  version=$(dpkg-deb --field "$1/var/cache/apt/archives/$2_"*.deb Version)
  version=${version#*:}
  printf '%s\n' "${version%%[-+~]*}"
}
