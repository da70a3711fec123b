"""Connection over TLS 1.3: the handshake, the check of the manager's certificate, and the records after it.

For all other modules the socket stays a plain one: what is written is encrypted before it waits for the socket, and what
is read is decrypted into the connection's buffer, as a whole. So nothing is left inside of TLS when the socket is waited
for. As all of `Connection`, it is used with the session's lock held, and never by two threads at a time.
"""

from __future__ import annotations

import hashlib
import hmac
import socket
import ssl
import time
from time import monotonic

from .connection import Connection
from .trouble import DialFailure

if not ssl.HAS_TLSv1_3:
    raise ImportError("its OpenSSL is too old for TLS 1.3")

# More than one record adds to its text. What a record lacked when it was read is smaller than a whole one.
_RECORD_BYTES_MAX = 16_384 + 512
_READ_BYTES = 262_144

_NOT_TLS = frozenset(
    (
        "WRONG_VERSION_NUMBER",
        "UNKNOWN_PROTOCOL",
        "HTTP_REQUEST",
        "PACKET_LENGTH_TOO_LONG",
        "RECORD_LAYER_FAILURE",
        "UNEXPECTED_MESSAGE",
    )
)
_TOO_OLD = frozenset(("UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION", "NO_PROTOCOLS_AVAILABLE"))
# Of OpenSSL's x509_vfy.h.
_NOT_YET_VALID, _EXPIRED = 9, 10
_WRONG_NAME = frozenset((62, 63, 64))


class TlsConnection(Connection):
    """Connection whose bytes on the socket are TLS records."""

    __slots__ = ("_incoming", "_outgoing", "_records")

    def __init__(self, sock: socket.socket, where: str, context: ssl.SSLContext, server_name: str | None):
        super().__init__(sock, where)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._records = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name)

    def shake_hands(self, until: float) -> bytes:
        """Does the TLS handshake. Returns the manager's certificate in DER. Raises OSError or EOFError."""
        while True:
            try:
                self._records.do_handshake()
                break
            except ssl.SSLWantReadError:
                self._send_all(until)
                self._receive(until)
            except ssl.SSLError:
                # The alert says to the other side what is wrong.
                self._send_all(until)
                raise
        self._send_all(until)
        return self._records.getpeercert(binary_form=True) or b""

    def _send_all(self, until: float) -> None:
        data = self._outgoing.read()
        if data:
            self.sock.settimeout(max(0.01, until - monotonic()))
            self.sock.sendall(data)

    def _receive(self, until: float) -> None:
        self.sock.settimeout(max(0.01, until - monotonic()))
        data = self.sock.recv(_RECORD_BYTES_MAX)
        if not data:
            raise EOFError
        self._incoming.write(data)

    def _begin(self, data: bytes) -> None:
        self._records.write(data)
        self.pending.append(memoryview(self._outgoing.read()))

    def _begin_chunk(self) -> None:
        super()._begin_chunk()
        text = b"".join(self.pending)
        self._records.write(text)
        self.pending.clear()
        self.pending.append(memoryview(self._outgoing.read()))

    def _read_into(self, room: memoryview) -> int:
        data = self.sock.recv(min(_READ_BYTES, room.nbytes - _RECORD_BYTES_MAX))
        if not data:
            return 0
        self._incoming.write(data)
        count = 0
        try:
            # Never 0 but at the end that the other side declares.
            while got := self._read_record(room[count:]):
                count += got
        except ssl.SSLWantReadError:
            # An answer to a change of keys.
            if self._outgoing.pending:
                self.pending.append(memoryview(self._outgoing.read()))
            if not count:
                raise BlockingIOError from None
        return count

    def _read_record(self, room: memoryview) -> int:
        got: int = self._records.read(room.nbytes, room)  # type: ignore[assignment]  # wrong in the typeshed
        return got


def secured(
    sock: socket.socket, where: str, host: str, pin: bytes | None, ca: str | None, until: float
) -> tuple[TlsConnection, bytes]:
    """Returns a connection to the manager that the pin, or else the CA file `ca`, names; and its channel."""
    context = _context(pin, ca)
    connection = TlsConnection(sock, where, context, host if pin is None else None)
    try:
        certificate = connection.shake_hands(until)
    except ssl.SSLCertVerificationError as problem:
        raise DialFailure(_untrusted(problem, where, host, ca), for_good=True) from None
    except ssl.SSLError as problem:
        raise _failed(problem, where) from None
    except (TimeoutError, socket.timeout):
        raise DialFailure(
            f"What answers at {where} did not finish the TLS handshake in time: it may not be an Argon manager."
        ) from None
    except EOFError:
        raise DialFailure(_closed(where)) from None
    except OSError as problem:
        raise DialFailure(f"The connection to {where} broke during the TLS handshake: {problem.strerror}.") from None
    channel = hashlib.sha256(certificate).digest()
    if pin is not None and not hmac.compare_digest(channel, pin):
        raise DialFailure(
            f"What answers at {where} is not the manager that your key names: its certificate is {channel.hex()[:16]}…, "
            f"and the key's pin is {pin.hex()[:16]}…. Someone may be between you and the manager, the address may be "
            "another cluster's, or the manager has a new key: get the key anew from its machine.",
            for_good=True,
        )
    return connection, channel


def _context(pin: bytes | None, ca: str | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    if pin is not None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols([f"argon/{pin[:8].hex()}"])
        return context
    try:
        context.load_verify_locations(cafile=ca)
    except ssl.SSLError:
        raise DialFailure(
            f"The file {ca}, named by tls_ca or ARGON_TLS_CA, holds no certificate in PEM.", for_good=True
        ) from None
    except OSError as problem:
        raise DialFailure(
            f"The file {ca}, named by tls_ca or ARGON_TLS_CA, cannot be read: {problem.strerror}.", for_good=True
        ) from None
    return context


def _untrusted(problem: ssl.SSLCertVerificationError, where: str, host: str, ca: str | None) -> str:
    if problem.verify_code in (_NOT_YET_VALID, _EXPIRED):
        when = "has expired" if problem.verify_code == _EXPIRED else "is not valid yet"
        now = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
        return (
            f"The certificate of the manager at {where} {when}: this machine's clock says {now}. "
            "Set the clock if it is wrong, else renew the certificate."
        )
    if problem.verify_code in _WRONG_NAME:
        return (
            f"The certificate of the manager at {where} is for another name than {host}: "
            "give the address as the certificate names it, or make one with this name."
        )
    return (
        f"The certificate of the manager at {where} is not of the CA in {ca} ({problem.verify_message}): "
        "check --tls-cert of the manager and tls_ca of the client."
    )


def _failed(problem: ssl.SSLError, where: str) -> DialFailure:
    reason = problem.reason or ""
    if reason in _NOT_TLS:
        return DialFailure(
            f"What answers at {where} does not speak TLS, so it is not an Argon manager, or one that serves plain text "
            "only: check host and port.",
            for_good=True,
        )
    if reason in _TOO_OLD:
        return DialFailure(
            f"What answers at {where} does not speak TLS 1.3, as every Argon manager does.", for_good=True
        )
    if isinstance(problem, ssl.SSLEOFError):
        return DialFailure(_closed(where))
    return DialFailure(f"The TLS handshake with {where} failed: {reason.replace('_', ' ').lower() or problem}.")


def _closed(where: str) -> str:
    return (
        f"What answers at {where} closed the connection during the TLS handshake: it is not an Argon manager, "
        "or it is one that serves plain text only."
    )
