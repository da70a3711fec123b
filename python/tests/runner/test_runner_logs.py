"""Log records of a task go to its client as LOG, and the settings of the client are the task's."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest
from runner_process import RunnerProcess

from argon._code import payloads, settings, shipping


@pytest.fixture
def runner():
    with RunnerProcess() as runner:
        yield runner


def with_settings(runner, function, *args, **more):
    prepared = shipping.prepare(function)
    blobs = [prepared.blob] if prepared.blob is not None else []
    payload = b"".join(payloads.dumps((args, {}))[0])
    return runner.task({**prepared.meta, "settings": more or None}, payload, blobs).value


def test_records_are_sent_with_level_name_and_place(runner):
    def log():
        import logging

        logging.getLogger("mine.part").warning("%s and %d", "text", 7)
        logging.error("at the root")

    before = time.time()
    runner.call(log)
    first, second = runner.logged
    assert first["level"] == logging.WARNING and first["logger"] == "mine.part" and first["message"] == "text and 7"
    assert first["file"] == __file__ and first["function"] == "log"
    assert first["line"] == log.__code__.co_firstlineno + 3
    assert before <= first["time"] <= time.time()
    assert second["logger"] == "root" and second["level"] == logging.ERROR


def test_a_module_that_logs_when_it_is_loaded_before(runner, tmp_path, monkeypatch):
    (tmp_path / "logs_early.py").write_text(
        "import logging\nlog = logging.getLogger(__name__)\nlog.warning('loading')\n"
        "def f():\n    log.warning('running')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    logging.disable(logging.CRITICAL)
    import logs_early

    logging.disable(logging.NOTSET)
    runner.call(logs_early.f)
    runner.call(logs_early.f)
    assert [one["message"] for one in runner.logged] == ["loading", "running", "running"]


def test_a_traceback_comes_with_the_record(runner):
    def fail():
        import logging

        try:
            raise LookupError("lost")
        except LookupError:
            logging.exception("caught")

    runner.call(fail)
    (record,) = runner.logged
    assert record["message"] == "caught" and record["traceback"].endswith("LookupError: lost")


def test_levels_and_filters_of_the_client_are_the_tasks(runner):
    def log():
        import logging
        import warnings

        logging.info("root")
        logging.getLogger("quiet").error("quiet")
        logging.getLogger("chatty").debug("chatty")
        with warnings.catch_warnings(record=True) as caught:
            warnings.warn("told", DeprecationWarning, stacklevel=1)
        return len(caught)

    given = {
        "logging": {"levels": {"": logging.INFO, "quiet": logging.CRITICAL, "chatty": logging.DEBUG}},
        "warnings": [["always", None, "builtins.DeprecationWarning", None, 0]],
    }
    assert with_settings(runner, log, **given) == 1
    assert [one["message"] for one in runner.logged] == ["root", "chatty"]
    runner.logged.clear()
    # Without settings everything is as an interpreter has it.
    assert with_settings(runner, log) == 0
    assert [one["message"] for one in runner.logged] == ["quiet"]
    runner.logged.clear()
    with_settings(runner, log, logging={"disable": logging.ERROR})
    assert runner.logged == []


def test_a_filter_that_makes_errors_makes_them_there(runner):
    def warn():
        import warnings

        warnings.warn("no more", stacklevel=1)

    prepared = shipping.prepare(warn)
    filters = [["error", "no", "builtins.UserWarning", None, 0], ["ignore", None, "absent_module.Odd", None, 0]]
    outcome = runner.task(
        {**prepared.meta, "settings": {"warnings": filters}},
        b"".join(payloads.dumps(((), {}))[0]),
        [prepared.blob],
    )
    assert outcome.failure["class"] == "builtins.UserWarning"


def test_what_a_handler_of_the_task_prints_is_not_sent_again(runner):
    def log():
        import logging
        import sys

        logger = logging.getLogger("prints")
        logger.addHandler(logging.StreamHandler(sys.stderr))
        logger.warning("once")
        logging.basicConfig()
        logging.warning("sent")

    runner.call(log)
    assert [one["message"] for one in runner.logged] == ["sent"]
    assert runner.printed(2, b"once\n") == b"once\n"


def test_threads_may_log_at_once(runner):
    def log():
        import logging
        import threading

        def some(number):
            for one in range(50):
                logging.getLogger(f"t{number}").warning("%d", one)

        threads = [threading.Thread(target=some, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    runner.call(log)
    for number in range(4):
        found = [one["message"] for one in runner.logged if one["logger"] == f"t{number}"]
        assert found == [str(one) for one in range(50)]


def test_a_child_of_a_task_prints_its_records(runner):
    def log():
        import logging
        import os

        logging.getLogger("parent")
        pid = os.fork()
        if pid == 0:
            logging.warning("from the child")
            os._exit(0)
        os.waitpid(pid, 0)
        logging.warning("from the task")

    runner.call(log)
    assert [one["message"] for one in runner.logged] == ["from the task"]
    assert runner.printed(2, b"from the child\n") == b"from the child\n"


def test_a_runner_without_records_loads_no_logging(runner):
    assert runner.by_name("sys:modules.__contains__", "logging").value is False


def changes(change: str) -> str:
    """What the settings of a fresh program are after a change."""
    program = (
        "import json, logging, warnings\nfrom argon._code import settings\n"
        f"before = settings.current()\n{change}\nprint(json.dumps([before, settings.current()]))"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(settings.__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=env)
    return done.stdout.strip()


def test_the_settings_of_a_program_are_seen_when_they_change():
    assert changes("") == "[{}, {}]"
    assert '"levels": {"": 10}' in changes("logging.basicConfig(level=10)")
    assert '{"a.b": 20}' in changes("logging.getLogger('a.b').setLevel(20)")
    assert '"disable": 30' in changes("logging.disable(30)")
    assert '["error", null, "builtins.UserWarning", null, 0]' in changes("warnings.simplefilter('error', UserWarning)")
    filtered = changes("warnings.filterwarnings('ignore', 'a.*', Warning, 'm', 3)")
    assert '["ignore", "a.*", "builtins.Warning", "m' in filtered
    assert changes("with warnings.catch_warnings(): warnings.simplefilter('error')") == "[{}, {}]"


def test_settings_that_are_the_same_are_one_object():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first = settings.current()
        logging.getLogger("another").setLevel(logging.NOTSET)
        assert settings.current() is first
