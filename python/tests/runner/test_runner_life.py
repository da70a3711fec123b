"""One runner process as its worker sees it: start, tasks, output, deaths, end."""

# ruff: noqa: PLW0108

from __future__ import annotations

import array
import ctypes
import hashlib
import json
import os
import signal
import struct
import subprocess
import sys
import threading

import pytest
from runner_process import BLOB, Ended, RunnerProcess

from argon._code import payloads, shipping


@pytest.fixture
def runner():
    with RunnerProcess() as runner:
        yield runner


def test_it_says_ready_with_its_version_and_ends_with_the_socket(runner):
    version = ".".join(map(str, sys.version_info[:3]))
    assert runner.ready == {"runtime": "python", "version": version, "pid": runner.process.pid, "claims": False}
    assert runner.close() == 0


def test_it_loads_little_before_it_is_ready():
    with RunnerProcess(sys.executable, ["-S", "-E", "-X", "importtime"]) as runner:
        heard = runner.process.stderr
        runner.call(len, [])
        runner.socket.close()
        before_ready = heard.read().decode().partition("_argon._runner.tasks\n")[0]
    assert "_argon._code.payloads" in before_ready
    for heavy in ("re", "typing", "json", "traceback", "socket", "inspect", "asyncio", "cloudpickle"):
        assert f" {heavy}\n" not in before_ready, heavy


def test_an_outcome_tells_task_attempt_and_time(runner):
    outcome = runner.run(sum, [[1, 2]])
    assert (outcome.status, outcome.attempt, outcome.report) == (0, 1, None)
    assert outcome.id == bytes(range(16)) + (1).to_bytes(8, "big")
    assert 0 <= outcome.run_us < 10_000_000


def test_a_task_finds_its_id_attempt_and_worker(runner):
    names = ("ARGON_TASK_ID", "ARGON_ATTEMPT", "ARGON_WORKER", "ARGON_RUNNER_FD")
    found = runner.call(lambda: [os.environ.get(name) for name in names])
    assert found == [(bytes(range(16)) + (1).to_bytes(8, "big")).hex(), "1", "here:1", None]
    shown = runner.call(subprocess.check_output, "echo $ARGON_TASK_ID", shell=True, text=True)
    assert shown.strip().endswith(f"{2:016x}")


def test_a_task_finds_a_tidy_main_program(runner):
    def look():
        import __main__

        return sorted(name for name in vars(__main__) if name[:2] != "__"), sys.argv, "argon" in sys.modules

    assert runner.call(look) == ([], [""], False)


def test_the_folder_of_the_worker_is_no_place_for_modules(tmp_path, monkeypatch):
    (tmp_path / "here_only.py").write_text("value = 1\n")
    monkeypatch.chdir(tmp_path)
    with RunnerProcess() as runner:
        assert runner.by_name("here_only.value").failure["class"] == "builtins.ModuleNotFoundError"
    with RunnerProcess(PYTHONPATH=str(tmp_path)) as runner:
        assert runner.call(lambda: __import__("here_only").value) == 1


def test_errors_tell_class_message_traceback_and_where(runner):
    outcome = runner.run(lambda: {}["x"])
    assert outcome.report == {"message": "the task raised an exception", "pid": runner.process.pid, "worker": "here:1"}
    failure = outcome.failure
    assert isinstance(failure.pop("exception"), KeyError)
    lines = failure.pop("traceback").splitlines()
    assert failure == {"class": "builtins.KeyError", "message": "'x'"}
    assert lines[0] == "Traceback (most recent call last):" and lines[-1] == "KeyError: 'x'"
    # Only the task's own steps are told.
    assert __file__ in lines[1] and "<argon" not in "".join(lines)


def test_code_that_cannot_be_read_fails_the_task_and_not_the_runner(runner):
    args = b"".join(shipping.dumps_call((), {})[0])
    assert "not a bundle" in runner.task({}, args, [b"garbage"]).failure["message"]
    assert runner.task(b"{", args).failure["message"].startswith("the meta of the task cannot be read")
    assert runner.task(b"[]", args).failure["message"] == "the meta of the task is not an object"
    assert runner.task({}, args).failure["message"] == "the task names no code and no function"
    assert "not a bundle" in runner.task({"call": "math:sqrt"}, b"").failure["message"]
    assert runner.call(len, [1]) == 1


def test_what_another_python_made_is_refused_in_words(runner):
    failure = runner.task({"python": "3.2"}, b"", [b"anything"]).failure
    assert failure["message"] == f"the task was made by Python 3.2, and this runner is of Python {shipping.PYTHON}"


