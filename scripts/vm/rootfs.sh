#!/bin/bash
# Make the lab's root file system: Debian with everything that make setup installs, this checkout built in
# /opt/mininet_kronos, and the modules of a kernel that kernel.sh has fetched. As root.
# usage: scripts/vm/rootfs.sh KERNEL IMAGE
#
# It is made again when the list of packages, the requirements or the kernel change.
set -eu
cd "$(dirname "$0")/../.."

kernel=$1 image=$2
release=$(cat "$kernel/release")
key=$(cat scripts/packages.txt requirements.txt scripts/vm/rootfs.sh "$kernel/release" | sha256sum)
[ ! -e "$image" ] || [ "$(cat "$image.key" 2>/dev/null)" != "$key" ] || exit 0

[ "$(id -u)" -eq 0 ] || { echo "lab: making a root file system needs root; fix: run with sudo" >&2; exit 1; }
echo "*** Making the lab's root file system (some minutes, once)"
mkdir -p "$(dirname "$image")"
work=$(mktemp -d "$(dirname "$image")/rootfs.XXXXXX")
trap 'rm -rf "$work"' EXIT
packages=$(sed 's/#.*//' scripts/packages.txt | xargs -n 1 | paste -sd ,)
git ls-files -z | tar --null --create --files-from - --file "$work/tree.tar"
mmdebstrap --quiet --variant=minbase --include="$packages,make,kmod,udev,vim-tiny,less,procps" bookworm "$work/root"
root=$work/root

mkdir -p "$root/opt/mininet_kronos" "$root/lib/modules/$release"
tar --extract --file "$work/tree.tar" --directory "$root/opt/mininet_kronos"
cp -a "$kernel/lib/modules/$release/." "$root/lib/modules/$release/"
rm -f "$root/lib/modules/$release/"{build,source}
cp kernel_module/99-kronos.rules "$root/etc/udev/rules.d/"
chroot "$root" depmod "$release"
chroot "$root" groupadd --system kronos
# What this machine trusts and asks, so does the file system while it is made.
cp /etc/resolv.conf "$root/etc/"
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
unshare --mount sh -euc 'mount -t proc proc "$0/proc"; mount --rbind /dev "$0/dev"
    chroot "$0" env HOME=/tmp make --directory /opt/mininet_kronos setup' "$root"
rm -rf "$root"/var/cache/apt/archives/*.deb

size=$(($(du -sm "$root" | cut -f 1) * 5 / 4 + 400))
rm -f "$image"
mke2fs -q -t ext4 -d "$root" "$image" "${size}M"
echo "$key" >"$image.key"
