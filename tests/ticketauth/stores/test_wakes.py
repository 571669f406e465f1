"""What is published is heard, on every kind of server."""

from __future__ import annotations

import asyncio

import pytest

from tests.servers import Cluster, Sentinels, Topology, until
from ticketauth.exceptions import Unavailable
from ticketauth.stores.redis import RedisStore
from ticketauth.wake import CHANNEL


async def _next(listening) -> str | None:
    async with asyncio.timeout(10):
        return await anext(listening)


def _wired(topology: Topology) -> bool:
    """Whether the nodes of a Cluster are connected both ways: some time after it says that it is whole."""
    nodes = topology.nodes if isinstance(topology, Cluster) else []
    return all(len(node.client.execute_command("CLUSTER LINKS")) == 2 * (len(nodes) - 1) for node in nodes)


def _listeners(topology: Topology) -> int:
    """Sentinels listen too, and have names."""
    clients = [client for node in topology.nodes for client in node.client.client_list(_type="pubsub")]
    return len([client for client in clients if not client["name"]])


async def test_it_is_heard_by_all_who_listen(topology: Topology, prefix: str) -> None:
    """In a Cluster they listen on any of its nodes."""
    until(lambda: _wired(topology))
    store = RedisStore(topology.url, prefix=prefix)
    everybody = [store.client.listen(CHANNEL) for _ in range(8)]
    assert [await _next(listening) for listening in everybody] == [None] * 8
    for message in ("", "first", "ſecond\0"):
        await store.client.publish(CHANNEL, message)
        assert [await _next(listening) for listening in everybody] == [message] * 8
    for listening in everybody:
        await listening.aclose()
    await asyncio.to_thread(until, lambda: _listeners(topology) == 0)


async def test_nobody_else_hears_it(topology: Topology, prefix: str) -> None:
    until(lambda: _wired(topology))
    store, stranger = RedisStore(topology.url, prefix=prefix), RedisStore(topology.url, prefix=f"{prefix}x")
    listening = store.client.listen(CHANNEL)
    await _next(listening)
    await stranger.client.publish(CHANNEL, "theirs")
    await store.client.publish(CHANNEL, "ours")
    assert await _next(listening) == "ours"
    await listening.aclose()


async def test_silence_is_no_fault(shared_node, prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ticketauth.stores.client._HEARTBEAT", 0.5)
    store = RedisStore(shared_node.url, prefix=prefix)
    listening = store.client.listen(CHANNEL)
    await _next(listening)
    waiting = asyncio.create_task(_next(listening))
    before = int(shared_node.info("stats")["total_commands_processed"])
    # Each of the heartbeats is a command.
    await asyncio.to_thread(until, lambda: int(shared_node.info("stats")["total_commands_processed"]) > before + 6)
    await store.client.publish(CHANNEL, "after a while")
    assert await waiting == "after a while"
    await listening.aclose()


async def test_after_a_fail_over_it_is_heard_at_the_new_primary(prefix: str) -> None:
    with Sentinels() as sentinels:
        store = RedisStore(sentinels.url, prefix=prefix)
        listening = store.client.listen(CHANNEL)
        await _next(listening)
        await asyncio.to_thread(sentinels.fail_over)
        with pytest.raises(Unavailable):
            await _next(listening)
        listening = store.client.listen(CHANNEL)
        await _next(listening)
        await store.client.publish(CHANNEL, "here")
        assert await _next(listening) == "here"
        await listening.aclose()
