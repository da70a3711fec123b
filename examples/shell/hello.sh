#!/usr/bin/env bash
# The smallest use of Argon in a shell: a command that runs on any machine of the pool, as if it ran here.
#
#   argon up                       # in another terminal
#   examples/shell/hello.sh        # or: hello.sh HOST:PORT
set -euo pipefail
export ARGON_MANAGER=${1:-${ARGON_MANAGER:-127.0.0.1:8000}}

# Its output and its status are those of the command.
echo "4 + 7 = $(argon run -- expr 4 + 7)"

# Standard input goes along.
echo 'argon' | argon run -- tr a-z A-Z
