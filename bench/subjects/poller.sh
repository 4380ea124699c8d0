#!/bin/sh
# A supervisor as many people write it: every PERIOD seconds, start what is off.
# poller.sh PERIOD GUEST...   Prints "look TIME" at each look and "GUEST TIME" when it has started one.
period=$1
shift
while :; do
    echo "look $(date +%s.%N)"
    for guest in "$@"; do
        if [ "$(virsh -q domstate "$guest")" = "shut off" ]; then
            virsh -q start "$guest" >&2
            echo "$guest $(date +%s.%N)"
        fi
    done
    sleep "$period"
done
