"""A WebSocket client that shows what came over the wire, byte by byte: no library's manners in between."""

from __future__ import annotations

import base64
import json
import os
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


@dataclass
class Handshake:
    """The answer to an opening handshake, and the socket if there is one."""

    status: int
    headers: dict[str, str]
    body: bytes
    connection: socket.socket
    buffer: bytearray = field(default_factory=bytearray)

    @property
    def accepted(self) -> bool:
        """Whether the socket is open, and stays so."""
        return self.status == 101

    @property
    def problem(self) -> dict[str, Any]:
        """The problem+json body."""
        problem: dict[str, Any] = json.loads(self.body)
        return problem

    def send(self, data: str | bytes, opcode: int | None = None) -> None:
        """Send a masked frame (RFC 6455 5.2)."""
        raw = data.encode() if isinstance(data, str) else data
        code = opcode or (TEXT if isinstance(data, str) else BINARY)
        length = len(raw)
        size = (
            bytes([0x80 | length])
            if length < 126
            else bytes([0xFE]) + struct.pack("!H", length)
            if length < 65536
            else bytes([0xFF]) + struct.pack("!Q", length)
        )
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(raw))
        self.connection.sendall(bytes([0x80 | code]) + size + mask + masked)

    def frame(self) -> tuple[int, bytes]:
        """The next frame: opcode and payload."""
        first, second = self._read(2)
        length = second & 0x7F
        if length == 126:
            (length,) = struct.unpack("!H", self._read(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", self._read(8))
        return first & 0x0F, self._read(length)

    def text(self) -> str:
        """The next text message."""
        opcode, payload = self.frame()
        assert opcode == TEXT, (opcode, payload)
        return payload.decode()

    def json(self) -> Any:
        """The next text message, as JSON."""
        return json.loads(self.text())

    def close_code(self) -> tuple[int, str]:
        """The code and reason of the close frame that comes next."""
        opcode, payload = self.frame()
        assert opcode == CLOSE, (opcode, payload)
        return struct.unpack("!H", payload[:2])[0], payload[2:].decode()

    def close(self) -> None:
        """Drop the connection."""
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _read(self, count: int) -> bytes:
        while len(self.buffer) < count:
            chunk = self.connection.recv(65536)
            if not chunk:
                raise EOFError("the server closed the connection")
            self.buffer += chunk
        taken = bytes(self.buffer[:count])
        del self.buffer[:count]
        return taken


def handshake(
    port: int,
    target: str,
    *,
    headers: Sequence[tuple[str, str]] = (),
    origin: str | None = None,
    subprotocols: str | None = None,
    cookie: str | None = None,
    timeout: float = 30,
    receive_buffer: int = 0,
) -> Handshake:
    """Send an opening handshake (RFC 6455 4.1) and read the answer.

    Args:
        port: Of the server on 127.0.0.1.
        target: Path and query, sent as they are.
        headers: Further headers.
        origin: For `Origin`.
        subprotocols: For `Sec-WebSocket-Protocol`.
        cookie: For `Cookie`.
        timeout: Seconds for each read.
        receive_buffer: Bytes that the kernel keeps for us unread, as `SO_RCVBUF`; 0 for its own choice.
    """
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [
        ("Host", f"127.0.0.1:{port}"),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", key),
        ("Sec-WebSocket-Version", "13"),
        *([("Origin", origin)] if origin is not None else []),
        *([("Sec-WebSocket-Protocol", subprotocols)] if subprotocols is not None else []),
        *([("Cookie", cookie)] if cookie is not None else []),
        *headers,
    ]
    request = f"GET {target} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines) + "\r\n"
    connection = socket.socket()
    try:
        connection.settimeout(timeout)
        if receive_buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connection.connect(("127.0.0.1", port))
        connection.sendall(request.encode("latin-1"))
        return _answer(connection)
    except BaseException:
        connection.close()
        raise


def _answer(connection: socket.socket) -> Handshake:
    received = bytearray()
    while b"\r\n\r\n" not in received:
        chunk = connection.recv(65536)
        if not chunk:
            raise EOFError(f"no answer: {bytes(received)!r}")
        received += chunk
    head, _, rest = bytes(received).partition(b"\r\n\r\n")
    status_line, *header_lines = head.decode("latin-1").split("\r\n")
    pairs = [line.partition(":") for line in header_lines]
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    status = int(status_line.split(" ")[1])
    if status == 101:
        return Handshake(status, headers, b"", connection, bytearray(rest))
    body = bytearray(rest)
    while len(body) < int(headers.get("content-length", 0)):
        chunk = connection.recv(65536)
        if not chunk:
            raise EOFError(f"half an answer: {bytes(body)!r}")
        body += chunk
    connection.close()
    return Handshake(status, headers, bytes(body), connection)
