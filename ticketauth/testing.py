"""For the tests of projects that use the library.

async def test_notes(user):
    async with connect(application, "/ws/notes/", ticket=await ticket_for(user)) as socket:
        await socket.send_json_to({"type": "ping"})
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

from asgiref.testing import ApplicationCommunicator

from . import conf, tickets, users
from .types import OURS, Identity, Ticket


class Refused(AssertionError):
    """The handshake was refused, or the socket was closed.

    Attributes:
        status: The HTTP status, or None where the socket was accepted and closed.
        code: The close code, or None where the handshake was answered with a status.
        body: The problem; of a close its `reason`.
    """

    def __init__(self, status: int | None, code: int | None, body: Mapping[str, Any]) -> None:
        super().__init__(f"refused with {f'HTTP {status}' if status else f'close code {code}'}: {dict(body)}")
        self.status = status
        self.code = code
        self.body = body


class TicketCommunicator(ApplicationCommunicator):
    """A WebSocket client for an application in this process, which may be answered with an HTTP status.

    It has the methods of Channels' `WebsocketCommunicator`, whose package cannot be imported without daphne.

    Args:
        application: The ASGI application.
        path: Path and query.
        headers: Names and values.
        subprotocols: What to offer.
        denial: Whether the server is one that offers denial responses, as uvicorn and hypercorn do.
    """

    def __init__(
        self,
        application: Any,
        path: str,
        headers: Iterable[tuple[bytes, bytes]] = (),
        subprotocols: Iterable[str] = (),
        *,
        denial: bool = True,
    ) -> None:
        target = urlsplit(path)
        self.scope: dict[str, Any] = {
            "type": "websocket",
            "path": unquote(target.path),
            "query_string": target.query.encode(),
            "headers": list(headers),
            "subprotocols": list(subprotocols),
            "client": ("127.0.0.1", 50000),
            "extensions": {"websocket.http.response": {}} if denial else {},
        }
        super().__init__(application, self.scope)
        self._kept: list[dict[str, Any]] = []

    async def open(self, timeout: float = 3) -> str | None:  # noqa: ASYNC109 -- as its siblings in asgiref
        """Connect. Returns the selected subprotocol.

        Args:
            timeout: Seconds to wait for the application.

        Raises:
            Refused: The application did not let us in.
        """
        await self.send_input({"type": "websocket.connect"})
        answer = await self.receive_output(timeout)
        if answer["type"] == "websocket.http.response.start":
            body = await self.receive_output(timeout)
            raise Refused(answer["status"], None, json.loads(body["body"] or "{}"))
        if answer["type"] == "websocket.close":
            raise _closed(answer)
        await self._raise_if_closed()
        subprotocol: str | None = answer.get("subprotocol")
        return subprotocol

    async def send_to(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Send a message, text or binary."""
        data = {"text": text_data} if bytes_data is None else {"bytes": bytes_data}
        await self.send_input({"type": "websocket.receive", **data})

    async def send_json_to(self, data: Any) -> None:
        """Send JSON as text."""
        await self.send_to(json.dumps(data))

    async def receive_from(self, timeout: float = 1) -> str | bytes:  # noqa: ASYNC109
        """The next message.

        Raises:
            Refused: The application closed instead.
        """
        message = await self.receive_output(timeout)
        if message["type"] == "websocket.close":
            raise _closed(message)
        data: str | bytes = message["text"] if message.get("text") is not None else message["bytes"]
        return data

    async def receive_json_from(self, timeout: float = 1) -> Any:  # noqa: ASYNC109
        """The next message, as JSON."""
        return json.loads(await self.receive_from(timeout))

    async def disconnect(self, code: int = 1000, timeout: float = 1) -> None:  # noqa: ASYNC109
        """Close the socket, and wait for the application to end."""
        await self.send_input({"type": "websocket.disconnect", "code": code})
        await self.wait(timeout)

    async def _raise_if_closed(self) -> None:
        """An application that accepts in order to close has ended by now."""
        for _ in range(10):
            await asyncio.sleep(0)
            if self.future is not None and self.future.done():
                message = await self.receive_output()
                if message["type"] == "websocket.close":
                    raise _closed(message)
                self._kept.append(message)
                return

    async def receive_output(self, timeout: float = 1) -> dict[str, Any]:  # noqa: ASYNC109
        """The next ASGI message of the application."""
        if self._kept:
            return self._kept.pop(0)
        message: dict[str, Any] = await super().receive_output(timeout)
        return message


def _closed(message: Mapping[str, Any]) -> Refused:
    return Refused(None, message.get("code", 1000), {"reason": message.get("reason", "")})


async def ticket_for(user: Any, *, path: str = "", claims: Mapping[str, Any] | None = None) -> str:
    """A ticket for a user, as `POST /api/tickets/` would give it.

    Args:
        user: Saved in the database.
        path: The only path that it opens.
        claims: What `TICKET_CLAIMS` would add.
    """
    ticket = Ticket(Identity(OURS, users.subject_of(user), issued_at=time.time()), path=path, claims=claims or {})
    given = conf.current()
    issued = await tickets.issue(conf.store(), ticket, ttl=given.TICKET_TTL, secret=given.TICKET_SECRET)
    return issued.value


@asynccontextmanager
async def connect(
    application: Any,
    path: str,
    *,
    ticket: str = "",
    headers: Iterable[tuple[bytes, bytes]] = (),
    subprotocols: Iterable[str] = (),
) -> AsyncIterator[TicketCommunicator]:
    """An open socket, closed at the end.

    Raises:
        Refused: The application did not let us in.
    """
    query = f"?{conf.current().TICKET_QUERY_PARAM}={ticket}" if ticket else ""
    socket = TicketCommunicator(application, path + query, headers, subprotocols)
    await socket.open()
    try:
        yield socket
    finally:
        await socket.disconnect()
