"""What a program calls: queue, defer, map, submit and collect, share, status, and the options of a task."""

from __future__ import annotations

import contextvars
import io
import itertools
import os
import re
import signal
import sys
import threading
import time
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

import pytest

import argon
from cluster import Cluster, wait_for


def test_a_call_gives_what_the_function_returns(client: Any) -> None:
    assert client.queue(pow, 2, 10) == 1024
    assert client.queue(lambda *, base: base + 1, base=4) == 5
    assert client.queue(os.getpid) != os.getpid()


def test_an_exception_is_of_the_same_class_with_the_traceback_as_its_cause(client: Any) -> None:
    def fail() -> None:
        raise KeyError("missing")

    with pytest.raises(KeyError, match="missing") as caught:
        client.queue(fail)
    assert isinstance(caught.value.__cause__, argon.RemoteTraceback)
    assert "in fail" in str(caught.value.__cause__)


def test_an_exception_that_cannot_travel_is_told_in_words(client: Any) -> None:
    def fail() -> None:
        class Odd(Exception):
            def __init__(self, one: int, two: int):
                super().__init__("odd one")
                self.lock = __import__("threading").Lock()

        raise Odd(1, 2)

    with pytest.raises(argon.TaskError, match="odd one") as caught:
        client.queue(fail)
    assert "Odd" in (caught.value.class_name or "")
    assert "in fail" in (caught.value.traceback or "")


@pytest.mark.parametrize("value", [threading.Lock(), (number for number in range(3)), sys.stdout])
def test_what_cannot_travel_is_refused_at_the_call(client: Any, value: Any) -> None:
    with pytest.raises(argon.CannotTravel, match="argument 1"):
        client.queue(id, value)


def test_a_client_says_itself_why_it_cannot_travel(client: Any) -> None:
    with pytest.raises(argon.CannotTravel, match=r"captured \(an argon.client.Client\) .* make one where it is needed"):
        client.queue(lambda: client.queue(abs, -1))


def test_what_is_called_by_name_in_another_way_is_told_how(client: Any) -> None:
    with pytest.raises(argon.CannotTravel, match=r"argon\.python\('math:sqrt'\)"):
        client.queue("math:sqrt", 2)
    with pytest.raises(argon.OptionError, match="the address comes first"):
        argon.Client(host="mgrhost", port=8000)


