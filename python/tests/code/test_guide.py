"""The examples of the guide do what they say."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "runner"))

from runner_process import RunnerProcess

GUIDE = Path(__file__).parents[3] / "docs" / "guide" / "python-code-that-travels.md"
PROMISE = re.compile(r"^(\S.*?) +# => (.*)$", re.M)


class Client:
    def __init__(self, runner):
        self.queue = runner.call


def test_every_example_gives_what_its_comment_says():
    blocks = re.findall(r"^```python\n(.*?)^```$", GUIDE.read_text(), re.M | re.S)
    # As a test: each promise becomes an item of a list.
    text = PROMISE.sub(lambda found: f"results.append((repr({found[1]}), {found[2]!r}))", "\n".join(blocks))
    main = types.ModuleType("__main__")
    with RunnerProcess(sys._base_executable, ["-I", "-S"]) as runner:
        vars(main).update(client=Client(runner), results=[])
        exec(compile(text, str(GUIDE), "exec", dont_inherit=True), vars(main))
    assert len(main.results) >= 7
    for given, promised in main.results:
        assert given == promised


def test_every_sentence_that_has_a_case_stands_in_the_guide():
    file = Path(__file__).parent / "cases_guide.py"
    main = types.ModuleType("__main__")
    main.__file__ = str(file)
    exec(compile(file.read_text(), str(file), "exec", dont_inherit=True), vars(main))
    text = " ".join(GUIDE.read_text().split())
    assert len(main.SENTENCES) == len(main.CASES) >= 14
    for sentence in main.SENTENCES:
        assert " ".join(sentence.split()) in text, sentence
