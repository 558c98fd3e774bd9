#!/bin/bash
# Run tests/vm/network.py, or a command, with the kernel engine: in a virtual machine that has this machine's file
# system, which it cannot change, and this checkout, for which `make setup` is done.
# usage: scripts/vm/network.sh [KERNEL [COMMAND...]]
set -euo pipefail
cd "$(dirname "$0")/../.."

kernel=${1:-6.1}
command=("${@:2}")
[ ${#command[@]} -gt 0 ] || command=(python tests/vm/network.py)
cache=$PWD/.cache/vm
scripts/vm/kernel.sh "$kernel" "$cache/kernels/$kernel"
scripts/vm/module.sh "$cache/kernels/$kernel" "$cache/module/$kernel"
scripts/vm/bootfs.sh "$cache/kernels/$kernel" "$cache/module/$kernel/kronos.ko" "$cache/sharefs-$kernel" "$PWD"
python3 scripts/vm/run.py --kernel "$cache/kernels/$kernel" --initramfs "$cache/sharefs-$kernel" \
    --share --memory 2G --append "kronos.directory=$PWD kronos.kernel=$kernel" -- "${command[@]}" |
    sed -u "s/^/$kernel, network: /"
