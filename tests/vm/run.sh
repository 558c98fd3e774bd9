#!/bin/sh
# One test: a shell script of this directory, or a program, perhaps with arguments after colons.
set -eu
IFS=:
# shellcheck disable=SC2086 # to be split
set -- $1
unset IFS
name=$1
shift
[ -e /dev/kronos ] || [ "$name" = load ] || insmod /mod/kronos.ko free_limit_ms=5000
if [ -e "/tests/$name.sh" ]; then
    . "/tests/$name.sh"
else
    "/tests/$name" "$@"
fi
