# shellcheck shell=bash
# The virtual machine: the same tree with a kernel, for real reboots and enforced limits, without
# a network. Emulated in software: KVM inside of build machines is there at times and wrong.

readonly VM_DISK_SIZE=6G # sparse
readonly VM_MEMORY_MB=2048
readonly VM_SECONDS=900

need_vm_programs() {
  need_programs qemu-system-x86_64:qemu-system-x86 qemu-img:qemu-utils mkfs.ext4:e2fsprogs
}

vm_prepare() {
  local suite=trixie
  while [ $# -gt 0 ]; do
    case $1 in
      --suite) suite=$(value_of "$@"); shift 2 ;;
      *) fail "vm-prepare: unknown argument \"$1\"" ;;
    esac
  done
  prepare_image "$suite" >/dev/null
}

# Prints the folder that holds disk, vmlinuz and initrd; makes it when it is not there.
prepare_image() {
  local suite=$1 base image
  base=$(prepare_base "$suite")
  need_vm_programs
  image=$CACHE/vm-$suite-$(vm_hash "$base")
  if [ ! -e "$image/complete" ]; then make_image "$suite" "$base" "$image" >&2; fi
  touch "$image/complete"
  printf '%s\n' "$image"
}

vm_hash() {
  { basename "$1"; declare -f add_kernel make_image; echo "$VM_DISK_SIZE"; } | sha256sum | cut -c 1-12
}

make_image() (
  suite=$1 base=$2 image=$3 began=$SECONDS
  exec {lock}>"$CACHE/lock-vm-$suite"
  flock "$lock"
  if [ -e "$image/complete" ]; then exit; fi
  rm -rf --one-file-system "$CACHE/vm-$suite-"*.part
  need_free_space
  say "making the virtual machine of $suite (half a minute, once)"
  mkdir -p "$image.part"
  cp -a --one-file-system "$base/root" "$image.part/root"
  add_kernel "$image.part/root" >"$CACHE/vm-$suite.log" 2>&1 ||
    { tail -n 20 "$CACHE/vm-$suite.log" >&2; fail "the kernel could not be added (all of it: $CACHE/vm-$suite.log)"; }
  cp "$image.part/root/vmlinuz" "$image.part/vmlinuz"
  cp "$image.part/root/initrd.img" "$image.part/initrd"
  mkfs.ext4 -q -F -d "$image.part/root" "$image.part/disk" "$VM_DISK_SIZE" >/dev/null
  rm -rf --one-file-system "$image.part/root"
  touch "$image.part/complete" "$image.part/lock"
  mv "$image.part" "$image"
  say "virtual machine of $suite made in $((SECONDS - began)) s"
)

add_kernel() {
  local root=$1
  cp --dereference /etc/resolv.conf "$root/etc/resolv.conf"
  in_tree "$root" /usr/local/libexec/host/customize-vm
  echo 'nameserver 127.0.0.1' >"$root/etc/resolv.conf"
}

vm_run() (
  name=${1:-} suite=trixie binary="" script="" seconds=$VM_SECONDS
  check_name "$name"
  shift
  while [ $# -gt 0 ]; do
    case $1 in
      --suite) suite=$(value_of "$@"); shift 2 ;;
      --binary) binary=$(value_of "$@"); shift 2 ;;
      --script) script=$(value_of "$@"); shift 2 ;;
      --timeout) seconds=$(value_of "$@"); shift 2 ;;
      *) fail "vm-run: unknown argument \"$1\"" ;;
    esac
  done
  [ -f "$script" ] || fail "vm-run: --script FILE is needed; \"$script\" is no file"
  [ -z "$binary" ] || [ -f "$binary" ] || fail "$binary is not a file"
  image=$(prepare_image "$suite")
  dir=$(host_dir "$name")
  mkdir "$dir" 2>/dev/null || fail "there is a host $name already: host down $name"
  trap 'rm -rf --one-file-system "$dir"' EXIT
  make_payload "$dir" "$script" "$binary"
  qemu-img create -q -f qcow2 -b "$image/disk" -F raw "$dir/disk.qcow2"
  # The lock keeps the image from being cleaned up meanwhile.
  exec {lock}<"$image/lock"
  flock --shared "$lock"
  run_qemu "$image" "$dir" "$seconds" | tr -d '\r' | tee "$dir/console.log" | show_script_output
  vm_status "$dir/console.log" "$seconds"
)

make_payload() {
  local dir=$1 script=$2 binary=$3 size_mb
  mkdir "$dir/payload"
  install -m 755 "$script" "$dir/payload/run-script"
  [ -z "$binary" ] || install -m 755 "$binary" "$dir/payload/rivetr"
  size_mb=$(($(du --summarize --block-size=1M "$dir/payload" | cut -f 1) * 11 / 10 + 16))
  mkfs.ext4 -q -F -d "$dir/payload" "$dir/payload.img" "${size_mb}M" >/dev/null
}

# Ends by itself when the machine powers off, and with this script in any case. One processor: a
# kernel patches its own code while it runs, and with two emulated ones the other was seen to run the
# breakpoint it puts there meanwhile after it had gone ("Oops: int3").
run_qemu() {
  local image=$1 dir=$2 seconds=$3
  setpriv --pdeathsig TERM timeout --foreground --signal KILL "$seconds" setpriv --pdeathsig KILL \
    qemu-system-x86_64 -accel tcg -cpu max -smp 1 -m "$VM_MEMORY_MB" \
    -kernel "$image/vmlinuz" -initrd "$image/initrd" \
    -append 'root=/dev/vda rw console=ttyS0 quiet loglevel=3 systemd.show_status=false' \
    -drive "file=$dir/disk.qcow2,if=virtio,format=qcow2,cache=unsafe" \
    -drive "file=$dir/payload.img,if=virtio,format=raw,readonly=on" \
    -display none -monitor none -serial stdio -nic none -no-user-config </dev/null 2>"$dir/qemu.log" || true
}

# Only what the script said, not the firmware and the kernel.
show_script_output() {
  awk '/^VM-BEGIN / { show = 1 } show { print; fflush() } /^VM-END / { show = 0 }'
}

vm_status() {
  local log=$1 seconds=$2 status
  status=$(awk '/^VM-RESULT [0-9]+$/ { print $2 }' "$log" | tail -n 1)
  if [ -n "$status" ]; then return "$status"; fi
  tail -n 40 "$log" >&2
  cat "$(dirname "$log")/qemu.log" >&2
  fail "the virtual machine ended without a result, or took longer than $seconds s (--timeout)"
}
