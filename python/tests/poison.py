"""Everything that a task can change in its process, one function for each; `poison_seen` looks at it."""

from __future__ import annotations

from typing import Any, Callable


def json_is_patched() -> None:
    import json

    json.dumps = json.loads = lambda *_, **__: "poison"  # type: ignore[assignment]


def builtins_are_patched() -> None:
    import builtins

    builtins.len = lambda _: 666  # type: ignore[assignment]
    builtins.poison = True  # type: ignore[attr-defined]
    builtins.open = None  # type: ignore[assignment]


def path_and_modules_are_changed() -> None:
    import sys
    import types

    sys.path[:] = ["/poison"]
    sys.modules["poison_module"] = types.ModuleType("poison_module")
    sys.modules["textwrap"] = types.ModuleType("textwrap")
    sys.meta_path.insert(0, object())  # type: ignore[arg-type]
    sys.path_hooks.clear()
    sys.argv = ["poison"]


def numbers_are_set() -> None:
    import decimal
    import locale
    import random

    decimal.getcontext().prec = 3
    decimal.DefaultContext.prec = 3
    decimal.setcontext(decimal.Context(prec=3, rounding=decimal.ROUND_UP))
    locale.setlocale(locale.LC_ALL, "C")
    random.seed(1)
    random.random = lambda: 0.25  # type: ignore[method-assign, assignment]


def threads_go_on() -> None:
    import sys
    import threading
    import time

    def print_for_ever() -> None:
        while True:
            sys.stdout.write("poison from a thread\n")
            sys.stdout.flush()
            time.sleep(0.001)

    for _ in range(3):
        threading.Thread(target=print_for_ever, daemon=True).start()
    threading.settrace(lambda *_: None)
    threading.excepthook = lambda *_: None
    threading.stack_size(1 << 20)


def children_go_on() -> None:
    import os
    import subprocess
    import time

    subprocess.Popen(["sh", "-c", "while :; do echo poison from a child; sleep 0.01; done"])
    if os.fork() == 0:
        time.sleep(60)
        os._exit(0)


def timers_run() -> None:
    import signal

    signal.signal(signal.SIGALRM, lambda *_: (_ for _ in ()).throw(RuntimeError("poison")))
    for timer in (signal.ITIMER_REAL, signal.ITIMER_PROF, signal.ITIMER_VIRTUAL):
        signal.setitimer(timer, 0.05, 0.05)


def timers_kill() -> None:
    import signal

    signal.setitimer(signal.ITIMER_PROF, 0.02, 0.02)


def signals_are_handled() -> None:
    import signal

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGCHLD, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGUSR1})
    signal.set_wakeup_fd(-1)


def exits_are_registered() -> None:
    import atexit
    import weakref

    atexit.register(print, "poison at exit")
    weakref.finalize(atexit, print, "poison")


def interpreter_is_set() -> None:
    import faulthandler
    import gc
    import sys

    faulthandler.disable()
    gc.disable()
    gc.set_threshold(1, 1, 1)
    gc.callbacks.append(lambda *_: None)
    sys.setrecursionlimit(200)
    sys.setswitchinterval(1.0)
    sys.settrace(lambda *_: None)
    sys.setprofile(lambda *_: None)
    sys.excepthook = sys.displayhook = sys.unraisablehook = lambda *_: None  # type: ignore[assignment]
    sys.dont_write_bytecode = True


def streams_are_replaced() -> None:
    import io
    import os
    import sys

    sys.stdout = sys.stderr = io.StringIO()
    sys.__stdout__ = None  # type: ignore[misc]
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)
    os.dup2(null, 2)


def descriptors_stay_open() -> None:
    import fcntl
    import os
    import socket
    import sys
    import tempfile

    file = tempfile.NamedTemporaryFile("w", prefix="poison", delete=False)  # noqa: SIM115
    os.unlink(file.name)
    file.write("not flushed")
    fcntl.flock(file, fcntl.LOCK_EX)
    sys.poison = [file, socket.create_server(("127.0.0.1", 0)), os.pipe()]  # type: ignore[attr-defined]
    for number in range(200, 230):
        os.dup2(0, number)


def process_is_changed() -> None:
    import os

    os.umask(0)
    os.nice(3)
    os.chdir("/")
    os.environ["POISON"] = "1"
    os.environ.pop("PATH", None)
    os.putenv("LD_PRELOAD_POISON", "1")
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def limits_are_lowered() -> None:
    import resource

    for name in (resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE, resource.RLIMIT_CORE):
        resource.setrlimit(name, (64, resource.getrlimit(name)[1]))
    resource.setrlimit(resource.RLIMIT_STACK, (1 << 20, 1 << 20))


