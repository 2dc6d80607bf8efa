"""A sweep as a table on the terminal, and as a page with charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Column, Table

from chexphi import __version__
from chexphi.config import as_text
from chexphi.number_text import count_text, counted, figure_text
from chexphi.report import build, figures
from chexphi.report.collect import read_curves
from chexphi.runs import run_folder

CURVES = 7
"""So many runs have their curves drawn: there are as many distinct colours."""
Row = Mapping[str, Any]


def varying(rows: Sequence[Row]) -> list[str]:
    """The keys of the grid that differ between runs."""
    keys = list(rows[0]["values"]) if rows else []
    return [key for key in keys if len({as_text(row["values"][key]) for row in rows}) > 1]


def cells(row: Row, keys: Sequence[str], rewards: Sequence[str]) -> list[str]:
    """A run's row of the table, whose columns are `heads`."""
    code = "" if row["exit_code"] is None else str(row["exit_code"])
    means = [figure_text(row["rewards"][name]) if name in row["rewards"] else "" for name in rewards]
    setting_texts = [as_text(row["values"][key]) for key in keys]
    return [
        *setting_texts,
        row["state"],
        str(row["tries"]),
        code,
        count_text(row["steps"]),
        count_text(round(row["seconds"])),
        *means,
    ]


def heads(keys: Sequence[str], rewards: Sequence[str]) -> list[str]:
    """The columns of a table of runs."""
    return [*keys, "state", "tries", "exit", "steps", "s", *rewards]


def table(summary: Mapping[str, Any]) -> Table:
    """A row for each run: what differs, how it ended, final rewards; below, the logs of failed runs."""
    rows = summary["runs"]
    keys, rewards = varying(rows), _rewards(rows)
    count = f"{summary['finished']} of {counted(len(rows), 'run')} finished, {summary['failed']} failed"
    columns = [Column(head, overflow="fold", no_wrap=head == "state") for head in heads(keys, rewards)]
    table_of_runs = Table(
        *columns, title=f"{escape(summary['out'])}: {count}", box=SIMPLE_HEAD, collapse_padding=True
    )
    for row in rows:
        style = "bold red" if row["state"] == "failed" else None
        table_of_runs.add_row(*map(escape, cells(row, keys, rewards)), style=style)
    logs = [f"failed: {escape(row['log'])}" for row in rows if row["state"] == "failed"]
    table_of_runs.caption = "\n".join(["Rewards are means over the last tenth of the steps.", *logs])
    return table_of_runs


def _rewards(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row["rewards"]))


def page(summary: Mapping[str, Any], out: Path) -> Path:
    """Write the page of a sweep: final reward by each key of the grid, curves of the best runs, all runs."""
    rows = summary["runs"]
    keys, rewards = varying(rows), _rewards(rows)
    titled_charts = [*_by_key(rows, keys), *_curves(rows, keys)]
    charts = [
        {"title": title, "html": Markup(figures.to_html(chart, f"chart-{n}", with_library=n == 0))}
        for n, (title, chart) in enumerate(titled_charts)
    ]
    values = {
        "title": "Sweep", "version": __version__, "summary": summary, "charts": charts, "curves": CURVES,
        "heads": [*heads(keys, rewards), "log"],
        "rows": [[*cells(row, keys, rewards), Path(row["log"]).name] for row in rows],
    }  # fmt: skip
    run_folder.atomic_write(out, build.render("sweep.html.j2", values))
    return out


def _scored(rows: Sequence[Row]) -> list[Row]:
    """Runs whose final rewards can be compared."""
    return [row for row in rows if row["state"] == "finished" and "total" in row["rewards"]]


def _by_key(rows: Sequence[Row], keys: Sequence[str]) -> list[tuple[str, Any]]:
    scored = _scored(rows)
    points = {
        key: [(as_text(row["values"][key]), row["rewards"]["total"], row["name"]) for row in scored]
        for key in keys
    }
    return [
        (f"Total reward by {key}", figures.dots(f"Total reward by {key}", key_points))
        for key, key_points in points.items()
        if key_points
    ]


def _curves(rows: Sequence[Row], keys: Sequence[str]) -> list[tuple[str, Any]]:
    best = sorted(_scored(rows), key=lambda row: -row["rewards"]["total"])[:CURVES]
    names = {
        row["name"]: " ".join(as_text(row["values"][key]) for key in keys) or row["name"] for row in best
    }
    curves = [curve for row in best for curve in read_curves(Path(row["folder"]), names[row["name"]])]
    style = figures.styles(list(names.values()))
    panels = dict.fromkeys(curve.panel for curve in curves)
    return [
        (title, figures.panel(title, [curve for curve in curves if curve.panel == title], style))
        for title in panels
    ]
