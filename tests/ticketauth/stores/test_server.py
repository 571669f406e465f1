"""Addresses: what is understood, what is refused and how, and what `CACHES` says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ticketauth.exceptions import Misconfigured
from ticketauth.stores.client import configured_server
from ticketauth.stores.redis import RedisStore
from ticketauth.stores.server import Server

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("redis://host", Server("single", (("host", 6379),))),
        ("redis://host:7000/3", Server("single", (("host", 7000),), db=3)),
        ("redis://host/3?db=4", Server("single", (("host", 6379),), db=4)),
        ("redis://[::1]:7000", Server("single", (("::1", 7000),))),
        ("redis://:p%40ss@host", Server("single", (("host", 6379),), password="p@ss")),
        ("redis://me:a:b@c@host", Server("single", (("host", 6379),), username="me", password="a:b@c")),
        ("rediss://host", Server("single", (("host", 6379),), tls=True)),
        (
            "rediss://host?ssl_ca_certs=/ca.pem&ssl_cert_reqs=none",
            Server(
                "single",
                (("host", 6379),),
                tls=True,
                tls_options=(("ssl_ca_certs", "/ca.pem"), ("ssl_cert_reqs", "none")),
            ),
        ),
        ("unix:///run/redis.sock", Server("single", (), path="/run/redis.sock")),
        ("unix:///a%20b?db=2", Server("single", (), path="/a b", db=2)),
        ("unix://me:pw@/run/redis.sock", Server("single", (), path="/run/redis.sock", username="me", password="pw")),
        ("unix:///run/redis.sock?password=pw", Server("single", (), path="/run/redis.sock", password="pw")),
        (
            "redis+sentinel://:pw@a,b:7000/Tickets/2",
            Server("sentinel", (("a", 26379), ("b", 7000)), service="Tickets", db=2, password="pw"),
        ),
        ("rediss+sentinel://a/tickets", Server("sentinel", (("a", 26379),), tls=True, service="tickets")),
        ("redis+cluster://a,b:7000", Server("cluster", (("a", 6379), ("b", 7000)))),
        ("rediss+cluster://a/", Server("cluster", (("a", 6379),), tls=True)),
    ],
)
def test_an_address_is_understood(url: str, server: Server) -> None:
    assert Server.parse(url) == server


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("", "scheme '' is not known"),
        ("host:6379", "scheme 'host' is not known"),
        ("memcached://host", "scheme 'memcached' is not known"),
        ("redis://", "names no host"),
        ("redis:///0", "names no host"),
        ("redis://a,b", "several hosts"),
        ("redis://host:port", "is not understood"),
        ("redis://host:70000", "is not understood"),
        ("redis://host/zero", "is not understood"),
        ("redis://:6379", "is not understood"),
        ("unix://", "no path of a socket"),
        ("unix://run/redis.sock", "three slashes"),
        ("redis+sentinel://a,b", "names no service"),
        ("redis+sentinel:///tickets", "names no host"),
        ("redis+sentinel://a/tickets/x", "is not understood"),
        ("redis+cluster://", "names no host"),
        ("redis+cluster://a/1", "a Cluster has none"),
    ],
)
def test_an_address_that_is_not_names_what_is_wrong_and_what_is_expected(url: str, complaint: str) -> None:
    with pytest.raises(Misconfigured, match=complaint) as caught:
        Server.parse(url)
    assert "expected redis://host:port/db" in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        f"redis://:{SECRET}/@host/0",
        f"redis://:{SECRET}#@host/0",
        f"redis://:{SECRET}?@host/0",
        f"redis://me:{SECRET}/more@host/0",
        f"redis://:{SECRET}[@host/0",
        f"redis://:{SECRET}\u2100@host/0",
        f"redis://:{SECRET}@host:port/0",
        f"redis://:{SECRET}@a,b/0",
        f"unix://:{SECRET}@host/run/redis.sock",
        f"redis+sentinel://:{SECRET}@a",
        f"redis+cluster://:{SECRET}@a/1",
        f"http://:{SECRET}@host",
    ],
)
def test_no_complaint_repeats_a_password_or_a_part_of_it(url: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        Server.parse(url)
    assert SECRET not in str(caught.value)


def test_a_server_is_printed_without_its_password() -> None:
    assert SECRET not in repr(Server.parse(f"redis://:{SECRET}@host"))


# CACHES


def alias(location: Any, *, backend: str = "django_redis.cache.RedisCache", **options: Any) -> dict[str, Any]:
    return {"BACKEND": backend, "LOCATION": location, "OPTIONS": options}


@pytest.fixture
def configured(settings: Any) -> Callable[..., tuple[Server, dict[str, Any]]]:
    """What the settings come to, for an alias of `CACHES`."""

    def configure(entry: dict[str, Any], **ticketauth: Any) -> tuple[Server, dict[str, Any]]:
        settings.TICKETAUTH = ticketauth
        settings.CACHES = {**settings.CACHES, "tickets": entry} if ticketauth else {"default": entry}
        return configured_server()

    return configure


A = Server("single", (("a", 6379),), db=1)


@pytest.mark.parametrize(
    "location",
    [
        "redis://a/1",
        "redis://a?db=1",
        "redis://a/1,redis://b/1",
        "redis://a/1;redis://b/1",
        ["redis://a/1", "redis://b/1"],
        ("redis://a/1",),
    ],
)
@pytest.mark.parametrize("backend", ["django_redis.cache.RedisCache", "django.core.cache.backends.redis.RedisCache"])
def test_the_first_location_is_the_primary(configured, location, backend) -> None:
    assert configured(alias(location, backend=backend)) == (A, {})


def test_another_alias_may_keep_the_tickets(configured) -> None:
    assert configured(alias("redis://a/1"), CACHE_ALIAS="tickets") == (A, {})


def test_an_address_of_its_own_comes_first(configured) -> None:
    assert configured(alias("redis://b"), REDIS_URL="redis://a/1") == (A, {})


def test_django_redis_has_its_password_in_upper_case(configured) -> None:
    assert configured(alias("redis://a/1", USERNAME="me", PASSWORD="pw")) == (A, {"username": "me", "password": "pw"})


def test_djangos_own_cache_has_its_password_and_database_in_lower_case(configured) -> None:
    backend = "django.core.cache.backends.redis.RedisCache"
    assert configured(alias("redis://a", backend=backend, password="pw", db=1)) == (A, {"password": "pw"})


def test_tls_options_of_the_pool_are_kept_and_nothing_else_of_it(configured) -> None:
    pool = {"ssl_ca_certs": "/ca.pem", "max_connections": 7, "retry": object()}
    server, options = configured(alias("rediss://a", CONNECTION_POOL_KWARGS=pool))
    assert (server.tls, options) == (True, {"ssl_ca_certs": "/ca.pem"})


def test_sentinels_of_django_redis_are_found(configured) -> None:
    entry = alias(
        "redis://:pw@tickets/1?is_master=1",
        CLIENT_CLASS="django_redis.client.SentinelClient",
        SENTINELS=[("a", 26379), ("b", "26380")],
        SENTINEL_KWARGS={"password": "other"},
    )
    nodes = (("a", 26379), ("b", 26380))
    assert configured(entry) == (
        Server("sentinel", nodes, service="tickets", db=1, password="pw"),
        {"sentinel_kwargs": {"password": "other"}},
    )


@pytest.mark.parametrize("backend", ["", "django.core.cache.backends.locmem.LocMemCache"])
def test_a_cache_that_is_no_redis_is_named_with_the_way_out(configured, backend) -> None:
    with pytest.raises(Misconfigured, match=r"CACHES\['default'\] is no Redis cache.*TICKETAUTH\['REDIS_URL'\]"):
        configured(alias("redis://a", backend=backend))


def test_an_alias_that_does_not_exist_is_named(configured) -> None:
    with pytest.raises(Misconfigured, match=r"CACHES\['nowhere'\]"):
        configured(alias("redis://a"), CACHE_ALIAS="nowhere")


async def test_a_store_made_of_the_sentinels_in_caches_works(configured, settings, sentinels, prefix) -> None:
    configured(alias("redis://tickets/0", SENTINELS=[("127.0.0.1", node.port) for node in sentinels.others]))
    await RedisStore(prefix=prefix).ping()
