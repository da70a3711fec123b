"""What a task of another session can see of everything that `poison` changes."""

from __future__ import annotations

from typing import Any, Callable

#: RLIMIT_LOCKS and RLIMIT_RSS, which Linux does not use: one of them is the mark of a runner.
_MARKS = (10, 5)


def seen() -> dict[str, Any]:
    """What a task finds in its process."""
    import asyncio
    import atexit
    import builtins
    import codecs
    import collections
    import copyreg
    import datetime
    import decimal
    import enum
    import faulthandler
    import fcntl
    import gc
    import importlib.machinery
    import json
    import linecache
    import locale
    import logging
    import multiprocessing
    import os
    import pathlib
    import pickle
    import random
    import re
    import resource
    import signal
    import socket
    import sys
    import tempfile
    import textwrap
    import threading
    import time
    import warnings

    def name_of(thing: Any) -> str:
        return f"{getattr(thing, '__module__', '')}.{getattr(thing, '__qualname__', type(thing).__qualname__)}"

    own = {name: value for name, value in os.environ.items() if not name.startswith("ARGON_")}
    status = dict(line.split(":", 1) for line in pathlib.Path("/proc/self/status").read_text().splitlines())
    try:
        os.waitpid(-1, os.WNOHANG)
        children = True
    except ChildProcessError:
        children = False
    own_files = pathlib.Path("/proc/self")
    sys.audit("poison")

    def is_known(look_up: Callable[[str], Any]) -> bool:
        try:
            return bool(look_up("poison"))
        except LookupError:
            return False

    return {
        "json": json.dumps({"a": json.loads("[1]")}),
        "builtins": (len("four"), hasattr(builtins, "poison"), name_of(open)),
        "path": (sys.path, "poison_module" in sys.modules, textwrap.dedent(" a"), len(sys.path_hooks), sys.argv),
        "meta_path": [name_of(type(one)) if not isinstance(one, type) else name_of(one) for one in sys.meta_path],
        "decimal": str(decimal.Decimal(1) / 3),
        "locale": locale.setlocale(locale.LC_ALL),
        "random": name_of(random.random),
        "threads": (threading.active_count(), name_of(threading.excepthook), threading.stack_size()),
        "native threads": status["Threads"].strip(),
        "children": children,
        "timers": [
            signal.getitimer(timer) for timer in (signal.ITIMER_REAL, signal.ITIMER_PROF, signal.ITIMER_VIRTUAL)
        ],
        "handlers": [str(signal.getsignal(number)) for number in sorted(signal.valid_signals())],
        "masks": [status[name].strip() for name in ("SigBlk", "SigIgn", "SigCgt")],
        "mask": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        "at exit": atexit._ncallbacks(),
        "gc": (gc.isenabled(), gc.get_threshold(), len(gc.callbacks), faulthandler.is_enabled()),
        "limits of python": (sys.getrecursionlimit(), sys.getswitchinterval(), sys.dont_write_bytecode),
        "hooks": [name_of(one) for one in (sys.excepthook, sys.displayhook, sys.unraisablehook)],
        "trace": (sys.gettrace(), sys.getprofile(), threading._trace_hook),  # type: ignore[attr-defined]
        "streams": [name_of(type(one)) for one in (sys.stdin, sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)],
        "descriptors": sorted(int(one) for one in os.listdir("/proc/self/fd") if int(one) > 40),
        "umask": (os.umask(0o22), os.umask(0o22)),
        "nice": os.getpriority(os.PRIO_PROCESS, 0),
        "folder": os.getcwd(),
        "environment": own,
        "processors": sorted(os.sched_getaffinity(0)),
        "limits": [resource.getrlimit(name) for name in range(16) if name not in _MARKS],
        "asyncio": name_of(type(asyncio.get_event_loop_policy())) if sys.version_info < (3, 14) else None,
        "warnings": (
            [(one[0], name_of(one[2])) for one in warnings.filters],
            name_of(warnings.showwarning),
            name_of(warnings.warn),
        ),
        "logging": (
            logging.root.level,
            logging.root.manager.disable,
            len(logging.root.handlers),
            logging.getLogger("poison").level,
            name_of(logging.getLoggerClass()),
        ),
        "runner": [name for name, one in sys.modules.items() if name.startswith("_argon") and hasattr(one, "poison")],
        "pickle": (int in copyreg.dispatch_table, pickle.loads(pickle.dumps(5))),
        "classes": [
            *(hasattr(one, "poison") for one in (collections.OrderedDict, enum.Enum, pathlib.Path)),
            name_of(datetime.datetime),
        ],
        "network": (socket.getdefaulttimeout(), name_of(socket.getaddrinfo), time.time() > 1e9),
        "caches": (tempfile.tempdir, "poison" in linecache.cache, name_of(re.compile)),
        "standard files": [fcntl.fcntl(number, fcntl.F_GETFL) for number in range(3)],
        "scheduling": (
            os.sched_getscheduler(0),
            *((own_files / name).read_text() for name in ("comm", "oom_score_adj", "timerslack_ns")),
        ),
        "codecs": (
            is_known(codecs.lookup),
            is_known(codecs.lookup_error),
            name_of(codecs.lookup_error("strict")),
        ),
        "hooks of others": (
            sys.getdlopenflags(),
            getattr(sys, "get_int_max_str_digits", int)(),
            hasattr(sys, "poison_variable"),
        ),
        "zone": time.tzname,
        "imports": (
            multiprocessing.get_start_method(allow_none=True),
            importlib.machinery.SOURCE_SUFFIXES,
            name_of(builtins.__import__),
        ),
        "identity": (os.getresuid(), os.getresgid(), os.getgroups()),
    }
