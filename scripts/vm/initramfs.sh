#!/bin/bash
# Make an initramfs for the module's tests out of what is installed here: busybox, a few programs with their
# libraries, the kernel's modules for networks, kronos.ko and the tests.
# usage: scripts/vm/initramfs.sh KERNEL MODULE PROGRAMS OUTPUT
#   KERNEL: a directory made by kernel.sh; MODULE: kronos.ko; PROGRAMS: a directory of static test programs
set -eu
cd "$(dirname "$0")/../.."

kernel=$1 module=$2 programs=$3 output=$4
release=$(cat "$kernel/release")
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

mkdir -p "$root"/{bin,sbin,dev,proc,sys,run,tmp,etc,mod,var/run,tests}
cp /bin/busybox "$root/bin/"
for applet in $(/bin/busybox --list); do
    [ -e "$root/bin/$applet" ] || ln -s busybox "$root/bin/$applet"
done

# The real ones, with their libraries and plug-ins where they expect them.
add_file() {
    mkdir -p "$root/$(dirname "$1")"
    cp -Lu "$1" "$root/$1"
}
add_program() {
    local path library
    path=$(PATH=$PATH:/sbin:/usr/sbin type -P "$1")
    cp -L --remove-destination "$path" "$root/bin/$(basename "$1")"
    for library in $(ldd "$path" | grep -o '/[^ )]*'); do
        add_file "$library"
    done
}
for program in ip tc ping iperf3 ethtool true "$programs"/bin/*; do
    add_program "$program"
done
add_program dash # busybox' shell prefers its own ip and ping
ln -sf dash "$root/bin/sh"
for plugin in /usr/lib/tc/*.dist /usr/lib/*/tc/*.dist; do
    [ ! -e "$plugin" ] || add_file "$plugin"
done

# In the order in which they must be loaded.
for name in veth bridge 8021q sch_netem sch_htb sch_tbf sch_fq_codel sch_ingress cls_matchall act_gact openvswitch nbd; do
    /sbin/modprobe -d "$kernel" -S "$release" --show-depends "$name" | sed -n 's/^insmod \([^ ]*\).*/\1/p'
done | awk '!seen[$0]++' >"$root/list"
while read -r path; do
    file=mod/$(basename "${path%.xz}")
    case $path in
    *.xz) xz --decompress --stdout "$path" >"$root/$file" ;;
    *) cp "$path" "$root/$file" ;;
    esac
    echo "/$file"
done <"$root/list" >"$root/mod/list"
rm "$root/list"

cp "$module" "$root/mod/kronos.ko"
cp -R "$programs"/* "$root/tests/"
rm -r "$root/tests/bin"
cp tests/vm/*.sh "$root/tests/"
cp tests/vm/init "$root/init"
mkdir -p "$(dirname "$output")"
(cd "$root" && find . -print0 | cpio --quiet --null --create --format=newc --owner=0:0) >"$output"
