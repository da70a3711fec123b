"""Connections over TLS: what travels on them, and which managers a client refuses."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import argon
import tls_front
from argon._wire import keys, trust
from argon._wire import protocol as wire
from cluster import Cluster, Process

MIB = 1 << 20
CA = tls_front.CERTIFICATES / "ca.pem"


@pytest.fixture(autouse=True)
def encrypted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loopback is as good as a network."""
    monkeypatch.setenv("ARGON_TLS", "always")


def front(cluster: Cluster, *options: str, has_key: bool = True) -> Process:
    """A machine in the middle, which plays the manager with the client's key if it has that."""
    key = ["--key", str(cluster.key)] if has_key else []
    return cluster.start("front", [sys.executable, tls_front.__file__, "--manager", cluster.address, *key, *options])


def role_key(cluster: Cluster, pin: str | None = None) -> str:
    found = wire.parse_key(cluster.key.read_text())
    assert found is not None
    return "-".join(filter(None, ["argon1-client", wire.role_key(found.secret, "client").hex(), pin]))


@contextlib.contextmanager
def connected(address: str, key: Any, **options: Any) -> Iterator[argon.Client]:
    client = argon.Client(address, key=key, **options)
    try:
        yield client
    finally:
        client.shutdown()


def refusal(address: str, key: Any, **options: Any) -> str:
    """What a client says that cannot connect."""
    with connected(address, key, **options) as client, pytest.raises(argon.Unreachable) as failure:
        client.connect()
    return str(failure.value)


@pytest.fixture(scope="module")
def played(cluster: Cluster) -> Process:
    """A server with a certificate of its own and the client's key, which passes all on to the manager."""
    return front(cluster)


def test_calls_and_big_payloads_both_ways_at_once(cluster: Cluster) -> None:
    text = os.urandom(8 * MIB)
    with connected(cluster.address, cluster.key) as client:
        assert client.queue(abs, -7) == 7
        waiting = [client.defer(lambda given: given[::-1], text) for _ in range(4)]
        assert sum(client.map(abs, range(2000))) == 1999 * 1000
        assert all(one.result() == text[::-1] for one in waiting)


def test_a_peer_that_does_not_read_for_a_while_gets_everything(cluster: Cluster) -> None:
    slow = front(cluster)
    text = os.urandom(8 * MIB)
    with connected(slow.ready("addr"), role_key(cluster, tls_front.pin("other"))) as client:
        client.connect()
        os.kill(slow.pid, signal.SIGSTOP)
        waiting = [client.defer(len, text) for _ in range(4)]
        # The client itself is not held up by it.
        assert not any(one.done() for one in waiting)
        os.kill(slow.pid, signal.SIGCONT)
        assert [one.result() for one in waiting] == [8 * MIB] * 4


def test_a_forked_child_leaves_the_connection_of_its_parent(cluster: Cluster) -> None:
    with connected(cluster.address, cluster.key) as client:
        assert client.queue(abs, -1) == 1
        child = os.fork()
        if not child:
            with contextlib.suppress(BaseException):
                os._exit(client.queue(abs, -3))
            os._exit(99)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
        assert client.queue(abs, -2) == 2


def test_many_threads_share_one_connection(cluster: Cluster) -> None:
    text = os.urandom(MIB)
    with connected(cluster.address, cluster.key) as client, ThreadPoolExecutor(8) as threads:
        found = threads.map(lambda n: client.queue(bytes.__add__, text, bytes([n])), range(32))
        assert list(found) == [text + bytes([n]) for n in range(32)]


def test_all_outcomes_come_from_a_manager_that_is_killed_and_started_again(own_cluster: Cluster) -> None:
    own_cluster.add_worker(2)
    with connected(own_cluster.address, own_cluster.key) as client:
        waiting = [client.defer(lambda given: (__import__("time").sleep(0.02), given)[1], n) for n in range(40)]
        assert waiting[0].result() == 0
        own_cluster.kill_manager()
        own_cluster.start_manager()
        assert [one.result() for one in waiting] == list(range(40))


def test_the_holder_of_a_clients_key_cannot_play_the_manager(cluster: Cluster, played: Process) -> None:
    said = refusal(played.ready("addr"), role_key(cluster, "ab" * 32))
    assert "is not the manager that your key names" in said
    assert "the key's pin is abababababababab…" in said


