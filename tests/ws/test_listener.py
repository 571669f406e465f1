"""What a worker hears, on a real channel layer: once, from the groups of its sockets, and again after a loss."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from channels.layers import channel_layers
from channels_redis.core import RedisChannelLayer
from redis import Redis

from config import addresses
from tests.processes import Gate
from tests.servers import Node, eventually
from ticketauth.stores.server import Server
from ws import listener
from ws.listener import MOST_WAITING, Listener, Mailbox

pytestmark = pytest.mark.usefixtures("_empty")
GROUPS = "ticketauth-channels:group:"


@pytest.fixture
def _empty(valkey: Redis) -> None:
    valkey.flushall()


@pytest.fixture
def layer() -> Any:
    """The project's, but for this loop alone: channels_redis has locks that are of one."""
    return channel_layers.make_backend("default")


@pytest.fixture
async def heard(layer: Any) -> AsyncIterator[Listener]:
    """A worker's."""
    one = Listener(layer)
    yield one
    await one.aclose()


def event(group: str, frame: str, sid: str = "", name: str = "") -> dict[str, Any]:
    return {"type": "event", "id": name or frame, "group": group, "sid": sid, "frame": frame}


@pytest.fixture
def send(layer: Any) -> Callable[..., Awaitable[None]]:
    """Publishes a frame to a group."""

    async def to_group(group: str, frame: str, **more: str) -> None:
        await layer.group_send(group, event(group, frame, **more))

    return to_group


async def next_frame(mailbox: Mailbox) -> str:
    async with asyncio.timeout(10):
        frame: str = (await mailbox.get())["frame"]
        return frame


async def test_what_the_layer_brings_twice_is_heard_once(heard: Listener, send) -> None:
    mailbox = Mailbox()
    await heard.join(mailbox, "a")
    await send("a", "first", name="1")
    await send("a", "first", name="1")
    await send("a", "second", name="2")
    assert [await next_frame(mailbox), await next_frame(mailbox)] == ["first", "second"]


async def test_a_login_of_several_in_a_group(heard: Listener, send) -> None:
    phone, laptop, neither = Mailbox("phone"), Mailbox("laptop"), Mailbox()
    for mailbox in (phone, laptop, neither):
        await heard.join(mailbox, "a")
    await send("a", "to the phone", sid="phone")
    await send("a", "to all")
    assert [await next_frame(phone), await next_frame(phone)] == ["to the phone", "to all"]
    assert [await next_frame(laptop), await next_frame(neither)] == ["to all"] * 2


async def test_a_worker_is_one_member_and_its_next_socket_asks_nothing(heard: Listener, valkey: Redis) -> None:
    first, second = Mailbox(), Mailbox()
    await heard.join(first, "a", "b")
    asked = valkey.info("commandstats")["cmdstat_zadd"]["calls"]
    await heard.join(second, "a", "b")
    assert valkey.info("commandstats")["cmdstat_zadd"]["calls"] == asked
    assert valkey.zcard(f"{GROUPS}a") == 1


async def test_the_last_one_out_leaves_nothing(heard: Listener, valkey: Redis) -> None:
    mailboxes = [Mailbox() for _ in range(3)]
    await asyncio.gather(*(heard.join(mailbox, "a", "b") for mailbox in mailboxes))
    running = heard._running
    assert running
    await asyncio.gather(*(heard.leave(mailbox, "a", "b") for mailbox in mailboxes))
    with contextlib.suppress(asyncio.CancelledError):
        await running
    assert (heard._groups, valkey.keys(f"{GROUPS}*")) == ({}, [])


