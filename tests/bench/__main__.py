"""`make bench`: measures the targets in shuffled rounds, and writes `docs/performance.md`."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import resource
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import uvloop

from tests.bench import report
from tests.bench.load import CLIENTS, Clients, Sample, faults, kib_per_idle_socket
from tests.bench.processes import ROOT, Process, Surroundings
from tests.bench.targets import IDLE, SCENARIOS, TARGETS, Target
from tests.bench.wire import Http, request

DOCS = ROOT / "docs"
TRIED = ROOT / ".local" / "bench"
"""Where a try-out is written to, and what the document was made from."""

BUSY = 0.85
"""A generator that is busier may be what is measured."""


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each scenario, target and round")
    parser.add_argument("--users", type=int, default=64)
    parser.add_argument("--only", default=",".join(TARGETS), help="targets: %(default)s")
    parser.add_argument("--scenarios", default=",".join(SCENARIOS), help="%(default)s")
    parser.add_argument("--idle", default="2000,5000", help="numbers of idle sockets, or 0 for none")
    parser.add_argument("--peers", choices=("lean", "startproject"), default="lean", help="see docs/performance.md")
    parser.add_argument("--out", type=Path, help="the folder to write to; docs/ where no option is given")
    parser.add_argument("--render", type=Path, help="results.json of a former run, to be written once more")
    options = parser.parse_args(arguments)
    options.out = (options.out or (TRIED if arguments else DOCS)).resolve()
    options.targets = [TARGETS[name] for name in options.only.split(",")]
    options.scenarios = options.scenarios.split(",")
    options.counts = [int(count) for count in options.idle.split(",") if int(count)]
    return options


async def tokens_of(target: Target, process: Process, seeded: dict[str, list[str]]) -> list[str]:
    """Credentials of all users: the service's own tokens come from its login, as everybody's do."""
    if target.application:
        return seeded["sessions" if target.carries == "cookie" else "tokens"]
    http = await Http.connect(process.port)
    found = []
    for login in seeded["logins"]:
        post = request("POST", "/api/token/", "Content-Type: application/json", body=login.encode())
        found.append(json.loads((await http.ask(post))[1])["access"])
    http.close()
    return found


async def start(options: argparse.Namespace, shared: Surroundings, cleanup: ExitStack) -> list[Clients]:
    """The clients of every target; targets that are the same application share its process."""
    processes: dict[str, Process] = {}
    tokens: dict[str, list[str]] = {}
    found = []
    for target in options.targets:
        application = target.application
        if application not in processes:
            processes[application] = shared.start(target)
            cleanup.callback(processes[application].stop)
            _say(f"{target.name} is process {processes[application].pid}.")
            tokens[application] = await tokens_of(target, processes[application], shared.seeded)
        found.append(Clients(target, processes[application], tokens[application]))
    if wrong := [fault for clients in found for fault in await faults(clients)]:
        sys.exit("\n".join(["These are not what they are measured as:", *wrong]))
    return found


def shuffled(clients: list[Clients], scenarios: list[Any]) -> Iterator[tuple[Clients, Any]]:
    """A round: the targets of a scenario stand beside each other in time."""
    for scenario in random.sample(scenarios, len(scenarios)):
        yield from ((one, scenario) for one in random.sample(clients, len(clients)) if scenario in one.target.scenarios)


async def rounds(options: argparse.Namespace, shared: Surroundings) -> list[dict[str, Any]]:
    """All samples."""
    samples: list[dict[str, Any]] = []
    with ExitStack() as cleanup:
        clients = await start(options, shared, cleanup)
        for number in range(options.rounds):
            _say(f"Round {number + 1} of {options.rounds}.")
            for one, scenario in shuffled(clients, options.scenarios):
                sample: Sample = await one.measure(scenario, options.seconds)
                one.process.forget_log()
                samples.append({"round": number, **asdict(sample)})
    return samples


async def idle(options: argparse.Namespace, shared: Surroundings) -> dict[str, dict[int, float]]:
    """Memory, each target in a process that has done nothing before."""
    found = {}
    for target in [target for target in options.targets if target.name in IDLE and options.counts]:
        _say(f"Idle sockets of {target.name}.")
        process = shared.start(target)
        try:
            clients = Clients(target, process, await tokens_of(target, process, shared.seeded))
            found[target.name] = await kib_per_idle_socket(clients, options.counts)
        finally:
            process.stop()
    return found


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Everything, as `results.json` has it."""
    url = os.environ.get("BENCH_DATABASE_URL", "")
    with Surroundings(users=options.users, peers=options.peers, database_url=url) as shared:
        return {
            "rounds": options.rounds,
            "seconds": options.seconds,
            "clients": CLIENTS,
            "users": options.users,
            "peers": options.peers,
            "machine": {
                "Command": _command(options, url),
                **report.machine(shared.database, shared.valkey.info("server")["valkey_version"]),
            },
            "samples": await rounds(options, shared),
            "idle": await idle(options, shared),
        }


def _command(options: argparse.Namespace, url: str) -> str:
    database = "BENCH_DATABASE_URL=postgres://... " if url else ""
    peers = " ARGS=--peers=startproject" if options.peers == "startproject" else ""
    return f"`{database}make bench ROUNDS={options.rounds} SECONDS={options.seconds:g}{peers} OUT=docs`"


def main(arguments: list[str]) -> None:
    """Measure, say what was measured, write it."""
    options = parse(arguments)
    results = json.loads(options.render.read_text()) if options.render else _measured(options)
    sys.stdout.write(f"{report.tables(results)}\n")
    _say_what_is_doubtful(results)
    if options.targets == list(TARGETS.values()) and options.scenarios == list(SCENARIOS) and options.counts:
        _say(f"Written: {report.write(results, options.out)}")
    else:
        _say("A part of it: no document was written.")


def _measured(options: argparse.Namespace) -> dict[str, Any]:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        text = json.dumps(runner.run(measure(options)), indent=1)
    kept = TRIED if options.out == DOCS else options.out
    kept.mkdir(parents=True, exist_ok=True)
    (kept / "results.json").write_text(text, encoding="utf-8")
    return json.loads(text)


def _say(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")


def _say_what_is_doubtful(results: dict[str, Any]) -> None:
    if errors := [one for one in results["samples"] if one["errors"]]:
        sys.exit("\n".join(["These figures are void; operations did not end as they should:", *map(str, errors)]))
    for one in results["samples"]:
        if one["load"] > BUSY:
            _say(f"The generator was busy: {one['load']:.0%} in {one['scenario']} of {one['target']}.")


if __name__ == "__main__":
    main(sys.argv[1:])
