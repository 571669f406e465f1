"""uvicorn's WebSocket protocol, as it is here."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator

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
    config, gone = uvicorn.Config(echo, lifespan="off", log_config=None), asyncio.Event()
    config.load()

    def protocol() -> WebSocketProtocol:
        made = WebSocketProtocol(config, ServerState(), {})
        weakref.finalize(made, gone.set)
        return made

    async with await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        async with connect(f"ws://{host}:{port}/") as client:
            await client.send("hello")
            assert await client.recv() == "hello"
        await asyncio.wait_for(gone.wait(), 10)
