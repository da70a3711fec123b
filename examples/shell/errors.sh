#!/usr/bin/env bash
# What happens to a script whose commands fail, are killed, or take too long: each has its status, as in a shell.
#
#   argon up                        # in another terminal
#   examples/shell/errors.sh        # or: errors.sh HOST:PORT
set -uo pipefail
export ARGON_MANAGER=${1:-${ARGON_MANAGER:-127.0.0.1:8000}}

argon run -- sh -c 'exit 3'
echo "failed: status $?"

argon run -- sh -c 'kill -KILL $$' 2>/dev/null
echo "killed: status $?"

argon run --timeout 0.2 -- sleep 60 2>/dev/null
echo "took too long: status $?"

argon run -- no-such-command 2>/dev/null
echo "not there: status $?"

# Failures that pass can be tried again, each time after a longer pause.
folder=$(mktemp -d)
# shellcheck disable=SC2016  # the shell over there expands it
argon run --retries 2 -- sh -c 'mkdir "$1" && exit 1; echo "ok: the second attempt succeeded"' sh "${folder}/tried" 2>/dev/null
rm -r "${folder}"

# Of many, the status is how many failed; --joblog FILE --retry-failed runs those again.
argon map -- test {} -lt 3 ::: 1 2 3 4 2>/dev/null
echo "of four: $? failed"
