"""Figures of several demos: the mean of each, and the range in which the next run is expected.

    python bench/demo_ranges.py runs/demo runs/demo_seed1 runs/demo_seed2
    python bench/demo_ranges.py RUN... --check runs/mine

The first prints the tables of docs/results.md; the second says whether a run of yours is inside the ranges.
The range is Student's prediction interval of 95 %: the mean of n runs, and t * s * sqrt(1 + 1/n) to both
sides, where s is their standard deviation. Two runs are the least.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from chexphi.demo.settings import ANSWER_ARM, ARMS, GRAPH_ARM, START
from chexphi.files import read_object

FIGURES = {
    "accuracy": "strict accuracy",
    "graph_f1": "graph F1",
    "right_for_wrong_reason": "right, graph F1 below 0.5",
}
BETWEEN_ARMS = f"{GRAPH_ARM} - {ANSWER_ARM}"
Figures = dict[tuple[str, str], float]
"""Values by row and figure; a row is an arm, or a difference of two arms."""
STUDENT_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179)
"""Its 97.5 % quantiles for 1 to 12 degrees of freedom; for more, the last is a little too wide."""


def figures_of(run: Path) -> tuple[Figures, Figures]:
    """The arms' figures of a finished demo, and their differences."""
    results = read_object(run / "results.json")
    if any(results["arms"][START][name] is None for name in FIGURES):
        raise SystemExit(f"{run} has no right answer to count, as a --quick demo: name full ones")
    arms = {(arm, name): results["arms"][arm][name]["value"] for arm in (START, *ARMS) for name in FIGURES}
    pairs: dict[str, dict[str, Any]] = {f"{arm} - {START}": results[f"against_{START}"][arm] for arm in ARMS}
    pairs[BETWEEN_ARMS] = results[f"{GRAPH_ARM}_against_{ANSWER_ARM}"]
    return arms, {
        (pair, name): values[name]["difference"] for pair, values in pairs.items() for name in FIGURES
    }


def expected(values: list[float]) -> tuple[float, float]:
    """The range in which the next value is expected, in 19 of 20 cases.

    >>> [round(end, 3) for end in expected([0.44, 0.46, 0.48])]
    [0.361, 0.559]
    """
    n = len(values)
    reach = STUDENT_T[min(n - 1, len(STUDENT_T)) - 1] * statistics.stdev(values) * (1 + 1 / n) ** 0.5
    return statistics.fmean(values) - reach, statistics.fmean(values) + reach


def spread(values: list[float], *, signed: bool) -> str:
    """The mean and the expected range; of differences also how many are above 0.

    >>> spread([0.44, 0.46, 0.48], signed=False), spread([0.04, -0.01, 0.02], signed=True)
    ('0.460 (0.361 to 0.559)', '+0.017 (-0.108 to +0.142), 2 of 3 above 0')
    """
    low, high = expected(values)
    if not signed:
        return f"{statistics.fmean(values):.3f} ({low:.3f} to {high:.3f})"
    above = f"{sum(value > 0 for value in values)} of {len(values)} above 0"
    return f"{statistics.fmean(values):+.3f} ({low:+.3f} to {high:+.3f}), {above}"


def table(title: str, runs: list[Figures], *, signed: bool) -> Table:
    """One row for each arm or pair, one column for each figure."""
    ranges = Table("", *FIGURES.values(), title=title)
    for row in dict.fromkeys(row for row, _ in runs[0]):
        cells = [spread([run[row, name] for run in runs], signed=signed) for name in FIGURES]
        ranges.add_row(row, *cells)
    return ranges


def outside(runs: list[Figures], mine: Figures) -> list[str]:
    """The figures of one run that are outside the ranges of the others, in three digits."""
    lines = []
    for (row, name), value in mine.items():
        low, high = (round(end, 3) for end in expected([run[row, name] for run in runs]))
        if not low <= round(value, 3) <= high:
            lines.append(f"{row}, {FIGURES[name]}: {value:.3f} is not in {low:.3f} to {high:.3f}")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("runs", nargs="*", type=Path, metavar="RUN", help="folders of finished demos")
    parser.add_argument("--check", type=Path, help="another one, to compare with the ranges")
    arguments = parser.parse_args()
    console = Console()
    runs: list[Path] = arguments.runs or sorted(
        path.parent for path in Path("runs").glob("demo*/results.json")
    )
    if len(runs) < 2:
        console.print("a range needs at least two finished demos: name their folders")
        return
    arms, differences = zip(*map(figures_of, runs), strict=True)
    console.print(table(f"{len(runs)} demos", list(arms), signed=False))
    console.print(table("differences", list(differences), signed=True))
    if arguments.check:
        mine = figures_of(arguments.check)
        lines = [
            line
            for ranges, own in zip((arms, differences), mine, strict=True)
            for line in outside(list(ranges), own)
        ]
        console.print("\n".join(lines) or f"{arguments.check}: all figures are inside these ranges")


if __name__ == "__main__":
    main()
