#!/bin/bash
# Build Debian's 6.1 with the kernel's own checkers on (tests/vm/debug-kernel.config), for the tests alone, into DIR.
# usage: scripts/vm/debug-kernel.sh DIR
#
# Afterwards DIR is as kernel.sh makes it. Takes half an hour, once; goes on where it was interrupted.
set -eu
cd "$(dirname "$0")/../.."

dir=${1:?usage: scripts/vm/debug-kernel.sh DIR}
config=$PWD/tests/vm/debug-kernel.config
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
! cmp --silent "$config" "$dir/config" || exit 0

package=linux-source-6.1
source=$dir/source
if [ ! -e "$source/.complete" ]; then
    echo "*** Fetching the source of Debian's Linux 6.1"
    rm -rf "$source"
    mkdir "$source"
    (cd "$dir" && apt-get -qq -o APT::Sandbox::User=root download $package)
    dpkg-deb --fsys-tarfile "$dir/$package"_*.deb | tar -xO ./usr/src/$package.tar.xz |
        tar -xJ --strip-components 1 --directory "$source"
    rm "$dir/$package"_*.deb
    touch "$source/.complete"
fi

echo "*** Building it with its checkers"
export KCONFIG_ALLCONFIG=$config KBUILD_BUILD_TIMESTAMP=
build() {
    nice -n 19 make --silent --no-print-directory -C "$source" -j"$(nproc)" "$@"
}
build LOCALVERSION=-debug allnoconfig
missed=$(sed -n 's/^\(CONFIG_.*=y\)$/\1/p' "$config" | grep --invert-match --line-regexp --file "$source/.config") ||
    [ -z "$missed" ] || { echo "vm: not in this kernel: $missed" >&2; exit 1; }
build LOCALVERSION=-debug bzImage modules
rm -rf "$dir/lib"
build LOCALVERSION=-debug INSTALL_MOD_PATH="$dir" modules_install
ln -sfn source "$dir/build"
ln -sfn source/arch/x86/boot/bzImage "$dir/vmlinuz"
build kernelrelease LOCALVERSION=-debug >"$dir/release"
cp "$config" "$dir/config"
