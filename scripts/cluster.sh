# shellcheck shell=bash
# A small private cluster on this machine for a script: starts it, tells where it is, and takes it away
# with the script, however that ends. Sourced by the scripts beside it.
#
# After `start_cluster SLOTS...`, one worker for each number:
#   cluster_address   HOST:PORT of the manager
#   cluster_key       the file with its key

readonly READY_SECONDS_MAX=15
readonly STOP_SECONDS_MAX=10

argon=${CARGO_TARGET_DIR:-target}/release/argon
cluster_folder=
cluster_pids=()
cluster_address=
cluster_key=
# More words for the manager's command line. A FOLDER in them stands for the cluster's.
cluster_manager_options=()
# Where the manager listens, and what stands before the command line of each process, such as `ip netns exec NAME`.
cluster_host=127.0.0.1
cluster_prefix=()

start_cluster() {
    local slots number=0
    cluster_folder=$(mktemp -d "${TMPDIR:-/tmp}/argon.XXXXXXXX")
    cluster_key=${cluster_folder}/key
    trap stop_cluster EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    start_process manager manager --host "${cluster_host}" --port 0 \
        "${cluster_manager_options[@]//FOLDER/${cluster_folder}}"
    cluster_address=$(ready_value manager addr)
    for slots in "$@"; do
        number=$((number + 1))
        start_process "worker-${number}" worker --port 0 --manager "${cluster_address}" --workers "${slots}"
    done
}

# start_process NAME ARGUMENT...: starts `argon ARGUMENT...` and waits until it says that it is ready.
start_process() {
    local name=$1 pid until=$((SECONDS + READY_SECONDS_MAX))
    shift
    "${cluster_prefix[@]}" "${argon}" "$@" --key "${cluster_key}" >"${cluster_folder}/${name}.out" 2>"${cluster_folder}/${name}.log" \
        </dev/null &
    pid=$!
    cluster_pids+=("${pid}")
    until grep -qs '^argon-ready ' "${cluster_folder}/${name}.out"; do
        kill -0 "${pid}" 2>/dev/null || give_up "${name}" "ended before it was ready"
        [ "${SECONDS}" -lt "${until}" ] || give_up "${name}" "was not ready within ${READY_SECONDS_MAX} s"
        sleep 0.02
    done
}

# ready_value NAME KEY: the value of KEY in the ready line of NAME.
ready_value() {
    sed -n "s/^argon-ready .*\\<$2=\\([^ ]*\\).*/\\1/p" "${cluster_folder}/$1.out" | head -n 1
}

give_up() {
    printf '%s %s\n' "$1" "$2" >&2
    show_logs
    exit 1
}

show_logs() {
    (cd "${cluster_folder}" && tail -n 15 -- *.log) | sed 's/^/    /' >&2
}

# Ends the workers before the manager, and waits for each; one that does not end in time is killed.
stop_cluster() {
    local index pid until=$((SECONDS + STOP_SECONDS_MAX))
    trap - EXIT
    for ((index = ${#cluster_pids[@]} - 1; index >= 0; index--)); do
        pid=${cluster_pids[index]}
        kill -TERM "${pid}" 2>/dev/null || true
        while kill -0 "${pid}" 2>/dev/null; do
            if [ "${SECONDS}" -ge "${until}" ]; then
                echo "process ${pid} did not end within ${STOP_SECONDS_MAX} s and is killed" >&2
                kill -KILL "${pid}" 2>/dev/null || true
                break
            fi
            sleep 0.02
        done
    done
    cluster_pids=()
    rm -rf "${cluster_folder}"
}
