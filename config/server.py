"""uvicorn's server, but that it leaves in order: stock uvicorn closes all sockets at once at a SIGTERM.

At the first signal a worker refuses handshakes, says so at `/readyz`, and closes its sockets one after the other over
`DRAIN_SECONDS`, while it answers everything else. A second signal ends it at once.

Where there are several, their parent alone counts: whoever signals a whole process group (systemd, a terminal) reaches
the workers too, and once more by their parent, which passes on what it got.
"""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from types import FrameType

import uvicorn
from django.conf import settings
from uvicorn.supervisors import multiprocess

from .protocol import WebSocketProtocol

REQUEST_SECONDS = 5
"""That requests which are being answered have after `DRAIN_SECONDS`."""

CONSUMER_SECONDS = 1
"""That a consumer has to end by itself once its client was told."""

LAST_SECONDS = 1
"""That what is left has, when everybody has been told and answered: threads, and consumers that cannot be cancelled."""

ENDS_AT_ONCE = signal.SIGQUIT
"""By which a parent passes on the second signal."""

MARGIN = REQUEST_SECONDS + CONSUMER_SECONDS + LAST_SECONDS + 3
"""Seconds after `DRAIN_SECONDS` at which the process is gone, whatever holds it."""


class Server(uvicorn.Server):
    """One worker."""

    _deadlines: tuple[threading.Timer, ...] = ()

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until a signal comes."""
        super().run(sockets)
        for deadline in self._deadlines:
            deadline.cancel()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the port. What is there by now stays: the garbage collector need not look through it time and again."""
        await super().startup(sockets)
        gc.collect()
        gc.freeze()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal has come. It is not raised again when all is done: leaving in order is no failure."""
        of_several = multiprocessing.parent_process() is not None
        if of_several and sig != ENDS_AT_ONCE and (sig == signal.SIGINT or self.should_exit):
            return
        self.force_exit = self.should_exit or sig == ENDS_AT_ONCE
        self.should_exit = True
        seconds = LAST_SECONDS if self.force_exit else settings.DRAIN_SECONDS + MARGIN
        self._deadlines += (_end_within(seconds, 1),)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Leave in order, then as uvicorn does: it closes the port, and waits for requests that are being answered."""
        from ticketauth.drain import drain

        await self._unless_forced(asyncio.create_task(drain(settings.DRAIN_SECONDS)))
        await self._unless_forced(*WebSocketProtocol.consumers, within=CONSUMER_SECONDS)
        # Those that are busy still are cancelled with the loop.
        await super().shutdown(sockets)
        self._deadlines += (_end_within(LAST_SECONDS, 0),)

    async def _unless_forced(self, *tasks: asyncio.Task[None], within: float = float("inf")) -> None:
        """Wait for tasks, until a second signal comes."""
        ends = time.monotonic() + within
        waiting = set(tasks)
        while waiting and not self.force_exit and time.monotonic() < ends:
            _, waiting = await asyncio.wait(waiting, timeout=0.1)


def _end_within(seconds: float, code: int) -> threading.Timer:
    """End the process then, whatever holds it: a thread that waits for a silent server, say."""
    timer = threading.Timer(seconds, os._exit, (code,))
    timer.daemon = True
    timer.start()
    return timer


class Worker(multiprocess.Process):
    """A process with our server in it."""

    @property
    def server(self) -> uvicorn.Server:
        """Made in the process itself."""
        if self._server is None:
            self._server = Server(self.config)
        return self._server

    def target(self, sockets: list[socket.socket] | None = None) -> None:
        """What runs in it."""
        signal.signal(ENDS_AT_ONCE, self.server.handle_exit)
        super().target(sockets)
        _end_within(LAST_SECONDS, 0)


# The supervisor makes its processes by this name, in four places.
multiprocess.Process = Worker  # type: ignore[misc]


class Workers(multiprocess.Multiprocess):
    """The parent of several. A worker that dies is replaced."""

    def join_all(self) -> None:
        """Wait for them. A second signal ends them at once."""
        ends = time.monotonic() + settings.DRAIN_SECONDS + MARGIN + 1
        while any(worker.process.is_alive() for worker in self.processes):
            while self.signal_queue:
                # A terminal that changes its size or goes away is none.
                if self.signal_queue.pop() in {signal.SIGINT, signal.SIGTERM}:
                    self._end_all_at_once()
            if time.monotonic() > ends:
                # Frozen: its own clock does not run.
                for worker in self.processes:
                    worker.kill()
            time.sleep(0.05)

    def _end_all_at_once(self) -> None:
        for worker in self.processes:
            if worker.process.is_alive() and worker.pid is not None:
                os.kill(worker.pid, ENDS_AT_ONCE)


def run(config: uvicorn.Config) -> None:
    """Serve until a signal comes. Ends the process with 1 where it could not start, or not leave in order."""
    if config.workers == 1:
        server = Server(config)
        server.run()
        failed = not server.started
        _end_within(LAST_SECONDS, int(failed))
    else:
        workers = Workers(config, [config.bind_socket()])
        workers.run()
        # One that was still starting had nobody to end in order.
        ended = {0, -signal.SIGTERM, -ENDS_AT_ONCE}
        failed = any(worker.exitcode not in ended for worker in workers.processes)
    sys.exit(1 if failed else 0)
