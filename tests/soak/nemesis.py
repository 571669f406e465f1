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
            assert await self._within(60, self._topology.whole), f"they do not recover: {self.events[-5:]}"
            if time.monotonic() > ends:
                return
            self._primary = await asyncio.to_thread(self._topology.primary_of, self._key)
            self._replicas = await asyncio.to_thread(self._topology.replicas_of, self._primary)
            async with contextlib.AsyncExitStack() as recovery:
                await fault(recovery)
            self._log("recovery")
            await self._suffered("replay", 40)

    def _generator(self) -> Iterator[Fault]:
        """Faults like a pack of cards: shuffled, and each comes before any comes again."""
        while True:
            pack: list[Fault] = [self._order(fate, lagging=True) for fate in FATES]
            pack += [self._order(self._rng.choice(FATES), lagging=False)]
            pack += [self._restart_from_a_file, self._pause, self._lose_a_replica, self._lose_replies]
            self._rng.shuffle(pack)
            yield from pack

    def _order(self, fate: str, *, lagging: bool) -> Fault:
        """A fail-over, by order of this kind first, or by what the servers do of themselves."""
        how = self._rng.choice(["FORCE", "TAKEOVER", "by themselves"])
        if fate == "left alone" and how == "by themselves":
            how = "TAKEOVER" if lagging else ""
        return partial(self._fail_over, fate=fate, how=how, lagging=lagging)

    async def _fail_over(self, recovery: contextlib.AsyncExitStack, *, fate: str, how: str, lagging: bool) -> None:
        old = self._primary
        if lagging:
            self._log("replicas hear no more of", old)
            recovery.enter_context(self._network.cut(lambda link: link.kind == "replication" and link.node is old))
            await self._suffered("accepted", 12)
        self._log("primary", old, "is", fate)
        if fate == "killed":
            self._kill(old, recovery)
        elif fate == "paused":
            recovery.enter_context(old.paused())
        elif fate != "left alone":
            recovery.enter_context(self._network.isolated(old, clients="clients" in fate))
        await self._promote(how)
        await self._suffered("replay", 80)

    async def _promote(self, how: str) -> None:
        for order in (how, how, "TAKEOVER", "TAKEOVER", "TAKEOVER"):
            if order != "by themselves":
                with contextlib.suppress(RedisError, OSError):
                    await asyncio.to_thread(self._topology.order_fail_over, self._replicas[0], order)
            if await self._within(3, self._promoted):
                self.faults["fail-over"] += 1
                self._log("fail-over", f"({order})")
                return
        self._log("no fail-over")

    def _promoted(self) -> bool:
        return any(replica.info("replication")["role"] == "master" for replica in self._replicas)

    async def _restart_from_a_file(self, recovery: contextlib.AsyncExitStack) -> None:
        """A crash, and what was spent since the last snapshot is good again."""
        await asyncio.to_thread(self._primary.client.save)
        self._log("snapshot of", self._primary)
        await self._suffered("accepted", 12)
        self._log("crash of", self._primary)
        self._kill(self._primary, recovery)

    async def _pause(self, recovery: contextlib.AsyncExitStack) -> None:
        self._log("pause of", self._primary)
        recovery.enter_context(self._primary.paused())
        await self._suffered("replay", 40)

    async def _lose_a_replica(self, recovery: contextlib.AsyncExitStack) -> None:
        replica = self._replicas[-1]
        self._log("partition of replica", replica)
        recovery.enter_context(self._network.isolated(replica))
        await self._suffered("accepted", 12)
        self._log("crash of replica", replica)
        self._kill(replica, recovery)

    async def _lose_replies(self, recovery: contextlib.AsyncExitStack) -> None:
        """One after the other: swallowed, or with the connection."""
        door = self._primary.door
        assert door
        for _ in range(20):
            door.lose_a_reply(self._rng.choice(["drop", "silence"]))
            self.faults["lost reply"] += await self._within(1, door.lost.is_set)
        self._log("lost replies of", self._primary)

    def _kill(self, node: Node, recovery: contextlib.AsyncExitStack) -> None:
        self.faults["kill"] += 1
        node.kill()
        recovery.push_async_callback(asyncio.to_thread, node.start)

    async def _suffered(self, what: str, count: int) -> None:
        """Wait until every workload has had so many more of these; some faults are in the way of it."""
        goals = [(workload.checker.counts, workload.checker.counts[what] + count) for workload in self._workloads]
        await self._within(5, lambda: all(counts[what] >= goal for counts, goal in goals))

    async def _within(self, seconds: float, condition: Callable[[], bool]) -> bool:
        ends = time.monotonic() + seconds
        while not await asyncio.to_thread(_holds, condition):
            if time.monotonic() > ends:
                return False
            await asyncio.sleep(0.02)
        return True

    def _log(self, *words: Any) -> None:
        names = {id(node): f"node {n}" for n, node in enumerate(self._topology.nodes)}
        self.events.append((time.monotonic(), " ".join(names.get(id(word), str(word)) for word in words)))


def _holds(condition: Callable[[], bool]) -> bool:
    """A server that does not answer, or does not know, is a no."""
    with contextlib.suppress(RedisError, OSError, StopIteration):
        return condition()
    return False
