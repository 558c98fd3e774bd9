#!/bin/bash
# Programs and scripts that were written for Kronos, with the kernel engine; scripts/vm/network.sh runs it. The timelines
# of a co-simulation are the user engine's, beside the module.
set -eu
exec python -m pytest -q -p no:cacheprovider --color=no --timeout 0 tests/test_kronos_api.py
