"""The registry of one worker: what it tells Redis and when, and what happens to it."""

from __future__ import annotations

import asyncio
import itertools
import logging
import secrets
import time
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from channels.generic.websocket import AsyncWebsocketConsumer
from django.contrib.auth.models import User
from redis import Redis

from tests.monitoring import everything
from tests.servers import Node
from ticketauth import registry
from ticketauth.exceptions import Refusal, TooMany, Unavailable
from ticketauth.middleware import TicketAuthMiddlewareStack
from ticketauth.registry import Registry
from ticketauth.stores.sockets import SocketStore, Worker
from ticketauth.testing import connect, ticket_for
from ticketauth.types import OURS, ConnectionId, LiveSocket, Sid, Subject

_numbers = itertools.count()


class Socket:
    """A live socket that only notes its end, and tells the registry, as the guard does."""

    def __init__(self, of: Registry, subject: Subject, sid: str = "login") -> None:
        name = ConnectionId(secrets.token_hex(16))
        self.socket = LiveSocket(
            name, OURS, subject, "ada", Sid(sid), "/ws/", "ticket_query", "", "", float(next(_numbers))
        )
        self._registry = of
        self.refusal: Refusal | None = None

    def end(self, refusal: Refusal) -> None:
        self.refusal = refusal
        self._registry.discard(self)


@pytest.fixture(autouse=True)
def _often(settings: Any) -> None:
    settings.TICKETAUTH = {**settings.TICKETAUTH, "REVOCATION_POLL": 0.05}


@pytest.fixture
def subject() -> Subject:
    """A user of the test's own."""
    return Subject(secrets.token_hex(8))


def opened(worker: Registry, subject: Subject, number: int = 1) -> list[Socket]:
    sockets = [Socket(worker, subject) for _ in range(number)]
    for socket in sockets:
        worker.admit(socket)
        worker.opened(socket)
    return sockets


async def listed(subject: Subject) -> set[ConnectionId]:
    return {socket.connection_id for socket in await registry.sockets().of_owner(OURS, subject, 1000)}


async def are_listed(subject: Subject, sockets: list[Socket]) -> None:
    """As soon as these are, and no others."""
    ends = time.monotonic() + 10
    while (found := await listed(subject)) != {live.socket.connection_id for live in sockets}:
        assert time.monotonic() < ends, found
        await asyncio.sleep(0.01)


async def becomes(condition: Callable[[], Any]) -> None:
    """Return as soon as it is true."""
    ends = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < ends
        await asyncio.sleep(0.01)


async def over(worker: Registry) -> None:
    """As soon as it has nothing more to do."""
    await becomes(lambda: worker._task is None)


@pytest.fixture
async def worker() -> Any:
    worker = Registry()
    yield worker
    await worker.aclose()


