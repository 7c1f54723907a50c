# shellcheck shell=bash
# The stock: a layer that every host has above its base, whatever its suite. It fills the registry with images
# of databases, made of Debian's packages, that keep to what their official images promise.

# What it is made in.
readonly STOCK_SUITE=trixie
readonly COMMON_PACKAGES=(
  base-files base-passwd bash coreutils dash debianutils findutils grep gzip hostname libc-bin mawk sed tar util-linux
)
# Suite of its packages, repository, folder of the recipe, packages; tags are the version of the first package and
# what it begins with. MySQL is in sid alone.
readonly STOCK_IMAGES=(
  "trixie library/postgres postgres postgresql-17"
  "trixie library/mariadb mariadb mariadb-server-core mariadb-client"
  "trixie library/redis keyvalue redis-server"
  "trixie valkey/valkey keyvalue valkey-server"
  "sid library/mysql mysql mysql-server-core mysql-client"
)
# What servers and their tools run without.
readonly NOT_IN_IMAGES='^(.*perl.*|libllvm.*|libz3-.*|locales|libc-l10n|postgresql.*-common|debconf|ucf|adduser)$'

# Prints the path of the stock; makes it when it is not there.
prepare_stock() {
  local stock
  stock=$CACHE/stock-$(stock_hash)
  if [ ! -e "$stock/complete" ]; then make_stock "$stock" >&2; fi
  touch "$stock/complete"
  if [ -e "$stock/lacks" ]; then say "no images of $(<"$stock/lacks"): to try again, rm -r $stock"; fi
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
  local work=$1 image suite repository recipe packages
  cp -rT "$here/stock" "$work"
  while read -r suite; do
    if ! (fetch_packages "$suite" "$work/apt/$suite"); then
      if [ "$suite" = "$STOCK_SUITE" ]; then exit 1; fi
      say "going on without: tests of what is made of $suite will fail"
      echo "what is made of $suite" >>"$work/../lacks"
      continue
    fi
    needs_of "$work/apt/$suite" "${COMMON_PACKAGES[@]}" >"$work/common.$suite"
    unpack "$work/apt/$suite" "$work/common/$suite.tar" <"$work/common.$suite"
  done < <(printf '%s\n' "${STOCK_IMAGES[@]%% *}" | LC_ALL=C sort --unique)
  for image in "${STOCK_IMAGES[@]}"; do
    read -r suite repository recipe packages <<<"$image"
    if [ ! -e "$work/common.$suite" ]; then continue; fi
    read -ra packages <<<"$packages"
    mkdir -p "$work/layers/$repository"
    cp -rT "$work/$recipe" "$work/layers/$repository"
    needs_of "$work/apt/$suite" "${COMMON_PACKAGES[@]}" "${packages[@]}" | comm -13 "$work/common.$suite" - |
      unpack "$work/apt/$suite" "$work/layers/$repository/layer.tar" "$work/$recipe/left-out"
    printf '%s %s\n' "$repository" "$(version_of "$work/apt/$suite" "${packages[0]}")" >>"$work/images"
  done
  rm -rf "$work/apt"
}

# fetch_packages SUITE APT: the suite's index, and the packages that its images are made of; ends the shell when it fails.
fetch_packages() {
  local suite=$1 apt=$2 mirror image of packages all=("${COMMON_PACKAGES[@]}") log=$CACHE/fetch-$1.log
  for image in "${STOCK_IMAGES[@]}"; do
    read -r of _ _ packages <<<"$image"
    read -ra packages <<<"$packages"
    if [ "$of" = "$suite" ]; then all+=("${packages[@]}"); fi
  done
  mirror=$(find_mirror "$suite") || exit
  mkdir -p "$(dirname "$apt")" || exit
  bootstrap "$suite" "$mirror" "$apt" --variant=custom --skip=cleanup
  apt_in "$apt" --yes --download-only install "${all[@]}" >"$log" 2>&1 || {
    tail -n 20 "$log" >&2
    fail "Debian $suite does not give ${all[*]:${#COMMON_PACKAGES[@]}} now (all of it: $log)"
  }
}

# apt_in APT WORD...: apt-get with that index, as if nothing were installed.
apt_in() {
  local apt=$1
  shift
  # Its index is parsed once: some machines keep nothing of it, as they install once.
  apt-get -o Dir="$apt" -o Dir::Cache::pkgcache=pkgcache.bin -o Dir::Cache::srcpkgcache=srcpkgcache.bin \
    -o Dir::State::status=/dev/null -o Debug::NoLocking=true -o APT::Sandbox::User=root -o Acquire::Retries=3 \
    --no-install-recommends "$@"
}

# needs_of APT PACKAGE...: these and all that they depend on, sorted.
needs_of() {
  apt_in "$1" --simulate install "${@:2}" | awk '/^Inst / { print $2 }' | grep -vE "$NOT_IN_IMAGES" | LC_ALL=C sort
}

# unpack APT TAR [FILE]: the files of the packages that are named on standard input, but for those that the lines of
# FILE fit, where there is one.
unpack() {
  local apt=$1 tar=$2 tree=$1.tree package but=()
  if [ -e "${3:-}" ]; then but=(--exclude-from="$3"); fi
  mkdir "$tree"
  while read -r package; do
    dpkg-deb --extract "$apt/var/cache/apt/archives/${package}_"*.deb "$tree"
  done
  rm -rf "$tree"/usr/share/{doc,info,lintian,locale,man}
  tar --directory="$tree" --create --file="$tar" "${but[@]}" .
  rm -rf "$tree"
}

# version_of APT PACKAGE: 11.8.9 of 1:11.8.9+ds-0+deb13u1.
version_of() {
  local version
  version=$(dpkg-deb --field "$1/var/cache/apt/archives/$2_"*.deb Version)
  version=${version#*:}
  printf '%s\n' "${version%%[-+~]*}"
}
