#!/usr/bin/env bash
# A command that outlives the terminal that submitted it. Its ticket is all that another machine needs.
#
#   argon up                          # in another terminal
#   examples/shell/detached.sh        # or: detached.sh HOST:PORT
set -euo pipefail
export ARGON_MANAGER=${1:-${ARGON_MANAGER:-127.0.0.1:8000}}

# When submit returns, the manager has the command on its disk.
ticket=$(argon submit -- expr 6 '*' 7)
echo "submitted: ${ticket}"

# Today or tomorrow, from any machine with the key: what it printed, and its status.
echo "collected: $(argon collect "${ticket}")"
