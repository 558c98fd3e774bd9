#!/bin/bash
# Install the Debian packages that mininet_kronos needs, if any is missing; with "test", those of its tests as well,
# with "vm" those of the kernel module's tests alone. A second run is instant and offline. Called by make, as root or
# by a user with sudo.
set -eu

lists=("$(dirname "$0")/packages.txt")
case ${1:-} in
test) lists+=("$(dirname "$0")/test-packages.txt") ;;
vm) lists=("$(dirname "$0")/vm-packages.txt") ;;
esac
mapfile -t packages < <(sed 's/#.*//' "${lists[@]}" | xargs -n 1)

fail() {
    echo "setup: $*" >&2
    exit 1
}

command -v dpkg-query apt-get >/dev/null ||
    fail "this is not Debian or Ubuntu; install by hand: ${packages[*]}"

missing=()
for package in "${packages[@]}"; do
    status=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null) || status=none
    [ "$status" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" -eq 0 ]; then
    sudo=()
elif command -v sudo >/dev/null; then
    sudo=(sudo)
else
    fail "packages are missing; as root run: apt-get install ${missing[*]}"
fi

# Without systemd the packages' scripts would start services by hand: our Open vSwitch needs none.
policy=/usr/sbin/policy-rc.d
if [ ! -d /run/systemd/system ] && [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' | "${sudo[@]}" install -m 755 /dev/stdin $policy
    trap '"${sudo[@]}" rm -f $policy' EXIT
fi

echo "*** Installing ${missing[*]}"
apt_get() {
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 \
        "$@" </dev/null
}
apt_get update || echo "setup: apt-get update failed; going on with the package lists that are here" >&2
apt_get install --yes --no-install-recommends "${missing[@]}" >/dev/null ||
    fail "apt-get failed; look above, then run it again by hand: apt-get install ${missing[*]}"