def test_a_cloudpickle_that_is_too_old_is_told(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import cloudpickle.cloudpickle

    monkeypatch.delattr(cloudpickle.cloudpickle, "Pickler")
    monkeypatch.setattr("argon._code.by_value._picklers", {})
    with pytest.raises(argon.CannotTravel, match=r"older than 3\.0"):
        client.queue(lambda: 1)


def test_a_deferred_is_called_or_asked(client: Any) -> None:
    deferred = client.defer(abs, -3)
    assert deferred() == deferred.result(timeout=1) == 3
    assert deferred.done()
    assert deferred.exception() is None
    assert deferred.report["attempt"] == 1
    failed = client.defer(int, "x")
    assert isinstance(failed.exception(), ValueError)


def test_a_wait_may_be_bounded_and_the_task_goes_on(client: Any) -> None:
    deferred = client.defer(time.sleep, 0.3)
    with pytest.raises(TimeoutError, match="goes on"):
        deferred.result(timeout=0.05)
    assert deferred.result() is None


def test_done_never_waits_and_comes_true_by_itself(client: Any) -> None:
    deferred = client.defer(time.sleep, 0.2)
    begun = time.monotonic()
    assert not deferred.done()
    assert time.monotonic() - begun < 0.1
    wait_for("the outcome", deferred.done)


# kind: re-entrance | a done callback that calls the client | right | callbacks run outside of the lock
def test_callbacks_run_once_and_may_call_the_client(client: Any) -> None:
    said: list[Any] = []
    deferred = client.defer(abs, -7)
    deferred.on_done(lambda one: said.append(client.queue(abs, one.result())))
    wait_for("the callback", lambda: said)
    deferred.on_done(lambda one: said.append("late"))
    assert said == [7, "late"]


def test_map_keeps_the_order_and_takes_several_iterables(client: Any) -> None:
    assert list(client.map(pow, [2, 3, 4], [3, 2, 1])) == [8, 9, 4]
    assert list(client.map(pow, [(2, 3), (3, 2)], star=True)) == [8, 9]
    assert list(client.map(abs, [])) == []


def test_map_as_completed_yields_places(client: Any) -> None:
    found = dict(client.map(abs, range(0, -500, -1), ordered=False, ahead=50))
    assert found == {place: place for place in range(500)}


def test_map_looks_ahead_no_further_than_asked(client: Any) -> None:
    taken = itertools.count()
    results = client.map(abs, taken, ahead=10)
    assert next(results) == 0
    assert next(taken) <= 11
    results.close()
    assert client.unfinished <= 10


def test_the_first_error_of_a_map_is_raised_and_the_rest_cancelled(client: Any) -> None:
    with pytest.raises(ZeroDivisionError):
        list(client.map(lambda number: 1 // (5 - number), range(100)))
    wait_for("what was under way to end", lambda: client.unfinished == 0)


def test_a_loop_over_a_map_that_is_left_cancels_the_rest(client: Any) -> None:
    for _ in client.map(lambda _: __import__("time").sleep(0.02), range(1000), ahead=1000):
        break
    wait_for("what was under way to end", lambda: client.unfinished == 0)


def test_a_submitted_task_is_collected_by_another_client(cluster: Cluster, client: Any) -> None:
    ticket = client.submit(pow, 2, 5)
    assert re.fullmatch("[0-9a-f]{48}-[0-9a-f]{32}", ticket)
    client.shutdown()
    assert cluster.client().collect(ticket) == 32


def test_an_id_alone_opens_no_detached_task(client: Any) -> None:
    task_id, _, token = client.submit(pow, 2, 5).partition("-")
    with pytest.raises(argon.OptionError, match=f"{task_id} is the id of a task, not its ticket"):
        client.collect(task_id)
    for wrong in ("", f"{task_id}-", f"{task_id}-{token}0", f"{task_id}-{token}".upper(), task_id.encode(), 7, None):
        with pytest.raises(argon.OptionError, match="needs the ticket that submit returned") as caught:
            client.collect(wrong)
        assert token not in str(caught.value).lower()
    guessed = client.collect_later(f"{task_id}-{'0' * 32}")
    with pytest.raises(argon.Lost):
        guessed.result(30)
    assert client.collect(f"{task_id}-{token}", 30) == 32


def test_a_ticket_cancels_its_task(cluster: Cluster, client: Any) -> None:
    ticket = client.submit(time.sleep, 300)
    with cluster.client() as other:
        assert other.cancel(ticket)
        with pytest.raises(argon.Cancelled):
            other.collect(ticket, 30)
        with pytest.raises(argon.OptionError, match="is the id of a task, not its ticket"):
            other.cancel(ticket[:48])
        with pytest.raises(argon.Lost):
            other.cancel(f"{ticket[:48]}-{'0' * 32}")


def test_the_right_ticket_is_served_beside_a_wrong_one(client: Any) -> None:
    ticket = client.submit(pow, 2, 5)
    wrong, right = client.collect_later(f"{ticket[:48]}-{'0' * 32}"), client.collect_later(ticket)
    assert right.result(30) == 32
    assert isinstance(wrong.exception(30), argon.Lost)


def test_shared_values_arrive_as_values(client: Any) -> None:
    table = {number: str(number) for number in range(1000)}
    handle = client.share(table)
    assert client.queue(len, handle) == 1000
    assert client.queue(lambda key: handle[key], 7) == "7"
    assert list(client.map(lambda key, words: words[key], [1, 2], [handle, handle])) == ["1", "2"]
    assert client.queue(lambda pair: len(pair[0]), (handle,)) == 1000
    assert handle.value is table


def test_status_tells_of_workers(client: Any) -> None:
    status = client.status()
    assert status["workers"] == 1
    assert status["slots_total"] == 2


def test_a_time_limit_ends_the_task(client: Any) -> None:
    with pytest.raises(argon.TimedOut, match="time limit") as caught:
        client.with_options(timeout=0.2).queue(time.sleep, 30)
    assert caught.value.kind == "timeout"


# kind: a process that dies | `os._exit` in a task | loud | `argon.Died` with the status
def test_a_process_that_ends_is_reported(client: Any) -> None:
    with pytest.raises(argon.Died) as caught:
        client.queue(os._exit, 3)
    assert caught.value.exit_code == 3
    with pytest.raises(argon.Died) as caught:
        client.queue(lambda: os.kill(os.getpid(), signal.SIGSEGV))
    assert caught.value.signal == signal.SIGSEGV
    with pytest.raises(argon.Died):
        client.queue(sys.exit, 4)


def test_retries_count_what_was_asked_for(client: Any, tmp_path: Any) -> None:
    path = str(tmp_path / "count")

    def fail_twice() -> int:
        with open(path, "a+") as file:
            file.write("x")
            file.flush()
            if file.tell() < 3:
                raise OSError("not yet")
            return file.tell()

    assert client.with_options(retries=2, backoff=0.01).queue(fail_twice) == 3
    with pytest.raises(argon.Died) as caught:
        client.with_options(retries=1, retry_on="died", backoff=0.01).queue(os._exit, 1)
    assert caught.value.attempts == 2


def test_cancel_ends_a_task_that_runs(client: Any, tmp_path: Any) -> None:
    path = tmp_path / "begun"

    def linger() -> None:
        open(str(path), "w").close()
        time.sleep(60)

    deferred = client.defer(linger)
    wait_for("the task to run", path.exists)
    assert deferred.cancel()
    with pytest.raises(argon.Cancelled):
        deferred.result(timeout=10)
    assert deferred.cancelled()
    assert not deferred.cancel()


# kind: printed output | a task that prints while `sys.stdout` is replaced here | right | output goes to the stream
#    of the moment
def test_output_goes_to_the_streams_of_the_moment(client: Any) -> None:
    def talk() -> None:
        print("to stdout é")
        print("to stderr", file=sys.stderr)

    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        client.queue(talk)
    assert out.getvalue() == "to stdout é\n"
    assert err.getvalue() == "to stderr\n"


def test_output_goes_to_the_cell_of_the_call(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = contextvars.ContextVar("cell", default="none")

    class Stream(io.TextIOBase):
        """Tells cells apart as a notebook's streams do."""

        said: list[tuple[str, str]] = []  # noqa: RUF012

        def write(self, text: str) -> int:
            self.said.append((cell.get(), text))
            return len(text)

    monkeypatch.setitem(sys.modules, "ipykernel", io)
    client = cluster.client()
    with redirect_stdout(Stream()) as stream:
        cell.set("first")
        later = client.defer(lambda: (time.sleep(0.2), print("late"))[0])
        cell.set("second")
        client.queue(print, "soon")
        wait_for("the outcome", later.done)
    assert sorted(stream.said) == [("first", "late\n"), ("second", "soon\n")]


def test_much_output_arrives_whole(client: Any) -> None:
    with redirect_stdout(io.StringIO()) as out:
        client.queue(lambda: print("x" * 3_000_000))
    assert len(out.getvalue()) == 3_000_001


def test_captured_output_comes_with_the_outcome(client: Any) -> None:
    with redirect_stdout(io.StringIO()) as out:
        deferred = client.with_options(capture=True).defer(print, "kept")
        assert deferred.result() is None
    assert deferred.output == "kept\n"
    assert out.getvalue() == ""


@pytest.mark.parametrize(
    "options",
    [
        {"priority": "urgent"},
        {"timeout": -1},
        {"timeout": float("nan")},
        {"retries": 1.5},
        {"retries": 1, "never_twice": True},
        {"retry_on": "bad"},
        {"memory": -1},
        {"label": "x" * 201},
        {"unknown": 1},
    ],
)
def test_wrong_options_are_refused_in_words(options: dict[str, Any]) -> None:
    with pytest.raises(argon.OptionError, match="Client: "):
        argon.Client(**options)


@pytest.mark.parametrize("address", [":8000", "host:0", "host:x", "host:70000", []])
def test_wrong_addresses_are_refused(address: Any) -> None:
    with pytest.raises(argon.OptionError):
        argon.Client(address)


@pytest.mark.parametrize("size", [1, 262_144, 262_145, 5_000_000])
def test_payloads_of_every_size_come_back(client: Any, size: int) -> None:
    data = os.urandom(size)
    assert client.queue(lambda same: same, data) == data
    assert client.queue(lambda same: same, bytearray(data)) == data


def test_small_tasks_pass_big_payloads(client: Any) -> None:
    big = client.defer(len, bytes(64 << 20))
    assert client.queue(abs, -1) == 1
    assert big.result() == 64 << 20


def test_an_array_may_change_after_defer(client: Any) -> None:
    array = bytearray(1 << 20)
    deferred = client.defer(sum, array)
    array[:] = b"\1" * len(array)
    assert deferred.result() == 0


def test_perl_functions_are_called_by_name(client: Any) -> None:
    assert client.queue(argon.perl("List::Util::sum"), 1, 2, 3) == 6
    assert list(client.map(argon.perl("POSIX::floor"), [1.5, 2.5])) == [1, 2]
    with pytest.raises(argon.TaskError, match="no such luck"):
        client.queue(argon.perl("Carp::croak"), "no such luck")
    with pytest.raises(argon.CannotTravel, match="plain data"):
        client.queue(argon.perl("List::Util::sum"), object())
    with pytest.raises(argon.CannotTravel, match="keyword"):
        client.queue(argon.perl("List::Util::sum"), key=1)


def test_perl_classes_are_called_by_name(own_cluster: Cluster) -> None:
    (own_cluster.folder / "Twice.pm").write_text(
        "package Twice; sub new { my ($class, $number) = @_; return bless { number => $number }, $class }"
        " sub run { return { twice => 2 * $_[0]{number} } } 1;"
    )
    own_cluster.add_worker(1, env={"PERL5LIB": str(own_cluster.folder)})
    assert own_cluster.client().queue(argon.perl_class("Twice"), 21) == {"twice": 42}


def test_python_functions_are_called_by_name(client: Any) -> None:
    assert client.queue(argon.python("math:gcd"), 12, 18) == 6
    assert client.queue(argon.python("json:dumps"), {"a": [1, None]}) == '{"a": [1, null]}'
    with pytest.raises(argon.TaskError, match="division"):
        client.queue(argon.python("operator:truediv"), 1, 0)


def test_a_client_that_was_shut_down_says_so(cluster: Cluster) -> None:
    client = cluster.client()
    deferred = client.defer(time.sleep, 60)
    client.shutdown()
    client.shutdown()
    with pytest.raises(argon.Cancelled):
        deferred.result()
    with pytest.raises(argon.Closed):
        client.queue(abs, 1)


def test_a_client_is_closed_when_nobody_has_it(cluster: Cluster) -> None:
    client = argon.Client(cluster.address, key=cluster.key)
    assert client.queue(abs, -1) == 1
    session = client._session
    del client
    wait_for("its session to end", lambda: session.closed)
