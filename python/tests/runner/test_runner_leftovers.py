"""What a task leaves in its process is put back, or the runner leaves after the outcome."""

from __future__ import annotations

import os
import resource
import signal
import socket
import sys
import tempfile

import pytest
from template_process import needs_templates

pytestmark = needs_templates


def leave_thread():
    import threading
    import time

    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()


def leave_child():
    import subprocess

    subprocess.Popen(["sleep", "60"])


def leave_forked_child():
    import os
    import time

    if os.fork() == 0:
        time.sleep(60)
        os._exit(0)


def leave_file():

    sys.left = open(tempfile.mkstemp()[1], "w")  # noqa: SIM115
    sys.left.write("not flushed")
    return sys.left.name


def leave_locked_folder():
    import fcntl
    import os

    sys.left = os.open("/tmp", os.O_RDONLY)
    fcntl.flock(sys.left, fcntl.LOCK_SH)


def leave_listening_socket():

    sys.left = socket.create_server(("127.0.0.1", 0))
    return sys.left.getsockname()[1]


def set_idle_policy():
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def lower_hard_limit():
    import resource

    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))


def raise_and_keep_file():

    handle = tempfile.TemporaryFile("w")  # noqa: SIM115
    sys.left = handle
    raise LookupError("lost")


LEAVING = [leave_thread, leave_child, leave_forked_child, leave_file, leave_locked_folder, leave_listening_socket]


@pytest.mark.parametrize("task", [*LEAVING, raise_and_keep_file], ids=lambda task: task.__name__)
def test_the_runner_leaves(template, task):
    runner = template.fork()
    outcome = runner.run(task)
    assert outcome.leaves
    assert outcome.status == (1 if task is raise_and_keep_file else 0)
    if task is leave_file:
        os.unlink(outcome.value)
    assert runner.ended() == 0
    runner.release()


def test_what_is_written_is_flushed_before_the_outcome(template):
    runner = template.fork()
    outcome = runner.run(leave_file)
    with open(outcome.value) as file:
        assert file.read() == "not flushed"
    os.unlink(outcome.value)
    assert runner.ended() == 0
    runner.release()


def test_a_runner_that_waits_for_what_was_left_ends_all_the_same(template):
    def wait_at_exit():
        import atexit
        import threading
        import time

        atexit.register(time.sleep, 60)
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()

    runner = template.fork()
    assert runner.run(wait_at_exit).leaves
    assert runner.ended() == -signal.SIGALRM
    runner.release()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change it")
@pytest.mark.parametrize(
    ("change", "to"),
    [
        (os.setegid, (12345,)),
        (os.setresuid, (-1, -1, 12345)),
        (os.setresgid, (-1, -1, 12345)),
        (os.setgroups, ([12345],)),
    ],
    ids=["effective", "saved user", "saved group", "groups"],
)
def test_the_runner_leaves_when_its_identity_changed(template, change, to):
    runner = template.fork()
    assert runner.run(change, to).leaves
    assert runner.ended() == 0
    runner.release()


def test_the_policy_of_the_scheduler_is_put_back_or_the_runner_leaves(template):
    runner = template.fork()
    before = runner.call(os.sched_getscheduler, 0)
    if runner.run(set_idle_policy).leaves:
        assert runner.ended() == 0
        runner.release()
    else:
        assert runner.call(os.sched_getscheduler, 0) == before
        runner.close()


def test_hard_limits_are_put_back_or_the_runner_leaves(template):
    runner = template.fork()
    before = runner.call(resource.getrlimit, resource.RLIMIT_NOFILE)
    if runner.run(lower_hard_limit).leaves:
        assert runner.ended() == 0
        runner.release()
    else:
        assert runner.call(resource.getrlimit, resource.RLIMIT_NOFILE) == before
        runner.close()


def stays(runner, task, *args):
    outcome = runner.run(task, args)
    assert outcome.status == 0 and not outcome.leaves
    return outcome.value


