#!/bin/bash
# sparse, the compiler's warnings and checkpatch over the module, for each kernel: none may have anything to say. Then
# it is installed, by itself and by dkms.
set -eu
cd "$(dirname "$0")/../.."

cache=$PWD/.cache/vm
scripts/vm/checkpatch.sh "$cache/checkpatch"
for kernel in ${KERNELS:-6.1 6.12}; do
    echo "*** Checking the module for Linux $kernel"
    scripts/vm/kernel.sh "$kernel" "$cache/kernels/$kernel"
    # Headers of the kernel's own are not ours to mend.
    said=$(scripts/vm/module.sh "$cache/kernels/$kernel" "$cache/check/$kernel" check \
        CHECKPATCH="$cache/checkpatch/checkpatch.pl" 2>&1 | grep -v '/include/\|^Skipping BTF') || true
    [ -z "$said" ] || { echo "$said" >&2; exit 1; }
    scripts/vm/dkms.sh "$cache/kernels/$kernel"
done
