#!/bin/bash
# Build kronos.ko for a kernel that kernel.sh has fetched, outside the source directory.
# usage: scripts/vm/module.sh KERNEL BUILD [make's arguments]        the result is BUILD/kronos.ko
set -eu
cd "$(dirname "$0")/../.."

kernel=$(cd "$1" && pwd) build=$2
shift 2
mkdir -p "$build/uapi"
for file in kernel_module/*.[ch] kernel_module/Kbuild kernel_module/Makefile; do
    ln -sf "$PWD/$file" "$build/"
done
ln -sf "$PWD"/kernel_module/uapi/*.h "$build/uapi/"
make --silent --no-print-directory -C "$build" KDIR="$kernel/build" "${@:-module}"
