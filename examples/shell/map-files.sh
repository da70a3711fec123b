#!/usr/bin/env bash
# Counts the lines of many files on all machines of the pool. The files must be there too, as on a shared disk.
#
#   argon up                                         # in another terminal
#   examples/shell/map-files.sh HOST:PORT FILE...    # without files: the examples
set -euo pipefail
export ARGON_MANAGER=${1:-${ARGON_MANAGER:-127.0.0.1:8000}}
files=("${@:2}")
[ ${#files[@]} -gt 0 ] || files=("$(dirname "$0")"/*.sh)

# Names are separated by zero bytes, so that they may hold anything. A command without {} gets each as its last argument.
printf '%s\0' "${files[@]}" |
    argon map -0 --keep-order -- wc -l |
    awk '{ total += $1; print } END { print total " lines in " NR " files" }'
