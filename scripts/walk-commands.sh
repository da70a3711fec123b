# shellcheck shell=bash
# The words in which a walk is written; scripts/walk runs this with a clean environment. A walk is one shell session, so
# `cd`, `export` and `.` stay. It stops at the first thing that is not as it should be, and shows all until there.
#
# usage: walk-commands.sh NAME FOLDER
set -uo pipefail

walk_name=$1
walk_folder=$2
walk_begun=
walk_first=
walk_typed=0
walk_others=()

# types COMMAND: types it, and expects that it succeeds.
types() { walk_run 0 "$1"; }

# fails STATUS COMMAND: types it, and expects this exit status.
fails() { walk_run "$1" "$2"; }

# shows TEXT...: the last command printed each TEXT, on standard output or error.
shows() {
    local text
    for text in "$@"; do
        grep -qF -e "${text}" "${KEPT}/output" || walk_stop "\"$(walk_last)\" should have printed: ${text}"
    done
}

# shows_no TEXT...: it printed none of them.
shows_no() {
    local text
    for text in "$@"; do
        ! grep -qF -e "${text}" "${KEPT}/output" || walk_stop "\"$(walk_last)\" should not have printed: ${text}"
    done
}

# writes FILE: what the person writes in an editor, from standard input.
writes() {
    walk_tell "(writes $1)"
    cat >"$1"
    sed 's/^/    /' "$1" >>"${KEPT}/transcript"
}

# opens COMMAND: types it in another terminal, where it stays until the walk ends. Its output is for `waits_for`.
opens() {
    walk_count "$1"
    walk_tell "(in another terminal) \$ $1"
    : >"${KEPT}/other"
    setsid bash -c "$1" </dev/null >"${KEPT}/other" 2>&1 &
    walk_others+=($!)
}

# waits_for TEXT: until the last command that was opened has printed it.
waits_for() {
    local until=$((SECONDS + 60))
    until grep -qF -e "$1" "${KEPT}/other"; do
        [ "${SECONDS}" -lt "${until}" ] || walk_stop "the other terminal should show \"$1\"; it shows: $(cat "${KEPT}/other")"
        sleep 0.02
    done
}

# first_result: the last command printed the first result of the person's own.
first_result() {
    walk_first="$(walk_seconds) s and ${walk_typed} commands"
    walk_tell "(the first own result, after ${walk_first})"
}

# has_program: `argon` is in the path, as after an installation; types nothing.
has_program() {
    mkdir -p "${HOME}/.local/bin"
    ln -sf "${PROGRAM}" "${HOME}/.local/bin/argon"
    PATH=${HOME}/.local/bin:${PATH}
}

walk_run() {
    local wanted=$1 status=0
    walk_count "$2"
    walk_tell "\$ $2"
    eval "$2" </dev/null >"${KEPT}/output" 2>&1 || status=$?
    sed 's/^/    /' "${KEPT}/output" | tee -a "${KEPT}/transcript" | if [ -n "${VERBOSE}" ]; then cat; else cat >/dev/null; fi
    [ "${status}" -eq "${wanted}" ] || walk_stop "\"$(walk_last)\" ended with status ${status}, not ${wanted}"
}

walk_count() {
    [ -n "${walk_begun}" ] || walk_begun=${EPOCHREALTIME/[.,]/}
    walk_typed=$((walk_typed + 1))
    walk_command=$1
}

walk_last() { printf '%s' "${walk_command%%$'\n'*}"; }

walk_tell() {
    printf '%s\n' "$1" >>"${KEPT}/transcript"
    [ -z "${VERBOSE}" ] || printf '%s\n' "$1"
}

walk_seconds() {
    local tenths=$(((${EPOCHREALTIME/[.,]/} - walk_begun) / 100000))
    echo "$((tenths / 10)).$((tenths % 10))"
}

walk_stop() {
    trap - EXIT
    [ -n "${VERBOSE}" ] || cat "${KEPT}/transcript"
    printf 'walk %s: %s\n' "${walk_name}" "$1" >&2
    walk_end_others
    exit 1
}

walk_end_others() {
    local one
    for one in "${walk_others[@]}"; do
        kill -TERM -- "-${one}" 2>/dev/null
        wait "${one}" 2>/dev/null
    done
}

trap 'walk_stop "ended before its last line"' EXIT
: >"${KEPT}/transcript"
cd "${walk_folder}" || exit 2
# shellcheck source=/dev/null
source "${CHECKOUT}/tests/walks/${walk_name}"
trap - EXIT
walk_end_others
printf 'walk %s: first own result after %s; %s s and %d commands in all\n' "${walk_name}" "${walk_first:-?}" "$(walk_seconds)" "${walk_typed}"
