"""The document on performance has its command on top, the goals beside the figures, and every target in both."""

from __future__ import annotations

import re

import pytest

from tests.bench.report import BEGIN, END, THEMES
from tests.bench.targets import GOALS, SCENARIOS, TARGETS
from tests.docs.tables import ROOT, read, rows, section

TEXT = read("docs/performance.md")
FIGURES = TEXT.partition(BEGIN)[2].partition(END)[0]


def test_the_command_stands_on_top_and_exists() -> None:
    block = re.match(r"# Performance\n\n```sh\n(.+?)```", TEXT, re.DOTALL)
    assert block
    assert block[1].startswith("make bench ")
    assert re.search(r"^bench:", read("Makefile"), re.MULTILINE)


def test_it_explains_every_target() -> None:
    explained = [name.strip("`") for name, _ in rows(section(TEXT, "What is measured"))]
    assert explained == list(TARGETS)


@pytest.mark.parametrize("goal", GOALS, ids=lambda goal: goal.scenario)
def test_a_goal_stands_beside_its_figure(goal) -> None:
    wanted = [f"{goal.scenario}, in times of {goal.base}", f"at least {goal.least}"]
    (figure,) = [row[2] for row in rows(section(TEXT, "Against the goals")) if row[:2] == wanted]
    assert re.fullmatch(r"\*\*\d+\.\d\d\*\* \(\d+\.\d\d to \d+\.\d\d\)", figure)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_target_of_a_scenario_has_its_row(scenario) -> None:
    named = [row[0].partition(":")[0] for row in rows(section(TEXT, SCENARIOS[scenario]))]
    assert named == [target.name for target in TARGETS.values() if scenario in target.scenarios]


@pytest.mark.parametrize("theme", THEMES)
def test_the_plot_is_there(theme: str) -> None:
    name = f"performance-{theme}.svg"
    assert f'"{name}"' in FIGURES
    assert (ROOT / "docs" / name).read_text(encoding="utf-8").startswith("<?xml")
