#!/bin/bash
# Build the programs that the module's tests run, static, since the guest has few libraries.
# usage: scripts/vm/programs.sh DIR
set -eu
cd "$(dirname "$0")/../.."

dir=$1
flags=(-O1 -g -static -D_GNU_SOURCE -Wall -Wextra -Werror -Ikernel_module/uapi -Itests/programs -Itracer/include)
library=(tracer/src/lib/client.c tracer/src/lib/start.c tracer/src/lib/realtime.c tracer/src/common/messages.c)
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
make --silent -C tests/programs BUILD="$dir/programs" CFLAGS="-O1 -g -static"
for source in tests/vm/*.c; do
    program=$dir/$(basename "$source" .c)
    if [ ! -e "$program" ] || [ -n "$(find tests/vm/*.h "$source" kernel_module/uapi -newer "$program")" ]; then
        own=()
        case $(basename "$source") in library.c | user.c) own=("${library[@]}") ;; esac
        gcc "${flags[@]}" -o "$program" "$source" "${own[@]}" -lpthread
    fi
done
make --silent --no-print-directory -C tracer build/kronos-engine build/kronos-kernel-engine build/tracer
mkdir -p "$dir/bin"
cp tracer/build/kronos-engine tracer/build/kronos-kernel-engine tracer/build/tracer "$dir/bin"
