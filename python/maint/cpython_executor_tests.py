"""Runs CPython's own executor tests against `argon.Executor`.

usage: python maint/cpython_executor_tests.py FILE [TEST...]

FILE is `test/test_concurrent_futures.py` of CPython 3.9 to 3.11, as Debian's package libpython3.11-testsuite brings it;
none of it is kept here. What does not apply, and why, stands in NOT_APPLICABLE and in docs/guide/python.md.
"""

from __future__ import annotations

import importlib.util
import os
import pickle
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "python" / "src"), str(ROOT / "python" / "tests")]

import argon  # noqa: E402
from cluster import Cluster  # noqa: E402

WHITE_BOX = "it looks at threads, processes or queues inside of the standard library's executor"
LOCAL = "it shares an object of this process (a lock, an event, a manager) with what the executor runs"
PROGRAM = "it starts a program that names an executor of the standard library; tests/test_executor.py has its equal"
NOT_APPLICABLE = {
    "test_hang_gh83386": PROGRAM,
    "test_interpreter_shutdown": PROGRAM,
    "test_submit_after_interpreter_shutdown": PROGRAM,
    "test_processes_terminate": WHITE_BOX,
    "test_del_shutdown": WHITE_BOX,
    "test_context_manager_shutdown": WHITE_BOX,
    "test_shutdown_no_wait": WHITE_BOX,
    "test_max_workers_too_large": "it is a limit of Windows",
    "test_killed_child": WHITE_BOX,
    "test_ressources_gced_in_workers": LOCAL,
    "test_saturation": WHITE_BOX,
    "test_idle_process_reuse_one": WHITE_BOX,
    "test_idle_process_reuse_multiple": WHITE_BOX,
    "test_max_tasks_per_child": WHITE_BOX,
    "test_max_tasks_per_child_defaults_to_spawn_context": WHITE_BOX,
    "test_max_tasks_early_shutdown": WHITE_BOX,
    "test_shutdown_deadlock_pickle": WHITE_BOX,
    "test_traceback": "it asks for the name of the standard library's own cause class; ours shows the same text",
}


def main() -> int:
    path, *names = sys.argv[1:]
    sys.path.append(str(Path(path).resolve().parents[1]))
    spec = importlib.util.spec_from_file_location("cpython_tests", path)
    assert spec is not None and spec.loader is not None
    theirs: Any = importlib.util.module_from_spec(spec)
    sys.modules["cpython_tests"] = theirs
    spec.loader.exec_module(theirs)
    with tempfile.TemporaryDirectory() as folder:
        cluster = Cluster(Path(folder))
        try:
            cluster.start_manager()
            cluster.add_worker(5)
            suite = unittest.TestSuite(tests(theirs, cluster, names))
            result = unittest.TextTestRunner(verbosity=2 if os.environ.get("VERBOSE") else 1).run(suite)
        finally:
            cluster.stop()
    for name, reason in NOT_APPLICABLE.items():
        print(f"not run: {name}: {reason}")
    return 0 if result.wasSuccessful() else 1


def tests(theirs: Any, cluster: Cluster, names: list[str]) -> list[unittest.TestCase]:
    """Their test classes over our executor."""

    # A pool of theirs breaks with a process; ours ends the one task, and says how.
    theirs.BrokenProcessPool = (argon.Died, argon.TaskError, pickle.UnpicklingError)
    theirs.SystemExit = argon.Died
    theirs.PicklingError = (pickle.PicklingError, TypeError)

    def make(max_workers: int | None = None, mp_context: None = None) -> argon.Executor:
        return argon.Executor(cluster.address, max_workers, key=cluster.key)

    class Mixin(theirs.ExecutorMixin):  # type: ignore[misc, name-defined]
        executor_type = staticmethod(make)

        def get_context(self) -> None:
            return None

    found: list[unittest.TestCase] = []
    kinds = ("ExecutorShutdownTest", "WaitTests", "AsCompletedTests", "ExecutorTest", "ProcessPoolExecutorTest")
    for kind in (*kinds, "ExecutorDeadlockTest"):
        bases = (Mixin, getattr(theirs, kind), unittest.TestCase)
        case = type(kind, bases, {})
        found += [
            case(name)
            for name in unittest.TestLoader().getTestCaseNames(case)
            if name not in NOT_APPLICABLE and (not names or name in names)
        ]
    return found


if __name__ == "__main__":
    sys.exit(main())
