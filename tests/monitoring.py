"""What clients send to the server of the tickets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from redis import Redis

_BESIDE = re.compile(r"(HELLO|CLIENT|SELECT)\b|.*(ticketauth-channels|\}:(sockets|channel):)")


@contextmanager
def commands(valkey: Redis) -> Iterator[list[str]]:
    """All commands that clients send meanwhile, but for greetings, for the channel layer's on the same server, and for
    those of the registry and the wake, which come beside the handshakes.

    What a script does inside the server is no command of a client.
    """
    seen: list[str] = []
    with everything(valkey) as all_of_them:
        yield seen
    seen += [command for command in all_of_them if not _BESIDE.match(command)]


@contextmanager
def everything(valkey: Redis) -> Iterator[list[str]]:
    """All commands that clients send meanwhile."""
    seen: list[str] = []
    with valkey.monitor() as monitor:
        valkey.echo("the beginning")
        while monitor.next_command()["command"] != "ECHO the beginning":
            pass
        yield seen
        valkey.echo("the end")
        while (command := monitor.next_command())["command"] != "ECHO the end":
            if command["client_type"] != "lua":
                seen.append(command["command"])
