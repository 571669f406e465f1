"""The generator's side of the wire: HTTP/1.1 and RFC 6455 with as little Python per operation as can be."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import httptools

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
# Masked, as a client must, with a mask of zeros: the payload stays as it is.
_CLOSE_FRAME = b"\x88\x82\x00\x00\x00\x00\x03\xe8"
_PING_FRAME = b"\x89\x80\x00\x00\x00\x00"

# One address has 28 000 ports, and each is out of use for a minute after its connection.
_sources = itertools.cycle([f"127.0.0.{last}" for last in range(2, 10)])


def request(method: str, path: str, *headers: str, body: bytes = b"") -> bytes:
    """An HTTP request, ready to send."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *headers]
    if method != "GET":
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def upgrade(target: str, *headers: str) -> bytes:
    """An opening handshake (RFC 6455 4.1), ready to send."""
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
    return request(
        "GET", target, "Upgrade: websocket", "Connection: Upgrade", key, "Sec-WebSocket-Version: 13", *headers
    )


class Http(asyncio.Protocol):
    """A connection that is kept alive, for one request at a time."""

    def __init__(self) -> None:
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None

    @classmethod
    async def connect(cls, port: int) -> Http:
        """A connection to a server of this machine."""
        _, http = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        return http

    def ask(self, raw: bytes) -> asyncio.Future[tuple[int, bytes]]:
        """Status and body of the answer; status 0 where the server closed the connection instead."""
        self._parser, self._body = httptools.HttpResponseParser(self), b""
        self._answer = asyncio.get_running_loop().create_future()
        self.transport.write(raw)
        return self._answer

    def close(self) -> None:
        self.transport.close()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, data: bytes) -> None:
        self._body += data

    def on_message_complete(self) -> None:
        _settle(self._answer, (self._parser.get_status_code(), self._body))

    def connection_lost(self, exc: Exception | None) -> None:
        _settle(self._answer, (0, b""))


class Socket(asyncio.Protocol):
    """An opening handshake, and the socket if there is one.

    Attributes:
        status: Of the answer; 0 where there was none. A refusal is complete when the server closes the connection.
        text: The first text message; empty where the socket ended before.
        pong: Whether a ping was answered before the socket ended.
        closed: The server's close code; 0 where the connection ended without one.
    """

    def __init__(self, raw: bytes) -> None:
        loop = asyncio.get_running_loop()
        self.status: asyncio.Future[int] = loop.create_future()
        self.text: asyncio.Future[bytes] = loop.create_future()
        self.pong: asyncio.Future[bool] = loop.create_future()
        self.closed: asyncio.Future[int] = loop.create_future()
        self._raw = raw
        self._buffer = b""
        self._refused = 0

    @classmethod
    async def open(cls, port: int, raw: bytes) -> Socket:
        """Send the handshake, and wait for the answer."""
        loop = asyncio.get_running_loop()
        _, socket = await loop.create_connection(lambda: cls(raw), "127.0.0.1", port, local_addr=(next(_sources), 0))
        await socket.status
        return socket

    @property
    def is_open(self) -> bool:
        """Whether it was accepted, and has not been closed since."""
        return self.status.result() == 101 and not self.closed.done()

    async def close(self) -> int:
        """The closing handshake; the server's code."""
        self.transport.write(_CLOSE_FRAME)
        code = await self.closed
        self.transport.close()
        return code

    async def lives(self) -> bool:
        """Whether the server still answers on it: an accepted socket, not one that is accepted to be closed."""
        if self.status.result() != 101:
            return False
        self.transport.write(_PING_FRAME)
        return await self.pong

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(self._raw)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self.status.done() and not self._refused:
            head, end, rest = self._buffer.partition(b"\r\n\r\n")
            if not end:
                return
            self._buffer = rest
            status = int(head[9:12])
            if status != 101:
                self._refused = status
                return
            self.status.set_result(status)
        if not self._refused:
            self._frames()

    def _frames(self) -> None:
        while len(self._buffer) >= 2:
            opcode, length, begin = self._buffer[0] & 15, self._buffer[1], 2
            if length == 126:
                length, begin = int.from_bytes(self._buffer[2:4], "big"), 4
            if len(self._buffer) < begin + length:
                return
            payload, self._buffer = self._buffer[begin : begin + length], self._buffer[begin + length :]
            self._frame(opcode, payload)

    def _frame(self, opcode: int, payload: bytes) -> None:
        if opcode == TEXT:
            _settle(self.text, payload)
        elif opcode == PONG:
            _settle(self.pong, True)
        elif opcode == PING:
            self.transport.write(bytes([0x8A, 0x80 | len(payload), 0, 0, 0, 0]) + payload)
        elif opcode == CLOSE:
            _settle(self.closed, int.from_bytes(payload[:2], "big"))

    def connection_lost(self, exc: Exception | None) -> None:
        _settle(self.status, self._refused)
        _settle(self.text, b"")
        _settle(self.pong, False)
        _settle(self.closed, 0)


def _settle(future: asyncio.Future[Any] | None, value: Any) -> None:
    if future is not None and not future.done():
        future.set_result(value)
