"""A trial: workloads and a nemesis on one kind of servers. All kinds are tried at once; and what is said of it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from tests.servers import Cluster, Door, Network, Sentinels, in_a_thread
from ticketauth.stores.redis import RedisStore

from .nemesis import Nemesis
from .workload import GetDel, Workload, seeded

PREFIX = "soak"
PATIENCE = 2
STARTS: list[tuple[Callable[[Sequence[Door], float], Sentinels | Cluster], int]] = [(Sentinels, 3), (Cluster, 12)]
"""What starts the servers of a trial, and how many doors they need."""

COLUMNS = ("tickets", "accepts", "refused by fence", "unavailable", "spent twice")


class Trial:
    """Our tickets and the twin's, side by side on the same nodes under the same faults."""

    def __init__(self, topology: Sentinels | Cluster, network: Network, seed: int) -> None:
        self.name = type(topology).__name__
        name = f"{seed} {self.name}"
        self._workloads = [Workload(topology, partial(kind, prefix=PREFIX), name) for kind in (RedisStore, GetDel)]
        self.ours, self.twins = (workload.checker for workload in self._workloads)
        self.nemesis = Nemesis(topology, network, f"{{{PREFIX}}}", self._workloads, seeded(name))

    @property
    def spent_twice(self) -> tuple[int, int]:
        """How many tickets: of ours, of the twin's."""
        return self.ours.counts["spent twice"], self.twins.counts["spent twice"]

    async def run(self, seconds: float) -> None:
        """Let the nemesis loose for so long, and see every ticket to its end."""
        async with asyncio.TaskGroup() as group:
            for workload in self._workloads:
                group.create_task(workload.run())
            await self.nemesis.run(seconds)
            for workload in self._workloads:
                workload.over.set()

    def rows(self) -> Iterator[tuple[object, ...]]:
        for name, checker in (("ours", self.ours), ("GETDEL", self.twins)):
            yield f"{self.name}, {name}", *(checker.counts[column] for column in COLUMNS)

    def told(self, ticket: str) -> Iterator[str]:
        """The history of a ticket of ours with which a promise was broken."""
        ops = self.ours.broken[ticket]
        begins, ends = ops[0].invoked, max(op.completed for op in ops)
        lines = [(op.completed, str(op)) for op in ops]
        lines += [(when, f"nemesis: {event}") for when, event in self.nemesis.events if begins - 5 < when < ends]
        yield f"{self.name}, ticket {ticket}:"
        yield from (f"{when - begins:8.3f} s  {line}" for when, line in sorted(lines))


@dataclass
class Soak:
    """All trials of one seed."""

    trials: Sequence[Trial]
    seed: int
    minutes: float
    began: float = field(default_factory=time.monotonic)

    @property
    def broken(self) -> bool:
        """Whether a promise of ours was broken."""
        return any(trial.ours.broken for trial in self.trials)

    async def run(self) -> None:
        """Run all trials at the same time."""
        async with asyncio.TaskGroup() as group:
            for trial in self.trials:
                group.create_task(trial.run(self.minutes * 60))

    @property
    def progress(self) -> str:
        """All of it in a line."""
        tickets = sum(trial.ours.counts["tickets"] for trial in self.trials)
        fail_overs = sum(trial.nemesis.faults["fail-over"] for trial in self.trials)
        ours, twins = (sum(counts) for counts in zip(*(trial.spent_twice for trial in self.trials), strict=True))
        return (
            f"{(time.monotonic() - self.began) / 60:.0f} min: {tickets} tickets, {fail_overs} fail-overs; "
            f"spent twice: ours {ours}, GETDEL {twins}"
        )

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        took = time.monotonic() - self.began
        again = f"make soak MINUTES={self.minutes:g} SEED={self.seed}"
        yield f"Seed {self.seed}, {took:.0f} s; the same faults once more, at other moments: {again}"
        for row in (("", *COLUMNS), *(row for trial in self.trials for row in trial.rows())):
            yield f"{row[0]:18}" + "".join(f"{cell:>18}" for cell in row[1:])
        for trial in self.trials:
            faults = ", ".join(f"{count} {fault}" for fault, count in sorted(trial.nemesis.faults.items()))
            yield f"{trial.name}: {faults}"
            for ticket in itertools.islice(trial.ours.broken, 3):
                yield from trial.told(ticket)


@contextlib.contextmanager
def soak(seed: int, minutes: float) -> Iterator[Soak]:
    """Servers of every kind, each node behind doors, with all that is to happen to them."""
    with contextlib.ExitStack() as stack:
        trials = []
        for start, doors in STARTS:
            network = stack.enter_context(in_a_thread(Network(doors)))
            topology = start(network.doors, PATIENCE)
            stack.callback(topology.stop)
            trials.append(Trial(topology, network, seed))
        yield Soak(trials, seed, minutes)
