"""The results of `chexphi rewards probe` as tables on the terminal and as a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup
from rich.console import Group
from rich.markup import escape
from rich.table import Table

from chexphi import __version__
from chexphi.number_text import count_text, counted, figure_text
from chexphi.report import build, figures
from chexphi.runs import run_folder


def tables(results: Mapping[str, Any]) -> Group:
    """A table for each configuration: means, and in brackets their share of gold's on the same rows."""
    return Group(*(_table(configuration, results["rows"]) for configuration in results["configurations"]))


def _table(configuration: Mapping[str, Any], count: int) -> Table:
    names = list(configuration["cheats"][0]["earned"])
    table = Table(
        "what is written", "rows", title=f"{escape(configuration['name'])}: mean pay (share of gold's)"
    )
    for name in names:
        table.add_column(name, justify="right")
    for cheat in configuration["cheats"]:
        form = f" ({cheat['form']})" if cheat["form"] else ""
        cells = [_cell(cheat["earned"].get(name), cheat["ratio"].get(name)) for name in names]
        table.add_row(escape(cheat["name"] + form), count_text(cheat["rows"]), *cells)
    table.caption = f"{counted(count, 'row')}, {counted(configuration['tried'], 'constant completion')} tried"
    return table


def _cell(earned: float | None, ratio: float | None) -> str:
    if earned is None:
        return ""
    return figure_text(earned) + ("" if ratio is None else f" ({figure_text(ratio)})")


def page(results: Mapping[str, Any], meanings: Mapping[str, str], out: Path, *, title: str) -> Path:
    """Write the page: shares of gold's pay, in total and by reward, and the figures as tables.

    Args:
        results: From `chexphi.reward_checks.probe.probe`.
        meanings: What each cheat writes.
        out: The file. It is written as a whole or not at all.
        title: Its heading.
    """
    setups = results["configurations"]
    rewards = dict.fromkeys(name for configuration in setups for name in configuration["cheats"][0]["earned"])
    charts = [
        {
            "title": _title(name),
            "html": Markup(
                figures.to_html(chart, f"chart-{number}", with_library=number == 0, height="380px")
            ),
        }
        for number, (name, chart) in enumerate((name, _chart(name, setups)) for name in rewards)
    ]
    rows = [
        {**configuration, "names": list(configuration["cheats"][0]["earned"])} for configuration in setups
    ]
    values = {"title": title, "version": __version__, "results": results, "charts": charts, "setups": rows}
    run_folder.atomic_write(
        out, build.render("probe.html.j2", values | {"meanings": meanings, "cell": _cell})
    )
    return out


def _title(name: str) -> str:
    return "Total pay as a share of gold's" if name == "total" else f"{name} as a share of gold's"


def _chart(name: str, setups: Sequence[Mapping[str, Any]]) -> Any:
    """The shares of one reward, or of the total, for the configurations that have it."""
    setups_with_reward = [setup for setup in setups if name in setup["cheats"][0]["earned"]]
    cheats = [cheat["name"] for cheat in setups_with_reward[0]["cheats"][1:]]
    values = [
        [setup["cheats"][n]["ratio"].get(name) for setup in setups_with_reward]
        for n in range(1, len(cheats) + 1)
    ]
    return figures.shares([setup["name"] for setup in setups_with_reward], cheats, values)
