"""`make bench` runs without errors, and notices a target that is not what it is measured as."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench.load import Clients, faults, kib_per_idle_socket
from tests.bench.processes import ROOT, Surroundings
from tests.bench.targets import OURS, TARGETS

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="The bench reads /proc and pins processes to cores.")


@pytest.fixture
def shared() -> Iterator[Surroundings]:
    """What targets need."""
    with Surroundings(users=1, peers="lean", database_url="") as shared:
        yield shared


def test_a_short_round_of_the_service_and_of_the_floor_has_no_errors(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.bench", "--rounds=1", "--seconds=0.1", "--users=1", "--idle=0"]
    command += [f"--only={OURS},T6", f"--out={tmp_path}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "results.json").read_text())
    measured = {(one["target"], one["scenario"]) for one in results["samples"]}
    assert measured == {(name, scenario) for name in (OURS, "T6") for scenario in TARGETS[name].scenarios}
    assert [one for one in results["samples"] if one["errors"]] == []
    assert "| refusal, in times of T6 | at least 0.9 |" in done.stdout


def test_idle_sockets_are_held_and_weighed(shared: Surroundings) -> None:
    process = shared.start(TARGETS["T6"])
    try:
        clients = Clients(TARGETS["T6"], process, shared.seeded["tokens"])
        assert asyncio.run(kib_per_idle_socket(clients, [20, 40])).keys() == {20, 40}
    finally:
        process.stop()


def test_a_target_that_takes_a_ticket_twice_is_not_measured(shared: Surroundings) -> None:
    target = dataclasses.replace(TARGETS["T6"], application="tests.bench.peers.twice:application")
    process = shared.start(target)
    try:
        wrong = asyncio.run(faults(Clients(target, process, shared.seeded["tokens"])))
    finally:
        process.stop()
    assert wrong[0] == "T6: again is True"
    assert set(wrong[1:]) == {"T6: 8 of 8 at once are let in with one ticket"}
