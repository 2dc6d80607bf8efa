"""Write a report: one HTML file that contains its style, charts and films and loads nothing else."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from chexphi import __version__, atomic
from chexphi.evaluation import tables
from chexphi.evaluation.film_controls import table as control_table
from chexphi.evaluation.metric import Metric
from chexphi.graph.types import LABEL_WORDS
from chexphi.report import collect, figures
from chexphi.report.films import card
from chexphi.report.parts import CHOICE as CHOICE
from chexphi.report.parts import Arm as Arm
from chexphi.report.parts import Curve as Curve
from chexphi.report.parts import FilmExample as FilmExample
from chexphi.report.parts import choose_films as choose_films
from chexphi.runs import run_folder as run_folders
from chexphi.schema import InputError

METRICS = tuple(metric for metric in tables.ROWS if metric.on_page)
"""The metrics of the page's table."""


def _cell(arm: Arm, metric: Metric) -> dict[str, str]:
    name = metric.name
    estimate, change = arm.summary.get(name), (arm.comparison or {}).get(name)
    return {
        "name": name,
        "label": metric.label,
        "value": metric.number(estimate["value"]) if estimate else "",
        "interval": tables.interval(estimate, name) if estimate else "",
        "change": metric.number(change["difference"], sign=True) if change else "",
        "change_interval": tables.interval(change, name, sign=True) if change else "",
        "verdict": tables.verdict(change, name),
    }


def _rows(arms: Sequence[Arm], baseline: str) -> list[dict[str, Any]]:
    """The results table: metrics that some arm has, arms in their order."""
    metrics = [metric for metric in METRICS if any(arm.summary.get(metric.name) for arm in arms)]
    return [
        {
            "arm": arm.name,
            "baseline": arm.name == baseline,
            "n": arm.summary["n"],
            "parse_status": arm.summary.get("parse_status", {}),
            "mcnemar": f"{arm.comparison['mcnemar_p']:.2g}" if arm.comparison else "",
            "wins": (arm.comparison or {}).get("wins"),
            "losses": (arm.comparison or {}).get("losses"),
            "cells": [_cell(arm, metric) for metric in metrics],
        }
        for arm in arms
    ]


def _kinds(arms: Sequence[Arm]) -> list[dict[str, Any]]:
    """The bars as a table with a row for each kind."""
    names = list(dict.fromkeys(kind for arm in arms for kind in arm.summary["by_kind"]))
    figure = ("accuracy", "graph_f1")
    return [
        {
            "kind": kind,
            "cells": [
                [tables.value_text(arm.summary["by_kind"].get(kind, {}).get(name), name) for name in figure]
                for arm in arms
            ],
        }
        for kind in names
    ]


def _controls(arms: Sequence[Arm]) -> list[dict[str, Any]]:
    """A table of film controls for each arm that has some."""
    tables_of_arms = []
    for arm in arms:
        if controls := arm.summary.get("controls"):
            columns, rows = control_table.control_rows(controls)
            sentences = control_table.sentences(controls)
            tables_of_arms.append({"arm": arm.name, "columns": columns, "rows": rows, "sentences": sentences})
    return tables_of_arms


