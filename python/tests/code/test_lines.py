"""Tracebacks from a worker show the lines that only the caller has."""

from __future__ import annotations

import linecache
import sys

import pytest

from argon._outcome import lines

STEP = '  File "<cell 7>", line 2, in f\n'


@pytest.fixture(autouse=True)
def cell(monkeypatch):
    """What IPython does with the text of a cell."""
    text = "def f():\n    raise ValueError('x')\n"
    monkeypatch.setitem(linecache.cache, "<cell 7>", (len(text), None, text.splitlines(True), "<cell 7>"))


def test_a_missing_line_is_filled_in():
    text = f"Traceback (most recent call last):\n{STEP}ValueError: x\n"
    assert lines.filled(text) == text.replace(STEP, f"{STEP}    raise ValueError('x')\n")


def test_steps_that_have_their_line_or_have_none_stay():
    for text in (
        f"{STEP}    something else\n    ^^^^\nE: x\n",
        '  File "/nowhere.py", line 1, in f\nE: x\n',
        "E: x\n",
        "",
    ):
        assert lines.filled(text) == text


def test_every_step_is_filled_in():
    text = f"Traceback (most recent call last):\n{STEP}{STEP}ValueError: x\n"
    assert lines.filled(text).count("raise ValueError('x')") == 2


@pytest.mark.parametrize("indent", ["  | ", "    | "])
def test_steps_of_a_group_are_filled_in(indent):
    text = f"{indent}Traceback (most recent call last):\n{indent}{STEP}{indent}ValueError: x\n"
    assert f"{indent}{STEP}{indent}    raise ValueError('x')\n" in lines.filled(text)


def test_a_real_traceback_of_code_without_a_file_is_filled_in():
    import traceback

    names: dict = {}
    exec(compile("def f():\n    raise ValueError('x')\n", "<cell 8>", "exec"), names)
    try:
        names["f"]()
    except ValueError:
        text = traceback.format_exc()
    assert "raise" not in text
    text = text.replace("cell 8", "cell 7")
    assert "    raise ValueError('x')\n" in lines.filled(text), sys.version
