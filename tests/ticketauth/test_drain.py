"""`drain()`: sockets end one after the other, and nobody comes in."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from channels.generic.websocket import AsyncWebsocketConsumer
from django.contrib.auth.models import User

from tests.ticketauth.test_hub import Socket
from ticketauth import conf, hub
from ticketauth.drain import drain
from ticketauth.exceptions import Restarting
from ticketauth.hub import Hub
from ticketauth.middleware import TicketAuthMiddlewareStack
from ticketauth.testing import Refused, connect, ticket_for
from ticketauth.types import ConnectionId, Nonce, TicketValue

SECONDS = 1.0


class Timed(Socket):
    """Notes when it ended, on the clock of the loop."""

    def __init__(self) -> None:
        super().__init__()
        self.at = 0.0

    def end(self, refusal: Any) -> None:
        super().end(refusal)
        self.at = asyncio.get_running_loop().time()


async def test_the_ends_are_spread_over_the_time() -> None:
    watching, sockets = Hub(), [Timed() for _ in range(100)]
    for socket in sockets:
        watching.add(socket)
    began = asyncio.get_running_loop().time()
    await watching.leave(SECONDS)
    await watching.aclose()
    assert {socket.refusal.close.code for socket in sockets if socket.refusal} == {1012}
    ends = sorted(socket.at - began for socket in sockets)
    for number, end in enumerate(ends):
        assert end >= SECONDS * number / len(sockets)


async def test_clients_are_told_when_to_come_back_each_another_time(settings: Any) -> None:
    settings.TICKETAUTH = {**settings.TICKETAUTH, "RECONNECT_WITHIN": 7}
    watching, sockets = Hub(), [Timed() for _ in range(100)]
    for socket in sockets:
        watching.add(socket)
    await watching.leave(0)
    await watching.aclose()
    waits = {socket.refusal.retry_after for socket in sockets if socket.refusal}
    assert len(waits) > 1
    assert waits <= set(range(1, 8))


async def test_one_that_has_closed_by_itself_is_not_ended() -> None:
    watching, gone, here = Hub(), Timed(), Timed()
    watching.add(gone)
    watching.add(here)
    leaving = asyncio.create_task(watching.leave(0.2))
    watching.discard(gone)
    await leaving
    await watching.aclose()
    assert (gone.refusal, here.refusal is not None) == (None, True)


async def test_a_second_drain_hurries() -> None:
    watching, sockets = Hub(), [Timed() for _ in range(10)]
    for socket in sockets:
        watching.add(socket)
    slowly = asyncio.create_task(watching.leave(3600))
    await asyncio.sleep(0)
    await watching.leave(0)
    slowly.cancel()
    await watching.aclose()
    assert all(socket.ended.is_set() for socket in sockets)


async def test_nobody_comes_in_whose_handshake_had_begun() -> None:
    watching = Hub()
    await watching.leave(0)
    with pytest.raises(Restarting):
        watching.add(Timed())


async def _taken(ticket: str) -> bytes:
    return await conf.store().take(TicketValue(ticket), Nonce("nonce"), ConnectionId("connection"))


class Greeter(AsyncWebsocketConsumer):
    async def connect(self) -> None:
        await self.accept()
        await self.send("hello")


application = TicketAuthMiddlewareStack(Greeter.as_asgi())


@pytest.mark.django_db(transaction=True)
async def test_a_refused_handshake_spends_nothing(owner: User) -> None:
    ticket = await ticket_for(owner)
    await drain(0)
    with pytest.raises(Refused) as refused:
        async with connect(application, "/", ticket=ticket):
            pass
    assert (refused.value.status, refused.value.body["code"]) == (503, "restarting")
    assert await _taken(ticket)


@pytest.mark.django_db(transaction=True)
async def test_who_understands_close_codes_gets_one(owner: User) -> None:
    await drain(0)
    with pytest.raises(Refused) as refused:
        async with connect(application, "/", ticket=await ticket_for(owner), subprotocols=["ticketauth.v1"]):
            pass
    reason = json.loads(refused.value.body["reason"])
    assert (refused.value.code, reason["code"]) == (1012, "restarting")
    assert 1 <= reason["retry_after"] <= conf.current().RECONNECT_WITHIN


@pytest.mark.django_db(transaction=True)
async def test_when_it_returns_all_are_told(owner: User) -> None:
    async with connect(application, "/", ticket=await ticket_for(owner)) as socket:
        assert await socket.receive_from() == "hello"
        await drain(0)
        told = socket.output_queue.get_nowait()
        assert (told["type"], told["code"]) == ("websocket.close", 1012)


class Hesitant(AsyncWebsocketConsumer):
    """Answers the handshake when everybody has been told to go."""

    async def connect(self) -> None:
        await drain(0)
        await self.accept()


@pytest.mark.django_db(transaction=True)
async def test_one_that_was_not_accepted_yet_is_refused_with_a_status(owner: User) -> None:
    """A close before the upgrade is 403 on every server, and after 403 a client stops."""
    with pytest.raises(Refused) as refused:
        async with connect(TicketAuthMiddlewareStack(Hesitant.as_asgi()), "/", ticket=await ticket_for(owner)):
            pass
    assert (refused.value.status, refused.value.body["code"]) == (503, "restarting")


async def test_the_hub_of_the_loop_says_so() -> None:
    await drain(0)
    assert (await hub.of_this_loop.get()).leaving
