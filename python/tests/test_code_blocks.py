"""The runner of the code in README.md and the guide (`scripts/pages.py`) finds every block, and notices what is not so."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from cluster import ROOT


@pytest.fixture
def pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("pages", ROOT / "scripts" / "pages.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "pages", module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    return module


def blocks_of(pages: ModuleType, text: str) -> list:
    (pages.ROOT / "page.md").write_text(text)
    return pages.read("page.md")


def problem_of(pages: ModuleType, text: str) -> str | None:
    """What running the only block of a page finds."""
    [block] = blocks_of(pages, text)
    return pages.unusable(block) or pages.run(block, "127.0.0.1:1")


def test_a_block_without_a_language_is_refused(pages: ModuleType) -> None:
    [block] = blocks_of(pages, "```\necho so\n```\n")
    assert "names its language" in pages.unusable(block)


def test_a_setup_for_all_stands_before_each_later_block_of_its_language(pages: ModuleType) -> None:
    blocks = blocks_of(
        pages,
        "<!-- setup for all: a = 1 -->\n```python\nb = a\n```\n\n```perl\n1;\n```\n\n"
        "<!-- setup: c = 2 -->\n```python\nb + c\n```\n",
    )
    assert [block.notes.get("setup") for block in blocks] == ["a = 1\n", None, "a = 1\nc = 2"]


def test_a_part_of_an_example_that_changed_is_noticed(pages: ModuleType) -> None:
    (pages.ROOT / "hello.rs").write_text("fn add(x: i64) -> i64 {\n    x + 1\n}\n")
    text = "<!-- part of: hello.rs -->\n```rust\nfn add(x: i64) -> i64 { x + %s }    // a comment\n```\n"
    [same], [changed] = blocks_of(pages, text % 1), blocks_of(pages, text % 2)
    assert pages.unusable(same) is None
    assert "hello.rs has no line" in pages.unusable(changed)


def test_a_test_that_no_longer_names_its_page_is_noticed(pages: ModuleType) -> None:
    (pages.ROOT / "old.t").write_text("nothing")
    [block] = blocks_of(pages, "<!-- run by: old.t -->\n```perl\n1;\n```\n")
    assert "does not run it" in pages.unusable(block)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("```console\n$ echo one\none\n$ echo a-b\na…\n```\n", None),
        ("```console\n$ echo one\ntwo\n```\n", "the page says"),
        ("```console\n$ false\n```\n", "ended with 1"),
        ("```console\n$ exit 0\n$ echo never\n```\n", "only 1 commands ran"),
        ("<!-- check: test -e made -->\n```console\n$ touch other\n```\n", "ended with 1"),
        ("<!-- prints: 3 -->\n```perl\nprint 1 + 2;\n```\n", None),
        ("<!-- prints: 3 -->\n```perl\nprint 4;\n```\n", "the page says"),
        ("<!-- check: $x == 2 or die -->\n```perl\nmy $x = 1;\n```\n", "ended with"),
        ("```python\nraise SystemExit(3)\n```\n", "ended with 3"),
    ],
)
def test_what_a_block_does_is_compared_with_its_page(pages: ModuleType, text: str, problem: str | None) -> None:
    found = problem_of(pages, text)
    assert found is None if problem is None else problem in (found or "")
