"""What was measured of a GRPO step: kept a line a comparison, shown as tables and as a plot."""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict, dataclass
from pathlib import Path

import matplotlib
from rich.table import Table

PARTS = ("films", "vision", "prefill", "decode", "rewards", "reference pass", "policy pass", "backward")
PARTS += ("optimiser", "rest")


@dataclass(frozen=True)
class Side:
    """One of the two trainers."""

    seconds: list[float]
    """Of each timed step."""
    parts: dict[str, float]
    """Mean seconds of a step."""
    tokens: int
    """Through the language layers, a step."""
    peak: int
    """Bytes."""


@dataclass(frozen=True)
class Comparison:
    """A side that ran out of memory is missing."""

    name: str
    device: str
    length: int | None
    group: int
    films: int
    sides: dict[str, Side]

    def rounds(self, side: str = "ours") -> list[float]:
        """A side's time over plain's, by step; none if one of them is missing."""
        if not {side, "plain"} <= self.sides.keys():
            return []
        times, plain_times = self.sides[side].seconds, self.sides["plain"].seconds
        return [a / b for a, b in zip(times, plain_times, strict=True)]

    @property
    def peak(self) -> float:
        return self.sides["ours"].peak / self.sides["plain"].peak


def read(file: Path) -> list[Comparison]:
    """The comparisons of a file, none if it is not there."""
    lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    return [
        Comparison(**line | {"sides": {name: Side(**side) for name, side in line["sides"].items()}})
        for line in lines
    ]


def append(file: Path, found: Comparison) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as out:
        out.write(json.dumps(asdict(found)) + "\n")


def tables(found: list[Comparison], title: str) -> tuple[Table, Table]:
    """Whole steps, and their parts."""
    whole = Table(
        *("GRPO step", "side", "s", "of plain", "rounds", "peak MB", "of plain", "tokens", "of plain"),
        title=title,
    )
    parts = Table("mean ms of a step", "", *PARTS)
    for each in found:
        for i, (name, side) in enumerate(each.sides.items()):
            times = [f"{1000 * side.parts.get(part, 0):,.0f}" for part in PARTS]
            parts.add_row("" if i else each.name, name, *times)
            whole.add_row("" if i else each.name, name, *_line(each, name))
    return whole, parts


def _line(found: Comparison, name: str) -> list[str]:
    side, rounds = found.sides[name], found.rounds(name)
    figures = [f"{statistics.median(side.seconds):.2f}", f"{side.peak / 1e6:,.0f}", f"{side.tokens:,}"]
    ratios = ["-", "-", "-", "-"]
    if rounds:
        plain = found.sides["plain"]
        shares = statistics.median(rounds), side.peak / plain.peak, side.tokens / plain.tokens
        ratios = [f"{share:.2f}" for share in shares]
        ratios.insert(1, f"{min(rounds):.2f} to {max(rounds):.2f}")
    return [figures[0], *ratios[:2], figures[1], ratios[2], figures[2], ratios[3]]


def plot(found: list[Comparison], file: Path) -> None:
    """Time and memory against the prompt's length, a line for each G, as SVG."""
    matplotlib.use("svg")
    matplotlib.rcParams |= {"svg.hashsalt": "grpo_step", "svg.fonttype": "none", "font.size": 9}
    import matplotlib.pyplot as plt

    grid = [each for each in found if each.length and each.rounds()]
    figure, panels = plt.subplots(1, 2, figsize=(7.6, 3), sharey=True, layout="constrained")
    shown = {"time": lambda each: statistics.median(each.rounds()), "peak memory": lambda each: each.peak}
    groups = sorted({each.group for each in grid})
    colours = dict(
        zip(
            groups,
            plt.get_cmap("viridis_r")([i / len(groups) + 0.1 for i in range(len(groups))]),
            strict=True,
        )
    )
    for panel, (what, value) in zip(panels, shown.items(), strict=True):
        for films, group in sorted({(each.films, each.group) for each in grid}):
            own = sorted((e.length, value(e)) for e in grid if (e.films, e.group) == (films, group))
            panel.plot(
                *zip(*own, strict=True),
                marker="o",
                markersize=3,
                color=colours[group],
                linestyle="-" if films == 1 else ":",
                label=f"G = {group}, {'one film' if films == 1 else 'two films'}",
            )
        panel.set(title=f"{what} of a GRPO step", xlabel="tokens of a prompt, films included", ylim=(0, 1.1))
        panel.axhline(1, color="grey", linewidth=0.8)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("ours / plain TRL")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right center", frameon=False)
    figure.savefig(file, metadata={"Date": None, "Creator": None})