def _charts(
    arms: Sequence[Arm], curves: Sequence[Curve]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The charts by kind and the training panels, as HTML with a title for screen readers."""
    style = figures.styles([arm.name for arm in arms] + [curve.arm for curve in curves])
    bars = [
        (title, figures.by_kind(arms, name, title, style))
        for name, title in (("accuracy", "Strict accuracy by kind"), ("graph_f1", "Graph F1 by kind"))
    ]
    panels = [
        (title, figures.panel(title, [curve for curve in curves if curve.panel == title], style))
        for title in dict.fromkeys(curve.panel for curve in curves)
    ]
    charts = [
        (title, chart, group)
        for group, group_charts in enumerate((bars, panels))
        for title, chart in group_charts
        if chart
    ]
    html_charts: tuple[list[dict[str, Any]], list[dict[str, Any]]] = ([], [])
    for number, (title, chart, group) in enumerate(charts):
        text = figures.to_html(chart, f"chart-{number}", with_library=number == 0)
        html_charts[group].append({"title": title, "html": Markup(text)})
    return html_charts


def render(template: str, values: Mapping[str, Any]) -> str:
    """A page of `templates/` with its style sheet."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("chexphi.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = Path(__file__).with_name("templates").joinpath("style.css").read_text(encoding="utf-8")
    return environment.get_template(template).render(style=Markup(style), **values)


def build(
    out_html: Path,
    *,
    title: str,
    arms: Sequence[Arm],
    curves: Sequence[Curve] = (),
    films: Sequence[FilmExample] = (),
    baseline: str = "",
    notes: Sequence[str] = (),
    date_time: datetime.datetime | None = None,
) -> Path:
    """Write the report of some arms.

    Args:
        out_html: The file. It is written as a whole or not at all.
        title: Heading of the page.
        arms: In the order of the table, with their comparison to the baseline.
        curves: Training curves, grouped by panel.
        films: Examples to show; `choose_films` chooses them.
        baseline: Name of the arm that the others are compared with.
        notes: Remarks for the reader, one sentence each.
        date_time: Date on the page (default: now).

    Returns:
        The file.
    """
    bars, panels = _charts(arms, curves)
    control_meanings = control_table.meanings(
        {name for arm in arms for name in arm.summary.get("controls", ())}
    )
    date = (date_time or datetime.datetime.now().astimezone()).strftime("%Y-%m-%d %H:%M %Z").strip()
    page = render(
        "report.html.j2",
        {
            "title": title, "date": date, "version": __version__, "notes": list(notes), "baseline": baseline,
            "examples": max((arm.summary["n"] for arm in arms), default=0),
            "patients": max((arm.summary["patients"] for arm in arms), default=0),
            "missing_subject": max((arm.summary.get("missing_subject", 0) for arm in arms), default=0),
            "rows": _rows(arms, baseline), "kinds": _kinds(arms), "controls": _controls(arms),
            "survives": control_table.SURVIVES, "control_meanings": control_meanings,
            "arm_names": [arm.name for arm in arms],
            "meanings": {metric.label: metric.meaning for metric in METRICS}, "bars": bars, "panels": panels,
            "choice": CHOICE,
            "cards": [card(film, number) for number, film in enumerate(films, 1)],
            "groups": LABEL_WORDS,
        },
    )  # fmt: skip
    run_folders.atomic_write(out_html, page)
    return out_html


def check_page(out: Path) -> None:
    """Refuse a file that the page may not be written to, before the runs are read. An older page is replaced.

    Raises:
        InputError: If the file exists and is not an HTML page, or cannot be written.
    """
    if out.is_file() and out.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"output {out} exists and is not an HTML page: choose another --out")
    atomic.check_file(out, overwrite=True)


def build_from_runs(runs: Sequence[Path], out: Path, *, title: str = "Evaluation", count: int = 12) -> Path:
    """Write the report of run folders: `chexphi report RUN... --out FILE`.

    The first evaluation is the baseline. A missing part is left out, with a note on the page.

    Raises:
        InputError: If a folder does not exist, or none holds predictions, a summary or training metrics.
    """
    run_list = collect.find_runs(list(runs))
    arms, notes = collect.read_arms(run_list)
    notes += collect.read_warnings(run_list)
    names = collect.arm_of(run_list)
    curves = [c for run in run_list for c in collect.read_curves(run.folder, names[run.folder.resolve()])]
    if not arms and not curves:
        folders = ", ".join(str(folder) for folder in runs)
        raise InputError(
            f"{folders}: no predictions.jsonl, summary.json, metrics.jsonl or completions.jsonl: "
            "give the folder of a training run or of an evaluation"
        )
    if not arms:
        notes.append("No evaluation among these runs: training curves only.")
    if not curves:
        notes.append("No training metrics among these runs: no curves.")
    baseline = arms[0].name if arms else ""
    films = choose_films(arms, count=count)
    return build(out, title=title, arms=arms, curves=curves, films=films, baseline=baseline, notes=notes)
