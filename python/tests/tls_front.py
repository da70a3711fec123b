"""Stands with a certificate of its own before a manager on loopback: a machine in the middle, for the tests of clients.

Without a key it relays what it decrypts. With a role's key it plays the manager: it proves that key to the client over
its own certificate, and to the manager as a client. Only the pin of the client's key tells it apart.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import os
import ssl
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / "src")]

from argon._wire import protocol as wire  # noqa: E402 - the path of this checkout

CERTIFICATES = Path(__file__).parents[2] / "tests" / "certificates"
_READ_BYTES = 1 << 18


def certificate(name: str) -> bytes:
    """A certificate of the tests, in DER."""
    return ssl.PEM_cert_to_DER_cert((CERTIFICATES / f"{name}.pem").read_text())


def pin(name: str) -> str:
    """The pin that a key would have for it."""
    return hashlib.sha256(certificate(name)).hexdigest()


async def _frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    length, kind = wire.FRAME.unpack(await reader.readexactly(5))
    return kind, await reader.readexactly(length - 1)


class Front:
    def __init__(self, name: str, manager: tuple[str, int], secret: bytes | None):
        self.channel = hashlib.sha256(certificate(name)).digest()
        self.manager, self.secret = manager, secret

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*self.manager)
        try:
            if self.secret is not None:
                await self._introduce(self.secret, reader, writer, far_reader, far_writer)
            await asyncio.gather(_relay(reader, far_writer), _relay(far_reader, writer))
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            for one in (writer, far_writer):
                with contextlib.suppress(Exception):
                    one.close()

    async def _introduce(
        self,
        secret: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        far_reader: asyncio.StreamReader,
        far_writer: asyncio.StreamWriter,
    ) -> None:
        assert await reader.readexactly(4) == wire.MAGIC
        _, hello = await _frame(reader)
        far_writer.write(wire.MAGIC + wire.frame(wire.HELLO, hello))
        _, challenge = await _frame(far_reader)
        writer.write(wire.frame(wire.CHALLENGE, challenge))
        near, far = wire.transcript(hello, challenge, self.channel), wire.transcript(hello, challenge)
        _, proof = await _frame(reader)
        assert proof == wire.dialler_proof(secret, near)
        far_writer.write(wire.frame(wire.PROOF, wire.dialler_proof(secret, far)))
        _, welcome = await _frame(far_reader)
        writer.write(wire.frame(wire.WELCOME, wire.listener_proof(secret, near) + welcome[32:]))


async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_READ_BYTES):
        writer.write(data)
        await writer.drain()
    writer.close()


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--certificate", default="other")
    parser.add_argument("--manager", required=True)
    parser.add_argument("--key")
    given = parser.parse_args()
    host, _, port = given.manager.rpartition(":")
    key = wire.parse_key(Path(given.key).read_text()) if given.key else None
    secret = key and (wire.role_key(key.secret, "client") if key.scope == "cluster" else key.secret)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(CERTIFICATES / f"{given.certificate}.pem", CERTIFICATES / f"{given.certificate}.key")
    front = Front(given.certificate, (host, int(port)), secret)
    server = await asyncio.start_server(front.serve, "127.0.0.1", 0, ssl=context)
    print(f"argon-ready addr=127.0.0.1:{server.sockets[0].getsockname()[1]} pid={os.getpid()}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