def test_a_relay_is_found_out_even_with_the_pin_of_its_certificate(cluster: Cluster) -> None:
    between = front(cluster, has_key=False)
    assert "does not open the manager" in refusal(between.ready("addr"), role_key(cluster, tls_front.pin("other")))


def test_a_key_without_a_pin_is_refused(cluster: Cluster, played: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(keys, "_derived", {})
    assert "argon key --role client" in refusal(played.ready("addr"), role_key(cluster))
    cluster_key = wire.parse_key(cluster.key.read_text())
    assert cluster_key is not None
    line = f"argon1-cluster-{cluster_key.secret.hex()}"
    assert "neither PATH nor ARGON_PROGRAM leads to `argon`" in refusal(played.ready("addr"), line)
    monkeypatch.setenv("ARGON_PROGRAM", "/bin/false")
    assert "ended with status 1" in refusal(played.ready("addr"), line)


def test_a_cluster_key_has_its_pin_in_the_file_or_from_the_program(
    cluster: Cluster, played: Process, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = cluster.key.read_text().splitlines()[0]
    named = tmp_path / "key"
    named.write_text(f"{line}\npin {tls_front.pin('other')}\nsomething of a later release\n")
    named.chmod(0o600)
    with connected(played.ready("addr"), named) as client:
        assert client.queue(abs, -1) == 1
    monkeypatch.setattr(keys, "_derived", {})
    program = tmp_path / "program"
    said = tls_front.pin("other")
    program.write_text(f'#!/bin/sh\ncase "$ARGON_KEY $*" in "{line} key --pin") echo {said} ;; *) exit 9 ;; esac\n')
    program.chmod(0o700)
    monkeypatch.setenv("ARGON_PROGRAM", str(program))
    with connected(played.ready("addr"), line) as client:
        assert client.queue(abs, -1) == 1


def test_an_organisations_ca_takes_the_place_of_the_pin(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    address = front(cluster, "--certificate", "by_ca").ready("addr")
    with connected(address, role_key(cluster), tls_ca=CA) as client:
        assert client.queue(abs, -1) == 1
    monkeypatch.setenv("ARGON_TLS_CA", str(CA))
    with connected(address.replace("127.0.0.1", "localhost"), role_key(cluster, "ab" * 32)) as client:
        assert client.queue(abs, -2) == 2


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("expired", "has expired: this machine's clock says 20"),
        ("to_come", "is not valid yet: this machine's clock says 20"),
        ("elsewhere", "is for another name than 127.0.0.1"),
        ("other", "is not of the CA in"),
    ],
)
def test_a_certificate_that_the_ca_does_not_vouch_for_is_refused(cluster: Cluster, name: str, expected: str) -> None:
    said = refusal(front(cluster, "--certificate", name).ready("addr"), role_key(cluster), tls_ca=CA)
    assert expected in said


@pytest.mark.parametrize(("file", "expected"), [("/nonexistent", "cannot be read"), (__file__, "holds no certificate")])
def test_a_ca_that_is_none_is_named(cluster: Cluster, played: Process, file: str, expected: str) -> None:
    assert f"The file {file}, named by tls_ca or ARGON_TLS_CA, {expected}" in refusal(
        played.ready("addr"), cluster.key, tls_ca=file
    )


@pytest.mark.parametrize(
    ("answer", "options", "expected"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", {}, "does not speak TLS"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", {}, "does not speak TLS"),
        (b"", {"give_up_after": 0}, "closed the connection during the TLS handshake"),
        (b"\x15\x03\x03\x00\x02\x02\x46", {}, "does not speak TLS 1.3"),
        (b"\x15\x03\x03\x00\x02\x02\x32", {"insecure_plaintext": True}, "speaks TLS, and this client plain text"),
    ],
)
def test_what_does_not_speak_the_clients_language_is_told(
    cluster: Cluster, answer: bytes, options: dict[str, Any], expected: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                peer, _ = server.accept()
                with peer:
                    peer.recv(1 << 16)
                    peer.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        address = f"127.0.0.1:{server.getsockname()[1]}"
        assert expected in refusal(address, role_key(cluster, "ab" * 32), **options)
        thread.join(10)


def test_every_interface_takes_the_options(cluster: Cluster) -> None:
    import asyncio

    from argon import aio

    address = front(cluster, "--certificate", "by_ca").ready("addr")
    with argon.Executor(address, key=cluster.key, tls_ca=CA) as executor:
        assert executor.submit(abs, -5).result() == 5

    async def call() -> int:
        async with aio.Client(address, key=cluster.key, tls_ca=CA) as client:
            return await client.queue(abs, -6)  # type: ignore[no-any-return]

    assert asyncio.run(call()) == 6


@pytest.mark.parametrize(
    ("host", "is_local"),
    [
        ("127.0.0.1", True),
        ("127.9.8.7", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("::FFFF:127.0.0.1", True),
        ("10.0.0.1", False),
        ("128.0.0.1", False),
        ("127.example.org", False),
        ("fe80::1", False),
        ("::ffff:10.0.0.1", False),
        ("0.0.0.0", False),
    ],
)
def test_only_this_machine_is_spoken_to_in_plain_text(host: str, is_local: bool) -> None:
    assert trust.Trust().wants_tls(host) is not is_local
    assert not trust.Trust(plaintext=True, always=True).wants_tls(host)
    assert trust.Trust(always=True).wants_tls(host)


def test_options_beat_the_environment_and_bad_ones_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARGON_INSECURE_PLAINTEXT", "1")
    assert trust.trust(None, None).plaintext
    assert not trust.trust(False, None).plaintext
    monkeypatch.setenv("ARGON_TLS_CA", "/of/the/environment")
    assert (trust.trust(None, None).ca, trust.trust(None, "/mine").ca) == ("/of/the/environment", "/mine")
    monkeypatch.setenv("ARGON_INSECURE_PLAINTEXT", "perhaps")
    with pytest.raises(argon.OptionError, match="must be 1 or 0, not 'perhaps'"):
        argon.Client()
    monkeypatch.delenv("ARGON_INSECURE_PLAINTEXT")
    monkeypatch.setenv("ARGON_TLS", "sometimes")
    with pytest.raises(argon.OptionError, match="must be auto or always, not 'sometimes'"):
        argon.Client()
    monkeypatch.delenv("ARGON_TLS")
    with pytest.raises(argon.OptionError, match="insecure_plaintext must be True or False"):
        argon.Client(insecure_plaintext="yes")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("lines", "pin"),
    [
        (["argon1-client-" + "5a" * 32], None),
        (["argon1-client-" + "5a" * 32 + "-" + "0b" * 32], "0b" * 32),
        (["argon1-client-" + "5a" * 32, "pin " + "0b" * 32], "0b" * 32),
        (["argon1-client-" + "5a" * 32 + "-" + "0b" * 32, "pin " + "0b" * 32, "later: x"], "0b" * 32),
    ],
)
def test_a_pin_is_found_in_the_text_of_a_key(lines: list[str], pin: str | None) -> None:
    for end in ("\n", "\r\n"):
        found = wire.parse_key(end.join(lines) + end)
        assert found == wire.KeyText("client", b"\x5a" * 32, bytes.fromhex(pin) if pin else None)


@pytest.mark.parametrize(
    "lines",
    [
        ["argon1-client-" + "5a" * 32 + "-0b"],
        ["argon1-client-" + "5a" * 32 + "-" + "0B" * 32],
        ["argon1-client-" + "5a" * 32, "pin 0b"],
        ["argon1-client-" + "5a" * 32 + "-" + "0b" * 32, "pin " + "0c" * 32],
        ["argon1-client-" + "5a" * 32, "argon1-worker-" + "5a" * 32],
        ["", "pin " + "0b" * 32],
    ],
)
def test_a_text_that_leaves_doubt_is_not_a_key(lines: list[str]) -> None:
    assert wire.parse_key("\n".join(lines)) is None


def test_a_python_that_cannot_encrypt_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "argon._wire.tls", raising=False)
    monkeypatch.setitem(sys.modules, "ssl", None)
    with socket.create_server(("127.0.0.1", 0)) as server:
        key = "-".join(["argon1-client", "5a" * 32, "ab" * 32])
        said = refusal(f"127.0.0.1:{server.getsockname()[1]}", key)
    assert "must be encrypted, and this Python has no module ssl" in said


def test_waiting_ends_when_the_server_is_silent(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("argon._wire.dial.HANDSHAKE_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        said = refusal(address, role_key(cluster, "ab" * 32), give_up_after=0)
        assert "did not finish the TLS handshake in time" in said
