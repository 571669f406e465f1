"""Echo applications without any stack: what a server does by itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

Message = dict[str, Any]


async def application(
    scope: dict[str, Any], receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """Every message as it came; at `/naive/`, the twin, as text whatever it was."""
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        text, data = message.get("text"), message.get("bytes")
        if data is not None and scope["path"] == "/naive/":
            text, data = data.decode(errors="replace"), None
        await send({"type": "websocket.send", "text": text, "bytes": data})
