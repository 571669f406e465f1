"""What is published, heard once per worker and given to its sockets.

A worker has one channel of the channel layer, and is one member of a group, however many sockets it has. With a channel
for each socket every message to everyone carries the names of all of them, and the socket that waits for the layer just
then is closed when Redis goes away, and the next one after it.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections import deque
from contextlib import suppress
from typing import Any

from channels.layers import get_channel_layer
from redis.exceptions import RedisError

from ticketauth.loops import PerLoop

JOIN_SECONDS = 1.2
"""That the channel layer has to take a worker into a group. Its connections wait for messages: they never give up."""

REJOIN_SECONDS = 60
"""After which a worker joins all its groups again: a server that has lost them says nothing."""

MOST_ASKING = 20
"""Groups that are joined and left at the same time. Each takes a connection of the channel layer's pool, of which
redis-py's default is a hundred: what is published and what is heard need theirs.
"""

PAUSE_SECONDS = 1
"""Between attempts to hear something while the channel layer fails."""

MOST_WAITING = 1024 * 1024
"""Characters that wait for one socket whose peer does not read. Beyond it the oldest messages are dropped."""

MOST_REMEMBERED = 1000
"""Messages that are known again when the layer brings them twice."""

_log = logging.getLogger("ticketauth")


class Mailbox:
    """What waits for one socket.

    Args:
        sid: Of its login; empty where it has none here.
    """

    __slots__ = ("_filled", "_frames", "_size", "sid")

    def __init__(self, sid: str = "") -> None:
        self.sid = sid
        self._frames: deque[str] = deque()
        self._size = 0
        self._filled = asyncio.Event()

    def put(self, frame: str) -> None:
        """Add a message."""
        self._frames.append(frame)
        self._size += len(frame)
        while self._size > MOST_WAITING:
            self._size -= len(self._frames.popleft())
        self._filled.set()

    async def get(self) -> dict[str, Any]:
        """The next message, for the consumer's method `push`."""
        await self._filled.wait()
        frame = self._frames.popleft()
        self._size -= len(frame)
        if not self._frames:
            self._filled.clear()
        return {"type": "push", "frame": frame}


