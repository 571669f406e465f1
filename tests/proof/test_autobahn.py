"""R42: RFC 6455 through the whole ticketed stack, as the Autobahn|Testsuite sees it.

The suite connects to one address again and again, and a ticket opens once: so a proxy on the loopback puts a fresh
ticket into each handshake.

The suite runs under Python 2.7 alone, and is installed into pytest's cache folder once (half a minute). `make test`
runs the cases 1 to 7 and 10: framing, pings, reserved bits, opcodes, fragments, UTF-8, closing; but for 6.4, which asks
how early bad UTF-8 is noticed and takes 8 s. `AUTOBAHN=full` runs all: also 9 (messages, most of which are over the
service's limit on purpose), 12 and 13 (compression), in a quarter of an hour.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from asgiref.sync import sync_to_async
from django.conf import settings as django_settings
from django.contrib.auth.models import User

from tests.asgi_servers import COMMANDS, service_environment, serving
from tests.autobahn import Absent, FuzzingClient, Ticketing
from ticketauth import logins

FULL = os.environ.get("AUTOBAHN") == "full"
CASES = ["*"] if FULL else ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*"]
WITHOUT = [] if FULL else ["6.4.*"]


@pytest.fixture
def fuzzing_client(request: pytest.FixtureRequest) -> FuzzingClient:
    assert request.config.cache is not None
    try:
        return FuzzingClient(request.config.cache.mkdir("autobahn"))
    except Absent as absent:
        pytest.skip(str(absent))


@contextlib.asynccontextmanager
async def ticketed_and_bare(owner: User) -> AsyncIterator[dict[str, str]]:
    """The service's echo behind tickets, and an echo behind nothing: the same uvicorn, the same implementation."""
    token = (await sync_to_async(logins.start)(owner)).access_token
    token.set_exp(lifetime=timedelta(hours=2))
    environment = service_environment(django_settings.REDIS_URL)
    with (
        serving("config.serve", "", environment) as service,
        serving(COMMANDS["uvicorn, websockets-sansio"], "tests.echo:application", environment) as bare,
    ):
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=10) as http:

            async def fresh() -> str:
                answer = await http.post(f"http://127.0.0.1:{service}/api/tickets/")
                ticket: str = answer.json()["ticket_uuid"]
                return ticket

            async with Ticketing(service, fresh) as proxy:
                yield {
                    "ticketed": f"ws://127.0.0.1:{proxy.port}/ws/echo/",
                    "bare": f"ws://127.0.0.1:{bare}/",
                    "naive": f"ws://127.0.0.1:{bare}/naive/",
                }


async def test_r42_nothing_fails_beyond_the_servers_own_baseline(
    fuzzing_client: FuzzingClient, owner: User, tmp_path: Path
) -> None:
    async with ticketed_and_bare(owner) as servers:
        naive = {"naive": servers.pop("naive")}
        failed = await fuzzing_client.failed(tmp_path, servers, CASES, WITHOUT)
        if beyond := failed["ticketed"] - failed["bare"]:
            # The suite waits for a second here and there. What fails on a slow machine does not fail twice.
            failed = await fuzzing_client.failed(tmp_path, servers, sorted(beyond))
        assert failed["ticketed"] - failed["bare"] == set()
        # The twin answers in text whatever was sent, here a binary message.
        assert await fuzzing_client.failed(tmp_path, naive, ["1.2.3"]) == {"naive": {"1.2.3"}}