def test_names_find_functions_for_other_languages(runner):
    assert runner.by_name("math:sqrt", 16).value == 4
    assert runner.by_name("os.path.join", "a", "b").value == "a/b"
    assert runner.by_name("collections:OrderedDict.fromkeys", ["a"]).value == {"a": None}
    assert runner.by_name("builtins.max", 1, 2.5).value == 2.5
    outcome = runner.by_name("json.loads", "[")
    assert outcome.failure["class"] == "json.decoder.JSONDecodeError" and "Traceback" in outcome.failure["traceback"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("sqrt", "'sqrt' is not the name of a function: write it as 'package.module:function'"),
        (":sqrt", "the task names a function without its module"),
        ("math:nothing", "there is no function math:nothing: math has no 'nothing'"),
        ("math.pi", "math.pi cannot be called: it is of type float"),
        ("no_such.thing", "No module named 'no_such' on the worker here:1 (Python 3."),
    ],
)
def test_names_that_lead_nowhere_are_told_in_a_sentence(runner, call, message):
    assert runner.by_name(call).failure["message"].startswith(message)


def test_json_takes_plain_data_only(runner):
    assert runner.task({"call": "builtins:list"}, b'{"a":1}', codec=1).failure["message"] == (
        "the JSON payload of a task is an array of arguments"
    )
    assert "cannot be written as JSON" in runner.by_name("builtins.object").failure["message"]
    assert "cannot be written as JSON" in runner.by_name("builtins.float", "nan").failure["message"]
    assert runner.by_name("builtins.str", "ü").value == "ü"


def test_output_is_there_before_the_outcome_and_as_it_is_printed(runner):
    runner.call(lambda: (print("out ü\ud800"), print("err", file=sys.stderr), sys.stdout.write("end")))
    assert runner.printed(1, b"end") == b"out \xc3\xbc\\ud800\nend"
    assert runner.printed(2, b"err\n") == b"err\n"
    runner.send_task({"call": "builtins:exec"}, _call_bundle("print('line'); import time; time.sleep(60)"))
    assert runner.printed(1, b"line\n") == b"line\n"
    runner.process.kill()


def test_standard_input_is_empty(runner):
    assert runner.fails(input)["class"] == "builtins.EOFError"


@pytest.mark.parametrize(
    ("function", "status"),
    [
        (lambda: sys.exit(3), 3),
        (lambda: sys.exit(), 0),
        (lambda: sys.exit("words"), 1),
        (lambda: os._exit(4), 4),
        (lambda: os.kill(os.getpid(), signal.SIGTERM), -signal.SIGTERM),
    ],
)
def test_a_task_that_ends_its_process_has_no_outcome(runner, function, status):
    with pytest.raises(Ended):
        runner.run(function)
    assert runner.ended() == status


def test_a_task_that_exits_runs_what_waits_for_the_end(runner):
    def f():
        import atexit

        atexit.register(print, "at the end")
        # A thread that does not end holds up nothing.
        threading.Thread(target=threading.Event().wait).start()
        sys.exit("words")

    with pytest.raises(Ended):
        runner.run(f)
    assert runner.printed(1, b"end\n") == b"at the end\n"
    assert runner.printed(2, b"words\n") == b"words\n"
    assert runner.ended() == 1


def test_a_task_beyond_its_memory_limit_has_died_and_one_that_asks_for_too_much_has_failed(runner):
    assert runner.fails(lambda: bytearray(1 << 60))["class"] == "builtins.MemoryError"

    def f():
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (256 << 20, resource.RLIM_INFINITY))
        return len(bytearray(512 << 20))

    with pytest.raises(Ended):
        runner.run(f)
    assert runner.ended() == 1
    assert b"MemoryError" in runner.process.stderr.read()


def test_a_segmentation_fault_tells_where_it_was(runner):
    with pytest.raises(Ended):
        runner.run(ctypes.string_at, [0])
    assert runner.ended() == -signal.SIGSEGV
    told = runner.process.stderr.read().decode()
    assert told.startswith("Fatal Python error: Segmentation fault") and "string_at" in told


def test_a_forked_child_that_returns_ends_and_says_nothing(runner):
    def f(how):
        child = os.fork()
        if child:
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        return 1 / how

    assert runner.call(f, 1) == 0
    assert runner.call(f, 0) == 1
    assert b"ZeroDivisionError" in runner.printed(2, b"division by zero\n")


def test_processes_of_multiprocessing_work_in_a_task(runner):
    def f():
        import multiprocessing

        with multiprocessing.get_context("fork").Pool(1) as pool:
            return pool.map(abs, [-1, 2])

    assert runner.call(f) == [1, 2]


