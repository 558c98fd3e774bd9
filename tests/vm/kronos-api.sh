#!/bin/bash
# Programs and scripts that were written for Kronos, with the kernel engine; scripts/vm/network.sh runs it. The timelines
# of a co-simulation are the user engine's, beside the module.
#
# What dilated processes execute is copied to memory first, since virtual time goes on while they wait for a file.
set -eu
for program in dash date sleep "$PWD/mininet_kronos/native/tracer"; do
    path=$(readlink -f "$(command -v "$program")")
    # shellcheck disable=SC2046 # a word for each library
    touch --no-create "$path" $(ldd "$path" | grep -o '/[^ )]*')
done
touch --no-create /etc/ld.so.cache
exec python -m pytest -q -p no:cacheprovider --color=no --timeout 0 tests/test_kronos_api.py
