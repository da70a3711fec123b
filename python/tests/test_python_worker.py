"""Python tasks on the real worker: interpreters, modules, deaths, big data, other languages."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest

import argon

BASE = sys._base_executable


def bare_interpreter(folder: Path) -> str:
    """This Python as a machine has it on which nobody installed anything."""
    script = folder / "python3"
    script.write_text(f'#!/bin/sh\nexec "{BASE}" -I -S "$@"\n')
    script.chmod(0o755)
    return str(script)


@pytest.fixture
def bare_client(own_cluster, tmp_path):
    own_cluster.add_worker(2, "--python", bare_interpreter(tmp_path))
    return own_cluster.client()


def test_a_worker_without_any_package_runs_code_of_every_kind(bare_client, tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(
        "class E(Exception): pass\ndef f(x):\n    return x + 1\ndef g():\n    raise E('e')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    import mine

    factor = 3
    assert bare_client.queue(lambda x: x * factor, 2) == 6
    assert bare_client.queue(mine.f, 2) == 3
    with pytest.raises(mine.E) as caught:
        bare_client.queue(mine.g)
    assert "raise E('e')" in str(caught.value.__cause__)


def test_no_remote_modules_is_heeded(own_cluster, tmp_path):
    own_cluster.add_worker(1, "--python", bare_interpreter(tmp_path), "--no-remote-modules")
    client = own_cluster.client()
    assert client.queue(len, "abc") == 3
    with pytest.raises(ModuleNotFoundError, match="No module named 'cloudpickle'"):
        client.queue(lambda: 1)


def test_a_client_of_another_version_is_refused_in_words(own_cluster):
    own_cluster.add_worker(1, "--python", BASE)
    client = own_cluster.client()
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert client.queue(lambda: "served") == "served"
    # What this client says of itself is changed, so that no second Python is needed here.
    from argon._code import shipping

    def as_of(name):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(shipping, "PYTHON", name)
            client.queue(lambda: 1)

    with pytest.raises(argon.Died, match=rf"has no Python 3\.2 \(it has: {version}\)"):
        as_of("3.2")


def test_deaths_are_told_with_their_last_words(client):
    with pytest.raises(argon.Died, match="exited with status 3"):
        client.queue(os._exit, 3)
    with pytest.raises(argon.Died, match="exited with status 4"):
        client.queue(sys.exit, 4)
    with pytest.raises(argon.Died) as caught:
        client.queue(ctypes.string_at, 0)
    assert caught.value.signal == 11
    assert "Segmentation fault" in caught.value.output


def test_a_task_beyond_its_memory_limit_dies(own_cluster):
    own_cluster.add_worker(1)
    client = own_cluster.client(memory=200)
    with pytest.raises(argon.Died) as caught:
        client.queue(lambda: len(bytearray(500 << 20)))
    assert "MemoryError" in caught.value.output


def test_big_values_pass_both_ways(client):
    big = os.urandom(1 << 20) * 24
    assert client.queue(lambda value: value[::-1], big) == big[::-1]
    shared = client.share(big)
    assert [client.queue(len, shared) for _ in range(3)] == [len(big)] * 3


def test_a_traceback_shows_the_lines_of_a_notebook(client, monkeypatch):
    import linecache

    text = "def fails(value):\n    return 1 / value  # in a cell\n"
    names = {"__name__": "__main__"}
    exec(compile(text, "<cell 3>", "exec", dont_inherit=True), names)
    monkeypatch.setitem(linecache.cache, "<cell 3>", (len(text), None, text.splitlines(True), "<cell 3>"))
    with pytest.raises(ZeroDivisionError) as caught:
        client.queue(names["fails"], 0)
    assert "return 1 / value  # in a cell" in str(caught.value.__cause__)


def test_perl_calls_python_by_name_with_plain_data(cluster):
    program = f"""
        use Argon::Client;
        my $client = Argon::Client->new(hosts => '{cluster.address}', key => '{cluster.key}');
        print join ',', @{{ $client->queue($client->python('builtins:sorted'), [[3, 1, 2]]) }};
    """
    library = Path(__file__).parents[2] / "perl" / "lib"
    said = subprocess.run(["perl", f"-I{library}", "-e", program], capture_output=True, timeout=60, check=False)
    assert said.stdout == b"1,2,3", said.stderr.decode()


# kind: printed output | thousands of short tasks that print | right | output is filed under the task that wrote it
def test_each_of_thousands_of_short_tasks_has_its_own_output(client):
    def say(number):
        if number % 7 == 0:
            print(number)
        if number % 11 == 0:
            os.write(2, b"%d\n" % number)
        if number % 901 == 0:
            print("x" * 30_000)
        return number

    calls = client.with_options(capture=True)
    deferred = [calls.defer(say, number) for number in range(3000)]
    assert [one.result() for one in deferred] == list(range(3000))
    for number, one in enumerate(deferred):
        lines = [str(number)] * ((number % 7 == 0) + (number % 11 == 0)) + ["x" * 30_000] * (number % 901 == 0)
        assert sorted(one.output.split()) == sorted(lines), number
