"""What was measured, as tables and a plot: ratios of the same round, their median, and how far they spread."""

from __future__ import annotations

import os
import platform
import re
import statistics
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from tests.bench.processes import ROOT
from tests.bench.targets import GOAL_KIB, GOALS, OURS, SCENARIOS, TARGETS

DOCUMENT = "performance.md"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
_LIBRARIES = ("Django", "channels", "channels-redis", "djangorestframework", "djangorestframework-simplejwt")
_SERVERS = ("uvicorn", "uvloop", "httptools", "websockets", "redis", "hiredis", "psycopg", "django-channels-jwt")
# Page, text and lines, what is measured, what is wanted: GitHub's own colours.
THEMES = {
    "light": {"page": "#ffffff", "text": "#1f2328", "line": "#d1d9e0", "point": "#0969da", "goal": "#bc4c00"},
    "dark": {"page": "#0d1117", "text": "#f0f6fc", "line": "#3d444d", "point": "#4493f8", "goal": "#db6d28"},
}

Results = dict[str, Any]


def machine(database: str, valkey: str) -> dict[str, str]:
    """What the figures depend on."""
    model = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return {
        "Measured": f"{datetime.now(UTC):%Y-%m-%d}",
        "Processor": f"{model[1] if model else platform.machine()}, {os.cpu_count()} cores",
        "System": f"{platform.system()} {platform.release().partition('-')[0]}",
        "Database": database,
        "Store": f"Valkey {valkey}",
        "Python": f"{python}; {_versions(_SERVERS)}",
        "Libraries": _versions(_LIBRARIES),
    }


def _versions(names: Iterable[str]) -> str:
    installed = {found.name.lower().replace("_", "-") for found in metadata.distributions()}
    return ", ".join(f"{name} {metadata.version(name)}" for name in names if name.lower() in installed)


def ratios(results: Results, scenario: str, target: str, base: str, of: str = "rate") -> list[float]:
    """A target in times of another, round by round."""
    of_base = {sample["round"]: sample[of] for sample in _samples(results, scenario, base)}
    return [sample[of] / of_base[sample["round"]] for sample in _samples(results, scenario, target) if of_base]


def _samples(results: Results, scenario: str, target: str) -> list[dict[str, Any]]:
    return [one for one in results["samples"] if (one["scenario"], one["target"]) == (scenario, target)]


def _targets(results: Results, scenario: str) -> list[str]:
    return [name for name in TARGETS if _samples(results, scenario, name)]


def tables(results: Results) -> str:
    """All figures, in Markdown."""
    facts = [f"- {name}: {value}" for name, value in results["machine"].items()]
    load = max(sample["load"] for sample in results["samples"])
    facts.append(
        f"- Rounds: {results['rounds']}, {results['seconds']:g} s for each figure; {results['clients']} clients, "
        f"{results['users']} users, peers `{results['peers']}`; the generator used {load:.0%} of its core at most"
    )
    blocks = ["### The machine", "\n".join(facts), "### Against the goals", _goals(results)]
    for scenario, title in SCENARIOS.items():
        if names := _targets(results, scenario):
            blocks += [f"### {title}", _scenario(results, scenario, names)]
    if results["idle"]:
        blocks += ["### Memory of an idle socket", _idle(results["idle"])]
    return "\n\n".join(blocks)


def _table(head: list[str], rows: Iterable[list[str]]) -> str:
    rule = ["---", *("--:" for _ in head[1:])]
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, rule, *rows])


def _spread(values: list[float]) -> str:
    if not values:
        return "-"
    return f"**{statistics.median(values):.2f}** ({min(values):.2f} to {max(values):.2f})"


def _median(samples: list[dict[str, Any]], of: str, digits: int = 0) -> str:
    return f"{statistics.median(sample[of] for sample in samples):.{digits}f}"


def _goals(results: Results) -> str:
    rows = [
        [f"{goal.scenario}, in times of {goal.base}", f"at least {goal.least}", _spread(_of_ours(results, goal))]
        for goal in GOALS
    ]
    for count, kib in results["idle"].get(OURS, {}).items():
        if "T5" in results["idle"]:
            above = f"**{kib - results['idle']['T5'][count]:.2f}**"
            rows.append([f"KiB of an idle socket above T5, {count} open", f"at most {GOAL_KIB:g}", above])
    return _table(["", "goal", "measured"], rows)


