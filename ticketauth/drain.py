"""Leaving in order, under whatever serves the application: `docs/servers.md` shows how for each server."""

from __future__ import annotations

from . import guard, hub

TOLD_SECONDS = 1.0
"""That the last close frames have to leave the process."""


async def drain(seconds: float) -> None:
    """Close all sockets of the running event loop with 1012, and refuse handshakes from now on (503, or 1012).

    For a worker that is about to end, while it still serves. Called once more with fewer seconds, it hurries.

    Args:
        seconds: Over which the closes are spread, so that not all clients come back at once. 0 closes all at once.

    Returns when all clients are told, `TOLD_SECONDS` after that time at the latest: who reads nothing cannot be told.
    """
    await (await hub.of_this_loop.get()).leave(seconds)
    await guard.all_told(TOLD_SECONDS)
