"""The threads of a session begin once, whatever interrupts their start."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from argon._session.once_thread import OnceThread


@pytest.mark.parametrize("is_started", [True, False], ids=["after", "before"])
def test_an_interrupted_start_is_made_good_by_the_next(monkeypatch: pytest.MonkeyPatch, is_started: bool) -> None:
    ran: list[Any] = []
    end = threading.Event()

    def run() -> None:
        ran.append(threading.current_thread())
        assert end.wait(20)

    thread = OnceThread(run, "once")
    start = threading.Thread.start

    def interrupted(made: threading.Thread) -> None:
        if is_started:
            start(made)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", interrupted)
        with pytest.raises(KeyboardInterrupt):
            thread.start()
    thread.start()
    thread.start()
    end.set()
    thread.join(20)
    assert len(ran) == 1 and thread.has_started() and not thread.is_current()
