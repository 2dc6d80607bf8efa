"""How often 95 % intervals of an accuracy hold the truth: ours, and a bootstrap that resamples patients.

Patients have 1 to 5 questions and agree in themselves not at all (0), some or wholly (1).
"""

from __future__ import annotations

import argparse

import numpy as np
from rich.console import Console
from rich.table import Table

from chexphi.statistics.intervals import percentile
from chexphi.statistics.ratio import Ratio
from chexphi.statistics.shares import share_bounds

PATIENTS = (10, 30, 100)
AGREEMENTS = (0.0, 0.3, 1.0)
TRUTHS = (0.5, 0.9, 0.98, 1.0)


def draw(
    rng: np.random.Generator, truth: float, patients: int, agreement: float
) -> tuple[np.ndarray, np.ndarray]:
    """(right, patient) of each question; `agreement` is the correlation of two answers of a patient."""
    sizes = rng.integers(1, 6, size=patients)
    rates = np.full(patients, truth)
    if truth < 1 and agreement == 1:
        rates = (rng.random(patients) < truth).astype(float)
    elif truth < 1 and agreement > 0:
        scale = (1 - agreement) / agreement
        rates = rng.beta(truth * scale, (1 - truth) * scale, size=patients)
    index = np.repeat(np.arange(patients), sizes)
    return rng.binomial(1, rates[index]).astype(float), index


def bootstrap(
    rng: np.random.Generator, right: np.ndarray, index: np.ndarray, resamples: int
) -> tuple[float, float]:
    """The percentile interval; of answers that all agree it is a point."""
    sums, sizes = np.bincount(index, weights=right), np.bincount(index)
    drawn = rng.integers(len(sizes), size=(resamples, len(sizes)))
    means = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    return percentile(means) or (float(means[0]), float(means[0]))


def measure(
    rng: np.random.Generator, truth: float, patients: int, agreement: float, rounds: int
) -> list[float]:
    """Share of rounds that hold the truth, and mean width: ours, then the bootstrap's."""
    found = []
    for _ in range(rounds):
        right, index = draw(rng, truth, patients, agreement)
        ours = share_bounds(Ratio.mean(right), index)
        assert ours is not None, "there are at least two patients"
        for low, high in (ours, bootstrap(rng, right, index, 400)):
            found.append((low - 1e-12 <= truth <= high + 1e-12, high - low))
    rows = np.array(found).reshape(rounds, 4)
    return rows.mean(axis=0).tolist()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1000)
    rounds = parser.parse_args().rounds
    table = Table(
        "patients", "agreement", "accuracy", "covers, ours", "bootstrap", "width, ours", "bootstrap"
    )
    table.title = f"95 % intervals, {rounds} rounds each"
    rng = np.random.default_rng(0)
    for patients in PATIENTS:
        for agreement in AGREEMENTS:
            for truth in TRUTHS:
                covers, width, plain, plain_width = measure(rng, truth, patients, agreement, rounds)
                figures = (f"{value:.3f}" for value in (covers, plain, width, plain_width))
                table.add_row(str(patients), f"{agreement:g}", f"{truth:g}", *figures)
        table.add_section()
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
