"""The connections to the server that keeps tickets and what is known of live sockets, and the scripts that run there.

A single node, Sentinel or a Cluster. Whatever needs that server shares one client per event loop, with its care for
fail-over, time-outs and connections that went stale.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import random
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from django.conf import settings
from redis import exceptions as redis_errors
from redis.asyncio import Redis, RedisCluster, Sentinel
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import Connection, ConnectionPool, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import SentinelConnectionPool
from redis.backoff import NoBackoff

from ticketauth import conf
from ticketauth.batch import Batcher
from ticketauth.exceptions import Misconfigured, Unavailable
from ticketauth.loops import PerLoop

from .server import Server

_CONNECT_SECONDS = 0.3
_SOCKET_SECONDS = 0.5
_LANES = 4
"""Round trips at a time."""

PRIMARY = """
local function primary()
  if ARGV[1] == 'off' then return 'off' end
  local info = redis.call('INFO', 'replication')
  if not string.find(info, 'role:master', 1, true) then return nil, 'replica' end
  local id = string.match(info, 'master_replid:(%w+)')
  if not id then return nil, 'too_old' end
  return id
end
local fence, wrong = primary()
if not fence then return {wrong} end
"""


_HEARTBEAT = 2.0
"""Seconds after which a silent subscription is asked whether it lives, and those that it has to answer."""


class Script:
    """A script. What it answers is a list; where it begins with `PRIMARY` the first item is a word."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


_PUBLISH = Script("return {redis.call('PUBLISH', KEYS[1], ARGV[2])}")

_REASONS: Mapping[type[Exception], str] = {
    redis_errors.OutOfMemoryError: "redis_full",
    redis_errors.ReadOnlyError: "redis_readonly",
    redis_errors.AuthenticationError: "redis_auth",
    redis_errors.NoPermissionError: "redis_permission",
    redis_errors.BusyLoadingError: "redis_loading",
    redis_errors.ClusterDownError: "redis_cluster_down",
}
"""What redis-py tells apart -> the reason in the log. Some are connection errors to it, some answers."""

_WORDS = {
    "misconf": "redis_disk",
    "noreplicas": "redis_replicas",
    # INFO, inside the script: Valkey and Redis 7, Redis 6, and where it is renamed away.
    "no permissions": "redis_permission",
    "can't run this command": "redis_permission",
    "called from script": "redis_permission",
    "unknown command": "redis_too_old",
    "non deterministic": "redis_too_old",
}
"""Part of an error's text, in lower case -> the reason, for those that redis-py does not tell apart."""

_HINTS = {
    "redis_permission": "allow +info, +eval and +evalsha and the keys to this user, or set FENCE to 'off'",
    "redis_too_old": "the server must know EVAL and EVALSHA as Redis 6 or newer does",
}