def test_ended_children_threads_and_closed_files_are_nothing(runner, tmp_path):
    def tidy(path):
        import os
        import subprocess
        import threading

        subprocess.run(["true"], check=True)
        thread = threading.Thread(target=int)
        thread.start()
        thread.join()
        with open(path, "w") as file:
            file.write("closed")
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        # It has ended, and nobody takes its status.
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)

    for _ in range(20):
        stays(runner, tidy, str(tmp_path / "file"))


def test_a_file_that_only_an_error_holds_is_closed(runner):
    def fail():
        file = open("/dev/null") if False else __import__("tempfile").TemporaryFile()  # noqa: SIM115
        try:
            raise LookupError(file.fileno())
        except LookupError as error:
            problem = error
            raise ValueError(file.fileno()) from problem

    outcome = runner.run(fail)
    assert outcome.status == 1 and not outcome.leaves


def test_connections_that_a_library_keeps_stay(runner):
    def keep():
        import os
        import select

        sys.kept = [*socket.socketpair(), *os.pipe(), select.epoll()]

    def is_kept():
        sys.kept[0].send(b"x")
        return sys.kept[1].recv(1)

    stays(runner, keep)
    assert stays(runner, is_kept) == b"x"


def test_signals_timers_and_priorities_are_put_back(runner):
    def change():
        import os
        import signal

        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGTERM})
        for timer in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF):
            signal.setitimer(timer, 30, 30)
        signal.signal(signal.SIGUSR2, lambda *_: None)
        os.umask(0)
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

    def seen():
        import os
        import signal

        timers = [signal.getitimer(timer) for timer in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)]
        handler = signal.getsignal(signal.SIGUSR2)
        processors = sorted(os.sched_getaffinity(0))
        return sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())), timers, handler, os.umask(0), processors

    before = stays(runner, seen)
    stays(runner, change)
    assert stays(runner, seen) == before


def test_a_lower_priority_is_put_back_or_the_runner_leaves(template):
    runner = template.fork()
    before = runner.call(os.getpriority, os.PRIO_PROCESS, 0)
    outcome = runner.run(os.nice, (5,))
    if outcome.leaves:
        assert runner.ended() == 0
        runner.release()
    else:
        assert runner.call(os.getpriority, os.PRIO_PROCESS, 0) == before
        runner.close()


def test_soft_limits_are_put_back(runner):
    def change():
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (5, resource.getrlimit(resource.RLIMIT_CPU)[1]))
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))

    before = (
        stays(runner, resource.getrlimit, resource.RLIMIT_CPU),
        stays(runner, resource.getrlimit, resource.RLIMIT_CORE),
    )
    stays(runner, change)
    assert before == (
        stays(runner, resource.getrlimit, resource.RLIMIT_CPU),
        stays(runner, resource.getrlimit, resource.RLIMIT_CORE),
    )


def test_what_modules_open_while_they_are_loaded_is_the_sessions(runner, tmp_path, monkeypatch):
    log = tmp_path / "log"
    (tmp_path / "opens_a_log.py").write_text(
        f"import threading, time\nlog = open({str(log)!r}, 'a')\n"
        "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
        "def note(text):\n    log.write(text)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    import opens_a_log

    stays(runner, opens_a_log.note, "one ")
    assert log.read_text() == "one "
    stays(runner, opens_a_log.note, "two ")
    assert log.read_text() == "one two "
    opens_a_log.log.close()


def test_what_a_task_needs_not_is_not_loaded(runner):
    def loaded():
        return [name for name in ("resource", "_ctypes", "signal") if name in __import__("sys").modules]

    assert "resource" not in stays(runner, loaded)


def test_globals_of_the_session_stay(runner):
    def keep():
        import decimal

        decimal.getcontext().prec = 7

    stays(runner, keep)
    assert stays(runner, lambda: __import__("decimal").getcontext().prec) == 7
