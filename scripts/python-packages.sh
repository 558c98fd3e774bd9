#!/bin/bash
# Make .venv with Debian's own Python, which alone sees Debian's Mininet, and install requirements.txt into it.
# Called by make setup from the top of the checkout.
set -eu

venv=${1:?usage: scripts/python-packages.sh VENV}
echo "*** Installing Python packages into $venv"
/usr/bin/python3 -m venv --system-site-packages "$venv"
pip=("$venv/bin/python" -m pip --quiet --disable-pip-version-check install)
"${pip[@]}" --constraint requirements.txt setuptools wheel pbr
"${pip[@]}" --no-build-isolation --requirement requirements.txt
