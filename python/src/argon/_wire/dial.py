"""The way from an address to a proven connection: name, connect, handshake.

One try at one address, which waits as long as the limits below say. `reconnect` decides when and where to try.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import re
import socket
import sys
from socket import getaddrinfo
from socket import socket as Socket
from time import monotonic
from typing import Any, NoReturn

from . import keys, segments, text
from . import protocol as wire
from .connection import Connection
from .trouble import DialFailure, Keyless, Refused
from .trust import Trust

CONNECT_S = 5.0
HANDSHAKE_S = 5.0
#: Silence after which the kernel asks the manager's for an answer. The manager sends a heartbeat every 5 s.
PROBE_AFTER_S = 6

_SAME_RELEASE = "install the same release of Argon on both sides"
_INCARNATION = re.compile("[0-9a-f]{32}")


def dial(
    address: tuple[str, int], option: str | os.PathLike[str] | None, trust: Trust
) -> tuple[Connection, dict[str, Any]]:
    """A connection, and what the manager granted."""
    host, port = address
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        key = keys.find(option, where)
    except keys.KeyProblem as problem:
        kind = Keyless if isinstance(problem, keys.NoKey) else DialFailure
        raise kind(str(problem), for_good=True) from None
    sock, numeric = _connected(address, where)
    try:
        until = monotonic() + HANDSHAKE_S
        if not trust.wants_tls(numeric):
            return _Handshake(Connection(sock, where), key, until).run()
        return _Handshake(*_encrypted(sock, where, host, key, trust, until)).run()
    except BaseException:
        sock.close()
        raise


def _encrypted(
    sock: socket.socket, where: str, host: str, key: keys.Key, trust: Trust, until: float
) -> tuple[Connection, keys.Key, float, bytes]:
    pin = None
    if trust.ca is None:
        try:
            pin = keys.pin_of(key)
        except keys.KeyProblem as problem:
            raise DialFailure(str(problem), for_good=True) from None
    try:
        from .tls import secured
    except ImportError as error:
        raise DialFailure(
            f"The connection to {where} must be encrypted, and this Python has no module ssl ({error}): use a Python with "
            "OpenSSL 1.1.1 or later.",
            for_good=True,
        ) from None

    connection, channel = secured(sock, where, host, pin, trust.ca, until)
    return connection, key, until, channel


def _connected(address: tuple[str, int], where: str) -> tuple[socket.socket, str]:
    """A socket, and the numeric address of its other end."""
    host: str | bytes = address[0]
    if address[0].isascii():
        # As text it would be encoded by a module that is imported for that: never ends if the caller is a destructor
        # that interrupted another import.
        host = address[0].encode()
    try:
        found = getaddrinfo(host, address[1], type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    except OSError as error:
        raise DialFailure(
            f"The host {address[0]} is not known ({error.strerror}): check the address given to Client."
        ) from None
    reason, is_closed = "no address", False
    for family, kind, protocol, _, target in found:
        sock = Socket(family, kind, protocol)
        sock.settimeout(CONNECT_S)
        segments.shrink_if_needed(where, sock)
        try:
            sock.connect(target)
        except OSError as error:
            sock.close()
            reason = error.strerror or f"no answer within {CONNECT_S:.0f} s"
            is_closed = isinstance(error, ConnectionRefusedError)
            continue
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if sys.platform == "linux":
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, PROBE_AFTER_S)
        return sock, str(target[0])
    sentence = (
        f"No manager answers at {where} ({reason}): start one there with `argon manager` or `argon up`, "
        "or check host and port."
    )
    raise Refused(sentence) if is_closed else DialFailure(sentence)


def is_refused(address: tuple[str, int]) -> bool:
    """True if nothing listens at this address, which is numeric."""
    # As bytes, for the reason given above.
    target: Any = (address[0].encode(), address[1])
    try:
        socket.create_connection(target, CONNECT_S).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        pass
    return False


class _Handshake:
    """The handshake of `spec/protocol.md`, section 2."""

    def __init__(self, connection: Connection, key: keys.Key, until: float, channel: bytes = wire.PLAIN_CHANNEL):
        self.connection, self.key, self.until, self.channel = connection, key, until, channel
        self.sock, self.where = connection.sock, connection.where

    def run(self) -> tuple[Connection, dict[str, Any]]:
        opening: dict[str, Any] = {
            "min": wire.VERSION,
            "max": wire.VERSION,
            "role": "client",
            "nonce": os.urandom(32).hex(),
            "capabilities": [],
        }
        if self.key.holder:
            opening["owner"], opening["key"] = self.key.holder
        hello = wire.to_json(opening)
        self._say(wire.MAGIC + wire.frame(wire.HELLO, hello))
        challenge = self._hear(wire.CHALLENGE)
        version = self._read_json(challenge).get("version")
        if not isinstance(version, int) or version != wire.VERSION:
            found = version if isinstance(version, int) and abs(version) < 1 << 32 else "an unknown one"
            raise DialFailure(
                f"The manager at {self.where} speaks version {found} of the protocol, this client version "
                f"{wire.VERSION}: {_SAME_RELEASE}.",
                for_good=True,
            )
        said = wire.transcript(hello, challenge, self.channel)
        self._say(wire.frame(wire.PROOF, wire.dialler_proof(self.key.secret, said)))
        welcome = self._hear(wire.WELCOME)
        if not hmac.compare_digest(welcome[:32], wire.listener_proof(self.key.secret, said)):
            raise DialFailure(
                f"What answers at {self.where} does not hold the cluster key from {self.key.origin}: "
                "it may be another's manager.",
                for_good=True,
            )
        granted = self._granted(welcome[32:])
        self.sock.setblocking(False)
        return self.connection, granted

    def _say(self, data: bytes) -> None:
        try:
            self.sock.settimeout(max(0.01, self.until - monotonic()))
            self.connection.send(data)
            while not self.connection.flush() and monotonic() < self.until:
                pass
        finally:
            # The other side may have sent a reason before it closed.
            self.connection.broken = None

    def _hear(self, wanted: int) -> bytes:
        connection = self.connection
        while True:
            if connection.end - connection.begin >= 5:
                length, kind = wire.FRAME.unpack_from(connection.buffer, connection.begin)
                if not 1 <= length <= wire.FRAME_BYTES_MAX or kind not in (wanted, wire.REFUSED):
                    self._no_manager()
                if connection.end - connection.begin >= 4 + length:
                    body = bytes(connection.view[connection.begin + 5 : connection.begin + 4 + length])
                    connection.begin += 4 + length
                    if kind == wire.REFUSED:
                        self._refused(body)
                    return body
            self._read_more()

    def _read_more(self) -> None:
        left = self.until - monotonic()
        count = 0
        with contextlib.suppress(TimeoutError, socket.timeout):
            if left > 0:
                self.sock.settimeout(left)
                count = self.connection.read_some()
        if self.connection.broken:
            raise DialFailure(f"The manager at {self.where} closed the connection during the handshake.")
        if not count and monotonic() >= self.until:
            raise DialFailure(f"The manager at {self.where} did not finish the handshake within {HANDSHAKE_S:.0f} s.")

    def _read_json(self, body: bytes) -> dict[str, Any]:
        try:
            message = text.read_json(body)
        except ValueError:
            message = None
        if not isinstance(message, dict):
            self._no_manager()
        return message

    def _granted(self, body: bytes) -> dict[str, Any]:
        granted = self._read_json(body)
        credit = [granted.get(f"credit_{name}") for name in ("tasks", "bytes")]
        is_whole = all(type(one) is int and 0 <= one < 1 << 64 for one in credit)
        if not is_whole or not _INCARNATION.fullmatch(str(granted.get("incarnation"))):
            raise DialFailure(f"The manager at {self.where} sent a WELCOME that cannot be read.")
        return granted

    def _refused(self, body: bytes) -> NoReturn:
        code = text.field(body, "code", "unknown")
        message = text.field(body, "message", "no reason given").rstrip(".")
        if code == "key":
            raise DialFailure(
                f"The key from {self.key.origin} does not open the manager at {self.where}, which says: {message}.",
                for_good=True,
            )
        if code == "version":
            raise DialFailure(
                f"The manager at {self.where} speaks another version of the protocol than this client, version "
                f"{wire.VERSION} ({message}): {_SAME_RELEASE}.",
                for_good=True,
            )
        sentence = f"The manager at {self.where} refused this client ({code}): {message}."
        raise DialFailure(sentence, for_good=code != "busy")

    def _no_manager(self) -> NoReturn:
        # A TLS alert: what answers cannot read plain text.
        if bytes(self.connection.view[:2]) == b"\x15\x03":
            raise DialFailure(
                f"What answers at {self.where} speaks TLS, and this client plain text: leave out insecure_plaintext and "
                "ARGON_INSECURE_PLAINTEXT.",
                for_good=True,
            )
        raise DialFailure(f"What answers at {self.where} is not an Argon manager.", for_good=True)
