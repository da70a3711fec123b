"""The session of this client does what the traces contain, which Rust and Perl run too."""

from __future__ import annotations

from pathlib import Path

import pytest

from cluster import ROOT
from session_traces import Comparison, Player, read

TRACES = sorted((ROOT / "spec" / "traces" / "session").glob("*.txt"))


def test_the_traces_are_there() -> None:
    assert len(TRACES) >= 50


@pytest.mark.parametrize("path", TRACES, ids=lambda path: path.stem)
def test_the_session_follows_the_trace(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    comparison, player = Comparison(), Player(monkeypatch)
    try:
        for step in read(path):
            wrong = comparison.unnamed() if step.input.startswith("network ") else []
            wrong += comparison.wrong(step.effects, player.play(step.input))
            assert not wrong, f"line {step.line}, {step.input}"
        assert not comparison.unnamed()
    finally:
        player.close()
