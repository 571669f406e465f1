"""Messages to users over several workers: their order, the faults of the channel layer, and peers that do not read."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User

from config import addresses
from tests.conftest import Service
from tests.served import ROOT, Served, environment, served
from tests.servers import Node, free_port, until
from tests.sockets import CLOSE, PING, PONG, Handshake
from ticketauth import logins
from ticketauth.stores.server import Server
from ws.events import EVERYONE, publish

SOCKETS = 20


@pytest.fixture
def node() -> Iterator[Node]:
    with Node() as node:
        yield node


@pytest.fixture
def workers(node: Node, transactional_db: None, settings) -> Iterator[Served]:
    """Two, on a Redis of their own, where the test publishes too."""
    layer = addresses.channel_layer(node.url, Server.parse(node.url), "ticketauth-channels")
    settings.CHANNEL_LAYERS = {"default": layer}
    with served("-m", "tests.workers", "service", WEB_CONCURRENCY="2", REDIS_URL=node.url) as running:
        yield running


@pytest.fixture
def service(workers: Served) -> Iterator[Service]:
    with Service(workers.port) as service:
        yield service


def listening(service: Service, user: User) -> Handshake:
    """An open socket that is ready."""
    ticket = service.ticket(str(logins.start(user).access_token))
    opened = service.connect(f"ticket_uuid={ticket}", path="/ws/events/")
    assert opened.json()["type"] == "ticketauth.ready"
    return opened


def crowd(service: Service, user: User) -> list[Handshake]:
    """Sockets on both workers."""
    found = [listening(service, user) for _ in range(SOCKETS)]
    while len({opened.headers["x-worker"] for opened in found}) < 2:
        found.append(listening(service, user))
    return found


def told(opened: Handshake) -> Any:
    """The data of the next event; pings are answered."""
    while True:
        opcode, payload = opened.frame()
        if opcode != PING:
            return json.loads(payload)["data"]
        opened.send(payload, PONG)


def publish_all(to: Any, data: Any) -> None:
    """By one sender, each after the one before."""

    async def one_by_one() -> None:
        for one in data:
            await publish(to, "news", one)

    async_to_sync(one_by_one)()


def test_each_hears_what_is_its_own_on_both_workers(service: Service, owner: User, stranger: User) -> None:
    mine, others = crowd(service, owner), crowd(service, stranger)
    publish_all(owner, ["to the owner"])
    publish_all(EVERYONE, ["to everyone"])
    assert {(told(opened), told(opened)) for opened in mine} == {("to the owner", "to everyone")}
    assert {told(opened) for opened in others} == {"to everyone"}


@pytest.mark.parametrize("everyone", [False, True], ids=["a user", "everyone"])
def test_what_one_sender_publishes_arrives_in_its_order(service: Service, owner: User, everyone: bool) -> None:
    sockets = crowd(service, owner)
    publish_all(EVERYONE if everyone else owner, range(500))
    for opened in sockets:
        assert [told(opened) for _ in range(500)] == list(range(500))


def test_to_a_user_and_to_everyone_in_turn_arrives_in_its_order(service: Service, owner: User) -> None:
    sockets = crowd(service, owner)

    async def in_turn() -> None:
        for number in range(0, 200, 2):
            await publish(owner, "news", number)
            await publish(EVERYONE, "news", number + 1)

    async_to_sync(in_turn)()
    for opened in sockets:
        assert [told(opened) for _ in range(200)] == list(range(200))


def test_a_redis_that_comes_back_empty_closes_no_socket_and_they_hear_again_in_three_seconds(
    service: Service, node: Node, owner: User
) -> None:
    sockets = crowd(service, owner)
    bearer = ("Authorization", f"Bearer {logins.start(owner).access_token}")
    node.kill()
    # Nobody is told `ticketauth.ready` who would hear nothing.
    until(lambda: service.connect(path="/ws/events/", headers=[bearer]).frame()[0] == CLOSE)
    node.start()
    until(lambda: back(node), 3)
    publish_all(EVERYONE, ["back"])
    publish_all(owner, ["all of it"])
    assert {(told(opened), told(opened)) for opened in sockets} == {("back", "all of it")}


def back(node: Node) -> bool:
    """Whether both workers are in the group of all, and in that of their user."""
    groups = node.client.keys("ticketauth-channels:group:*")
    return [node.client.zcard(group) for group in groups] == [2, 2]


def test_with_a_channel_for_each_socket_it_closes_all(node: Node, transactional_db: None, owner: User) -> None:
    """The twin. Each waits for the layer in its turn, and dies of it."""
    port = free_port()
    command = ("-m", "uvicorn", "tests.layered:application", "--port", str(port))
    layered = {"DJANGO_SETTINGS_MODULE": "tests.layered_settings", "LAYER_TIMEOUT": "none"}
    layered["LAYER"] = "channels_redis.core.RedisChannelLayer"
    with served(*command, port=port, REDIS_URL=node.url, **layered), Service(port) as service:
        sockets = [listening(service, owner) for _ in range(SOCKETS)]
        node.kill()
        for opened in sockets:
            with pytest.raises(EOFError):
                told(opened)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="Without /proc nobody says who the workers are.")
def test_workers_that_are_held_up_hear_all_of_a_burst(service: Service, workers: Served, owner: User) -> None:
    """In Channels' default, a hundred."""
    sockets = crowd(service, owner)
    held = children(workers)
    for pid in held:
        os.kill(pid, signal.SIGSTOP)
    try:
        publish_all(owner, range(addresses.CHANNEL_CAPACITY))
    finally:
        for pid in held:
            os.kill(pid, signal.SIGCONT)
    for opened in sockets:
        found = [told(opened) for _ in range(addresses.CHANNEL_CAPACITY)]
        assert found == list(range(addresses.CHANNEL_CAPACITY))


