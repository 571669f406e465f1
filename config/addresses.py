"""Addresses of databases and Redis servers -> what Django, django-redis and channels_redis take."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ConstantBackoff, NoBackoff
from redis.retry import Retry

from ticketauth.exceptions import Misconfigured
from ticketauth.stores.server import Server

GROUP_EXPIRY = 5 * 60
"""Seconds until a worker that was killed is no member of a group any more. Who lives joins again every minute."""

CHANNEL_CAPACITY = 1000
"""Messages that wait in Redis for a worker, each of 64 KiB at most. Further ones are lost: more than a burst."""

CONNECT_SECONDS = 0.3
SOCKET_SECONDS = 0.5
_TIMEOUTS = {"socket_connect_timeout": CONNECT_SECONDS, "socket_timeout": SOCKET_SECONDS}
_DATABASE_EXPECTED = "expected postgres://user:password@host:5432/name or sqlite:///path/to/file"


def redis_server(name: str, url: str) -> Server:
    """The server that a variable names.

    Raises:
        ImproperlyConfigured: The address is not of a known form.
    """
    try:
        return Server.parse(url)
    except Misconfigured as error:
        raise ImproperlyConfigured(f"{name}: {error}") from None


def not_a_cluster(name: str, url: str) -> Server:
    """The server that a variable names, for what cannot use a Cluster.

    Raises:
        ImproperlyConfigured: The address is a Cluster's, or not of a known form.
    """
    server = redis_server(name, url)
    if server.kind == "cluster":
        raise ImproperlyConfigured(
            f"{name} is not set, or names a Redis Cluster; expected a single node or Sentinel: "
            "a Cluster can keep the tickets (REDIS_URL), but neither the cache nor the channel layer."
        )
    return server


def cache(url: str, server: Server, prefix: str) -> dict[str, Any]:
    """An entry of CACHES. Errors are not ignored: a rate limit that silently counts nothing is none."""
    options: dict[str, Any] = {
        "SOCKET_CONNECT_TIMEOUT": CONNECT_SECONDS,
        "SOCKET_TIMEOUT": SOCKET_SECONDS,
        # With none, every connection that went stale in a restart fails once; with redis-py's ten, a silent
        # server is given up after ten seconds.
        "CONNECTION_POOL_KWARGS": {"retry": Retry(ConstantBackoff(0.01), 1)},
    }
    location: str | list[str] = url
    if server.kind == "sentinel":
        # A list of one: reads go to the primary as well, for a counter on a replica is an old one.
        location = [f"redis://{server.service}/{server.db}"]
        options |= _sentinel_cache(server)
    return {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": location,
        "KEY_PREFIX": prefix,
        "OPTIONS": options,
    }


def _sentinel_cache(server: Server) -> dict[str, Any]:
    return {
        "CONNECTION_FACTORY": "django_redis.pool.SentinelConnectionFactory",
        "CLIENT_CLASS": "django_redis.client.SentinelClient",
        "CONNECTION_POOL_CLASS": "redis.sentinel.SentinelConnectionPool",
        "CONNECTION_POOL_KWARGS": {"retry": Retry(ConstantBackoff(0.01), 1)} | ({"ssl": True} if server.tls else {}),
        "SENTINELS": list(server.nodes),
        "SENTINEL_KWARGS": _TIMEOUTS | ({"ssl": True} if server.tls else {}),
    } | {name.upper(): value for name, value in server.credentials.items()}


def channel_layer(url: str, server: Server, prefix: str) -> dict[str, Any]:
    """An entry of CHANNEL_LAYERS.

    Its connections wait for messages, for as long as it takes: redis-py's time-out of 5 s would close a socket
    of every worker every 5 s. And channels_redis makes its pools without a retry: every connection that went stale in
    a restart would fail once, and close the socket that needs it.
    """
    host: dict[str, Any] = {
        "socket_timeout": None,
        "socket_connect_timeout": CONNECT_SECONDS,
        "retry": AsyncRetry(NoBackoff(), 1),
    }
    if server.kind == "sentinel":
        host |= _sentinel_host(server)
    else:
        host["address"] = url
    if not server.path:
        # A peer that vanished without a word is noticed by the kernel.
        host["socket_keepalive"] = True
    return {
        "BACKEND": "channels_redis.core.RedisChannelLayer",
        "CONFIG": {"hosts": [host], "prefix": prefix, "capacity": CHANNEL_CAPACITY, "group_expiry": GROUP_EXPIRY},
    }


def _sentinel_host(server: Server) -> dict[str, Any]:
    tls = {"ssl": True} if server.tls else {}
    return {
        "sentinels": list(server.nodes),
        "master_name": server.service,
        "sentinel_kwargs": _TIMEOUTS | tls,
        "db": server.db,
        **server.credentials,
        **tls,
    }


def database(url: str, *, password: str, statement_seconds: float, pool_size: int) -> dict[str, Any]:
    """An entry of DATABASES.

    Args:
        url: Where the database is.
        password: What to log in with, where the address does not say.
        statement_seconds: A statement that takes longer is given up; 0 for never.
        pool_size: Connections of this process, at most.

    Raises:
        ImproperlyConfigured: The address is not of a known form. The message does not repeat it.
    """
    parts = urlsplit(url)
    name = unquote(parts.path.removeprefix("/"))
    if parts.scheme == "sqlite" and not parts.netloc and name:
        return _sqlite(name)
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.scheme not in {"postgres", "postgresql"} or not name or port == -1:
        raise ImproperlyConfigured(f"DATABASE_URL is not understood; {_DATABASE_EXPECTED}.")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": name,
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or "") or password,
        "HOST": unquote(parts.hostname or ""),
        "PORT": str(port or ""),
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": _postgres_options(statement_seconds, pool_size) | dict(parse_qsl(parts.query)),
    }


def _postgres_options(statement_seconds: float, pool_size: int) -> dict[str, Any]:
    """A pool, because under ASGI a request has a thread of its own and CONN_MAX_AGE would keep nothing alive."""
    # Who has no PostgreSQL needs no psycopg.
    from .postgres import patient_for

    patience = {"connection_class": patient_for(statement_seconds + 1)} if statement_seconds else {}
    return {
        "connect_timeout": 2,
        # A server that vanished without a word is given up in seconds, not in the kernel's quarter of an hour.
        "tcp_user_timeout": 3000,
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "options": f"-c statement_timeout={round(statement_seconds * 1000)}",
        "pool": {
            "min_size": 1,
            "max_size": pool_size,
            "timeout": 1,
            # A dead server is asked again soon, not after the doubling pauses of five minutes.
            "reconnect_timeout": 5,
            **patience,
        },
    }


def _sqlite(name: str) -> dict[str, Any]:
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": name,
        "OPTIONS": {
            "timeout": 5,
            # Writers wait for one another instead of failing when a reader becomes one.
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
        },
    }