class Client:
    """Runs scripts on the server: the connections of each event loop to it.

    Args:
        url: Where the server is; None for what the settings say.
        prefix: First part of every key.
        fence: `on`, or `off` where the server forbids INFO.
        pool_size: Connections per event loop, at most.
        deadline: Seconds that one call may take.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        prefix: str | None = None,
        fence: str | None = None,
        pool_size: int | None = None,
        deadline: float | None = None,
    ) -> None:
        given = conf.current()
        self._server, self._options = (Server.parse(url), {}) if url else configured_server()
        self._prefix = prefix or given.KEY_PREFIX
        self._fence = fence or given.FENCE
        self._pool_size = pool_size or given.REDIS_POOL_SIZE
        self._deadline = deadline or given.REDIS_DEADLINE
        self._clients: PerLoop[_Node | _Cluster] = PerLoop(self._make_client, lambda client: client.aclose())

    def key(self, kind: str, name: str) -> str:
        """The key of a thing that has a name. The name cannot be read from it.

        Keyed, so that a project that shares server and prefix with this one cannot write tickets of ours.
        """
        secret = f"ticketauth.stores.redis {settings.SECRET_KEY}".encode()
        return self.base(kind) + hmac.digest(secret, name.encode("utf-8", "surrogatepass"), "sha256").hex()

    def base(self, kind: str) -> str:
        """What keys of a kind begin with. In braces, so that a Cluster keeps all of a deployment in one slot."""
        return f"{{{self._prefix}}}:{kind}:"

    async def run(self, script: Script, keys: Sequence[str], arguments: Sequence[Any]) -> list[Any]:
        """What the script answers. `ARGV[1]` is the client's own, `arguments` follow.

        Raises:
            Unavailable: The server cannot say, or not in time.
        """
        try:
            client = await self._clients.get()
            call = _Call(script, keys, [self._fence, *arguments])
            ends = time.monotonic() + self._deadline
            try:
                reply = await client.run(call, ends)
            except redis_errors.NoScriptError:
                reply = await client.run(replace(call, by_text=True), ends)
        except (redis_errors.RedisError, redis_errors.RedisClusterException, OSError, TimeoutError) as error:
            raise _unavailable(error) from error
        if reply[0] == b"replica":
            raise Unavailable("redis_readonly")
        if reply[0] == b"too_old":
            raise Unavailable("redis_too_old")
        return reply

    async def publish(self, channel: str, message: str) -> None:
        """Say something to all who listen now, on whatever node of a Cluster.

        Args:
            channel: Its name, for `key`.
            message: A text.

        Raises:
            Unavailable: Nobody may have heard it.
        """
        await self.run(_PUBLISH, [self.key("channel", channel)], [message])

    async def listen(self, channel: str) -> AsyncGenerator[str | None, None]:
        """What is published, on a connection of its own: first None, and from then on nothing is missed.

        Args:
            channel: Its name, for `key`.

        Raises:
            Unavailable: The connection is lost, or the server silent.
        """
        key = self.key("channel", channel)
        try:
            async with _connected(self._server, self._options, self._deadline) as connection:
                silent, subscribed = True, False
                # Answered as often as it is asked. A PING would have to be permitted.
                await connection.send_command("SUBSCRIBE", key)
                while True:
                    _stop_if_cancelled()
                    reply = await connection.read_response(timeout=_HEARTBEAT)
                    if reply is None and silent:
                        raise redis_errors.TimeoutError(f"silent for {_HEARTBEAT} s")
                    silent = reply is None
                    if reply is None:
                        await connection.send_command("SUBSCRIBE", key)
                    elif reply[0] == b"message":
                        yield reply[2].decode(errors="replace")
                    elif not subscribed:
                        subscribed = True
                        yield None
        except (redis_errors.RedisError, OSError, TimeoutError) as error:
            raise _unavailable(error) from error

    def _make_client(self) -> _Node | _Cluster:
        redis = _connect(self._server, {**self._options, "max_connections": self._pool_size})
        if isinstance(redis, RedisCluster):
            return _Cluster(redis, self._pool_size)
        return _Node(redis, self._pool_size, self._deadline)


@dataclass(frozen=True, slots=True)
class _Call:
    script: Script
    keys: Sequence[str]
    arguments: Sequence[Any]
    by_text: bool = False

    def on(self, client: Any) -> Any:
        """Queue the call on a pipeline; or begin it, on a client."""
        given = (len(self.keys), *self.keys, *self.arguments)
        if self.by_text:
            return client.eval(self.script.text, *given)
        return client.evalsha(self.script.sha, *given)


_Replies = list[list[Any] | Exception]


class _Node:
    """The connections of one event loop to a single node, or to the primary that Sentinel names.

    Calls at the same time share a round trip. A few connections, so that one that went silent holds up few others.
    """

    def __init__(self, redis: Redis, pool_size: int, deadline: float) -> None:
        self._redis = redis
        self._deadline = deadline
        self._batcher: Batcher[_Call, list[Any]] = Batcher(self._answer, lanes=min(_LANES, pool_size))

    async def run(self, call: _Call, ends: float) -> list[Any]:
        reply = await self._batcher.ask(call, ends - time.monotonic())
        # Demoted while we were connected. Nothing was done there. Asked again by whoever is concerned, not for a whole
        # batch: the others have their answers, and keep them.
        return await self._batcher.ask(call, ends - time.monotonic()) if _is_of_replica(reply) else reply

    async def _answer(self, calls: Sequence[_Call]) -> _Replies:
        async with _deadline(self._deadline):
            async with self._redis.pipeline(transaction=False) as pipeline:
                for call in calls:
                    call.on(pipeline)
                replies: _Replies = await pipeline.execute(raise_on_error=False)
            if any(_is_of_replica(reply) for reply in replies):
                # Sentinel, or the resolver, is asked again.
                await self._redis.connection_pool.disconnect(inuse_connections=False)
        return replies

    async def aclose(self) -> None:
        await self._redis.aclose()
        pool = self._redis.connection_pool
        if isinstance(pool, SentinelConnectionPool):
            # It does not close its connections to the Sentinels.
            for sentinel in pool.sentinel_manager.sentinels:
                await sentinel.aclose()


def _is_of_replica(reply: Any) -> bool:
    return isinstance(reply, list) and reply[0] == b"replica"


class _Cluster:
    """The connections of one event loop to a Cluster."""

    def __init__(self, redis: RedisCluster, pool_size: int) -> None:
        self._redis = redis
        self._slots = asyncio.Semaphore(pool_size)

    async def run(self, call: _Call, ends: float) -> list[Any]:
        async with _deadline(ends - time.monotonic()), self._slots:
            # A first command that comes before this is sent to a random primary (redis-py 8.1).
            await self._redis.initialize()
            try:
                reply: list[Any] = await call.on(self._redis)
            except AttributeError as error:
                # A client that meets an error closes connections that other tasks are just opening (redis-py 8.1).
                raise redis_errors.ConnectionError(str(error)) from error
        return reply

    async def aclose(self) -> None:
        await self._redis.aclose()
        # After an error it takes itself for closed, and is not.
        await self._redis.nodes_manager.aclose()
        await self._redis.nodes_manager.aclose("startup_nodes")


@asynccontextmanager
async def _connected(server: Server, options: Mapping[str, Any], deadline: float) -> AsyncIterator[Any]:
    """A connection that belongs to no pool, to the primary or to a node of a Cluster: each hears what any publishes."""
    if server.kind == "cluster":
        server = replace(server, kind="single", nodes=(random.choice(server.nodes),))  # noqa: S311 -- none is secret
    redis: Any = _connect(server, options)
    connection = redis.connection_pool.make_connection()
    try:
        async with _deadline(deadline):
            await connection.connect()
        yield connection
    finally:
        await connection.disconnect(nowait=True)
        await _Node(redis, 1, deadline).aclose()


def _stop_if_cancelled() -> None:
    """`wait_for`, with which redis-py sends, swallows a cancellation that comes as it ends (before Python 3.12)."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


