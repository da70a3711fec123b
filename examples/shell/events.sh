#!/usr/bin/env bash
# Acts on each command as it ends, while the others run: what map prints is a stream of events.
#
#   argon up                        # in another terminal
#   examples/shell/events.sh        # or: events.sh HOST:PORT
set -euo pipefail
export ARGON_MANAGER=${1:-${ARGON_MANAGER:-127.0.0.1:8000}}

# Inputs may come from a program that runs on; --tag names the input of each line.
seq 20 | argon map --tag -- expr {} '*' {} | {
    total=0
    while IFS=$'\t' read -r number square; do
        [ $((number * number)) -eq "${square}" ] || exit 1
        total=$((total + square))
    done
    echo "the squares up to 20 make ${total}"
}
