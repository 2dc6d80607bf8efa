"""What cheating pays, for people: tables on the terminal, and a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup
from rich.console import Group
from rich.markup import escape
from rich.table import Table

from chexphi import __version__
from chexphi.report import build, figures
from chexphi.runs import run_folder


def tables(found: Mapping[str, Any]) -> Group:
    """A table a configuration: means, and in brackets their share of gold's on the same rows."""
    return Group(*(_table(one, found["rows"]) for one in found["configurations"]))


def _table(one: Mapping[str, Any], count: int) -> Table:
    names = list(one["cheats"][0]["earned"])
    table = Table("what is written", "rows", title=f"{escape(one['name'])}: mean pay (share of gold's)")
    for name in names:
        table.add_column(name, justify="right")
    for cheat in one["cheats"]:
        form = f" ({cheat['form']})" if cheat["form"] else ""
        cells = [_cell(cheat["earned"].get(name), cheat["ratio"].get(name)) for name in names]
        table.add_row(escape(cheat["name"] + form), str(cheat["rows"]), *cells)
    table.caption = f"{count} rows, {one['tried']} constant completions tried"
    return table


def _cell(earned: float | None, ratio: float | None) -> str:
    if earned is None:
        return ""
    return f"{earned:.3f}" + ("" if ratio is None else f" ({ratio:.2f})")


def page(found: Mapping[str, Any], meanings: Mapping[str, str], out: Path, *, title: str) -> Path:
    """Write the page: shares of gold's pay, in all and by reward, and the figures as tables.

    Args:
        found: From `chexphi.reward_checks.probe.probe`.
        meanings: What each cheat writes.
        out: The file; written whole or not at all.
        title: Its heading.
    """
    setups = found["configurations"]
    rewards = dict.fromkeys(name for one in setups for name in one["cheats"][0]["earned"])
    charts = [
        {
            "title": _title(name),
            "html": Markup(figures.to_html(chart, f"chart-{n}", first=n == 0, height="380px")),
        }
        for n, (name, chart) in enumerate((name, _chart(name, setups)) for name in rewards)
    ]
    rows = [{**one, "names": list(one["cheats"][0]["earned"])} for one in setups]
    values = {"title": title, "version": __version__, "found": found, "charts": charts, "setups": rows}
    run_folder.atomic_write(
        out, build.render("probe.html.j2", values | {"meanings": meanings, "cell": _cell})
    )
    return out


def _title(name: str) -> str:
    return "Total pay as a share of gold's" if name == "total" else f"{name} as a share of gold's"


def _chart(name: str, setups: Sequence[Mapping[str, Any]]) -> Any:
    """The shares of one reward, or of the total, for the configurations that have it."""
    having = [one for one in setups if name in one["cheats"][0]["earned"]]
    cheats = [cheat["name"] for cheat in having[0]["cheats"][1:]]
    values = [[one["cheats"][n]["ratio"].get(name) for one in having] for n in range(1, len(cheats) + 1)]
    return figures.shares([one["name"] for one in having], cheats, values)