class _Group:
    """A group of the layer: who of this worker is in it, and whether the worker is."""

    __slots__ = ("joined", "lock", "mailboxes", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.mailboxes: set[Mailbox] = set()
        self.joined = False
        # Joining and leaving, by sockets that come and go, must not overtake one another.
        self.lock = asyncio.Lock()


class Listener:
    """Hears for all sockets of a worker. Runs while there are any.

    Args:
        layer: The channel layer.
    """

    def __init__(self, layer: Any) -> None:
        self._layer = layer
        self._channel = ""
        self._groups: dict[str, _Group] = {}
        self._heard: dict[str, None] = {}
        self._starting = asyncio.Lock()
        self._asking = asyncio.Semaphore(MOST_ASKING)
        self._running: asyncio.Task[None] | None = None
        self._failing = False

    async def join(self, mailbox: Mailbox, *names: str) -> None:
        """Put into a mailbox, from now on, what is published to some groups.

        Raises:
            RedisError: The layer cannot be asked.
            OSError: It cannot be reached, or (`TimeoutError`) does not answer in `JOIN_SECONDS`.
        """
        groups = [self._groups.setdefault(name, _Group(name)) for name in names]
        for group in groups:
            group.mailboxes.add(mailbox)
        async with asyncio.timeout(JOIN_SECONDS):
            async with self._starting:
                await self._start()
            await asyncio.gather(*(self._enter(group) for group in groups))

    async def leave(self, mailbox: Mailbox, *names: str) -> None:
        """No more. Where the layer does not hear of it, the worker stays a member until `group_expiry`."""
        groups = [self._groups[name] for name in names if name in self._groups]
        for group in groups:
            group.mailboxes.discard(mailbox)
        with suppress(RedisError, OSError):
            async with asyncio.timeout(JOIN_SECONDS):
                await asyncio.gather(*(self._exit(group) for group in groups))
        if not self._groups:
            await self.aclose()

    async def aclose(self) -> None:
        """Stop."""
        if self._running is not None:
            self._running.cancel()
            self._running = None

    async def _start(self) -> None:
        if self._running is None:
            self._channel = await self._layer.new_channel()
            # A context of its own: the thread that a request brings along ends with that request.
            self._running = asyncio.create_task(self._run(), context=contextvars.Context())

    async def _enter(self, group: _Group) -> None:
        async with group.lock:
            if not group.joined:
                async with self._asking:
                    await self._add(group)

    async def _add(self, group: _Group) -> None:
        # Each by itself: who waits for several goes when one of them fails, and the others would hold their locks.
        async with asyncio.timeout(JOIN_SECONDS):
            await self._layer.group_add(group.name, self._channel)
        group.joined = True

    async def _exit(self, group: _Group) -> None:
        try:
            async with group.lock:
                if group.joined and not group.mailboxes:
                    group.joined = False
                    async with self._asking, asyncio.timeout(JOIN_SECONDS):
                        await self._layer.group_discard(group.name, self._channel)
        finally:
            if not group.mailboxes and self._groups.get(group.name) is group:
                del self._groups[group.name]

    async def _run(self) -> None:
        """Hear, and stay in the groups. When one fails, both begin anew."""
        pause: float = REJOIN_SECONDS
        own = asyncio.current_task()
        # redis-py swallows cancellations (before Python 3.12): who was stopped sees it here.
        while self._running is own:
            try:
                await self._stay(pause)
            except (RedisError, OSError) as error:
                if not self._failing:
                    _log.warning("events are not heard: %s", type(error).__name__)
                self._failing = True
            except Exception:  # noqa: BLE001 -- its sockets would hear nothing any more
                _log.exception("events are not heard")
            if self._running is own:
                for group in self._groups.values():
                    group.joined = False
                await asyncio.sleep(PAUSE_SECONDS)
                pause = 0

    async def _stay(self, pause: float) -> None:
        """Until it fails, or is stopped. After a pause, and from then on now and then, all groups are joined anew."""
        own, hearing = asyncio.current_task(), asyncio.create_task(self._hear())
        # Where joining fails first, nobody looks at it, and asyncio logs what nobody looks at.
        hearing.add_done_callback(lambda hearing: hearing.cancelled() or hearing.exception())
        try:
            while self._running is own and not (await asyncio.wait([hearing], timeout=pause))[0]:
                await self._enter_all()
                pause, self._failing = REJOIN_SECONDS, False
            if self._running is own:
                hearing.result()
        finally:
            hearing.cancel()

    async def _hear(self) -> None:
        while True:
            self._deliver(await self._layer.receive(self._channel))

    async def _enter_all(self) -> None:
        # One after the other: there may be thousands, and nobody waits. Nor does this wait for its turn among sockets
        # that come: it would give up, and hear nothing until it begins anew.
        for group in list(self._groups.values()):
            async with group.lock:
                await self._add(group)

    def _deliver(self, message: dict[str, Any]) -> None:
        if message["id"] in self._heard:
            return
        self._heard[message["id"]] = None
        if len(self._heard) > MOST_REMEMBERED:
            del self._heard[next(iter(self._heard))]
        group = self._groups.get(message["group"])
        for mailbox in group.mailboxes if group else ():
            if message["sid"] in {"", mailbox.sid}:
                mailbox.put(message["frame"])


async def _close_all(listeners: dict[Any, Listener]) -> None:
    for listener in listeners.values():
        await listener.aclose()


_by_layer: PerLoop[dict[Any, Listener]] = PerLoop(dict, _close_all)


async def of_this_worker() -> Listener:
    """The listener of the running loop, at the project's channel layer.

    Raises:
        RuntimeError: There is no channel layer.
    """
    layer = get_channel_layer()
    if layer is None:
        raise RuntimeError("CHANNEL_LAYERS is not set")
    listeners = await _by_layer.get()
    return listeners.setdefault(layer, Listener(layer))
