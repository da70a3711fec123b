"""Tasks handed ahead: the runner claims each before it starts it, and tells when there is output."""

from __future__ import annotations

import fcntl
import json
import os
import struct
import termios
from typing import Any

import pytest
from runner_process import ANSWER, ASK, OUTCOME, RunnerProcess

from argon._code import shipping

PREFETCHED = 0x8000
BARRIER = 1 << 63
OUTPUT_LEFT, OUTPUT_TAKEN = 0x41, 0x42


class Claiming(RunnerProcess):
    """A runner, and the pipe of numbers that its worker shares with it."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)
        self.number = 0
        super().__init__(fds=[self.reader], ARGON_CLAIM_FD=str(self.reader), ARGON_FIONREAD=str(termios.FIONREAD))

    def close(self) -> int:
        os.close(self.reader)
        os.close(self.writer)
        return super().close()

    def put(self, number: int) -> None:
        os.write(self.writer, struct.pack(">Q", number))

    def hand_ahead(self, call: str, *args: Any) -> None:
        self.number += 1
        self.put(self.number)
        self.send_ahead(call, *args)

    def send_ahead(self, call: str, *args: Any) -> None:
        self.send_task({"call": call}, json.dumps(args).encode(), codec=1, flags=PREFETCHED)

    def hand(self, call: str, *args: Any) -> None:
        self.send_task({"call": call}, json.dumps(args).encode(), codec=1)

    def heard(self) -> Any:
        """The value of the next outcome, or the kind of another message."""
        kind, body = self.frame()
        return self._outcome(body).value if kind == OUTCOME else kind

    def unclaimed(self) -> int:
        answer = fcntl.ioctl(self.reader, termios.FIONREAD, bytes(4))
        return int.from_bytes(answer, "little") // 8

    def take_back(self) -> int:
        return len(os.read(self.reader, 4096)) // 8


@pytest.fixture
def runner():
    with Claiming() as runner:
        yield runner


def test_it_says_that_it_claims_and_hides_how(runner):
    assert runner.ready["claims"] is True
    assert runner.call(lambda: [name for name in os.environ if name in ("ARGON_CLAIM_FD", "ARGON_FIONREAD")]) == []
    with RunnerProcess() as plain:
        assert plain.ready["claims"] is False


def test_a_program_that_a_task_starts_does_not_find_the_pipe(runner):
    shown = runner.call(lambda fd: __import__("subprocess").call(["test", "-e", f"/proc/self/fd/{fd}"]), runner.reader)
    assert shown == 1


def test_tasks_run_in_their_order_and_each_takes_its_number(runner):
    for number in range(1, 100):
        runner.hand_ahead("builtins.abs", -number)
    assert [runner.heard() for _ in range(1, 100)] == list(range(1, 100))
    assert runner.unclaimed() == 0


def test_what_was_taken_back_is_dropped(runner):
    runner.hand("time.sleep", 0.2)
    for number in range(1, 4):
        runner.hand_ahead("builtins.abs", number)
    assert runner.take_back() == 3
    runner.hand("builtins.abs", -7)
    assert (runner.heard(), runner.heard()) == (None, 7)


def test_nothing_before_a_barrier_is_begun(runner):
    runner.hand("time.sleep", 0.2)
    runner.hand_ahead("builtins.abs", 1)
    runner.hand_ahead("builtins.abs", 2)
    assert runner.take_back() == 2
    runner.put(BARRIER | 3)
    runner.hand_ahead("builtins.abs", 3)
    runner.hand_ahead("builtins.abs", 4)
    assert [runner.heard() for _ in range(3)] == [None, 3, 4]


def test_what_follows_a_barrier_can_be_taken_back_too(runner):
    runner.hand("time.sleep", 0.2)
    runner.hand_ahead("builtins.abs", 1)
    runner.take_back()
    # The worker takes the barrier, and number 2 behind it, before the runner looks.
    runner.put(BARRIER | 2)
    runner.hand_ahead("builtins.abs", 2)
    assert runner.take_back() == 2
    runner.put(BARRIER | 3)
    runner.hand_ahead("builtins.abs", 3)
    assert [runner.heard() for _ in range(2)] == [None, 3]


def test_what_is_taken_back_between_a_barrier_and_its_number_leaves_another_barrier(runner):
    runner.hand("time.sleep", 0.2)
    runner.hand_ahead("builtins.abs", 1)
    runner.hand_ahead("builtins.abs", 2)
    runner.take_back()
    runner.put(BARRIER | 1)
    runner.put(BARRIER | 3)
    runner.hand_ahead("builtins.abs", 3)
    runner.hand_ahead("builtins.abs", 4)
    assert [runner.heard() for _ in range(3)] == [None, 3, 4]


def test_it_claims_nothing_before_its_output_was_taken(runner):
    runner.hand("builtins.print", "of the first")
    runner.hand_ahead("builtins.abs", -5)
    assert (runner.heard(), runner.heard()) == (OUTPUT_LEFT, None)
    assert runner.unclaimed() == 1
    assert runner.printed(1, b"of the first\n") == b"of the first\n"
    runner.send(OUTPUT_TAKEN, b"")
    assert runner.heard() == 5


def test_a_big_value_comes_behind_what_says_that_there_is_output(runner):
    runner.hand("builtins.exec", "print('now')")
    assert (runner.heard(), runner.heard()) == (OUTPUT_LEFT, None)
    runner.send(OUTPUT_TAKEN, b"")
    assert runner.printed(1, b"now\n") == b"now\n"
    runner.hand("builtins.eval", "print('big') or 'x' * 1000000")
    assert runner.heard() == OUTPUT_LEFT
    assert runner.heard() == "x" * 1_000_000


def test_output_of_a_stream_that_a_task_closed_is_seen(runner):
    runner.hand("builtins.exec", "import os; os.write(1, b'x'); os.close(1)")
    assert (runner.heard(), runner.heard()) == (OUTPUT_LEFT, None)


def test_what_comes_while_it_waits_keeps_its_turn(runner):
    def absent():
        import not_here_at_all  # noqa: F401

    prepared = shipping.prepare(absent)
    payload = b"".join(shipping.dumps_call((), {})[0])
    runner.send_task(prepared.meta, payload, [prepared.blob])
    kind, question = runner.frame()
    while json.loads(question[32:])["name"] != "not_here_at_all":
        is_yes, text = runner.answer(question[32:])
        runner.send(ANSWER, question[:32] + bytes([0 if is_yes else 1]) + text)
        kind, question = runner.frame()
    assert kind == ASK
    runner.hand_ahead("builtins.print", "second")
    runner.hand_ahead("builtins.abs", -3)
    # A blob behind the task that needs it, as a small message passes a big one.
    runner.number += 1
    runner.put(runner.number)
    late = shipping.prepare(lambda: "late")
    runner.send_task(late.meta, payload, [late.blob], send_blobs=False, flags=PREFETCHED)
    runner.send_blob(next(name for name, blob in runner.blobs.items() if blob == late.blob))
    runner.send(ANSWER, question[:32] + bytes([1]) + b"it is not")
    kind, body = runner.frame()
    assert (kind, runner._outcome(body).failure["class"]) == (OUTCOME, "builtins.ModuleNotFoundError")
    assert (runner.heard(), runner.heard()) == (OUTPUT_LEFT, None)
    assert runner.printed(1, b"second\n") == b"second\n"
    runner.send(OUTPUT_TAKEN, b"")
    assert runner.heard() == 3
    kind, body = runner.frame()
    assert kind == OUTCOME, "it asked for a blob that it has"
    assert runner._outcome(body).status == 0


def test_dropped_tasks_may_be_of_any_size(runner):
    runner.hand("time.sleep", 0.2)
    runner.number += 1
    runner.put(runner.number)
    assert runner.take_back() == 1
    runner.send_task({"call": "builtins.len"}, json.dumps(["x" * 1_000_000]).encode(), codec=1, flags=PREFETCHED)
    runner.hand("builtins.abs", -8)
    assert (runner.heard(), runner.heard()) == (None, 8)
