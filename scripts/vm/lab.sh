#!/bin/bash
# Boot the lab: a virtual machine with everything installed and the kernel module loaded, and a shell on its console.
# usage: scripts/vm/lab.sh [COMMAND...]
# With a command: runs that, and exits with 0 if it did. KERNEL=6.12 chooses another kernel; CPUS and ACCEL=kvm as
# QEMU takes them. What is written to the disk is forgotten.
set -eu
cd "$(dirname "$0")/../.."

kernel=${KERNEL:-6.1}
cache=$PWD/.cache/vm
scripts/vm/kernel.sh "$kernel" "$cache/kernels/$kernel"
scripts/vm/module.sh "$cache/kernels/$kernel" "$cache/module/$kernel"
scripts/vm/rootfs.sh "$cache/kernels/$kernel" "$cache/lab-$kernel.img"
scripts/vm/bootfs.sh "$cache/kernels/$kernel" "$cache/module/$kernel/kronos.ko" "$cache/bootfs-$kernel"
exec python3 scripts/vm/run.py --kernel "$cache/kernels/$kernel" --initramfs "$cache/bootfs-$kernel" \
    --disk "$cache/lab-$kernel.img" --cpus "${CPUS:-1}" --memory 2G --accel "${ACCEL:-tcg}" "${@:-shell}"