def test_big_arguments_and_results_pass_both_ways(runner):
    big = os.urandom(3_000_000)
    assert runner.call(lambda a, b: (b, a), big, bytearray(big)) == (bytearray(big), big)
    assert runner.call(lambda: b"x" * 262_144) == b"x" * 262_144
    numbers = array.array("d", range(200_000))
    assert runner.call(lambda a: a, numbers) == numbers


class Block:
    """Travels as an array does: its memory beside the pickle."""

    def __init__(self, memory):
        self.memory = memory

    def __reduce_ex__(self, _protocol):
        import pickle

        return Block, (pickle.PickleBuffer(self.memory),)


def test_arrays_lie_where_they_arrived(runner):
    def f(block):
        view = memoryview(block.memory)
        return type(block.memory).__name__, view.readonly, ctypes.addressof(ctypes.c_char.from_buffer(view)) % 16

    for size in (1000, 1_000_001):
        assert runner.call(f, Block(bytearray(size))) == ("memoryview", False, 0)


def _call_bundle(*args):
    return b"".join(shipping.dumps_call(args, {})[0])


def shared_task(runner, values, function, **more):
    """A task whose arguments are shared values, named by the hashes of their blobs."""
    handles = [object() for _ in values]
    blobs = [b"".join(payloads.dumps(value)[0]) for value in values]
    names = {id(h): hashlib.sha256(blob).digest() for h, blob in zip(handles, blobs)}
    payload, hashes = shipping.dumps_call(tuple(handles), {}, lambda value: names.get(id(value)))
    assert hashes == set(names.values())
    prepared = shipping.prepare(function)
    code = [] if prepared.blob is None else [prepared.blob]
    return runner.task(prepared.meta, b"".join(payload), [*code, *blobs], **more)


def test_shared_values_are_made_once_and_named_by_hash(runner):
    assert shared_task(runner, [[1, 2], {"a": 3}], lambda a, b: (a, b)).value == ([1, 2], {"a": 3})
    assert shared_task(runner, [[1, 2]], sum).value == 3
    first = shared_task(runner, [[5]], lambda a: id(a)).value
    assert shared_task(runner, [[5]], lambda a: id(a)).value == first


def test_big_shared_values_cannot_be_changed_by_a_task(runner):
    def f(block):
        block.memory[0] = 1

    assert shared_task(runner, [Block(bytes(1_000_000))], f).failure["class"] == "builtins.TypeError"


def test_blobs_that_are_missing_are_asked_for(runner):
    def f(a, b):
        return a + b

    assert shared_task(runner, ["x", "y"], f, send_blobs=False).value == "xy"
    runner.sent.clear()
    assert shared_task(runner, ["x", "z"], f, send_blobs=False).value == "xz"


def test_blobs_beyond_the_limit_are_dropped_and_asked_for_again():
    with RunnerProcess() as runner:
        big = [bytes([n]) * (100 << 20) for n in range(3)]
        for value in big:
            assert shared_task(runner, [value], len).value == 100 << 20
        # The runner has dropped the first one, and the worker does not know it.
        assert shared_task(runner, [big[0]], lambda value: value[0]).value == 0


def test_a_message_that_is_not_for_a_runner_ends_it(runner):
    runner.send(0x12, b"")
    assert runner.ended() == 1
    assert b"a message of kind 0x12 is not for a runner" in runner.process.stderr.read()


def test_a_frame_that_is_too_long_ends_it(runner):
    runner.socket.sendall(struct.pack(">IB", 2 << 20, BLOB))
    assert runner.ended() == 1
    assert b"the worker sent a frame of 2097152 bytes" in runner.process.stderr.read()


def test_several_tasks_at_once_are_done_one_after_another(runner):
    for n in range(20):
        runner.send_task({"call": "builtins:abs"}, json.dumps([-n]).encode(), codec=1)
    assert [runner.outcome().value for _ in range(20)] == list(range(20))


class Trickle:
    """A socket that sends in pieces of a certain size."""

    def __init__(self, plug, size):
        self.plug, self.size = plug, size

    def sendall(self, data):
        for begin in range(0, len(data), self.size):
            self.plug.sendall(data[begin : begin + self.size])

    def __getattr__(self, name):
        return getattr(self.plug, name)


@pytest.mark.parametrize("size", [1, 7, 4096, 65_535, 65_536, 65_537])
def test_messages_may_come_in_any_pieces(runner, size):
    runner.socket = Trickle(runner.socket, size)
    lengths = [0, 1, 1000] if size < 100 else [0, 65_000, 65_400, 65_536, 66_000, 200_000, 262_000, 262_144, 600_000]
    for length in lengths:
        runner.send_task({"call": "builtins:len"}, _call_bundle("x" * length))
    assert [runner.outcome().value for _ in lengths] == lengths
