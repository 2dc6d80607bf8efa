"""The charts of a report, as pieces of HTML. Colours and texts follow the page's style sheet."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
import plotly.io

from chexphi.report.parts import Arm, Curve

# After Okabe and Ito: distinct for people with the common kinds of colour blindness, on light and dark.
# Pattern and dash tell the arms apart without colour.
COLOURS = ("#8a8f98", "#e69f00", "#2f8fd0", "#cc79a7", "#009e73", "#d55e00", "#56b4e9")
PATTERNS = ("", "/", ".", "x", "\\", "+", "-")
DASHES = ("dot", "dash", "solid", "dashdot", "longdash", "longdashdot", "solid")
PATTERN = {"fillmode": "overlay", "fgcolor": "rgba(0,0,0,0.55)", "solidity": 0.15, "size": 7}
CONFIG = {"displayModeBar": False, "responsive": True, "displaylogo": False}
CLEAR = "rgba(0,0,0,0)"


def styles(names: Sequence[str]) -> dict[str, int]:
    """The index of each arm in the palette; the same in every chart."""
    return {name: i % len(COLOURS) for i, name in enumerate(dict.fromkeys(names))}


def smooth(values: Sequence[float], window: int | None = None) -> list[float]:
    """Centred moving mean (default: over a tenth of the points, at least 5); one-sided at both ends."""
    half = (window or max(5, len(values) // 10)) // 2
    series = np.asarray(values, dtype=np.float64)
    return [float(series[max(0, i - half) : i + half + 1].mean()) for i in range(len(series))]


def _layout(figure: go.Figure, title: str, **axes: Any) -> go.Figure:
    axis = {"showline": True, "linecolor": "#888", "gridcolor": "#ddd", "zeroline": False, "automargin": True}
    return figure.update_layout(
        title={"text": title, "font": {"size": 14}, "x": 0, "xref": "paper"},
        template="none",
        paper_bgcolor=CLEAR,
        plot_bgcolor=CLEAR,
        font={"family": "system-ui, sans-serif", "size": 12},
        margin={"l": 48, "r": 12, "t": 40, "b": 36},
        legend={"orientation": "h", "y": -0.18, "x": 0, "bgcolor": CLEAR},
        xaxis=axis | {"showgrid": False} | axes.get("x", {}),
        yaxis=axis | axes.get("y", {}),
        barmode="group",
        bargap=0.25,
    )


def by_kind(arms: Sequence[Arm], figure: str, title: str, style: Mapping[str, int]) -> go.Figure | None:
    """Bars of a figure by kind of question with 95 % intervals, a colour for each arm; None without kinds."""
    chart = go.Figure()
    for arm in arms:
        by_kind = arm.summary["by_kind"].items()
        groups = {kind: estimates[figure] for kind, estimates in by_kind if estimates.get(figure)}
        if not groups:
            continue
        values = [e["value"] for e in groups.values()]
        above = [e["value"] if e["high"] is None else e["high"] for e in groups.values()]
        below = [e["value"] if e["low"] is None else e["low"] for e in groups.values()]
        style_index = style[arm.name]
        chart.add_bar(
            name=html.escape(arm.name),
            x=[html.escape(kind) for kind in groups],
            y=values,
            error_y={
                "type": "data",
                "array": [h - v for h, v in zip(above, values, strict=True)],
                "arrayminus": [v - w for v, w in zip(values, below, strict=True)],
                "thickness": 1.5,
                "width": 4,
            },
            marker={"color": COLOURS[style_index], "pattern": PATTERN | {"shape": PATTERNS[style_index]}},
            customdata=[e["n"] for e in groups.values()],
            hovertemplate="%{x}: %{y:.3f}, n = %{customdata}",
        )
    return _layout(chart, title, y={"range": [0, 1]}) if chart.data else None


def panel(title: str, curves: Sequence[Curve], style: Mapping[str, int]) -> go.Figure:
    """One training figure over the steps: each run's values faint, and their moving mean strong."""
    chart = go.Figure()
    for curve in curves:
        name, style_index = html.escape(curve.arm), style[curve.arm]
        line = {"color": COLOURS[style_index]}
        steps = list(curve.steps)
        chart.add_scatter(
            x=steps, y=list(curve.values), mode="lines", line=line | {"width": 1}, opacity=0.3,
            showlegend=False, legendgroup=name, hoverinfo="skip",
        )  # fmt: skip
        chart.add_scatter(
            x=steps, y=smooth(curve.values), mode="lines", name=name, legendgroup=name,
            line=line | {"width": 2.5, "dash": DASHES[style_index]}, hovertemplate="step %{x}: %{y:.3f}",
        )  # fmt: skip
    return _layout(chart, title, x={"title": {"text": "step", "standoff": 4}})


