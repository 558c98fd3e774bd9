#!/bin/bash
# Tests that hold for both engines, with the kernel engine; with arguments those, as pytest takes them.
# scripts/vm/network.sh runs it. Tests marked with `user_engine` say why they are not for this one.
#
# No limits of time: virtual time would be measured.
set -eu
export KRONOS_ENGINE=kernel
[ $# -gt 0 ] || set -- tests/test_experiment.py tests/test_tracers.py
exec python -m pytest -v -p tests.vm.real_waits -p no:cacheprovider --color=no --reruns 0 --timeout 0 \
    -o faulthandler_timeout=0 -o session_timeout=1000000 "$@"
