"""`make soak MINUTES=30 SEED=7 SOCKETS=5000`. The exit status is 1 if a promise of ours was broken."""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import signal
import sys

from .crowd import idle
from .trial import Soak, soak


def main() -> int:
    parser = argparse.ArgumentParser(prog="make soak")
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10_000))
    parser.add_argument("--sockets", type=int, default=5000, help="that are idle for as long; a multiple of 50")
    parser.add_argument("--only", choices=("faults", "idle"))
    given = parser.parse_args()
    say(f"Seed {given.seed}, {given.minutes:g} minutes of faults, and as many of idle sockets. Ctrl-C ends it early.")
    status = 0 if given.only == "idle" else faults(given.seed, given.minutes)
    if given.only != "faults" and not status:
        crowd = asyncio.run(idle(given.sockets, given.minutes * 60))
        say(str(crowd))
        status = int(crowd.broken)
    return status


def faults(seed: int, minutes: float) -> int:
    """Let the servers of the tickets fail. Returns the exit status."""
    status = 0
    with soak(seed, minutes) as one:
        try:
            asyncio.run(run(one))
        except KeyboardInterrupt:
            status = 128 + signal.SIGINT
        finally:
            say(str(one))
    return 1 if one.broken else status


async def run(one: Soak) -> None:
    """Run it, and say every minute how it stands."""
    trials = asyncio.create_task(one.run())
    while not trials.done():
        done, _ = await asyncio.wait([trials], timeout=60)
        if not done:
            say(one.progress)
    await trials


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    sys.exit(main())
