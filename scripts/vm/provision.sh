#!/bin/bash
# Set a Debian 12 lab machine up, as root or as a user with sudo: packages, .venv, the tests, then the kernel module by
# dkms, loaded. The tests come first: with the module loaded, networks would take the kernel engine.
#   TESTS=no, MODULE=no      leaves them out
set -eu
cd "$(dirname "$0")/../.."

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

install_packages() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 install --yes \
        --no-install-recommends "$@" </dev/null
}

as_root apt-get -qq update
install_packages make
make setup
[ "${TESTS:-}" = no ] || make test
[ "${MODULE:-}" != no ] || exit 0

install_packages dkms "linux-headers-$(uname -r)"
as_root make -C kernel_module dkms-install
as_root modprobe kronos
[ -c /dev/kronos ] || { echo "provision: the module is loaded, but there is no /dev/kronos" >&2; exit 1; }
