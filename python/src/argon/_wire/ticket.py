"""The two secrets of a client: that of its session, and the ticket of a detached task.

A session proves itself by the secret that its id is derived from. A detached task is collected and cancelled with its
ticket: the id and a token that only the submitter received. The source is `spec/protocol.md`, sections 4 and 7.
"""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple

from . import protocol as wire

_TEXT = re.compile(r"([0-9a-f]{48})-([0-9a-f]{32})")
_ID = re.compile(r"[0-9a-f]{48}")


def session_of(secret: bytes, family: bytes = b"") -> bytes:
    """The id of the session that has this secret; a session inside a task has the bytes of its family in front."""
    digest = hashlib.sha256(b"argon session\0" + secret).digest()
    return family + digest[: wire.SESSION_BYTES - len(family)]


class Ticket(NamedTuple):
    """A detached task, 24 bytes, and the right to it, 16 bytes."""

    id: bytes
    token: bytes

    def __str__(self) -> str:
        return f"{self.id.hex()}-{self.token.hex()}"

    def __repr__(self) -> str:
        # The token stays out of logs.
        return f"<ticket of {self.id.hex()}>"


def parse(text: object) -> Ticket | None:
    """The ticket of a text, as `submit` returned it; None if it is not one."""
    found = _TEXT.fullmatch(text) if isinstance(text, str) else None
    return Ticket(bytes.fromhex(found[1]), bytes.fromhex(found[2])) if found else None


def reason(text: object) -> str:
    """Why a text is not a ticket. Repeats no more than an id: the text may be half a secret."""
    if isinstance(text, str) and _ID.fullmatch(text):
        return f"{text} is the id of a task, not its ticket, which has a token behind the id"
    if isinstance(text, str):
        return "what was given is not one: a ticket is 48 hexadecimal digits, a dash and 32 hexadecimal digits"
    return f"a value of the type {type(text).__name__} is not one"
