# shellcheck shell=sh
# What the packages' scripts do on a host. `packaging/build` puts this into each script that names it.

# Not by its name alone: one that was installed by hand is found first.
readonly program=/usr/bin/rivetr
readonly control_units="rivetr.socket rivetr-http.socket rivetr.service"
readonly proxy_units="rivetr-proxy.socket rivetr-proxy-tls.socket rivetr-proxy.service"
readonly broker_units="rivetr-netns.socket rivetr-netns.service"
# Programs that no package holds: that of the version before, for as long as an upgrade takes, and that of a package that
# was removed, for as long as there are apps to be served.
readonly kept=/usr/lib/rivetr
readonly before=$kept/rivetr-before
readonly serving=$kept/rivetr-serving
readonly system_units=/etc/systemd/system
readonly user_units=/var/lib/rivetr/.config/systemd/user
readonly drop_ins=/etc/systemd/system/rivetr.service.d
readonly before_drop_in=$drop_ins/20-before.conf

tell() { printf 'rivetr: %s\n' "$@" >&2; }

systemd_runs() { [ -d /run/systemd/system ]; }

# on_host COMMAND...: with the network and the mounts of this machine. rpm gives its scripts some of their own, where every
# port is free and nothing can be seen that was mounted since.
on_host() {
  if [ "$(namespaces self)" = "$(namespaces 1)" ] || [ "$(stat -c %d:%i /proc/1/root/.)" != "$(stat -c %d:%i /.)" ]; then
    "$@"
  else
    nsenter --target 1 --mount --net "$@"
  fi
}

namespaces() { readlink "/proc/$1/ns/mnt" "/proc/$1/ns/net"; }

# manager_of USER ARGUMENT...: systemctl towards that user's manager.
manager_of() {
  user=$1 uid=$(id -u "$1")
  shift
  on_host setpriv --reuid "$user" --regid "$user" --init-groups env "XDG_RUNTIME_DIR=/run/user/$uid" systemctl --user "$@"
}

# Before the first unpacking: the units that serve since a package was removed would come before those of this one. What
# runs, runs on, and becomes the package's again.
clear_the_way() {
  [ -e "$serving" ] || return 0
  if systemd_runs; then
    # shellcheck disable=SC2086
    systemctl --quiet disable $proxy_units || true
    # shellcheck disable=SC2086
    manager_of rivetr --quiet disable $broker_units || true
  fi
  for unit in $proxy_units; do rm -f "$system_units/$unit"; done
  for unit in $broker_units; do rm -f "$user_units/$unit"; done
}

# Before an upgrade unpacks another program.
keep_before() {
  # The last one has not succeeded, so what serves is older still.
  if [ -e "$before_drop_in" ]; then return 0; fi
  keep_as "$before"
}

keep_as() {
  mkdir -p "$kept"
  ln -f "$program" "$1" || cp -p "$program" "$1"
}

# set_up [VERSION]: has the program do what no file of a package can; VERSION is the one that was set up before.
set_up() {
  if ! systemd_runs; then
    systemd-sysusers rivetr.conf
    tell "systemd does not run here. Where it does, call: rivetr setup"
    return 0
  fi
  if [ -n "${1:-}" ] && ! "$program" serve --rehearse; then
    stay_with_before
    tell "Nothing was changed: rivetr $1 runs on, with its database as it was, and its apps serve." \
      "To go back, install that version again."
    return 1
  fi
  forget_before_drop_in
  if on_host "$program" setup --without-token >&2; then
    rm -f "$serving"
    forget_before
    return 0
  fi
  if [ -n "${1:-}" ]; then return 1; fi
  tell "installed, and does not run yet. Once that is mended, call: rivetr setup"
}

# The old program goes on, also after a crash or a reboot.
stay_with_before() {
  [ -x "$before" ] || return 0
  mkdir -p "$drop_ins"
  printf '%s\n' "# Written by rivetr's package: the upgrade did not succeed, and the version before runs on." \
    '[Service]' 'ExecStart=' "ExecStart=$before serve" >"$before_drop_in"
  systemctl daemon-reload
}

forget_before_drop_in() { rm -f "$before_drop_in"; }

forget_before() {
  forget_before_drop_in
  rm -f "$before"
  rmdir "$kept" 2>/dev/null || true
}

# Before the package's files go for good. Apps are units of the user's own manager and need none of them; what leads
# requests to them is kept, with the program that it is.
leave() {
  systemd_runs || return 0
  # shellcheck disable=SC2086
  systemctl --quiet stop $control_units || true
  # shellcheck disable=SC2086
  systemctl --quiet disable $control_units || true
  id -u rivetr >/dev/null 2>&1 || return 0
  keep_serving
  tell "stopped. Its apps run on, are answered, and come back with the machine: the proxy is kept for them." \
    "  to have rivetr back:          install the package again" \
    "  to delete apps and data too:  apt purge rivetr; elsewhere /usr/libexec/rivetr/purge, before the package goes"
}

keep_serving() {
  keep_as "$serving"
  mkdir -p "$user_units"
  # shellcheck disable=SC2086
  keep_units /usr/lib/systemd/system "$system_units" $proxy_units
  # shellcheck disable=SC2086
  keep_units /usr/lib/systemd/user "$user_units" $broker_units
  # shellcheck disable=SC2086
  systemctl --quiet reenable $proxy_units || true
  manager_of rivetr daemon-reload || true
  manager_of rivetr --quiet reenable rivetr-netns.socket || true
}

# keep_units FROM TO UNIT...: the same units for the program that is kept.
keep_units() {
  from=$1 to=$2
  shift 2
  for unit in "$@"; do
    sed "s,^ExecStart=$program ,ExecStart=$serving ," "$from/$unit" >"$to/$unit"
  done
}

# Once they are gone.
left() {
  forget_before
  rm -f "$drop_ins/10-user-manager.conf"
  rmdir "$drop_ins" 2>/dev/null || true
  if systemd_runs; then systemctl daemon-reload; fi
}