async def test_more_at_once_than_the_layer_has_connections(
    heard: Listener, send, valkey: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pool has a hundred, of which those that publish need some."""
    monkeypatch.setattr(listener, "JOIN_SECONDS", 60)
    names = {Mailbox(): f"user.{number}" for number in range(400)}
    await heard.join(first := Mailbox(), "everyone")
    joining = [heard.join(mailbox, name, "everyone") for mailbox, name in names.items()]
    await asyncio.gather(*joining, *(send("everyone", f"{number}") for number in range(50)))
    assert {await next_frame(first) for _ in range(50)} == {str(number) for number in range(50)}
    assert len(valkey.keys(f"{GROUPS}user.*")) == len(names)
    await asyncio.gather(*(heard.leave(mailbox, name, "everyone") for mailbox, name in names.items()))
    assert valkey.keys(f"{GROUPS}user.*") == []


async def test_who_comes_while_another_leaves_is_in(heard: Listener, send) -> None:
    before = Mailbox()
    await heard.join(before, "a")
    group = heard._groups["a"]
    for number in range(100):
        after = Mailbox()
        leaving = asyncio.create_task(heard.leave(before, "a"))
        async with asyncio.timeout(10):
            while not group.lock.locked():  # noqa: ASYNC110 -- a lock tells nobody
                await asyncio.sleep(0)
        await asyncio.gather(leaving, heard.join(after, "a"))
        await send("a", str(number))
        assert await next_frame(after) == str(number)
        before = after


async def test_a_group_that_redis_has_forgotten_is_joined_again(
    heard: Listener, send, valkey: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "REJOIN_SECONDS", 0.1)
    mailbox = Mailbox()
    await heard.join(mailbox, "a")
    valkey.delete(f"{GROUPS}a")
    await eventually(lambda: _member(valkey), AssertionError)
    await send("a", "back")
    assert await next_frame(mailbox) == "back"


async def _member(valkey: Redis) -> None:
    assert valkey.zcard(f"{GROUPS}a")


async def test_a_connection_that_went_silent_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A firewall that has lost its state breaks nothing, and lets nothing through."""
    monkeypatch.setattr(listener, "REJOIN_SECONDS", 0.2)
    monkeypatch.setattr(listener, "PAUSE_SECONDS", 0.1)
    with Node() as node:
        async with Gate(node) as gate:
            heard, mailbox = Listener(_layer_at(gate.url)), Mailbox()
            await heard.join(mailbox, "a")
            monkeypatch.setattr(listener, "JOIN_SECONDS", 0.3)
            with gate.shut(forget=True):
                await asyncio.sleep(1)
            direct = _layer_at(node.url)
            number = 0
            async with asyncio.timeout(20):
                while not mailbox._frames:
                    await direct.group_send("a", event("a", "back", name=str(number := number + 1)))
                    await asyncio.sleep(0.05)
            await heard.aclose()


class HalfSilent(RedisChannelLayer):
    """After an outage: one connection is refused, and another is one that never answers again."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.is_back = False
        self._never = asyncio.Event()

    async def group_add(self, group: str, channel: str) -> None:
        if self.is_back:
            await super().group_add(group, channel)
        elif group == "everyone":
            await self._never.wait()
        else:
            raise ConnectionError


async def test_one_that_is_refused_leaves_nothing_locked_by_one_that_is_silent(
    send, valkey: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "JOIN_SECONDS", 0.3)
    project = channel_layers.make_backend("default")
    layer = HalfSilent(hosts=project.hosts, prefix=project.prefix)
    heard, mailbox = Listener(layer), Mailbox()
    with pytest.raises(ConnectionError):
        await heard.join(mailbox, "user", "everyone")
    layer.is_back = True
    async with asyncio.timeout(10):
        while not mailbox._frames:
            with contextlib.suppress(TimeoutError):
                await heard.join(mailbox, "user", "everyone")
                await send("everyone", "back")
                await asyncio.sleep(0.05)
    await heard.aclose()


def _layer_at(url: str) -> Any:
    return RedisChannelLayer(**addresses.channel_layer(url, Server.parse(url), "ticketauth-channels")["CONFIG"])


async def test_what_is_no_event_stops_nobody_from_hearing(
    heard: Listener, layer: Any, send, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(listener, "PAUSE_SECONDS", 0)
    mailbox = Mailbox()
    await heard.join(mailbox, "a")
    await layer.group_send("a", {"type": "something else"})
    await send("a", "after it")
    assert await next_frame(mailbox) == "after it"
    assert "events are not heard" in caplog.text


async def test_a_mailbox_that_nobody_empties_keeps_the_latest() -> None:
    mailbox = Mailbox()
    frames = [f"{number} {'x' * 50_000}" for number in range(100)]
    for frame in frames:
        mailbox.put(frame)
    kept = MOST_WAITING // len(frames[-1])
    assert [await next_frame(mailbox) for _ in range(kept)] == frames[-kept:]
    mailbox.put("next")
    assert await next_frame(mailbox) == "next"