def shares(
    columns: Sequence[str], rows: Sequence[str], values: Sequence[Sequence[float | None]]
) -> go.Figure:
    """Shares as cells with their numbers. A larger share has a stronger colour, on light and dark.

    Args:
        columns: Names, from the left.
        rows: Names, from the top.
        values: Of each row, by column; a cell without a value stays empty.
    """
    chart = go.Figure()
    chart.add_heatmap(
        x=[re.sub("(?<=[ ,/])", "<br>", html.escape(name)) for name in columns],
        y=[html.escape(name) for name in rows],
        z=[list(row) for row in values],
        text=[["" if value is None else f"{value:.2f}" for value in row] for row in values],
        texttemplate="%{text}",
        colorscale=[[0, "rgba(230,159,0,0.04)"], [1, "rgba(213,94,0,0.85)"]],
        zmin=0, zmax=1, showscale=False, xgap=2, ygap=2, hovertemplate="%{y}, %{x}: %{z:.3f}<extra></extra>",
    )  # fmt: skip
    no_lines = {"showline": False, "showgrid": False, "ticks": ""}
    columns_above = no_lines | {"side": "top", "tickangle": 0, "type": "category"}
    return _layout(chart, "", x=columns_above, y=no_lines | {"autorange": "reversed"}).update_layout(
        margin={"l": 8, "t": 8, "b": 8}
    )


def dots(title: str, points: Sequence[tuple[str, float, str]]) -> go.Figure:
    """A dot for each run over the values of a setting, and the mean for each value.

    Args:
        title: Of the chart.
        points: (value of the setting, figure, name of the run), with the values in the order of the axis.
    """
    values = list(dict.fromkeys(value for value, _, _ in points))
    means = [
        float(np.mean([figure for point_value, figure, _ in points if point_value == value]))
        for value in values
    ]
    names = [html.escape(value) for value in values]
    chart = go.Figure()
    chart.add_scatter(
        x=[html.escape(value) for value, _, _ in points], y=[figure for _, figure, _ in points],
        mode="markers", name="run", marker={"color": COLOURS[2], "size": 8, "opacity": 0.6},
        customdata=[html.escape(name) for _, _, name in points],
        hovertemplate="%{customdata}: %{y:.3f}<extra></extra>",
    )  # fmt: skip
    chart.add_scatter(
        x=names, y=means, mode="lines+markers", name="mean", line={"color": COLOURS[1], "width": 2.5},
        hovertemplate="%{x}: mean %{y:.3f}<extra></extra>",
    )  # fmt: skip
    order = {"type": "category", "categoryorder": "array", "categoryarray": names, "showgrid": False}
    return _layout(chart, title, x=order)


def to_html(figure: go.Figure, name: str, *, with_library: bool, height: str = "320px") -> str:
    """A chart as HTML; the first chart of a page includes the library."""
    return plotly.io.to_html(
        figure, config=CONFIG, include_plotlyjs=with_library, include_mathjax=False, full_html=False,
        default_height=height, default_width="100%", div_id=name,
    )  # fmt: skip