@asynccontextmanager
async def _deadline(seconds: float) -> AsyncIterator[None]:
    # Twice, for `wait_for` inside redis-py may swallow the first cancellation (before Python 3.12): with a silent
    # server and a full pool, 2.2 s were measured where 1.2 were allowed.
    async with asyncio.timeout(seconds + 0.1), asyncio.timeout(seconds):
        yield


class _Sentinels(Sentinel):
    """Asked by one task at a time: redis-py moves the one that answers to the front, and when two do so, loses one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call]
        self._one_at_a_time = asyncio.Lock()

    async def discover_master(self, service_name: str) -> Any:
        async with self._one_at_a_time:
            return await super().discover_master(service_name)


def _connect(server: Server, options: Mapping[str, Any]) -> Redis | RedisCluster:
    timeouts = {"socket_connect_timeout": _CONNECT_SECONDS, "socket_timeout": _SOCKET_SECONDS, "protocol": 2}
    tls = {"ssl": True, **dict(server.tls_options)} if server.tls else {}
    common: dict[str, Any] = {
        "retry": Retry(NoBackoff(), 1),
        **timeouts,
        **dict(server.tls_options),
        **options,
        **server.credentials,
    }
    asking = {**timeouts, **tls, **common.pop("sentinel_kwargs", {})}
    if server.kind == "cluster":
        nodes = [ClusterNode(host, port) for host, port in server.nodes]
        # At every fifth MOVED it would close the connections that others are using; ours is one slot, which a
        # single MOVED sets right.
        return RedisCluster(startup_nodes=nodes, ssl=server.tls, reinitialize_steps=0, **common)
    common["db"] = server.db
    if server.kind == "sentinel":
        # No retry: there is another Sentinel to ask.
        asking["retry"] = Retry(NoBackoff(), 0)
        primary: Redis = _Sentinels(server.nodes, sentinel_kwargs=asking).master_for(
            server.service, ssl=server.tls, **common
        )
        return primary
    if server.path:
        pool = ConnectionPool(connection_class=UnixDomainSocketConnection, path=server.path, **common)
    else:
        host, port = server.nodes[0]
        kind = SSLConnection if server.tls else Connection
        pool = ConnectionPool(connection_class=kind, host=host, port=port, **common)
    return Redis.from_pool(pool)


def configured_server() -> tuple[Server, dict[str, Any]]:
    """The server that the settings name, and further options of its connections.

    Raises:
        Misconfigured: Neither `REDIS_URL` nor the cache alias names a Redis-protocol server.
    """
    given = conf.current()
    if given.REDIS_URL:
        return Server.parse(given.REDIS_URL), {}
    alias: Mapping[str, Any] | None = getattr(settings, "CACHES", {}).get(given.CACHE_ALIAS)
    if alias is None or "redis" not in alias.get("BACKEND", "").lower():
        raise Misconfigured(
            f"CACHES[{given.CACHE_ALIAS!r}] is no Redis cache, and tickets live in Redis or Valkey. Make it a "
            f"django-redis cache, or set TICKETAUTH['CACHE_ALIAS'] or TICKETAUTH['REDIS_URL']."
        )
    return _server_of_alias(alias)


def _server_of_alias(alias: Mapping[str, Any]) -> tuple[Server, dict[str, Any]]:
    location = alias.get("LOCATION", "")
    # The first is the primary. django-redis separates by commas, Django's own cache by semicolons too.
    url = re.split(r"[;,](?=\w+://)", location)[0] if isinstance(location, str) else next(iter(location), "")
    options = alias.get("OPTIONS", {})
    # Upper case is django-redis's way, lower case that of Django's own cache.
    given = {name.lower(): value for name, value in {**options, **options.get("CONNECTION_POOL_KWARGS", {})}.items()}
    server = Server.parse(url)
    server = replace(server, db=server.db or int(given.get("db") or 0), tls=server.tls or bool(given.get("ssl")))
    further = {name: given[name] for name in ("username", "password") if given.get(name)}
    if server.tls:
        further |= {name: value for name, value in given.items() if name.startswith("ssl_")}
    if sentinels := given.get("sentinels"):
        # To django-redis the host is the name of the service.
        nodes = tuple((host, int(port)) for host, port in sentinels)
        server = replace(server, kind="sentinel", service=server.nodes[0][0], nodes=nodes)
        further["sentinel_kwargs"] = given.get("sentinel_kwargs") or {}
    return server, further


def _unavailable(error: Exception) -> Unavailable:
    if isinstance(error, redis_errors.RedisClusterException) and isinstance(error.__cause__, Exception):
        # "Cannot be connected", and why.
        error = error.__cause__
    refusal = Unavailable(_reason(error))
    # What follows are the command's arguments, and they are no business of the log.
    text = str(error).partition(", with args beginning")[0]
    refusal.facts["error"] = f"{type(error).__name__}: {text}"[:200]
    if hint := _HINTS.get(refusal.reason):
        refusal.facts["hint"] = hint
    return refusal


def _reason(error: Exception) -> str:
    for kind, reason in _REASONS.items():
        if isinstance(error, kind):
            return reason
    for words, reason in _WORDS.items():
        if words in str(error).lower():
            return reason
    return "redis_error" if isinstance(error, redis_errors.ResponseError) else "redis_unreachable"
