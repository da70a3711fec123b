"""Trust of a client in managers: which connections are encrypted, and how a manager is recognised.

The rules are those of `spec/protocol.md`, section 2. `tls` follows them, `dial` decides by them for each address.
"""

from __future__ import annotations

import contextlib
import os
from typing import NamedTuple

from ..errors import OptionError

_PLAIN = "ARGON_INSECURE_PLAINTEXT"
_ENCRYPTION = "ARGON_TLS"


class Trust(NamedTuple):
    """Options of a client, completed by its environment."""

    #: Nothing is encrypted, wherever the manager is.
    plaintext: bool = False
    #: Connections within the machine are encrypted, too.
    always: bool = False
    #: The file of the organisation's certificates that vouch for the manager, in place of the pin.
    ca: str | None = None

    def wants_tls(self, host: str) -> bool:
        """True if a connection to this numeric address is encrypted."""
        return not self.plaintext and (self.always or not is_loopback(host))

    def prepare(self, addresses: list[tuple[str, int]]) -> None:
        """Loads what connections to these hosts may need; their names are not looked up.

        Not where a connection is made: that may happen for a destructor that interrupts another import.
        """
        if any(host != "localhost" and self.wants_tls(host) for host, _ in addresses):
            with contextlib.suppress(ImportError):
                from . import tls  # noqa: F401


def trust(insecure_plaintext: bool | None, tls_ca: str | os.PathLike[str] | None) -> Trust:
    """Returns the trust by the given options; None leaves an option to the environment."""
    if insecure_plaintext is not None and not isinstance(insecure_plaintext, bool):
        raise OptionError(f"Client: insecure_plaintext must be True or False, not {insecure_plaintext!r}")
    ca = os.fspath(tls_ca) if tls_ca else os.environ.get("ARGON_TLS_CA")
    encryption = os.environ.get(_ENCRYPTION, "")
    if encryption not in ("", "auto", "always"):
        raise OptionError(f"{_ENCRYPTION} must be auto or always, not {encryption!r}")
    return Trust(
        _variable(_PLAIN) if insecure_plaintext is None else insecure_plaintext, encryption == "always", ca or None
    )


def is_loopback(host: str) -> bool:
    """True if a numeric address is of this machine."""
    host = host.lower().removeprefix("::ffff:")
    return host == "::1" or (host.startswith("127.") and host.count(".") == 3)


def _variable(name: str) -> bool:
    given = os.environ.get(name, "")
    if given not in ("", "0", "1", "false", "true"):
        raise OptionError(f"{name} must be 1 or 0, not {given!r}")
    return given in ("1", "true")
