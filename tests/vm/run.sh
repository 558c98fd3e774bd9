#!/bin/sh
# One test: a shell script of this directory, or a program, perhaps with arguments after colons.
set -eu
IFS=:
# shellcheck disable=SC2086 # to be split
set -- $1
unset IFS
name=$1
shift
# Tasks that were killed may have it open until they have ended.
unload() {
    tries=100
    until rmmod kronos 2>/dev/null; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || rmmod kronos
        sleep 0.1
    done
}

[ -e /dev/kronos ] || [ "$name" = load ] || insmod /mod/kronos.ko free_limit_ms=5000
if [ -e "/tests/$name.sh" ]; then
    set -x # so that a failure shows which command it was
    . "/tests/$name.sh"
else
    "/tests/$name" "$@"
fi
