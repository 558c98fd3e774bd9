#!/bin/bash
# The module's tests in virtual machines: on each kernel, on one CPU and on two.
# usage: scripts/vm/test.sh [full]
# KERNELS="6.1 6.12" chooses the kernels; TESTS="..." the tests (see tests/vm/tests), on CPUS CPUs. ACCEL: see run.py.
set -eu
cd "$(dirname "$0")/../.."

kernels=${KERNELS:-6.1 6.12}
full=${1:-}
cache=$PWD/.cache/vm
programs=$cache/programs

tests_for() { # KERNEL CPUS
    local stock=1
    case $1 in *-debug) stock= ;; esac
    awk -v cpus="$2" -v full="$full" -v stock="$stock" '
        /^[^#]/ && $1 == cpus && ($2 == "always" || $2 == "full" && full || $2 == "stock" && stock) { print $3 }' \
        tests/vm/tests
    [ -n "$stock" ] || echo leaks
}

prepare() { # KERNEL
    case $1 in
    *-debug) scripts/vm/debug-kernel.sh "$cache/kernels/$1" ;;
    *) scripts/vm/kernel.sh "$1" "$cache/kernels/$1" ;;
    esac
    scripts/vm/module.sh "$cache/kernels/$1" "$cache/debug/$1" module DEBUG=1
    scripts/vm/initramfs.sh "$cache/kernels/$1" "$cache/debug/$1/kronos.ko" "$programs" "$cache/initramfs-$1"
}

boot() { # KERNEL CPUS TEST...
    local kernel=$1 cpus=$2 options=()
    shift 2
    # Several times slower; and lockdep takes exception to the kernel's own messages from interrupts.
    case $kernel in *-debug) options=(--memory 2G --silence 1500 --append loglevel=3) ;; esac
    python3 scripts/vm/run.py --kernel "$cache/kernels/$kernel" \
        --initramfs "$cache/initramfs-$kernel" --cpus "$cpus" --accel "${ACCEL:-tcg}" "${options[@]}" "$@" |
        sed -u "s/^/$kernel, $cpus CPU: /" | tee "$cache/report-$kernel-$cpus"
}

run() { # KERNEL
    # shellcheck disable=SC2046,SC2086 # a word for each test
    if [ -n "${TESTS:-}" ]; then
        boot "$1" "${CPUS:-1}" $TESTS
    else
        boot "$1" 1 $(tests_for "$1" 1) && boot "$1" 2 $(tests_for "$1" 2)
    fi
}

# Once more, below what others have printed since: what failed, with the last lines of what it and the kernel have said.
show_failures() { # REPORT...
    awk '
        function show(   i) {
            for (i = count > 4 ? count - 4 : 0; i < count; i++)
                print substr(said[i], 1, 120)
            count = failed = 0
        }
        FNR == 1 { fails = 0 }
        / s  (start|ok|fail|success) |: no line for |--- the console/ { show() }
        / s  fail / { fails++; failed = 1; print; next }
        /: no line for / { print }
        /--- the console/ && !fails { failed = 1; next }
        /(: | s    )\[ *[0-9]+\.[0-9]+\]/ && !/BUG|WARNING|RIP: 0010|panic|lockup|stall|unstable/ { next }
        failed { said[count++] = $0 }
        END { show() }' "$@" | head -n 15 >&2
}

set -o pipefail
scripts/vm/programs.sh "$programs"
rm -f "$cache"/report-*
for kernel in $kernels; do
    prepare "$kernel"
done
failed=
pids=()
for kernel in $kernels; do
    run "$kernel" &
    pids+=($!)
done
for pid in "${pids[@]}"; do
    wait "$pid" || failed=1
done
if [ -n "$full" ]; then
    for kernel in $kernels; do
        scripts/vm/network.sh "$kernel" || failed=1
        scripts/vm/network.sh "$kernel" bash tests/vm/kronos-api.sh || failed=1
        scripts/vm/network.sh "$kernel" bash tests/vm/engine-tests.sh || failed=1
    done
    python3 scripts/vm/lab-test.py || failed=1
fi
if [ -n "$failed" ]; then
    show_failures "$cache"/report-*
    echo "vm-test: failed" >&2
    exit 1
fi
echo "vm-test: passed"
