#!/bin/bash
# Fetch a stock Debian kernel with its headers, as packages that are unpacked and not installed, into DIR.
# usage: scripts/vm/kernel.sh VERSION DIR        VERSION: 6.1, 6.12, ... as Debian 12 names them, or `latest`
#
# Afterwards DIR has vmlinuz, release (a file with the name that uname -r gives), lib/modules and build (where
# modules are built against). A second run is instant and offline.
set -eu

version=${1:?usage: scripts/vm/kernel.sh VERSION DIR}
dir=${2:?usage: scripts/vm/kernel.sh VERSION DIR}
[ ! -e "$dir/release" ] || exit 0

fail() {
    echo "vm: $*" >&2
    exit 1
}

# What a metapackage stands for today.
depends() {
    apt-cache depends "$1" | sed -n "s/^ *Depends: \($2.*\)/\1/p" | head -1
}

case $version in
6.1) suffix=amd64 ;; # Debian 12's own
*) suffix=$version-amd64 ;;
esac
image=$(depends "linux-image-$suffix" linux-image-)
[ -n "$image" ] || fail "there is no package linux-image-$suffix; fix: apt-get update, or add the suite that has it"
release=${image#linux-image-}
headers=linux-headers-$release
common=$(depends "$headers" 'linux-headers-.*-common')
kbuild=$(depends "$headers" linux-kbuild-)

echo "*** Fetching Linux $release"
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
work=$(mktemp -d "$dir/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get -qq -o APT::Sandbox::User=root download "$image" "$headers" "$common" "$kbuild" ||
    fail "cannot download $image and its headers; fix: apt-get update"
for package in *.deb; do
    dpkg-deb --extract "$package" "$dir"
done

# The headers' Makefile names the place where the package would be installed.
sed -i "s|/usr/src/|$dir/usr/src/|" "$dir/usr/src/$headers/Makefile"
# Its types are for BTF, which would need pahole and which nobody reads.
rm -f "$dir/usr/src/$headers/vmlinux"
ln -sfn "usr/src/$headers" "$dir/build"
ln -sfn "boot/vmlinuz-$release" "$dir/vmlinuz"
/sbin/depmod -b "$dir" "$release"
echo "$release" >"$dir/release"
