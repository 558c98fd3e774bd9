#!/bin/bash
# Make the initramfs that mounts the lab's disk: busybox and the modules for a virtio disk with ext4.
# usage: scripts/vm/bootfs.sh KERNEL OUTPUT
set -eu
cd "$(dirname "$0")/../.."

kernel=$1 output=$2
release=$(cat "$kernel/release")
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root"/{bin,dev,proc,disk,mod}
cp /bin/busybox "$root/bin/"
for name in virtio_pci virtio_blk ext4; do
    /sbin/modprobe -d "$kernel" -S "$release" --show-depends "$name" | sed -n 's/^insmod //p'
done | awk '!seen[$0]++' >"$root/list"
number=100
while read -r path; do
    number=$((number + 1))
    case $path in
    *.xz) xz --decompress --stdout "$path" >"$root/mod/$number.ko" ;;
    *) cp "$path" "$root/mod/$number.ko" ;;
    esac
done <"$root/list"
cat >"$root/init" <<'INIT'
#!/bin/busybox sh
busybox mount -t proc proc /proc
busybox mount -t devtmpfs dev /dev
for module in /mod/*; do busybox insmod $module; done
busybox mount -o rw,noatime /dev/vda /disk
busybox umount /proc
busybox mount --move /dev /disk/dev
exec busybox switch_root /disk /sbin/lab-init
INIT
chmod +x "$root/init"
(cd "$root" && find . -print0 | cpio --quiet --null --create --format=newc --owner=0:0) >"$output"
