# shellcheck shell=sh
# Removes from a host all that rivetr made of it, and nothing else. Each step can be taken again.

readonly state=/var/lib/rivetr

# Whether there is anything that somebody could miss: apps, what is to become of them, data, backups.
holds_data() {
  for folder in .config/containers/systemd/rivetr .local/share/containers/storage/volumes repos backups; do
    if [ -n "$(ls -A "$state/$folder" 2>/dev/null)" ]; then return 0; fi
  done
  # A host that is set up rootful has them elsewhere.
  [ -n "$(ls -A /etc/containers/systemd/rivetr 2>/dev/null)" ]
}

purge_host() {
  stop_everything
  purge_rootful
  purge_user
  purge_files
}

stop_everything() {
  [ -d /run/systemd/system ] || return 0
  for unit in rivetr.socket rivetr-http.socket rivetr.service \
    rivetr-proxy-next.service rivetr-proxy.service rivetr-proxy.socket rivetr-proxy-tls.socket; do
    systemctl --quiet stop "$unit" 2>/dev/null || true
    systemctl --quiet disable "$unit" 2>/dev/null || true
    systemctl --quiet reset-failed "$unit" 2>/dev/null || true
  done
}

# The user, and with its manager and its home all that it ran: containers, images, networks, volumes, secrets.
purge_user() {
  uid=$(id -u rivetr 2>/dev/null) || { purge_home; return 0; }
  rm -f /var/lib/systemd/linger/rivetr
  if [ -d /run/systemd/system ]; then
    # The first waits until every container has been stopped, the others end what is left.
    for unit in "user@$uid.service" "user-$uid.slice" "user-runtime-dir@$uid.service"; do
      systemctl --quiet stop "$unit" 2>/dev/null || true
    done
  fi
  find /tmp /var/tmp /dev/shm -xdev -uid "$uid" -delete 2>/dev/null || true
  purge_home
  userdel rivetr
  if getent group rivetr >/dev/null; then groupdel rivetr; fi
  # Where userdel was built without them.
  for file in /etc/subuid /etc/subgid; do
    if [ -e "$file" ]; then sed -i '/^rivetr:/d' "$file"; fi
  done
}

# What is mounted there is somebody else's, and so is a folder that is a mount itself.
purge_home() {
  [ -d "$state" ] || return 0
  find "$state" -mindepth 1 -maxdepth 1 -exec rm -rf --one-file-system {} +
  rmdir "$state" 2>/dev/null || true
}

purge_files() {
  rm -rf /run/rivetr /var/log/rivetr /etc/rivetr
  rm -f /run/systemd/system/rivetr-proxy-next.service /run/systemd/system/rivetr-proxy-next.lock
  # What a removed package keeps to serve apps.
  for unit in rivetr-proxy.service rivetr-proxy.socket rivetr-proxy-tls.socket; do rm -f "/etc/systemd/system/$unit"; done
  rm -f /usr/lib/rivetr/rivetr-serving
  rmdir /usr/lib/rivetr 2>/dev/null || true
  rm -f /etc/systemd/system/rivetr.service.d/10-user-manager.conf
  rmdir /etc/systemd/system/rivetr.service.d 2>/dev/null || true
  if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
}

# What `rivetr setup --system-wide` has had root's manager and root's Podman run.
purge_rootful() {
  [ -d /etc/containers/systemd/rivetr ] || return 0
  systemctl --quiet stop 'rivetr-*' 2>/dev/null || true
  rm -rf /etc/containers/systemd/rivetr
  find /etc/systemd/system -name 'rivetr-*' -delete
  systemctl daemon-reload
  ours_of container ps --all | each podman rm --force --volumes
  ours_of volume volume ls | each podman volume rm --force
  ours_of network network ls | each podman network rm --force
  ours_of secret secret ls | each podman secret rm
  podman images --format '{{.Repository}}:{{.Tag}}' | grep '^localhost/rivetr/' | each podman rmi --force
}

# ours_of KIND COMMAND...: the names of what is rivetr's.
ours_of() {
  field=Name
  if [ "$1" = container ]; then field=Names; fi
  shift
  podman "$@" --format "{{.$field}}" | grep '^rivetr-' || true
}

each() { xargs --no-run-if-empty "$@" >/dev/null; }
