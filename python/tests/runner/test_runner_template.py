"""A template forks runners that are the worker's own children, and share nothing that a task could see."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import pytest
from runner_process import SESSION
from template_process import TemplateProcess, needs_templates

from cluster import wait_for

pytestmark = needs_templates


def test_a_template_says_what_it_is_and_ends_with_its_socket():
    template = TemplateProcess()
    assert template.ready == {
        "runtime": "python",
        "version": ".".join(map(str, sys.version_info[:3])),
        "pid": template.process.pid,
        "template": True,
    }
    assert os.readlink(f"/proc/{template.process.pid}/fd/2") == os.devnull
    assert template.close() == 0


def test_a_template_holds_nothing_but_its_socket(template):
    folder = f"/proc/{template.process.pid}/fd"

    def held() -> list[str]:
        # It loads modules while it is idle, each of which is an open file for a moment.
        with contextlib.suppress(FileNotFoundError):
            return sorted(os.readlink(f"{folder}/{number}").partition(":")[0] for number in os.listdir(folder))
        return []

    wait_for("a template with its socket and nothing else", lambda: held() == [os.devnull] * 3 + ["socket"])
    assert len(os.listdir(f"/proc/{template.process.pid}/task")) == 1


def test_a_runner_is_a_child_of_the_worker_and_leads_a_session_of_its_own(template, runner):
    assert runner.ready["claims"] is True and runner.ready["pid"] == runner.pid
    identity = runner.call(lambda: __import__("os").getpid())
    assert identity == runner.pid
    assert runner.call(os.getppid) == os.getpid()
    assert runner.call(os.getsid, 0) == runner.pid and runner.call(os.getpgid, 0) == runner.pid
    assert Path(f"/proc/{runner.pid}/comm").read_text() == "argon runner\n"


def test_a_runner_ends_with_status_0_when_its_socket_is_closed(template):
    assert template.fork().close() == 0


def test_several_requests_may_be_under_way(template):
    ends = [template.request(bytes([number]) * 16) for number in range(5)]
    runners = [template.answered(one) for one in ends]
    tokens = [runner.call(os.getenv, "ARGON_TASK_TOKEN") for runner in runners]
    assert tokens == [f"{number:02x}" * 16 for number in range(5)]
    for runner in runners:
        assert runner.close() == 0


def test_the_template_dies_and_its_runners_go_on():
    template = TemplateProcess()
    runner = template.fork()
    template.process.kill()
    template.process.wait()
    assert runner.call(pow, 2, 10) == 1024
    assert runner.close() == 0
    template.socket.close()


def test_runners_of_one_template_share_no_open_file(template):
    with template.fork() as one, template.fork() as other:
        one.call(lambda: list(map(os.set_blocking, range(3), [False] * 3)))
        assert other.call(lambda: [os.get_blocking(number) for number in range(3)]) == [True] * 3


def test_random_numbers_differ_between_runners(template):
    def draws():
        import secrets
        import tempfile
        import uuid

        return random.random(), secrets.token_hex(), next(tempfile._get_candidate_names()), uuid.uuid4().hex

    drawn = []
    for _ in range(3):
        with template.fork() as runner:
            drawn.append(runner.call(draws))
    assert all(len(set(column)) == 3 for column in zip(*drawn))


def test_a_runner_finds_what_a_fresh_interpreter_has(runner):
    def seen():
        import sys

        names = {"ctypes", "_ctypes", "random", "socket", "asyncio"} & set(sys.modules)
        environment = {name for name in __import__("os").environ if name.startswith("ARGON")}
        return names, environment

    names, environment = runner.call(seen)
    assert names == set()
    assert environment == {"ARGON_WORKER", "ARGON_TASK_TOKEN", "ARGON_TASK_ID", "ARGON_ATTEMPT"}


def test_ctypes_works_in_a_runner(runner):
    def length():
        import ctypes

        library = ctypes.CDLL(None)
        library.strlen.restype = ctypes.c_size_t
        return library.strlen(ctypes.c_char_p(b"seven..")), ctypes.sizeof(ctypes.POINTER(ctypes.c_int))

    assert runner.call(length) == (7, 8)


def test_threads_signals_and_children_work_in_a_runner(runner):
    def tried():
        import os
        import signal
        import subprocess
        import threading

        seen = []
        thread = threading.Thread(target=lambda: seen.append(threading.get_native_id()))
        thread.start()
        thread.join()
        signal.signal(signal.SIGUSR1, lambda *_: seen.append("signal"))
        # The C library finds the main thread by the number that it keeps.
        helper = threading.Thread(target=signal.pthread_kill, args=(threading.main_thread().ident, signal.SIGUSR1))
        helper.start()
        helper.join()
        pid = os.fork()
        if pid == 0:
            os._exit(7)
        seen.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        seen.append(subprocess.run(["sh", "-c", "exit 3"], check=False).returncode)
        is_main = threading.current_thread() is threading.main_thread()
        return seen[1:], is_main, threading.get_native_id() == os.getpid()

    assert runner.call(tried) == (["signal", 7, 3], True, True)


def test_processes_and_asyncio_work_in_a_runner(runner):
    def tried():
        import asyncio
        import concurrent.futures
        import multiprocessing

        async def waited():
            await asyncio.sleep(0)
            return await asyncio.get_running_loop().run_in_executor(None, pow, 2, 3)

        with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:
            return asyncio.run(waited()), pool.submit(pow, 2, 4).result(10)

    assert runner.call(tried) == (8, 16)


def test_what_a_task_changes_is_in_no_later_runner(template):
    def spoil():
        import builtins
        import sys

        builtins.spoilt = sys.spoilt = True
        sys.path.append("/spoilt")

    def is_spoilt():
        import builtins
        import sys

        return hasattr(builtins, "spoilt") or hasattr(sys, "spoilt") or "/spoilt" in sys.path

    with template.fork() as one:
        one.call(spoil)
        assert one.call(is_spoilt) is True
        with template.fork() as another:
            assert another.call(is_spoilt) is False


def test_output_comes_through_the_pipes_of_the_runner(runner):
    runner.call(lambda: print("out", flush=True))
    assert os.read(runner.output(1), 100) == b"out\n"
    runner.call(lambda: os.write(2, b"error\n"))
    assert os.read(runner.output(2), 100) == b"error\n"


def test_a_runner_that_is_killed_is_told_to_its_parent(template):
    runner = template.fork()
    os.kill(runner.pid, signal.SIGKILL)
    assert runner.ended() == -signal.SIGKILL
    runner.release()


def test_a_frame_that_is_none_ends_the_template_in_words():
    template = TemplateProcess()
    template.socket.sendall(b"\0\0\0\x19\x45" + bytes(24))
    assert template.process.wait(20) == 1
    template.close()


def test_without_a_way_to_clone_the_template_fails_in_words():
    with pytest.raises(AssertionError, match="no way to clone"):
        TemplateProcess(ARGON_SYSCALLS="")


def test_modules_of_clients_work_in_a_forked_runner(runner, tmp_path, monkeypatch):
    (tmp_path / "only_here.py").write_text("def double(x):\n    return 2 * x\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import only_here

    assert runner.call(only_here.double, 4) == 8
    assert runner.asked == ["only_here"]
    assert SESSION and threading and time and socket