def test_a_shell_publishes(service: Service, owner: User, node: Node) -> None:
    opened = listening(service, owner)
    code = (
        "from asgiref.sync import async_to_sync; from django.contrib.auth.models import User; from ws.events import *"
    )
    lines = f"{code}\nfor n in range(3): async_to_sync(publish)(User.objects.get(pk={owner.pk}), 'news', n)"
    subprocess.run(
        [sys.executable, "manage.py", "shell", "-c", lines], cwd=ROOT, env=environment(REDIS_URL=node.url), check=True
    )
    assert [told(opened) for _ in range(3)] == [0, 1, 2]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="Without /proc nobody says how large the workers are.")
def test_peers_that_do_not_read_take_nothing_from_the_others(
    service: Service, workers: Served, owner: User, stranger: User
) -> None:
    """Each of them has a backlog of a mebibyte at most; with all that was published it would be a hundred."""
    deaf = [stuck(service, stranger) for _ in range(4)]
    sockets = crowd(service, owner)
    before = memory(workers)
    for part in range(10):
        publish_all(EVERYONE, [[number, "x" * 10_000] for number in range(100 * part, 100 * part + 100)])
        # Whoever reads has room for all of it: what is lost here, another's deafness has cost.
        for opened in sockets:
            assert [told(opened)[0] for _ in range(100)] == list(range(100 * part, 100 * part + 100))
    publish_all(stranger, ["x" * 60_000 for _ in range(1500)])
    publish_all(owner, ["end"])
    assert {told(opened) for opened in sockets} == {"end"}
    assert len(deaf) == 4
    assert memory(workers) - before < 40 * 1024


def stuck(service: Service, user: User) -> Handshake:
    """A socket whose peer reads nothing after the first frame."""
    opened = listening(service, user)
    opened.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    return opened


def memory(workers: Served) -> int:
    """KiB of the workers together, as the kernel counts them."""
    return sum(map(_resident, children(workers)))


def children(workers: Served) -> list[int]:
    """Their process ids, and that of Python's resource tracker."""
    parent = workers.process.pid
    found = Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="ascii")
    return [int(pid) for pid in found.split()]


def _resident(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))
