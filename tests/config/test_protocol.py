"""uvicorn's WebSocket protocol, as it is here."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState
from websockets.asyncio.client import connect

from config.protocol import WebSocketProtocol


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


async def echo(scope, receive, send) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


@pytest.mark.usefixtures("no_collector")
async def test_a_socket_that_is_closed_leaves_nothing_to_the_garbage_collector() -> None:
    config = uvicorn.Config(echo, ws=WebSocketProtocol, lifespan="off", log_config=None)
    config.load()
    kind: Any = config.http_protocol_class
    state, request_gone, socket_gone = ServerState(), asyncio.Event(), asyncio.Event()

    def request() -> asyncio.Protocol:
        made = kind(config=config, server_state=state, app_state={})
        weakref.finalize(made, request_gone.set)
        return made

    async with await asyncio.get_running_loop().create_server(request, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        async with connect(f"ws://{host}:{port}/") as client:
            await client.send("hello")
            assert await client.recv() == "hello"
            await asyncio.wait_for(request_gone.wait(), 10)
            (socket,) = state.connections
            weakref.finalize(socket, socket_gone.set)
            del socket
        await asyncio.wait_for(socket_gone.wait(), 10)
