# shellcheck shell=sh
# What the packages' scripts do on a host. `packaging/build` puts this into each script that names it.

# Not by its name alone: one that was installed by hand is found first.
readonly program=/usr/bin/rivetr
readonly own_units="rivetr.socket rivetr-http.socket rivetr.service rivetr-proxy.socket rivetr-proxy-tls.socket rivetr-proxy.service"
# The program of the version before, for as long as an upgrade takes, and what has systemd start it.
readonly before=/usr/lib/rivetr/rivetr-before
readonly drop_ins=/etc/systemd/system/rivetr.service.d
readonly before_drop_in=$drop_ins/20-before.conf

tell() { printf 'rivetr: %s\n' "$@" >&2; }

systemd_runs() { [ -d /run/systemd/system ]; }

# manager_of USER ARGUMENT...: systemctl towards that user's manager.
manager_of() {
  user=$1 uid=$(id -u "$1")
  shift
  setpriv --reuid "$user" --regid "$user" --init-groups env "XDG_RUNTIME_DIR=/run/user/$uid" systemctl --user "$@"
}

# Before the first unpacking: what a package that was removed left serving makes way. Its sockets are no longer
# systemd's once it has read its units anew.
clear_the_way() {
  if ! systemd_runs || ! id -u rivetr >/dev/null 2>&1; then return 0; fi
  systemctl --quiet stop rivetr-proxy.service rivetr-proxy.socket rivetr-proxy-tls.socket 2>/dev/null || true
  manager_of rivetr --quiet stop rivetr-netns.socket rivetr-netns.service 2>/dev/null || true
}

# Before an upgrade unpacks another program.
keep_before() {
  # The last one has not succeeded, so what serves is older still.
  if [ -e "$before_drop_in" ]; then return 0; fi
  mkdir -p "${before%/*}"
  ln -f "$program" "$before" || cp -p "$program" "$before"
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
    tell "Nothing was changed: rivetr $1 runs on, with its database as it was, and apps serve." \
      "To go back, install that version again."
    return 1
  fi
  forget_before_drop_in
  if "$program" setup --without-token >&2; then
    forget_before
    return 0
  fi
  if [ -n "${1:-}" ]; then return 1; fi
  tell "rivetr is installed and does not run yet. Once that is mended, call: rivetr setup"
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
  rmdir "${before%/*}" 2>/dev/null || true
}

# Before the package's files go for good. Apps are units of the user's own manager and need none of them.
leave() {
  systemd_runs || return 0
  systemctl --quiet stop rivetr.socket rivetr-http.socket rivetr.service || true
  # shellcheck disable=SC2086
  systemctl --quiet disable $own_units || true
  tell "rivetr is stopped. Its apps run on and come back with the machine, and answer until it is next booted:" \
    "what serves them until then is the proxy of the package that goes." \
    "  to have rivetr back:          install the package again" \
    "  to delete apps and data too:  apt purge rivetr; elsewhere /usr/libexec/rivetr/purge, before the package goes"
}

# Once they are gone.
left() {
  forget_before
  rm -f "$drop_ins/10-user-manager.conf"
  rmdir "$drop_ins" 2>/dev/null || true
  if systemd_runs; then systemctl daemon-reload; fi
}
