"""What a store promises, held against every kind of store."""

from __future__ import annotations

import asyncio
import gc
import re
import secrets
import uuid
import weakref
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tests.servers import Topology, eventually, until
from tests.ticketauth.stores.conftest import PATIENCE
from ticketauth.exceptions import NotAuthenticated, Refusal, TooMany
from ticketauth.limits import Rate
from ticketauth.stores.base import Limit, TicketStore
from ticketauth.stores.redis import RedisStore
from ticketauth.types import ConnectionId, Nonce, TicketValue

PAYLOAD = b' {"sub": "7"}\n\x00\xff '
OWNER, THIEF = Nonce("owner-nonce"), Nonce("thief-nonce")
FIRST, SECOND = ConnectionId("first-connection"), ConnectionId("second-connection")


def new_ticket() -> TicketValue:
    return TicketValue(str(uuid.uuid4()))


def per(key: str, count: int, seconds: int = 60) -> Limit:
    return Limit(key, Rate(count, seconds))


async def outcome(call: Coroutine[Any, Any, Any]) -> Any:
    """What the call gives, or the reason it is refused for."""
    try:
        return await call
    except Refusal as refusal:
        return refusal.reason


@pytest.fixture
def ticket() -> TicketValue:
    return new_ticket()


# Once


async def test_a_ticket_gives_its_payload_away(store: TicketStore, ticket: TicketValue) -> None:
    await store.put(ticket, PAYLOAD, 30, ())
    assert await store.take(ticket, OWNER, FIRST) == PAYLOAD


async def test_a_second_nonce_is_told_replay_and_which_connection_was_first(store: TicketStore, ticket) -> None:
    await store.put(ticket, PAYLOAD, 30, ())
    await store.take(ticket, OWNER, FIRST)
    with pytest.raises(NotAuthenticated, match="replay") as caught:
        await store.take(ticket, THIEF, SECOND)
    assert caught.value.facts == {"first_connection": FIRST}


async def test_the_same_nonce_gets_the_same_answer_also_after_a_replay(store: TicketStore, ticket) -> None:
    await store.put(ticket, PAYLOAD, 30, ())
    answers = [await outcome(store.take(ticket, nonce, FIRST)) for nonce in (OWNER, THIEF, OWNER)]
    assert answers == [PAYLOAD, "replay", PAYLOAD]


async def test_a_ticket_that_nobody_issued_is_unknown(store: TicketStore, ticket) -> None:
    assert await outcome(store.take(ticket, OWNER, FIRST)) == "unknown"


async def test_a_ticket_of_another_deployment_is_unknown_and_stays_good_there(
    store: TicketStore, make_store: Callable[[str], TicketStore], ticket
) -> None:
    await store.put(ticket, PAYLOAD, 30, ())
    assert await outcome(make_store("another").take(ticket, OWNER, FIRST)) == "unknown"
    assert await store.take(ticket, OWNER, FIRST) == PAYLOAD


async def test_one_of_a_hundred_concurrent_takes_wins(store: TicketStore, ticket) -> None:
    await store.put(ticket, PAYLOAD, 30, ())
    takes = [store.take(ticket, Nonce(secrets.token_hex(16)), FIRST) for _ in range(100)]
    answers = await asyncio.gather(*(outcome(take) for take in takes))
    assert sorted(map(str, answers)) == sorted([str(PAYLOAD), *["replay"] * 99])


async def test_a_ticket_expires_and_so_does_the_memory_of_a_spent_one(store: TicketStore, ticket) -> None:
    spent = new_ticket()
    await store.put(ticket, PAYLOAD, 1, ())
    await store.put(spent, PAYLOAD, 1, ())

    async def forgotten() -> None:
        if await outcome(store.take(spent, OWNER, FIRST)) != "unknown":
            raise NotAuthenticated("not yet")

    await eventually(forgotten, NotAuthenticated, 3)
    assert await outcome(store.take(ticket, OWNER, FIRST)) == "unknown"


async def test_the_store_says_that_it_serves(store: TicketStore) -> None:
    await store.ping()


# Rates


async def test_putting_the_same_ticket_again_changes_and_counts_nothing(store: TicketStore, ticket) -> None:
    for payload in (PAYLOAD, b"changed", b"and again"):
        await store.put(ticket, payload, 30, (per("owner", 2),))
    await store.put(new_ticket(), b"", 30, (per("owner", 2),))
    assert await store.take(ticket, OWNER, FIRST) == PAYLOAD


async def test_limits_are_exact_under_concurrency_and_per_key(store: TicketStore) -> None:
    puts = [store.put(new_ticket(), b"", 30, (per(f"owner-{n % 2}", 10), per("address", 40))) for n in range(50)]
    answers = await asyncio.gather(*(outcome(put) for put in puts))
    assert [answers[owner::2].count(None) for owner in (0, 1)] == [10, 10]


async def test_the_smaller_of_two_limits_holds(store: TicketStore) -> None:
    puts = [store.put(new_ticket(), b"", 30, (per("owner", 40), per("address", 10))) for _ in range(50)]
    answers = await asyncio.gather(*(outcome(put) for put in puts))
    assert answers.count(None) == 10