def _of_ours(results: Results, goal: Any) -> list[float]:
    return ratios(results, goal.scenario, OURS, goal.base)


def _scenario(results: Results, scenario: str, names: list[str]) -> str:
    rows = []
    for name in names:
        samples = _samples(results, scenario, name)
        ours = "" if name == OURS else _spread(ratios(results, scenario, OURS, name))
        title = f"{name}: {TARGETS[name].title}"
        times = [_median(samples, "p50", 1), _median(samples, "p99", 1)]
        rows.append([title, _median(samples, "rate"), ours, _median(samples, "cpu"), *times])
    return _table(["target", "per second", f"{OURS} in times of it", "CPU µs", "p50 ms", "p99 ms"], rows)


def _idle(idle: dict[str, dict[str, float]]) -> str:
    counts = next(iter(idle.values()))
    rows = [[f"{name}: {TARGETS[name].title}", *(f"{kib[n]:.1f}" for n in counts)] for name, kib in idle.items()]
    return _table(["target", *(f"KiB, {count} open" for count in counts)], rows)


def plot(results: Results, folder: Path) -> list[str]:
    """The ratios with their spread, one file per theme; their names."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    names = []
    for theme, colours in THEMES.items():
        style: dict[Any, Any] = {
            "svg.fonttype": "none",
            "svg.hashsalt": "ticketauth",
            "font.size": 9,
            "font.family": "sans-serif",
        }
        with mpl.rc_context(style):
            figure = Figure(figsize=(4.1, 6.4), layout="constrained", facecolor=colours["page"])
            _draw(figure, results, colours)
            name = f"performance-{theme}.svg"
            figure.savefig(folder / name, metadata={"Date": None, "Creator": None})
        names.append(name)
    return names


def _draw(figure: Any, results: Results, colours: dict[str, str]) -> None:
    shown = {scenario: [name for name in _targets(results, scenario) if name != OURS] for scenario in SCENARIOS}
    shown = {scenario: names for scenario, names in shown.items() if names and _samples(results, scenario, OURS)}
    heights = [len(names) + 1 for names in shown.values()]
    axes = figure.subplots(len(shown), sharex=True, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
    for axis, (scenario, names) in zip(axes, shown.items(), strict=True):
        _panel(axis, results, scenario, names, colours)
    axes[-1].set_xlabel(f"{OURS}, in times of it; bar: the goal", color=colours["text"])


def _panel(axis: Any, results: Results, scenario: str, names: list[str], colours: dict[str, str]) -> None:
    values = [ratios(results, scenario, OURS, name) for name in names]
    middle = [statistics.median(one) for one in values]
    spread = [[m - min(one) for m, one in zip(middle, values, strict=True)]]
    spread += [[max(one) - m for m, one in zip(middle, values, strict=True)]]
    rows = list(range(len(names)))
    axis.axvline(1, color=colours["line"])
    axis.errorbar(middle, rows, xerr=spread, fmt="o", color=colours["point"], markersize=5, capsize=3)
    for goal in GOALS:
        if goal.scenario == scenario and goal.base in names:
            row = names.index(goal.base)
            axis.vlines(goal.least, row - 0.4, row + 0.4, color=colours["goal"], linewidth=3)
    axis.set_title(SCENARIOS[scenario].partition(":")[0], loc="left", color=colours["text"], fontsize=10)  # type: ignore[index]
    axis.set_yticks(rows, [f"{name} {TARGETS[name].title.partition(',')[0]}" for name in names])
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.set_xscale("log")
    ticks = [0.1, 0.2, 0.5, 1, 2, 5, 10]
    axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.set_xticks([], minor=True)
    axis.set_facecolor(colours["page"])
    axis.tick_params(colors=colours["text"], length=0)
    for spine in axis.spines.values():
        spine.set_color(colours["line"])


def write(results: Results, folder: Path) -> Path:
    """The document with these figures in it, and the plot beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    light, dark = plot(results, folder)
    picture = (
        f'<picture>\n  <source media="(prefers-color-scheme: dark)" srcset="{dark}">\n'
        f'  <img src="{light}" alt="The ratios of the tables below, with their spread">\n</picture>'
    )
    before, _, rest = (ROOT / "docs" / DOCUMENT).read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    document = folder / DOCUMENT
    text = f"{before}{BEGIN}\n\n{picture}\n\n{tables(results)}\n\n{END}{after}"
    document.write_text(text, encoding="utf-8")
    return document
