#!/bin/bash
# Install the module as a user would, by `make install` and by dkms, for a kernel that kernel.sh has fetched, and take
# it away again. As root, in a mount namespace: nothing of it stays on this machine.
# usage: scripts/vm/dkms.sh KERNEL
set -eu
cd "$(dirname "$0")/../.."

kernel=$(cd "$1" && pwd)
export kernel release=$(cat "$kernel/release")
[ "$(id -u)" -eq 0 ] || { echo "vm-check: dkms needs root; fix: run with sudo" >&2; exit 1; }
exec unshare --mount bash -euc '
scratch=$(mktemp --directory /run/kronos-dkms.XXXXXX)
trap "umount --lazy $scratch; rmdir $scratch" EXIT
mount -t tmpfs kronos-dkms "$scratch"
mkdir -p /var/lib/dkms /usr/lib/udev
for directory in /etc /usr/src /usr/lib/udev /var/lib/dkms; do
    mkdir -p "$scratch/upper$directory" "$scratch/work$directory"
    mount -t overlay -o "lowerdir=$directory,upperdir=$scratch/upper$directory,workdir=$scratch/work$directory" \
        overlay "$directory"
done
mkdir -p /lib/modules
mount -t tmpfs kronos-modules /lib/modules
cp -a "$kernel/lib/modules/$release" /lib/modules/
ln -sfn "$kernel/build" "/lib/modules/$release/build"
cp -a kernel_module "$scratch/source"

fail() { echo "vm-check: $*" >&2; exit 1; }
installed() { modinfo --set-version "$release" --field version kronos 2>/dev/null; }
for way in install dkms-install; do
    make --directory "$scratch/source" KERNEL="$release" "$way" >"$scratch/log" 2>&1 ||
        { cat "$scratch/log"; fail "make $way has failed"; }
    [ -n "$(installed)" ] || fail "make $way: modprobe would not find the module"
    [ -e /usr/lib/udev/rules.d/99-kronos.rules ] || fail "make $way: there is no udev rule"
    getent group kronos >/dev/null || fail "make $way: there is no group kronos"
    make --directory "$scratch/source" KERNEL="$release" uninstall >"$scratch/log" 2>&1 || fail "make uninstall has failed"
    [ -z "$(installed)" ] || fail "make uninstall leaves the module of make $way"
done
'
