#!/bin/bash
# Fetch the kernel's style checker, which is only in the source package, into DIR.
# usage: scripts/vm/checkpatch.sh DIR        afterwards DIR has checkpatch.pl
set -eu

dir=$1
[ ! -e "$dir/checkpatch.pl" ] || exit 0
mkdir -p "$dir"
cd "$dir"
apt-get -qq -o APT::Sandbox::User=root download linux-source-6.12
dpkg-deb --fsys-tarfile linux-source-6.12_*.deb | tar -xO ./usr/src/linux-source-6.12.tar.xz |
    tar -xJ --strip-components 2 --wildcards '*/scripts/checkpatch.pl' '*/scripts/spelling.txt' \
        '*/scripts/const_structs.checkpatch'
rm linux-source-6.12_*.deb
