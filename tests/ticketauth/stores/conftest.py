"""Every kind of server that tickets may live in. Each is started when a test first asks for it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.servers import Cluster, Node, Proxy, Sentinels, Topology, certificate, in_a_thread
from ticketauth.stores.base import TicketStore
from ticketauth.stores.memory import MemoryStore
from ticketauth.stores.redis import RedisStore

PATIENCE = 10.0
"""Seconds that a call may take where what it does is looked at, and not how fast."""

SERVERS = ["tcp", "unix", "password", "tls", "sentinels", "cluster"]


_made: list[RedisStore] = []


@pytest.fixture(autouse=True)
def stores_outlive_their_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a service. One that is collected while its loop is being closed has no time left to say goodbye."""
    make = RedisStore.__init__

    def remember(self: RedisStore, *args: Any, **kwargs: Any) -> None:
        make(self, *args, **kwargs)
        _made.append(self)

    _made.clear()
    monkeypatch.setattr(RedisStore, "__init__", remember)


@pytest.fixture(scope="session")
def shared_node() -> Iterator[Node]:
    with Node() as node:
        yield node


@pytest.fixture(scope="session")
def tcp(shared_node: Node) -> Topology:
    return Topology([shared_node], shared_node.url)


@pytest.fixture(scope="session")
def unix(shared_node: Node) -> Topology:
    return Topology([shared_node], f"unix://{shared_node.unix_socket}?db=0")


@pytest.fixture(scope="session")
def password() -> Iterator[Topology]:
    with Node(password="correct-horse") as node:
        yield Topology([node], node.url)


@pytest.fixture(scope="session")
def tls(shared_node: Node, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Topology]:
    """The embedded Valkey has no TLS; a proxy in front of it has."""
    authority, context = certificate(tmp_path_factory.mktemp("tls"))
    with in_a_thread(Proxy(shared_node, context)) as proxy:
        yield Topology([shared_node], f"{proxy.url}?ssl_ca_certs={authority}")


@pytest.fixture(scope="session")
def sentinels() -> Iterator[Sentinels]:
    with Sentinels() as sentinels:
        yield sentinels


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with Cluster() as cluster:
        yield cluster


@pytest.fixture(scope="session", params=SERVERS)
def topology(request: pytest.FixtureRequest) -> Topology:
    """Each kind of server in turn."""
    topology: Topology = request.getfixturevalue(request.param)
    return topology


@pytest.fixture
def prefix() -> str:
    """A key space of the test's own."""
    return f"t{secrets.token_hex(8)}"


@pytest.fixture(scope="session", params=["memory", *SERVERS])
def make_store(request: pytest.FixtureRequest) -> Callable[[str], TicketStore]:
    """Makes a store of each kind in turn, for a prefix."""
    if request.param == "memory":
        return lambda prefix: MemoryStore()
    topology: Topology = request.getfixturevalue(request.param)
    # Fewer connections than the default: a proxy in this very process has to greet each over TLS.
    return lambda prefix: RedisStore(topology.url, prefix=prefix, pool_size=10, deadline=PATIENCE)


@pytest.fixture
def store(make_store: Callable[[str], TicketStore], prefix: str) -> TicketStore:
    """A store of each kind in turn."""
    return make_store(prefix)


@pytest.fixture
def node() -> Iterator[Node]:
    """A node that the test may break."""
    with Node() as node:
        yield node