async def test_many_that_open_and_close_together_are_one_call(
    worker: Registry, subject, valkey: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So that the server knows the script.
    sockets = opened(worker, subject)
    await are_listed(subject, sockets)
    monkeypatch.setattr(registry, "GATHERING", 1.0)
    before = asyncio.all_tasks()
    with everything(valkey) as seen:
        for _ in range(99):
            sockets += opened(worker, subject)
            await asyncio.sleep(0)
        assert asyncio.all_tasks() == before
        await are_listed(subject, sockets)
        for live in sockets:
            worker.discard(live)
        await over(worker)
    writes = [command for command in seen if sockets[9].socket.connection_id in command]
    assert len(writes) == 2
    assert all(sockets[99].socket.connection_id in command for command in writes)


async def test_more_than_one_call_takes(worker: Registry, subject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "LARGEST_WRITE", 10)
    sockets = opened(worker, subject, 25)
    await are_listed(subject, sockets)
    for live in sockets[5:]:
        worker.discard(live)
    await are_listed(subject, sockets[:5])


async def test_they_are_listed_the_newest_first_and_no_more_than_wanted(worker: Registry, subject) -> None:
    sockets = opened(worker, subject, 5)
    await are_listed(subject, sockets)
    newest = await registry.sockets().of_owner(OURS, subject, 2)
    assert newest == [sockets[4].socket, sockets[3].socket]


async def test_when_all_are_gone_it_rests(worker: Registry, subject) -> None:
    (live,) = opened(worker, subject)
    await are_listed(subject, [live])
    worker.discard(live)
    await over(worker)
    assert await listed(subject) == set()
    await are_listed(subject, opened(worker, subject))


async def test_one_that_is_gone_before_it_was_written_is_not_listed(worker: Registry, subject) -> None:
    (gone,) = opened(worker, subject)
    worker.discard(gone)
    await are_listed(subject, opened(worker, subject))


async def test_a_worker_without_a_lease_is_not_listed(worker: Registry, subject, valkey: Redis) -> None:
    (lost,) = opened(worker, subject)
    await are_listed(subject, [lost])
    await worker.aclose()
    valkey.delete(f"{{ticketauth}}:sockets:{worker._name}")
    assert await listed(subject) == set()
    assert await registry.sockets().counts(OURS, subject) == {}
    assert await registry.end([lost.socket.connection_id]) == 0


async def test_a_lease_is_renewed_while_nothing_happens(worker: Registry, subject, valkey: Redis) -> None:
    await are_listed(subject, opened(worker, subject))
    lease = f"{{ticketauth}}:sockets:{worker._name}"
    assert 0 < valkey.pttl(lease) <= registry.LEASE * 1000
    valkey.pexpire(lease, 5000)
    await becomes(lambda: valkey.pttl(lease) > 6000)


async def test_whoever_joins_drops_the_names_of_the_dead(worker: Registry, subject, valkey: Redis) -> None:
    there = opened(worker, subject)
    await are_listed(subject, there)
    (workers,) = valkey.scan_iter("{ticketauth}:workers:*")
    valkey.zadd(workers, {"dead": 0})
    other = Registry()
    await are_listed(subject, there + opened(other, subject))
    assert b"dead" not in valkey.zrange(workers, 0, -1)
    await other.aclose()


class TestEnd:
    async def test_a_wish_is_told_until_it_is_fulfilled(self, worker: Registry, subject) -> None:
        """A lost answer loses no wish."""
        (live,) = opened(worker, subject)
        await are_listed(subject, [live])
        heard: list[Refusal] = []
        live.end = heard.append  # type: ignore[method-assign,assignment]
        assert await registry.sockets().end([live.socket.connection_id]) == 1
        await becomes(lambda: len(heard) == 3)
        worker.discard(live)
        await over(worker)
        assert {refusal.reason for refusal in heard} == {"connection_ended"}

    async def test_the_worker_that_is_asked_does_not_wait_for_its_heartbeat(self, subject, settings) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "REVOCATION_POLL": 60.0}
        (live,) = opened(await registry.of_this_loop.get(), subject)
        await are_listed(subject, [live])
        assert await registry.end([live.socket.connection_id]) == 1
        await becomes(lambda: live.refusal)

    async def test_only_ones_own(self, worker: Registry, subject) -> None:
        (live,) = opened(worker, subject)
        await are_listed(subject, [live])
        assert await registry.end([live.socket.connection_id], (OURS, Subject("stranger"))) == 0
        assert await registry.end([live.socket.connection_id, "unknown"], (OURS, subject)) == 1


