#!/bin/bash
# Make the initramfs that mounts the lab's file system: busybox and modules. That is a virtio disk with ext4, which
# gets today's kronos.ko, or, if the checkout's directory is given, what run.py --share lets it read, and memory for
# what is written.
# usage: scripts/vm/bootfs.sh KERNEL MODULE OUTPUT [CHECKOUT]
set -eu
cd "$(dirname "$0")/../.."

kernel=$1 module=$2 output=$3 checkout=${4:-}
release=$(cat "$kernel/release")
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root"/{bin,dev,proc,disk,mod,share,memory}
cp /bin/busybox "$root/bin/"
modules="virtio_pci virtio_blk ext4"
[ -z "$checkout" ] || modules="virtio_pci 9pnet_virtio 9p overlay"
for name in $modules; do
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
if [ -n "$checkout" ]; then
    cat >"$root/mount" <<'MOUNT'
busybox mount -t 9p -o ro,trans=virtio,version=9p2000.L,cache=loose,msize=512000 share /share
busybox mount -t tmpfs memory /memory
busybox mkdir /memory/upper /memory/work
busybox mount -t overlay -o lowerdir=/share,upperdir=/memory/upper,workdir=/memory/work overlay /disk
MOUNT
else
    cat >"$root/mount" <<'MOUNT'
busybox mount -o rw,noatime /dev/vda /disk
busybox mkdir -p /disk/kronos
busybox cp /kronos.ko /lab-init /disk/kronos/
MOUNT
    cp "$module" "$root/kronos.ko"
    cp tests/vm/lab-init "$root/"
fi
first=${checkout:+$checkout/tests/vm/lab-init}
cat >"$root/init" <<'INIT'
#!/bin/busybox sh
busybox mount -t proc proc /proc
busybox mount -t devtmpfs dev /dev
for module in /mod/*; do busybox insmod $module; done
. /mount
busybox umount /proc
busybox mount --move /dev /disk/dev
INIT
echo "exec busybox switch_root /disk ${first:-/kronos/lab-init}" >>"$root/init"
chmod +x "$root/init"
(cd "$root" && find . -print0 | cpio --quiet --null --create --format=newc --owner=0:0) >"$output"