async def test_a_refused_ticket_is_not_kept_and_counts_nowhere(store: TicketStore, ticket) -> None:
    limits = (per("owner", 1), per("address", 2))
    await store.put(new_ticket(), b"", 30, limits)
    assert await outcome(store.put(ticket, b"", 30, limits)) == "rate"
    assert await outcome(store.take(ticket, OWNER, FIRST)) == "unknown"
    strangers = [await outcome(store.put(new_ticket(), b"", 30, (per("stranger", 9), limits[1]))) for _ in range(2)]
    assert strangers == [None, "rate"]


async def test_a_refusal_says_how_long_to_wait_within_the_window(store: TicketStore) -> None:
    await store.put(new_ticket(), b"", 30, (per("owner", 1, 60),))
    with pytest.raises(TooMany) as caught:
        await store.put(new_ticket(), b"", 30, (per("owner", 1, 60),))
    assert caught.value.retry_after in range(1, 61)


async def test_after_the_window_it_works_again_and_counts_anew(store: TicketStore) -> None:
    limits = (per("owner", 2, 3),)
    for _ in range(2):
        await store.put(new_ticket(), b"", 30, limits)
    await eventually(lambda: store.put(new_ticket(), b"", 30, limits), TooMany, 10)
    again = [await outcome(store.put(new_ticket(), b"", 30, limits)) for _ in range(2)]
    assert again == [None, "rate"]


# In Redis


@pytest.fixture
def redis_store(topology: Topology, prefix: str) -> RedisStore:
    return RedisStore(topology.url, prefix=prefix, deadline=PATIENCE)


async def test_no_key_lives_longer_than_its_ticket(topology: Topology, redis_store, prefix, ticket) -> None:
    await redis_store.put(ticket, PAYLOAD, 20, (per("owner", 5, 10),))
    before = topology.lives(prefix)
    await redis_store.take(ticket, OWNER, FIRST)
    after = topology.lives(prefix)
    assert len(before) == len(after) == 2
    assert all(0 < life <= 20_000 for life in before + after)


async def test_r7_the_ticket_is_in_no_key_no_value_and_no_command(
    topology: Topology, redis_store, prefix, ticket
) -> None:
    with topology.monitored() as commands:
        await redis_store.put(ticket, PAYLOAD, 30, (per("owner", 5),))
        kept = topology.kept(prefix)
        await redis_store.take(ticket, OWNER, FIRST)
        kept |= topology.kept(prefix)
    assert len(kept) == 3
    assert all(re.fullmatch(rf"\{{{prefix}\}}:(t|spent|rate):[0-9a-f]{{64}}", key.decode()) for key in kept)
    assert not [text for text in (*commands, *map(str, kept.items())) if ticket in text or "owner'" in text]


async def test_an_issue_and_a_handshake_are_one_round_trip_each(topology: Topology, redis_store, ticket) -> None:
    warm = new_ticket()
    await redis_store.put(warm, PAYLOAD, 30, (per("owner", 5),))
    await redis_store.take(warm, OWNER, FIRST)
    with topology.monitored() as issue:
        await redis_store.put(ticket, PAYLOAD, 30, (per("owner", 5), per("address", 5)))
    with topology.monitored() as handshake:
        await redis_store.take(ticket, OWNER, FIRST)
    assert [line.split()[0] for line in issue] == ["EVALSHA"]
    assert [line.split()[0] for line in handshake] == ["EVALSHA"]


def test_one_event_loop_after_another_works_and_leaves_nothing_open(topology: Topology, redis_store, ticket) -> None:
    ended: list[weakref.ref[asyncio.AbstractEventLoop]] = []

    async def in_this_loop(call: Coroutine[Any, Any, Any]) -> Any:
        ended.append(weakref.ref(asyncio.get_running_loop()))
        return await call

    asyncio.run(in_this_loop(redis_store.put(ticket, PAYLOAD, 30, ())))
    assert asyncio.run(in_this_loop(redis_store.take(ticket, OWNER, FIRST))) == PAYLOAD
    gc.collect()  # what was left open says so now, and warnings are errors
    assert [loop() for loop in ended] == [None, None]
    until(lambda: not any(topology.visitors))


async def test_no_more_connections_than_the_pool_has(topology: Topology, prefix) -> None:
    until(lambda: not any(topology.visitors))
    store = RedisStore(topology.url, prefix=prefix, pool_size=2)
    await asyncio.gather(*(store.put(new_ticket(), PAYLOAD, 30, ()) for _ in range(50)))
    # A Cluster is looked at through one more, before it is known who keeps what.
    assert max(topology.visitors) <= (3 if "cluster" in topology.url else 2)


async def test_many_at_once_share_connections_and_each_gets_its_own_answer(topology: Topology, redis_store) -> None:
    tickets = [new_ticket() for _ in range(60)]
    await asyncio.gather(
        *(redis_store.put(ticket, str(number).encode(), 30, ()) for number, ticket in enumerate(tickets))
    )
    async with asyncio.TaskGroup() as group:
        taken = []
        for ticket in tickets:
            taken.append(group.create_task(redis_store.take(ticket, OWNER, FIRST)))
            await asyncio.sleep(0)
    assert [task.result() for task in taken] == [str(number).encode() for number in range(len(tickets))]
    if "cluster" not in topology.url:
        assert max(topology.visitors) <= 4
