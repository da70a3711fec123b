"""What a task changed for its successor is put back."""

# ruff: noqa: PLW0108

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from runner_process import RunnerProcess


@pytest.fixture
def runner():
    with RunnerProcess(WORD="before") as runner:
        yield runner


# kind: what a task leaves behind | a Python task that changes `os.environ` | right | put back after the task
def test_the_environment_is_put_back(runner):
    def change():
        os.environ["WORD"] = "after"
        os.environ["NEW"] = "1"
        del os.environ["PATH"]

    runner.call(change)
    assert runner.call(lambda: (os.environ["WORD"], os.environ.get("NEW"), "PATH" in os.environ)) == (
        "before",
        None,
        True,
    )
    shown = runner.call(subprocess.check_output, "echo $WORD $NEW", shell=True)
    assert shown == b"before\n"


# kind: what a task leaves behind | a Python task that replaces os.environ, or functions of os | right | the variables
#    are put back; the runner goes on
def test_a_task_that_replaces_the_environment_or_functions_of_os_harms_no_other(runner):
    before = runner.call(lambda: dict(os.environ))
    runner.call(lambda: setattr(os, "environ", {"PATH": "gone"}))
    after = runner.call(lambda: dict(os.environ))
    assert after == {**before, "ARGON_TASK_ID": after["ARGON_TASK_ID"]} and len(after) == len(before)

    def replace():
        for name in ("umask", "dup", "close", "getuid", "putenv", "fchdir", "sched_getaffinity", "waitpid"):
            setattr(os, name, None)

    runner.call(replace)
    assert runner.call(lambda: os.environ["ARGON_TASK_ID"]) != after["ARGON_TASK_ID"]


def test_the_variables_of_a_task_are_right_whatever_the_task_before_made_of_them(runner):
    shown = ("sh", "-c", "echo $ARGON_ATTEMPT")
    for spoil in (lambda: os.environ.pop("ARGON_ATTEMPT"), lambda: os.environ.update(ARGON_ATTEMPT="7")):
        runner.call(spoil)
        assert runner.call(lambda: os.environ["ARGON_ATTEMPT"]) == "1"
        assert runner.call(subprocess.check_output, shown) == b"1\n"


# kind: what a task leaves behind | a Python task that changes folder and umask | right | put back after the task
def test_the_folder_and_the_mask_are_put_back(runner, tmp_path):
    before = runner.call(os.getcwd)
    mask = runner.call(lambda: (os.chdir(tmp_path), os.umask(0o777))[1])
    assert runner.call(os.getcwd) == before
    assert runner.call(os.umask, 0) == mask


def test_a_folder_that_is_gone_is_left(runner, tmp_path):
    before = runner.call(os.getcwd)
    (tmp_path / "gone").mkdir()
    runner.call(lambda: (os.chdir(tmp_path / "gone"), os.rmdir(tmp_path / "gone"))[1])
    assert runner.call(os.getcwd) == before


# kind: what a task leaves behind | a Python task that leaves a signal handler and an alarm | right | put back after
#    the task
def test_signal_handlers_and_alarms_are_put_back(runner):
    def change():
        signal.signal(signal.SIGALRM, lambda *_: os._exit(9))
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, print)
        signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)

    numbers = (signal.SIGALRM, signal.SIGTERM, signal.SIGINT)
    runner.call(change)
    handlers = runner.call(lambda: [signal.getsignal(n) for n in numbers])
    assert handlers == [signal.SIG_DFL, signal.SIG_DFL, signal.default_int_handler]
    assert runner.call(signal.getitimer, signal.ITIMER_REAL) == (0, 0)


def test_a_handler_of_a_task_that_failed_is_put_back_too(runner):
    def change():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise ValueError

    runner.fails(change)
    assert runner.call(signal.getsignal, signal.SIGTERM) == signal.SIG_DFL


def test_streams_that_were_replaced_are_put_back(runner):
    def replace():
        import io

        print("kept")
        sys.stdout = io.StringIO()
        sys.stderr = None
        sys.stdin = "nonsense"

    runner.call(replace)
    runner.call(lambda: (print("seen"), print("there", file=sys.stderr), sys.stdin.read()))
    assert runner.printed(1, b"seen\n") == b"kept\nseen\n"
    assert runner.printed(2, b"there\n") == b"there\n"


@pytest.mark.parametrize(
    "change",
    [
        lambda: sys.stdout.close(),
        lambda: os.close(1),
        lambda: os.dup2(os.open("/dev/null", os.O_WRONLY), 1),
        lambda: (sys.stdout.detach(), None)[1],
    ],
    ids=["closed", "descriptor closed", "sent elsewhere", "detached"],
)
def test_an_output_that_was_closed_or_sent_elsewhere_is_put_back(runner, change):
    runner.call(change)
    runner.call(print, "again")
    assert runner.printed(1, b"again\n") == b"again\n"


@pytest.mark.parametrize(
    "change",
    [lambda: os.dup2(1, 2), lambda: os.dup2(os.open("/dev/null", os.O_WRONLY), 2)],
    ids=["the output", "elsewhere"],
)
def test_standard_error_that_was_sent_to_another_file_is_put_back(runner, change):
    runner.call(change)
    runner.call(lambda: print("again", file=sys.stderr))
    assert runner.printed(2, b"again\n") == b"again\n"


def test_outputs_wait_again_after_a_task_that_does_not(runner):
    runner.call(lambda: (os.set_blocking(1, False), os.set_blocking(2, False))[0])
    assert runner.call(lambda: (os.get_blocking(1), os.get_blocking(2))) == (True, True)


def test_paths_arguments_and_finders_are_put_back(runner):
    def change():
        sys.path.insert(0, "/nowhere")
        sys.argv = ["x", "y"]
        sys.meta_path.clear()
        sys.settrace(lambda *_: None)
        sys.excepthook = print
        sys.setrecursionlimit(5000)
        __import__("gc").disable()

    runner.call(change)
    look = runner.call(lambda: (sys.path[0] != "/nowhere", sys.argv, sys.gettrace(), sys.excepthook is print))
    assert look == (True, [""], None, False)
    assert runner.call(sys.getrecursionlimit) == sys.getrecursionlimit()
    assert runner.by_name("gc.isenabled").value is True
    assert runner.by_name("textwrap.dedent", " a").value == "a"


def test_a_task_that_changed_nothing_costs_microseconds(runner):
    runs = [runner.run(len, [[]]).run_us for _ in range(50)]
    assert sorted(runs)[25] < 1000
