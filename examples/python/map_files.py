"""Counts the lines of many files, as the counts come in; memory stays flat however many files there are.

argon up                                                  # in another terminal
python examples/python/map_files.py HOST:PORT FILE...     # without files: the examples
"""

import sys
from pathlib import Path

import argon

paths = [Path(name) for name in sys.argv[2:]] or sorted(Path(__file__).parent.glob("*.py"))


def lines(text):
    return text.count("\n")


with argon.Client(sys.argv[1] if len(sys.argv) > 1 else None) as client:
    # The text travels: the worker may be on another machine. Files are read only as far as the pool works.
    texts = (path.read_text() for path in paths)
    total = 0
    for place, number in client.map(lines, texts, ordered=False, ahead=8):
        total += number
        print(f"{number:6} {paths[place]}")
print(f"{total} lines in {len(paths)} files")