class TestFaults:
    async def test_a_lost_answer_changes_nothing(
        self, worker: Registry, subject, settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What opened was written, and nobody knows: it is not counted against itself, nor is what closed kept."""
        settings.TICKETAUTH = {**settings.TICKETAUTH, "SOCKETS_PER_USER": 1}
        first = opened(worker, subject)
        await are_listed(subject, first)
        write, lost = SocketStore.write, asyncio.Event()

        async def loses(self: SocketStore, who: Worker, *args: Any) -> Any:
            answer = await write(self, who, *args)
            if who.name == worker._name and not lost.is_set():
                lost.set()
                raise Unavailable("redis_unreachable")
            return answer

        monkeypatch.setattr(SocketStore, "write", loses)
        worker.discard(first[0])
        sockets = opened(worker, subject)
        await becomes(lambda: lost.is_set() and not worker._failing)
        await are_listed(subject, sockets)
        assert sockets[0].refusal is None

    async def test_an_outage_keeps_nothing_of_what_comes_and_goes(self, worker: Registry, subject, settings) -> None:
        with Node() as node:
            settings.TICKETAUTH = {**settings.TICKETAUTH, "REDIS_URL": node.url}
            kept, gone = opened(worker, subject), opened(worker, subject)
            await are_listed(subject, kept + gone)
            with node.paused():
                worker.discard(gone[0])
                for _ in range(1000):
                    worker.discard(*opened(worker, subject))
                await becomes(lambda: worker._failing)
                await becomes(lambda: list(worker._changed) == [kept[0].socket.connection_id])
            await are_listed(subject, kept)

    async def test_what_closed_in_an_outage_leaves_its_place_after_it(
        self, worker: Registry, subject, settings
    ) -> None:
        with Node() as node:
            settings.TICKETAUTH = {**settings.TICKETAUTH, "REDIS_URL": node.url}
            sockets = opened(worker, subject, 3)
            await are_listed(subject, sockets)
            with node.paused():
                for live in sockets:
                    worker.discard(live)
                await becomes(lambda: worker._failing and not worker._changed)
            await over(worker)
            assert await listed(subject) == set()

    async def test_a_fault_of_ours_is_not_the_end(
        self, worker: Registry, subject, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, "ticketauth")
        write = SocketStore.write
        faults = iter([True, True, False])

        async def broken(self: SocketStore, who: Worker, *args: Any) -> Any:
            # Not that of the service in its thread, which has sockets of tests before.
            if who.name == worker._name and next(faults, False):
                raise RuntimeError("a fault")
            return await write(self, who, *args)

        monkeypatch.setattr(SocketStore, "write", broken)
        await are_listed(subject, opened(worker, subject))
        assert [record.getMessage() for record in caplog.records if record.name == "ticketauth"] == [
            "live sockets are not registered: RuntimeError",
            "live sockets are registered again",
        ]

    async def test_what_was_there_is_not_refused_when_it_is_written_again(
        self, worker: Registry, subject, settings, valkey: Redis
    ) -> None:
        sockets = opened(worker, subject, 3)
        await are_listed(subject, sockets)
        settings.TICKETAUTH = {**settings.TICKETAUTH, "SOCKETS_PER_USER": 1}
        valkey.delete(f"{{ticketauth}}:sockets:{worker._name}")
        await are_listed(subject, sockets)
        assert [live.refusal for live in sockets] == [None] * 3


class TestLimits:
    async def test_what_comes_last_is_refused(self, worker: Registry, subject, settings) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "SOCKETS_PER_USER": 3}
        other = Registry()
        kept = opened(other, subject, 2)
        await are_listed(subject, kept)
        late = opened(worker, subject, 3)
        await becomes(lambda: sum(live.refusal is not None for live in late) >= 2)
        left = [live for live in kept + late if live.refusal is None]
        await are_listed(subject, left)
        assert len(left) == 3
        assert left[:2] == kept
        assert {type(live.refusal) for live in late} == {TooMany, type(None)}
        await other.aclose()

    async def test_a_worker_alone_knows_before(self, worker: Registry, subject, settings) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "SOCKETS_PER_USER": 1}
        first, second = Socket(worker, subject), Socket(worker, subject)
        worker.admit(first)
        with pytest.raises(TooMany):
            worker.admit(second)
        worker.discard(second)
        worker.discard(first)
        worker.discard(first)
        worker.admit(second)
        assert sum(map(len, worker._places.values())) == 1


class Leisurely(AsyncWebsocketConsumer):
    """Takes its time to hear that its client has gone."""

    gone = asyncio.Event()

    async def disconnect(self, code: int) -> None:
        await type(self).gone.wait()


@pytest.mark.django_db(transaction=True)
async def test_a_client_that_goes_makes_room_before_its_consumer_is_done(owner: User, settings: Any) -> None:
    settings.TICKETAUTH = {**settings.TICKETAUTH, "SOCKETS_PER_USER": 1}
    Leisurely.gone = asyncio.Event()
    application = TicketAuthMiddlewareStack(Leisurely.as_asgi())
    async with connect(application, "/", ticket=await ticket_for(owner)) as first:
        await first.send_input({"type": "websocket.disconnect", "code": 1001})
        await asyncio.sleep(0.01)
        async with connect(application, "/", ticket=await ticket_for(owner)):
            Leisurely.gone.set()


@pytest.mark.django_db(transaction=True)
async def test_one_that_is_ended_makes_room_before_its_consumer_hears_of_it(owner: User, settings: Any) -> None:
    settings.TICKETAUTH = {**settings.TICKETAUTH, "SOCKETS_PER_USER": 1}
    Leisurely.gone = asyncio.Event()
    Leisurely.gone.set()
    application = TicketAuthMiddlewareStack(Leisurely.as_asgi())
    here = await registry.of_this_loop.get()
    async with connect(application, "/", ticket=await ticket_for(owner)) as first:
        await becomes(lambda: here._written)
        assert await registry.end(list(here._written)) == 1
        assert (await first.receive_output(timeout=5))["code"] == 4403
        async with connect(application, "/", ticket=await ticket_for(owner)):
            pass


MEMORY = "ticketauth.stores.memory.MemoryStore"


@pytest.fixture(params=["memory", "none"])
def without_redis(request: pytest.FixtureRequest, settings: Any) -> None:
    """In memory; or a project whose schemes need no tickets, and which has no Redis."""
    if request.param == "memory":
        settings.TICKETAUTH = {**settings.TICKETAUTH, "STORE": MEMORY}
    else:
        settings.TICKETAUTH = {name: value for name, value in settings.TICKETAUTH.items() if name != "REDIS_URL"}
        settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}


async def test_without_redis_there_is_none(worker: Registry, subject, without_redis: None) -> None:
    (live,) = opened(worker, subject)
    assert worker._task is None
    with pytest.raises(Unavailable, match="no_registry"):
        registry.sockets()
    worker.discard(live)


def test_without_redis_sockets_open_and_limits_hold(owner: User, routes: Callable[..., Any], settings: Any) -> None:
    settings.TICKETAUTH = {**settings.TICKETAUTH, "STORE": MEMORY, "SOCKETS_PER_USER": 1}

    async def use() -> None:
        application = TicketAuthMiddlewareStack(routes)
        async with connect(application, "/ws/mirror/", ticket=await ticket_for(owner)):
            with pytest.raises(AssertionError, match="429"):
                async with connect(application, "/ws/mirror/", ticket=await ticket_for(owner)):
                    pass
        async with connect(application, "/ws/mirror/", ticket=await ticket_for(owner)):
            pass

    async_to_sync(use)()
