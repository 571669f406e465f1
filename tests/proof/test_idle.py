"""R43: idle sockets live, over both channel layers.

redis-py 8 gives up on a silent server after 5 s where nothing else is said, and a channel layer's connections are
silent for as long as nobody sends anything. The twin has a core layer without `socket_timeout: None` in its hosts, and
a channel for each socket: it loses one every 5 s. `IDLE_MINUTES=10` for the long form.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import selectors
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User

from config import addresses
from tests.asgi_servers import COMMANDS, service_environment, serving
from tests.conftest import Service
from tests.servers import Node
from tests.soak import crowd as soak
from tests.sockets import PING, PONG, TEXT, Handshake
from ticketauth import logins
from ticketauth.stores.server import Server
from ws.events import publish

SOCKETS = 100
SECONDS = 60 * float(os.environ.get("IDLE_MINUTES", "0.25"))
CORE = "channels_redis.core.RedisChannelLayer"
PUBSUB = "channels_redis.pubsub.RedisPubSubChannelLayer"


@dataclass
class Crowd:
    """The sockets of one server.

    Attributes:
        prefix: Of the server's keys, and so of its channel layer.
        layer: Its channel layer.
        sockets: Those that are open.
    """

    prefix: str
    layer: str
    sockets: list[Handshake]


@pytest.fixture
def node() -> Iterator[Node]:
    with Node() as node:
        yield node


@contextlib.contextmanager
def crowd(
    node: Node, owner: User, prefix: str, layer: str, *, naive: bool = False, sockets: int = SOCKETS
) -> Iterator[Crowd]:
    """A server, and sockets that are ready."""
    environment = service_environment(
        node.url,
        DJANGO_SETTINGS_MODULE="tests.layered_settings",
        KEY_PREFIX=prefix,
        LAYER=layer,
        LAYER_TIMEOUT="default" if naive else "none",
    )
    command = COMMANDS["uvicorn, websockets-sansio"] if naive else "config.serve"
    token = str(logins.start(owner).access_token)
    with (
        serving(command, "tests.layered:application", environment) as port,
        Service(port) as service,
    ):
        for _ in range(sockets):
            ready = service.connect(f"ticket_uuid={service.ticket(token)}", "/ws/events/").json()
            assert ready["type"] == "ticketauth.ready"
        yield Crowd(prefix, layer, list(service.sockets))


def idle(crowds: Sequence[Crowd], seconds: float) -> None:
    """Do nothing but answer pings; who is closed leaves the crowd."""
    ends = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        for one in crowds:
            for socket in one.sockets:
                selector.register(socket.connection, selectors.EVENT_READ, partial(answer, one.sockets, socket))
        while (left := ends - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                if not key.data():
                    selector.unregister(key.fileobj)


def answer(crowd: list[Handshake], socket: Handshake) -> bool:
    """Whether the socket is still open."""
    with contextlib.suppress(EOFError, OSError):
        opcode, payload = socket.frame()
        if opcode == PING:
            socket.send(payload, PONG)
            return True
    crowd.remove(socket)
    return False


def told(socket: Handshake) -> Any:
    """The next message, after pings that have come meanwhile."""
    while True:
        opcode, payload = socket.frame()
        if opcode != PING:
            assert opcode == TEXT
            return json.loads(payload)
        socket.send(payload, PONG)


def test_many_idle_sockets_on_one_worker_live_and_a_logout_ends_its_own() -> None:
    """5000 of them for minutes: `make soak`."""
    crowd = asyncio.run(soak.idle(300, 3))
    assert not crowd.broken, crowd


def test_r43_idle_sockets_live(node: Node, owner: User, settings) -> None:
    with (
        crowd(node, owner, "core", CORE) as core,
        crowd(node, owner, "pubsub", PUBSUB) as pubsub,
        crowd(node, owner, "twin", CORE, naive=True, sockets=10) as twin,
    ):
        idle([core, pubsub, twin], SECONDS)
        assert (len(core.sockets), len(pubsub.sockets)) == (SOCKETS, SOCKETS)
        assert len(twin.sockets) < 10
        for one in (core, pubsub):
            layer = addresses.channel_layer(node.url, Server.parse(node.url), f"{one.prefix}-channels")
            settings.CHANNEL_LAYERS = {"default": {**layer, "BACKEND": one.layer}}
            async_to_sync(publish)(owner, "news", {"for": "everybody"})
            for socket in one.sockets:
                assert told(socket) == {"type": "event", "event": "news", "data": {"for": "everybody"}}
                socket.send('{"type": "ping", "id": 1}')
                assert told(socket) == {"type": "pong", "id": 1}
