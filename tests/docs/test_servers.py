"""The lines of `docs/servers.md` that are there to be pasted."""

from __future__ import annotations

import ast
import dataclasses
import json
import logging
import logging.config
import re
import secrets
from collections.abc import Iterator
from ipaddress import IPv4Address

import pytest
import yaml
from django.conf import settings as django_settings
from redis import Redis

from config import server
from tests.asgi_servers import COMMANDS, WEBSOCKETS_LIMITS
from tests.docs.tables import read, rows, section
from ticketauth import checks
from ticketauth.exceptions import Unavailable
from ticketauth.limits import Rate
from ticketauth.stores.base import Limit
from ticketauth.stores.redis import RedisStore
from ticketauth.stores.server import Server
from ticketauth.stores.sockets import Change, SocketStore, Worker
from ticketauth.types import OURS, ConnectionId, LiveSocket, Nonce, Sid, Subject, TicketValue

TEXT = read("docs/servers.md")


def _rules() -> list[str]:
    found = re.search(r"^ACL SETUSER tickets on >PASSWORD (.+)$", section(TEXT, "Permissions"), re.MULTILINE)
    assert found
    return found[1].split()


@pytest.fixture
def user(valkey: Redis) -> Iterator[str]:
    """A user of this test's own."""
    name = f"tickets-{secrets.token_hex(4)}"
    yield name
    valkey.execute_command("ACL", "DELUSER", name)


async def _use(user: str) -> bytes:
    store = RedisStore(f"unix://{django_settings.VALKEY_SOCKET}?username={user}&password=PASSWORD")
    ticket = TicketValue(secrets.token_hex(18))
    await store.put(ticket, b"payload", 30, (Limit(f"user:{user}", Rate(5, 60)),))
    first = await store.take(ticket, Nonce("nonce"), ConnectionId("connection"))
    assert await store.take(ticket, Nonce("nonce"), ConnectionId("connection")) == first
    await _use_registry(SocketStore(store.client))
    listening = store.client.listen()
    assert await anext(listening) is None
    await store.client.publish("look")
    assert await anext(listening) == "look"
    await listening.aclose()
    return first


async def _use_registry(sockets: SocketStore) -> None:
    user = OURS, Subject(secrets.token_hex(4))
    address = str(IPv4Address(secrets.randbits(32)))
    name = ConnectionId(secrets.token_hex(8))
    socket = LiveSocket(name, *user, "ada", Sid("login"), "/ws/", "ticket_query", address, "", 1.0)
    worker = Worker(secrets.token_hex(8), lease=15, fence="", sockets=-1, per_user=1, per_address=1)
    written = await sockets.write(worker, [Change(socket, opened=True, new=True)])
    assert written
    assert await sockets.of_owner(*user, 10) == [socket]
    assert await sockets.counts(*user) == {"login": 1}
    assert socket in [one async for one in sockets.everybodys()]
    assert await sockets.end([name], user) == 1
    assert await sockets.write(dataclasses.replace(worker, fence=written.fence, sockets=0), []) is None
    assert await sockets.write(worker, [Change(socket, opened=False)])


async def test_the_permissions_are_enough(valkey: Redis, user: str) -> None:
    valkey.execute_command("SCRIPT", "FLUSH")
    valkey.execute_command("ACL", "SETUSER", user, "on", ">PASSWORD", *_rules())
    assert await _use(user) == b"payload"


@pytest.mark.parametrize("rule", [rule for rule in _rules() if rule.startswith("+")])
async def test_no_permission_is_too_much(valkey: Redis, user: str, rule: str) -> None:
    valkey.execute_command("SCRIPT", "FLUSH")
    valkey.execute_command("ACL", "SETUSER", user, "on", ">PASSWORD", *_rules(), rule.replace("+", "-"))
    with pytest.raises(Unavailable) as refused:
        await _use(user)
    assert refused.value.reason == "redis_permission"


@pytest.mark.parametrize("address", [row[0].strip("`") for row in rows(section(TEXT, "Addresses"))[:5]])
def test_an_address_is_understood(address: str) -> None:
    assert Server.parse(address).kind in {"single", "sentinel", "cluster"}


@pytest.mark.parametrize("name", ["hypercorn", "granian", "daphne"])
def test_a_servers_command_is_the_one_that_is_tested(name: str) -> None:
    assert f"python -m {COMMANDS[name].format(port=8000, app='mysite.asgi:application')}\n" in TEXT


def test_uvicorns_limits_are_those_that_are_tested() -> None:
    variables = " ".join(f"{name}={value}" for name, value in WEBSOCKETS_LIMITS.items())
    assert f"{variables} \\\n  python -m uvicorn mysite.asgi:application --ws-max-size 65536\n" in TEXT


def test_the_log_file_configures_a_filter() -> None:
    block = re.search(r"```json\n(.*?)```", section(TEXT, "Access logs"), re.DOTALL)
    assert block
    config = json.loads(block[1])
    handler = logging.config.DictConfigurator(config)
    made = handler.configure_filter(config["filters"]["redact"])
    ticket = "0b1f8f04-6a4c-4d0b-9a53-6b6e0f8c8a0e"
    record = logging.LogRecord(
        "uvicorn", logging.INFO, "", 0, "%s - %s", ("127.0.0.1", f"/ws/?ticket_uuid={ticket}"), None
    )
    made.filter(record)
    assert ticket not in record.getMessage()


def test_the_time_to_leave_is_the_codes() -> None:
    assert f"It is gone within `DRAIN_SECONDS` + {server.MARGIN}, with exit code 0" in section(TEXT, "Restarts")


def test_containers_are_given_the_time_to_leave() -> None:
    web = yaml.safe_load(read("docker-compose.yml"))["services"]["web"]
    grace = re.fullmatch(r"\$\{STOP_GRACE_PERIOD:-(\d+)s\}", web["stop_grace_period"])
    default = re.search(r"^\| `DRAIN_SECONDS` \| \| `(\d+)`", read("docs/settings.md"), re.MULTILINE)
    assert grace
    assert default
    assert int(grace[1]) > int(default[1]) + server.MARGIN


def test_the_channel_layer_passes_the_check(settings) -> None:
    block = re.search(r"CHANNEL_LAYERS = (.*?)```", section(TEXT, "The channel layer"), re.DOTALL)
    assert block
    settings.CHANNEL_LAYERS = ast.literal_eval(block[1])
    assert checks.channel_layer_waits() == []


def test_the_reasons_are_the_stores() -> None:
    from ticketauth.stores import client

    known = {*client._REASONS.values(), *client._WORDS.values(), "redis_unreachable", "redis_error"}
    named = {row[3].strip("`") for row in rows(section(TEXT, "When it fails"))}
    assert named <= known
