"""The README as its reader sees it: blocks to paste, and files to write."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
STEPS = re.findall(r"<!-- readme: (\w+) ?(\S*) -->\n```(\w+)\n(.*?)```", README, re.DOTALL)
"""Of the three steps: what to do, with which file, in what language, and the text."""
PYTHON_BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def blocks(action: str) -> list[str]:
    """What is to be pasted into a terminal: to `run`, or to `serve`."""
    return [text for done, _, _, text in STEPS if done == action]


def write_files(project: Path) -> None:
    """The files of the three steps, in a project that `startproject` has just made."""
    for action, name, _, text in STEPS:
        if action == "write":
            (project / name).write_text(text, encoding="utf-8")
        elif action == "append":
            with (project / name).open("a", encoding="utf-8") as file:
                file.write(text)


def use_redis(project: Path, url: str) -> None:
    """A server of Redis's protocol elsewhere than the README has it."""
    settings = project / "mysite" / "settings.py"
    with settings.open("a", encoding="utf-8") as file:
        file.write(f'\nCACHES["default"]["LOCATION"] = {url!r}\n')
