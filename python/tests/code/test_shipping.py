"""Every case of cases_main.py, in a runner of this Python's version that has nothing but the standard library."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "runner"))

from runner_process import RunnerProcess

from argon import _bundle, _code

CASES_FILE = Path(__file__).parent / "cases_main.py"


def cases() -> list:
    main = types.ModuleType("__main__")
    main.__file__ = str(CASES_FILE)
    exec(compile(CASES_FILE.read_text(), str(CASES_FILE), "exec", dont_inherit=True), vars(main))
    return main.CASES


class Remote:
    def __init__(self, runner: RunnerProcess) -> None:
        self.runner = runner

    def __call__(self, function, *args, **kwargs):
        return self.runner.call(function, *args, **kwargs)

    def fails(self, function, *args, **kwargs):
        return self.runner.fails(function, *args, **kwargs)

    def refused(self, function, *args, **kwargs) -> str:
        with pytest.raises(_bundle.CannotTravel) as caught:
            _code.prepare(function)
            _code.dumps_call(args, kwargs)
        return str(caught.value)


@pytest.fixture(scope="module")
def remote():
    with RunnerProcess(sys._base_executable, ["-I", "-S"]) as runner:
        yield Remote(runner)


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.__name__)
def test_case(case, remote):
    case(remote)


def test_there_are_many_cases():
    assert len(cases()) >= 60
