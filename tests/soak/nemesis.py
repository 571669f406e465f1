"""The nemesis: kills, pauses, partitions and fail-overs, dealt by a seeded generator."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import Any

from redis.exceptions import RedisError

from tests.servers import Cluster, Network, Node, Sentinels

from .workload import Workload

Fault = Callable[[contextlib.AsyncExitStack], Awaitable[None]]

FATES = ("killed", "paused", "partitioned", "partitioned from clients too", "left alone")
"""What becomes of a primary while another is promoted in its place."""


class Nemesis:
    """Injects one fault after the other, and lets the servers recover in between.

    It waits for what makes a fault count: that tickets are spent while no replica hears of it, and that spent ones are
    replayed after another node was promoted or an old one came back. So the twin's failure does not hang on chance.

    Args:
        topology: The victims.
        network: What lies between them.
        key: The nodes that keep it are the ones to attack.
        workloads: Those that suffer.
        rng: Deals the faults.

    Attributes:
        events: What was done, and when.
        faults: How many of each kind.
    """

    def __init__(
        self,
        topology: Sentinels | Cluster,
        network: Network,
        key: str,
        workloads: Sequence[Workload],
        rng: random.Random,
    ) -> None:
        self.events: list[tuple[float, str]] = []
        self.faults: Counter[str] = Counter()
        self._topology = topology
        self._network = network
        self._key = key
        self._workloads = workloads
        self._rng = rng
        self._primary: Node
        self._replicas: list[Node]

    async def run(self, seconds: float) -> None:
        """Inject for so long, and leave everything whole."""
        ends = time.monotonic() + seconds
        for fault in self._generator():
            assert await self._within(60, self._finds_them_whole), f"no recovery: {self.events[-5:]}"
            if time.monotonic() > ends:
                return
            async with contextlib.AsyncExitStack() as recovery:
                await fault(recovery)
            self._log("recovery")
            await self._suffered("replay", 40)

    def _finds_them_whole(self) -> bool:
        if not self._topology.whole():
            return False
        self._primary = self._topology.primary_of(self._key)
        self._replicas = self._topology.replicas_of(self._primary)
        return True

    def _generator(self) -> Iterator[Fault]:
        """Faults like a pack of cards: shuffled, and each comes before any comes again."""
        while True:
            pack: list[Fault] = [self._a_fail_over(fate, lagging=True) for fate in FATES]
            pack += [self._a_fail_over(self._rng.choice(FATES), lagging=False)]
            pack += [self._restart_from_a_file, self._pause, self._lose_a_replica, self._lose_replies]
            self._rng.shuffle(pack)
            yield from pack

    def _a_fail_over(self, fate: str, *, lagging: bool) -> Fault:
        orders = self._topology.orders
        order = self._rng.choice([*orders, ""] if fate != "left alone" else orders)
        return partial(self._fail_over, fate, order, lagging)

    async def _fail_over(self, fate: str, order: str, lagging: bool, recovery: contextlib.AsyncExitStack) -> None:
        """By this order; or by what the servers do of themselves, and only then by order."""
        old = self._primary
        if lagging:
            self._log("replicas hear no more of", old)
            recovery.enter_context(self._network.cut(lambda link: link.kind == "replication" and link.node is old))
            await self._suffered("accepts", 12)
        self._strike(old, fate, recovery)
        for attempt in (order, order, *[self._topology.orders[-1]] * 3):
            if attempt:
                await self._within(1, partial(self._obeyed, attempt))
            if await self._within(3, self._promoted):
                self.faults["fail-over"] += 1
                self._log(attempt or "fail-over by themselves")
                break
        await self._suffered("replay", 80)

    def _obeyed(self, order: str) -> bool:
        self._topology.order_fail_over(order, self._replicas[0])
        return True

    def _promoted(self) -> bool:
        return any(replica.info("replication")["role"] == "master" for replica in self._replicas)

    async def _restart_from_a_file(self, recovery: contextlib.AsyncExitStack) -> None:
        """What was spent since the snapshot is good again."""
        if await self._within(5, self._primary.client.save):
            self._log("snapshot of", self._primary)
        await self._suffered("accepts", 12)
        self._strike(self._primary, "killed", recovery)

    async def _pause(self, recovery: contextlib.AsyncExitStack) -> None:
        self._strike(self._primary, "paused", recovery)
        await self._suffered("replay", 40)

    async def _lose_a_replica(self, recovery: contextlib.AsyncExitStack) -> None:
        self._strike(self._replicas[-1], "partitioned", recovery)
        await self._suffered("accepts", 12)
        self._strike(self._replicas[-1], "killed", recovery)

    async def _lose_replies(self, recovery: contextlib.AsyncExitStack) -> None:
        """One after the other: swallowed, or with the connection."""
        door = self._primary.door
        assert door
        for _ in range(20):
            door.lose_a_reply(self._rng.choice(["drop", "silence"]))
            self.faults["lost reply"] += await self._within(1, door.lost.is_set)
        self._log("lost replies of", self._primary)

    def _strike(self, node: Node, fate: str, recovery: contextlib.AsyncExitStack) -> None:
        self.faults[fate] += 1
        self._log("primary" if node is self._primary else "replica", node, "is", fate)
        if fate == "killed":
            node.kill()
            recovery.push_async_callback(asyncio.to_thread, node.start)
        elif fate == "paused":
            recovery.enter_context(node.paused())
        elif fate != "left alone":
            recovery.enter_context(self._network.isolated(node, clients="clients" in fate))

    async def _suffered(self, what: str, count: int) -> None:
        """Wait until every workload has had so many more of these; some faults are in the way of it."""
        goals = [(workload.checker.counts, workload.checker.counts[what] + count) for workload in self._workloads]
        await self._within(5, lambda: all(counts[what] >= goal for counts, goal in goals))

    async def _within(self, seconds: float, condition: Callable[[], object]) -> bool:
        ends = time.monotonic() + seconds
        while not await asyncio.to_thread(_holds, condition):
            if time.monotonic() > ends:
                return False
            await asyncio.sleep(0.05)
        return True

    def _log(self, *words: Any) -> None:
        names = {id(node): f"node {n}" for n, node in enumerate(self._topology.nodes)}
        self.events.append((time.monotonic(), " ".join(names.get(id(word), str(word)) for word in words)))


def _holds(condition: Callable[[], object]) -> bool:
    """A server that does not answer, or does not know, is a no."""
    with contextlib.suppress(RedisError, OSError, StopIteration):
        return bool(condition())
    return False