def asyncio_is_set() -> None:
    import asyncio

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    asyncio.set_event_loop_policy(None)
    loop.call_soon(print, "poison")


def warnings_and_logging_are_set() -> None:
    import logging
    import warnings

    warnings.simplefilter("error")
    warnings.showwarning = warnings.warn = lambda *_, **__: None  # type: ignore[assignment]
    logging.basicConfig(level=logging.DEBUG, force=True)
    logging.disable(logging.CRITICAL)
    logging.getLogger("poison").setLevel(1)
    logging.setLoggerClass(type("Poisoned", (logging.Logger,), {}))


def runner_is_patched() -> None:
    import sys

    for name, module in list(sys.modules.items()):
        if name.startswith("_argon"):
            for attribute in list(vars(module)):
                if attribute.startswith("poison"):
                    delattr(module, attribute)
            module.poison = True  # type: ignore[attr-defined]


def pickle_is_patched() -> None:
    import copyreg
    import pickle

    copyreg.dispatch_table[int] = lambda _: (str, ("poison",))  # type: ignore[assignment, index]
    pickle.loads = pickle.dumps = None  # type: ignore[assignment]


def classes_are_patched() -> None:
    import collections
    import datetime
    import enum
    import pathlib

    collections.OrderedDict.poison = enum.Enum.poison = pathlib.Path.poison = True  # type: ignore[attr-defined]
    datetime.datetime = None  # type: ignore[assignment, misc]


def network_defaults_are_set() -> None:
    import socket
    import time

    socket.setdefaulttimeout(0.001)
    socket.getaddrinfo = None  # type: ignore[assignment]
    time.time = time.monotonic = lambda: 0.0  # type: ignore[assignment]


def caches_are_filled() -> None:
    import linecache
    import re
    import tempfile

    tempfile.tempdir = "/poison"
    linecache.cache["poison"] = (1, None, ["poison"], "poison")
    re.compile = None  # type: ignore[assignment]


def standard_files_are_set() -> None:
    import fcntl
    import os

    for number in range(3):
        os.set_blocking(number, False)
        fcntl.fcntl(number, fcntl.F_SETOWN, os.getpid())


def scheduling_is_set() -> None:
    import os
    import pathlib

    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    for name, text in (("comm", "poison"), ("oom_score_adj", "900"), ("timerslack_ns", "5000000")):
        pathlib.Path("/proc/self", name).write_text(text)


def codecs_are_registered() -> None:
    import codecs

    codecs.register(lambda name: codecs.lookup("utf-8") if name == "poison" else None)
    codecs.register_error("poison", lambda error: ("poison", error.end))  # type: ignore[attr-defined, union-attr]
    codecs.register_error("strict", codecs.ignore_errors)


def hooks_of_the_interpreter_are_added() -> None:
    import contextvars
    import os
    import sys

    os.register_at_fork(before=lambda: print("poison before a fork"))
    sys.addaudithook(lambda event, _: print("poison heard") if event == "poison" else None)
    sys.setdlopenflags(sys.getdlopenflags() | os.RTLD_GLOBAL)
    if hasattr(sys, "set_int_max_str_digits"):
        sys.set_int_max_str_digits(1000)
    sys.poison_variable = contextvars.ContextVar("poison", default=1)  # type: ignore[attr-defined]


def the_zone_is_set() -> None:
    import os
    import time

    os.environ["TZ"] = "Asia/Tokyo"
    time.tzset()


def imports_are_patched() -> None:
    import builtins
    import importlib.machinery
    import multiprocessing

    multiprocessing.set_start_method("spawn", force=True)
    importlib.machinery.SOURCE_SUFFIXES.append(".poison")
    builtins.__import__ = lambda *_, **__: 1 / 0  # type: ignore[assignment]


ALL: list[Callable[[], Any]] = [
    json_is_patched,
    builtins_are_patched,
    path_and_modules_are_changed,
    numbers_are_set,
    threads_go_on,
    children_go_on,
    timers_run,
    timers_kill,
    signals_are_handled,
    exits_are_registered,
    interpreter_is_set,
    streams_are_replaced,
    descriptors_stay_open,
    process_is_changed,
    limits_are_lowered,
    asyncio_is_set,
    warnings_and_logging_are_set,
    runner_is_patched,
    pickle_is_patched,
    classes_are_patched,
    network_defaults_are_set,
    caches_are_filled,
    standard_files_are_set,
    scheduling_is_set,
    codecs_are_registered,
    hooks_of_the_interpreter_are_added,
    the_zone_is_set,
    imports_are_patched,
]
