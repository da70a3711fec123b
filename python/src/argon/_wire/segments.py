"""Sizes of TCP segments.

Some networks (VPNs, overlays) lose large packets without a message: a connection opens, small messages pass, and the
first big one stops it for ever. A manager to which a connection ended like that is dialled with small segments.

Owns what this process knows of each manager. The rules are those of `crates/argon-net/src/segments.rs`.
"""

from __future__ import annotations

import socket
import struct
from time import monotonic

#: Payload of a small segment: with its headers it fits into the 576 bytes that every IPv4 network carries.
SMALL_BYTES = 536
#: Time for which a manager is dialled with small segments after a connection to it has stopped moving.
SMALL_S = 3600.0
#: A manager that has sent nothing for this long has missed a heartbeat. It sends one every 5 s.
MISSED_S = 7.0
#: An answer of the manager's kernel, for example to a PING, that is younger shows that small packets pass.
_ANSWERED_S = 10.0
#: Times that the kernel has sent the same segment again before it counts as lost on its way.
_RETRANSMITS_MIN = 3
#: Ends in a row that count although nothing at all came back from the manager, which may just have been away.
_UNCLEAR_MAX = 2
#: tcpi_retransmits, tcpi_last_data_recv and tcpi_last_ack_recv (milliseconds) of Linux' `struct tcp_info`.
_INFO = struct.Struct("=2xB49xII")

MOVED, STUCK, UNCLEAR = "moved", "stuck", "unclear"

_small_until: dict[str, float] = {}
_unclear: dict[str, int] = {}


def note_end(where: str, sock: socket.socket) -> None:
    """A connection has ended; its socket is still open."""
    note(where, _movement_of(sock), monotonic())


def shrink_if_needed(where: str, sock: socket.socket) -> None:
    """Sets the size before the connection begins, so that the manager learns of it and sends small segments, too."""
    if is_small(where, monotonic()):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SMALL_BYTES)


def movement(retransmits: int, data_age: float, answer_age: float) -> str:
    """Movement of the bytes of a connection at its end; ages in seconds."""
    is_silent = data_age >= MISSED_S
    if retransmits >= _RETRANSMITS_MIN:
        return UNCLEAR if is_silent else STUCK
    if not is_silent:
        return MOVED
    return STUCK if answer_age < _ANSWERED_S else UNCLEAR


def note(where: str, moved: str, now: float) -> None:
    """Takes how a connection has ended."""
    # Small segments stay for their time when it moves: they may be why.
    unclear = _unclear.pop(where, 0) + 1
    if moved == UNCLEAR and unclear < _UNCLEAR_MAX:
        _unclear[where] = unclear
    elif moved != MOVED:
        _small_until[where] = now + SMALL_S


def is_small(where: str, now: float) -> bool:
    """True if the manager is to be dialled with small segments."""
    return now < _small_until.get(where, 0.0)


def _movement_of(sock: socket.socket) -> str:
    option = getattr(socket, "TCP_INFO", None)
    if option is None or sock.family == getattr(socket, "AF_UNIX", None):
        return MOVED
    try:
        retransmits, data_age, answer_age = _INFO.unpack(sock.getsockopt(socket.IPPROTO_TCP, option, _INFO.size))
    except (OSError, struct.error):  # Closed, or a system that is not Linux.
        return MOVED
    return movement(retransmits, data_age / 1000, answer_age / 1000)
