"""A twin of the service that trusts what it reads, as first drafts do."""

from __future__ import annotations

import json
import uuid
from typing import Any
from urllib.parse import parse_qs


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Lets in who has the one ticket there is."""
    if scope["type"] == "http":
        credentials = json.loads((await receive())["body"])
        known = credentials.get("username") == "owner"
        await send({"type": "http.response.start", "status": 200 if known else 401, "headers": []})
        await send({"type": "http.response.body", "body": b""})
        return
    await receive()
    given = parse_qs(scope["query_string"].decode()).get("ticket_uuid", [])
    if given and uuid.UUID(given[0]) == uuid.UUID(int=1):
        await send({"type": "websocket.accept"})
    else:
        await send({"type": "websocket.http.response.start", "status": 401, "headers": []})
        await send({"type": "websocket.http.response.body", "body": b""})
