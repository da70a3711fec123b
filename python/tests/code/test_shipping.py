"""Every case of the files cases_*.py, in a runner of this Python's version that has nothing but the standard library.

A case gets `remote`: `remote(function, *args)` is what the function returns there, `remote.fails` how it fails there,
`remote.refused` the sentence with which it is refused here.
"""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "runner"))

from runner_process import RunnerProcess

from argon._code import payloads, shipping


def cases() -> list:
    found = []
    for file in sorted(Path(__file__).parent.glob("cases_*.py")):
        main = types.ModuleType("__main__")
        main.__file__ = str(file)
        exec(compile(file.read_text(), str(file), "exec", dont_inherit=True), vars(main))
        found += main.CASES
    return found


class Remote:
    def __init__(self, runner: RunnerProcess) -> None:
        self.runner = runner

    def __call__(self, function, *args, **kwargs):
        return self.runner.call(function, *args, **kwargs)

    def fails(self, function, *args, **kwargs):
        return self.runner.fails(function, *args, **kwargs)

    def refused(self, function, *args, **kwargs) -> str:
        with pytest.raises(payloads.CannotTravel) as caught:
            shipping.prepare(function)
            shipping.dumps_call(args, kwargs)
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
