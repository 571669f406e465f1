"""What a store does when its server misbehaves: refuse clearly and in time, spend nothing twice, recover by itself.

`GETDEL`, the naive way to use a ticket once, stands beside the store where it can be seen to fail.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from tests.servers import Cluster, Link, Node, Proxy, Sentinels, Topology, eventually, free_port, until
from ticketauth import conf
from ticketauth.exceptions import NotAuthenticated, Refusal, TooMany, Unavailable
from ticketauth.limits import Rate
from ticketauth.stores.base import Limit
from ticketauth.stores.redis import RedisStore
from ticketauth.types import ConnectionId, Nonce, TicketValue

PAYLOAD = b'{"sub":"7"}'
OWNER, THIEF = Nonce("owner-nonce"), Nonce("thief-nonce")
HERE = ConnectionId("a-connection")
ONE = (Limit("owner", Rate(1, 60)),)


def new_ticket() -> TicketValue:
    return TicketValue(str(uuid.uuid4()))


async def put(store: RedisStore, *limits: Limit) -> TicketValue:
    """Issue a ticket."""
    ticket = new_ticket()
    await store.put(ticket, PAYLOAD, 30, limits)
    return ticket


async def outcome(call: Awaitable[Any]) -> Any:
    """What the call gives, or the reason it is refused for."""
    try:
        return await call
    except Refusal as refusal:
        return refusal.reason


@contextlib.asynccontextmanager
async def in_time() -> AsyncIterator[None]:
    """What happens inside is over in time, less the time in which this process was given no processor."""
    stalled = 0.0

    async def beat() -> None:
        nonlocal stalled
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.01)
            stalled += max(0.0, time.monotonic() - before - 0.03)

    heart = asyncio.create_task(beat())
    began = time.monotonic()
    try:
        yield
    finally:
        heart.cancel()
    assert time.monotonic() - began - stalled < conf.current().REDIS_DEADLINE + 0.3


@contextlib.asynccontextmanager
async def unavailable(reason: str) -> AsyncIterator[pytest.ExceptionInfo[Unavailable]]:
    """The call is refused for this reason, and in time."""
    async with in_time():
        with pytest.raises(Unavailable) as caught:
            yield caught
    assert caught.value.reason == reason, caught.value.facts


@pytest.fixture
def store(node: Node, prefix: str) -> RedisStore:
    return RedisStore(node.url, prefix=prefix)


@pytest.fixture
async def ticket(store: RedisStore) -> TicketValue:
    """Issued before the fault."""
    return await put(store)


# The server is away, or silent


async def test_a_server_that_is_away_refuses_until_it_is_back(node: Node, store, ticket) -> None:
    node.kill()
    async with unavailable("redis_unreachable"):
        await put(store)
    async with unavailable("redis_unreachable"):
        await store.take(ticket, OWNER, HERE)
    async with unavailable("redis_unreachable"):
        await store.ping()
    node.start()
    assert await store.take(await put(store), OWNER, HERE) == PAYLOAD


async def test_a_silent_server_is_given_up_and_taken_back(node: Node, store, ticket) -> None:
    with node.paused():
        async with unavailable("redis_unreachable"):
            await put(store)
        async with unavailable("redis_unreachable"):
            await store.take(ticket, OWNER, HERE)
    # The server finds the request in its socket when it wakes up; whoever asks then is another handshake.
    assert await outcome(store.take(ticket, THIEF, HERE)) in {"replay", PAYLOAD}
    assert await outcome(store.take(ticket, OWNER, HERE)) != (await outcome(store.take(ticket, THIEF, HERE)))
    assert await store.take(await put(store), OWNER, HERE) == PAYLOAD


async def test_a_silent_server_holds_up_nobody_longer_than_the_deadline_however_many_wait(node: Node, prefix) -> None:
    store = RedisStore(node.url, prefix=prefix, pool_size=2)
    await store.ping()
    with node.paused():
        async with in_time():
            reasons = await asyncio.gather(*(outcome(put(store)) for _ in range(50)))
    assert set(reasons) == {"redis_unreachable"}
    assert await store.take(await put(store), OWNER, HERE) == PAYLOAD


async def test_r34_after_a_restart_no_call_fails_on_a_stale_connection(node: Node, store) -> None:
    # Held up, each of those that come one after the other takes a connection of its own, as long as there is one.
    node.client.client_pause(200, all=False)
    async with asyncio.TaskGroup() as group:
        for _ in range(20):
            group.create_task(put(store))
            await asyncio.sleep(0)
    assert Topology([node], "").visitors[0] > 1
    node.kill()
    node.start()
    assert len(await asyncio.gather(*(put(store) for _ in range(20)))) == 20


async def test_scripts_that_the_server_forgot_are_sent_again(node: Node, store, ticket) -> None:
    node.client.script_flush()
    assert await store.take(ticket, OWNER, HERE) == PAYLOAD
    node.client.script_flush()
    assert await store.take(await put(store), OWNER, HERE) == PAYLOAD


# The server answers with an error


@pytest.fixture
def full(node: Node, ticket: TicketValue) -> Callable[[], object]:
    """The memory is full; what this gives makes room again."""
    node.client.config_set("maxmemory-policy", "noeviction")
    node.client.config_set("maxmemory", "1")
    return lambda: node.client.config_set("maxmemory", "0")


async def test_a_full_memory_refuses_an_issue_and_counts_nothing(store, full: Callable[[], object]) -> None:
    async with unavailable("redis_full"):
        await put(store, *ONE)
    full()
    await put(store, *ONE)
    assert await outcome(put(store, *ONE)) == "rate"


async def test_a_full_memory_still_lets_a_ticket_in_exactly_once(store, ticket, full) -> None:
    takes = (store.take(ticket, Nonce(secrets.token_hex(16)), HERE) for _ in range(50))
    answers = await asyncio.gather(*(outcome(take) for take in takes))
    assert answers.count(PAYLOAD) == 1
    assert set(answers) <= {PAYLOAD, "replay", "unknown"}


async def test_the_twin_that_overwrites_lets_a_ticket_in_again_when_memory_is_full(node: Node, full) -> None:
    overwrite = "local kept = redis.call('GET', KEYS[1]); redis.pcall('SET', KEYS[1], 'spent', 'KEEPTTL'); return kept"
    node.client.config_set("maxmemory", "0")
    node.client.set("twin", "good")
    node.client.config_set("maxmemory", "1")
    assert [node.client.eval(overwrite, 1, "twin") for _ in range(2)] == [b"good", b"good"]


@pytest.fixture
def replica(node: Node) -> Iterator[Node]:
    """Follows `node`."""
    with Node(f"replicaof 127.0.0.1 {node.port}") as replica:
        until(lambda: replica.info("replication")["master_link_status"] == "up")
        yield replica


@pytest.mark.parametrize("read_only", ["yes", "no"])
@pytest.mark.parametrize("fence", ["on", "off"])
async def test_a_replica_refuses_and_the_ticket_stays_good_on_its_primary(
    node: Node, replica: Node, store, ticket, prefix, read_only, fence
) -> None:
    if (read_only, fence) == ("no", "off"):
        pytest.skip("A writable replica is told by the fence alone; hence FENCE = 'off' must be chosen aloud.")
    node.replicate()
    replica.client.config_set("replica-read-only", read_only)
    astray = RedisStore(replica.url, prefix=prefix, fence=fence)
    async with unavailable("redis_readonly"):
        await put(astray)
    async with unavailable("redis_readonly"):
        await astray.take(ticket, THIEF, HERE)
    assert await store.take(ticket, OWNER, HERE) == PAYLOAD


async def test_the_twin_is_used_on_a_writable_replica_and_on_its_primary(node: Node, replica: Node) -> None:
    node.client.set("twin", "good")
    node.replicate()
    replica.client.config_set("replica-read-only", "no")
    assert [replica.client.getdel("twin"), node.client.getdel("twin")] == [b"good", b"good"]


@pytest.mark.parametrize("userinfo", ["", ":wrong@", "nobody:wrong@"])
async def test_a_missing_or_wrong_password_is_said_so(prefix, userinfo, password: Topology) -> None:
    store = RedisStore(f"redis://{userinfo}127.0.0.1:{password.nodes[0].port}/0", prefix=prefix)
    async with unavailable("redis_auth"):
        await put(store)
    async with unavailable("redis_auth"):
        await store.take(new_ticket(), OWNER, HERE)


async def test_a_missing_password_of_a_cluster_is_said_so(cluster: Cluster, prefix) -> None:
    async with unavailable("redis_auth"):
        await put(RedisStore(cluster.url.replace("//", "//nobody:wrong@"), prefix=prefix))


async def test_a_user_without_info_is_told_what_to_allow_or_works_without_the_fence(node: Node, prefix) -> None:
    node.client.acl_setuser(
        "clerk", enabled=True, passwords=["+pw"], keys=["*"], commands=["-info"], categories=["+@all"]
    )
    url = node.url.replace("//", "//clerk:pw@")
    async with unavailable("redis_permission") as caught:
        await put(RedisStore(url, prefix=prefix))
    assert "+info" in caught.value.facts["hint"]
    unfenced = RedisStore(url, prefix=prefix, fence="off")
    assert await unfenced.take(await put(unfenced), OWNER, HERE) == PAYLOAD


async def test_a_user_without_scripts_is_told_what_to_allow(node: Node, prefix) -> None:
    node.client.acl_setuser(
        "clerk", enabled=True, passwords=["+pw"], keys=["*"], commands=["-eval", "-evalsha"], categories=["+@all"]
    )
    async with unavailable("redis_permission") as caught:
        await put(RedisStore(node.url.replace("//", "//clerk:pw@"), prefix=prefix))
    assert "+evalsha" in caught.value.facts["hint"]


@pytest.mark.parametrize(
    ("renamed", "reason"), [("EVALSHA", "redis_too_old"), ("EVAL", "redis_too_old"), ("INFO", "redis_permission")]
)
async def test_a_server_without_a_command_is_told_from_one_that_is_away(prefix, renamed, reason) -> None:
    with Node(f'rename-command {renamed} ""') as old:
        async with unavailable(reason) as caught:
            await put(RedisStore(old.url, prefix=prefix))
    assert caught.value.facts["hint"]
    assert PAYLOAD.decode() not in str(caught.value.facts)


async def test_a_server_that_cannot_save_or_lacks_replicas_is_said_so(node: Node, store, ticket) -> None:
    node.client.config_set("min-replicas-to-write", "1")
    async with unavailable("redis_replicas"):
        await put(store, *ONE)
    async with unavailable("redis_replicas"):
        await store.take(ticket, OWNER, HERE)
    node.client.config_set("min-replicas-to-write", "0")
    assert await store.take(ticket, OWNER, HERE) == PAYLOAD


# Time goes backwards: restart from a file, fail-over


async def test_r14_a_ticket_that_comes_back_from_a_file_is_fenced(node: Node, store, ticket) -> None:
    spent = await put(store)
    node.client.set("twin", "good")
    node.client.save()
    assert await store.take(spent, OWNER, HERE) == PAYLOAD
    assert node.client.getdel("twin") == b"good"
    node.kill()
    node.start()
    assert await outcome(store.take(spent, THIEF, HERE)) == "fenced"
    assert await outcome(store.take(spent, OWNER, HERE)) == "unknown"
    assert await outcome(store.take(ticket, OWNER, HERE)) == "fenced"
    assert node.client.getdel("twin") == b"good", "the twin was to be replayed"
    assert await store.take(await put(store), OWNER, HERE) == PAYLOAD


async def test_without_the_fence_it_would_be_replayed(node: Node, prefix) -> None:
    unfenced = RedisStore(node.url, prefix=prefix, fence="off")
    spent = await put(unfenced)
    node.client.save()
    await unfenced.take(spent, OWNER, HERE)
    node.kill()
    node.start()
    assert await unfenced.take(spent, THIEF, HERE) == PAYLOAD


async def test_r14_of_two_primaries_only_the_one_that_issued_a_ticket_takes_it(
    node: Node, replica: Node, store, ticket, prefix
) -> None:
    node.client.set("twin", "good")
    node.replicate()
    replica.client.replicaof("NO", "ONE")
    promoted = RedisStore(replica.url, prefix=prefix)
    assert await outcome(promoted.take(ticket, THIEF, HERE)) == "fenced"
    assert await store.take(ticket, OWNER, HERE) == PAYLOAD
    assert [one.client.getdel("twin") for one in (replica, node)] == [b"good", b"good"], "the twin was to be replayed"


@contextlib.contextmanager
def lagging(primary: Node, *replicas: Node, key: str = "twin") -> Iterator[None]:
    """What the primary does meanwhile never reaches the replicas: it dies at the end."""
    primary.replicate(len(replicas), key)
    with contextlib.ExitStack() as stack:
        for replica in replicas:
            stack.enter_context(replica.paused())
        primary.client.execute_command("CLIENT", "KILL", "TYPE", "replica")
        yield
        primary.kill()


async def never_ok(store: RedisStore, *tickets: TicketValue) -> None:
    """Each is refused for good, as soon as the store answers at all."""
    for ticket in tickets:
        with pytest.raises(NotAuthenticated):
            await eventually(lambda ticket=ticket: store.take(ticket, THIEF, HERE), Unavailable, 10)  # type: ignore[misc]


@pytest.fixture
def healed(sentinels: Sentinels) -> Iterator[Sentinels]:
    """Sentinels and nodes; whole again for the next test."""
    yield sentinels
    for node in sentinels.nodes:
        node.start_again()
    sentinels.heal()


async def test_r14_after_a_sentinel_fail_over_no_ticket_is_good_and_new_ones_are(healed: Sentinels, prefix) -> None:
    store = RedisStore(healed.url, prefix=prefix)
    spent, outstanding = await put(store), await put(store)
    await store.take(spent, OWNER, HERE)
    await asyncio.to_thread(healed.fail_over)
    await never_ok(store, spent, outstanding)
    fresh = await eventually(lambda: put(store), Unavailable, 5)
    assert await store.take(fresh, OWNER, HERE) == PAYLOAD


async def test_r14_a_lagging_replica_that_is_promoted_brings_no_ticket_back(healed: Sentinels, prefix) -> None:
    store = RedisStore(healed.url, prefix=prefix)
    spent, outstanding = await put(store), await put(store)
    primary = healed.primary
    primary.client.set("twin", "good")
    with lagging(primary, *(node for node in healed.nodes if node is not primary)):
        await store.take(spent, OWNER, HERE)
        assert primary.client.getdel("twin") == b"good"
    await asyncio.to_thread(healed.fail_over)
    await never_ok(store, spent, outstanding)
    assert healed.primary.client.getdel("twin") == b"good", "the twin was to be replayed"
    fresh = await eventually(lambda: put(store), Unavailable, 5)
    assert await store.take(fresh, OWNER, HERE) == PAYLOAD


@pytest.mark.parametrize("dead", [0, 1, 2])
async def test_a_dead_sentinel_is_passed_over(sentinels: Sentinels, prefix, dead: int) -> None:
    with sentinels.others[dead].paused():
        store = RedisStore(sentinels.url, prefix=prefix)
        assert await store.take(await put(store), OWNER, HERE) == PAYLOAD


async def test_no_sentinel_is_a_refusal_in_time(sentinels: Sentinels, prefix) -> None:
    with contextlib.ExitStack() as silent:
        for sentinel in sentinels.others:
            silent.enter_context(sentinel.paused())
        async with unavailable("redis_unreachable"):
            await put(RedisStore(sentinels.url, prefix=prefix))


@pytest.fixture
def whole(cluster: Cluster) -> Iterator[Cluster]:
    """A Cluster; whole again for the next test."""
    yield cluster
    for node in cluster.nodes:
        node.start_again()
    cluster.heal()


async def test_r14_after_a_cluster_fail_over_no_ticket_is_good_and_new_ones_are(whole: Cluster, prefix) -> None:
    store = RedisStore(whole.url, prefix=prefix)
    spent, outstanding = await put(store), await put(store)
    await store.take(spent, OWNER, HERE)
    replica = whole.replica_of(whole.primary_of(f"{{{prefix}}}:t"))
    replica.client.execute_command("CLUSTER", "FAILOVER")
    until(lambda: replica.info("replication")["role"] == "master")
    await never_ok(store, spent, outstanding)
    fresh = await eventually(lambda: put(store), Unavailable, 5)
    assert await store.take(fresh, OWNER, HERE) == PAYLOAD


async def test_r14_a_lagging_replica_of_a_cluster_brings_no_ticket_back(whole: Cluster, prefix) -> None:
    store = RedisStore(whole.url, prefix=prefix)
    spent, outstanding = await put(store), await put(store)
    primary, twin = whole.primary_of(f"{{{prefix}}}:t"), f"{{{prefix}}}:twin"
    replica = whole.replica_of(primary)
    primary.client.set(twin, "good")
    with lagging(primary, replica, key=twin):
        await store.take(spent, OWNER, HERE)
        assert primary.client.getdel(twin) == b"good"
    replica.client.execute_command("CLUSTER", "FAILOVER", "TAKEOVER")
    await never_ok(store, spent, outstanding)
    assert replica.client.getdel(twin) == b"good", "the twin was to be replayed"
    fresh = await eventually(lambda: put(store), Unavailable, 5)
    assert await store.take(fresh, OWNER, HERE) == PAYLOAD


async def test_a_restart_in_a_cluster_is_a_refusal_whatever_its_client_makes_of_it(whole: Cluster, prefix) -> None:
    store = RedisStore(whole.url, prefix=prefix)
    primary = whole.primary_of(f"{{{prefix}}}:t")
    await asyncio.gather(*(put(store) for _ in range(40)))
    for _ in range(3):
        primary.kill()
        calls = [asyncio.create_task(outcome(put(store))) for _ in range(40)]
        await asyncio.sleep(0)
        primary.start()
        calls += [asyncio.create_task(outcome(put(store))) for _ in range(40)]
        answers = await asyncio.gather(*calls, return_exceptions=True)
        assert not [answer for answer in answers if isinstance(answer, Exception)]


async def test_a_cluster_that_is_away_is_a_refusal_like_any_other(prefix) -> None:
    with Node("cluster-enabled yes", f"cluster-port {free_port()}") as alone:
        store = RedisStore(alone.url.replace("redis:", "redis+cluster:").removesuffix("/0"), prefix=prefix)
        async with unavailable("redis_unreachable"):
            await put(store)
        alone.kill()
        async with unavailable("redis_unreachable"):
            await put(store)


# The reply is lost


@pytest.mark.parametrize("then", ["drop", "silence"])
async def test_r15_a_lost_reply_neither_spends_twice_nor_burns_the_ticket(
    node: Node, store, ticket, prefix, then
) -> None:
    async with Proxy(node) as proxy:
        through = RedisStore(proxy.url, prefix=prefix)
        await through.ping()
        proxy.lose_a_reply(then)
        assert await through.take(ticket, OWNER, HERE) == PAYLOAD
        assert proxy.lost.is_set()
    assert await outcome(store.take(ticket, THIEF, HERE)) == "replay"


async def test_the_twin_burns_a_ticket_whose_reply_is_lost(node: Node) -> None:
    node.client.set("twin", "good")
    async with Proxy(node) as proxy, Redis(port=proxy.port, retry=Retry(NoBackoff(), 1)) as twin:
        await twin.ping()
        proxy.lose_a_reply("drop")
        assert await twin.getdel("twin") is None


@pytest.mark.parametrize("then", ["drop", "silence"])
async def test_r15_an_issue_whose_reply_is_lost_is_issued_and_counted_once(node: Node, store, prefix, then) -> None:
    async with Proxy(node) as proxy:
        through = RedisStore(proxy.url, prefix=prefix)
        await put(through)
        proxy.lose_a_reply(then)
        ticket = await put(through, *ONE)
        assert proxy.lost.is_set()
    assert await store.take(ticket, OWNER, HERE) == PAYLOAD
    assert set(Topology([node], "").kept(prefix).values()) >= {b"1"}
    with pytest.raises(TooMany):
        await put(store, *ONE)


class WithoutEval(Proxy):
    """Breaks a connection on which a script comes by its text."""

    async def _request(self, link: Link, chunk: bytes) -> bytes:
        if b"\r\nEVAL\r\n" in chunk:
            raise ConnectionAbortedError
        return chunk


async def test_a_call_that_has_to_be_repeated_and_fails_takes_no_answer_from_others(node: Node, prefix) -> None:
    async with WithoutEval(node) as proxy:
        direct, through = (RedisStore(url, prefix=prefix) for url in (node.url, proxy.url))
        ticket = await put(direct)
        node.client.script_flush()
        await outcome(direct.take(new_ticket(), OWNER, HERE))  # so that the one script is known, and the other is not
        taken, kept = await asyncio.gather(
            outcome(through.take(ticket, OWNER, HERE)), outcome(through.put(new_ticket(), PAYLOAD, 30, ()))
        )
    assert (taken, kept) == (PAYLOAD, "redis_unreachable")


# The caller is gone


async def test_a_cancelled_take_leaves_the_pool_usable_and_its_reply_to_nobody(node: Node, prefix) -> None:
    async with Proxy(node) as proxy:
        store = RedisStore(proxy.url, prefix=prefix, pool_size=1)
        for n in range(5):
            cancelled, next_one = new_ticket(), new_ticket()
            await store.put(cancelled, b"cancelled", 30, ())
            await store.put(next_one, str(n).encode(), 30, ())
            proxy.lose_a_reply("silence")
            take = asyncio.create_task(store.take(cancelled, OWNER, HERE))
            await proxy.lost.wait()
            take.cancel()
            assert await store.take(next_one, OWNER, HERE) == str(n).encode()
            assert take.cancelled()


async def test_takes_that_are_cancelled_anywhere_mix_no_replies(node: Node, prefix) -> None:
    store = RedisStore(node.url, prefix=prefix, pool_size=2)
    tickets = [new_ticket() for _ in range(60)]
    for ticket in tickets:
        await store.put(ticket, ticket.encode(), 30, ())
    takes = [asyncio.create_task(store.take(ticket, OWNER, HERE)) for ticket in tickets]
    for take in takes[::2]:
        take.cancel()
        await asyncio.sleep(0)
    answers = await asyncio.gather(*takes, return_exceptions=True)
    assert answers[1::2] == [ticket.encode() for ticket in tickets[1::2]]
    assert await store.take(await put(store), OWNER, HERE) == PAYLOAD
