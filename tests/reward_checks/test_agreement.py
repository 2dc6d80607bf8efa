"""Agreement of scores with people: the figures against independent computations, and the verb."""

from __future__ import annotations

import io
import itertools
import json
import math
import statistics
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from judgement_rows import FAIR, GOOD, REFERENCE, radjudge_rows, radpref_rows, table, write_lines
from rich.console import Console
from typer.testing import CliRunner

from chexphi.cli import app
from chexphi.reward_checks.agreement import figures, scores
from chexphi.reward_checks.agreement.agree import agree
from chexphi.reward_checks.agreement.correlation import pearson, tau_b
from chexphi.reward_checks.agreement.judgements import RankedCase, Ranking, RatedText
from chexphi.reward_checks.agreement.rankings import holds, passed
from chexphi.reward_checks.agreement.read import read_judgements
from chexphi.reward_checks.agreement.tables import tables
from chexphi.schema import InputError

rows = st.lists(st.tuples(st.integers(-3, 3), st.integers(1, 5), st.integers(0, 3)), min_size=2, max_size=12)
"""Few values, so that many are tied: (score, rating, how often the text is there)."""


def counted_tau_b(pairs: list[tuple[int, int]]) -> float:
    """Kendall's tau-b by counting pairs, as its definition has them."""
    concordant = discordant = tied_x = tied_y = 0
    for (x1, y1), (x2, y2) in itertools.combinations(pairs, 2):
        if x1 == x2 and y1 == y2:
            continue
        if x1 == x2:
            tied_x += 1
        elif y1 == y2:
            tied_y += 1
        elif (x1 < x2) == (y1 < y2):
            concordant += 1
        else:
            discordant += 1
    untied = concordant + discordant
    size = math.sqrt((untied + tied_x) * (untied + tied_y))
    return (concordant - discordant) / size if size else math.nan


@given(rows)
def test_correlations_of_weighted_texts_are_those_of_repeated_texts(rows: list[tuple[int, int, int]]) -> None:
    repeated = [(x, y) for x, y, times in rows for _ in range(times)]
    x, y, times = (np.array(column, dtype=np.float64) for column in zip(*rows, strict=True))
    if len(repeated) < 2:
        return
    weights = np.stack([times, np.ones(len(rows))])
    expected = [counted_tau_b(repeated), counted_tau_b([row[:2] for row in rows])]
    assert tau_b(x, y, weights) == pytest.approx(expected, nan_ok=True)
    try:
        correlation = statistics.correlation(*zip(*repeated, strict=True))
    except statistics.StatisticsError:
        correlation = math.nan
    assert pearson(x, y, weights)[0] == pytest.approx(correlation, nan_ok=True, abs=1e-9)


def test_tau_b_of_a_published_example() -> None:
    """Two rankings of 12 without ties: 4 discordant of 66 pairs is (62 - 4) / 66."""
    x = np.arange(12.0)
    y = np.array([1, 0, 2, 4, 3, 5, 6, 8, 7, 9, 11, 10], dtype=np.float64)
    assert tau_b(x, y, np.ones((1, 12)))[0] == pytest.approx(58 / 66)


def rated(*rows: tuple[str, float]) -> list[RatedText]:
    return [RatedText(case, REFERENCE, GOOD, {"1": rating}) for case, rating in rows]


@pytest.mark.parametrize(
    ("ratings", "values", "share"),
    [
        ([5, 1], [0.9, 0.1], 1.0),
        ([5, 1], [0.1, 0.9], 0.0),
        ([5, 1], [0.5, 0.5], 0.5),  # a tie of the score
        ([5, 1], [1 / 3, 0.1 + 0.7 / 3], 0.5),  # equal but for rounding
        ([3, 3], [0.9, 0.1], None),  # a tie of the raters
        ([5, 3, 1], [0.9, 0.1, 0.5], 2 / 3),
    ],
)
def test_better_of_a_pair(ratings: list[float], values: list[float], share: float | None) -> None:
    texts = rated(*(("a", rating) for rating in ratings))
    ratio = figures.better_of_pair(texts, values, ratings)
    total = ratio.denominator.sum()
    assert (ratio.numerator.sum() / total if total else None) == (
        share and pytest.approx(share)
    ) or share == 0


def test_texts_of_different_cases_are_no_pair() -> None:
    assert figures.better_of_pair(rated(("a", 5), ("b", 1)), [0.1, 0.9], [5, 1]).denominator.sum() == 0


def test_an_interval_is_drawn_by_case() -> None:
    """Copies of a case add nothing: the interval of three cases, each four times, is that of three cases."""
    texts = rated(("a", 5), ("a", 1), ("b", 4), ("b", 2), ("c", 3), ("c", 2))
    values = [0.9, 0.2, 0.3, 0.4, 0.8, 0.1]
    ratings = [text.mean_rating for text in texts]
    few = figures.agreement(texts, values, ratings, seed=3)
    many = figures.agreement(texts * 4, values * 4, ratings * 4, seed=3)
    for name in ("tau_b", "pearson"):
        one, four = few[name], many[name]
        assert one
        assert four
        assert one["low"] is not None
        assert one["low"] <= one["value"] <= one["high"]
        assert (four["low"], four["high"]) == pytest.approx((one["low"], one["high"]))
    single = figures.agreement(rated(("a", 5), ("a", 1)), [1.0, 0.0], [5, 1], seed=0)["tau_b"]
    assert single == {"value": 1.0, "low": None, "high": None, "n": 2}


def test_a_gain_is_the_difference_of_both_figures() -> None:
    texts = rated(("a", 5), ("a", 1), ("b", 4), ("b", 2), ("c", 3), ("c", 2))
    ratings = [text.mean_rating for text in texts]
    better, worse = [0.9, 0.2, 0.8, 0.4, 0.6, 0.1], [0.5, 0.6, 0.8, 0.1, 0.2, 0.3]
    first, second = (figures.agreement(texts, values, ratings, seed=1) for values in (worse, better))
    gains = figures.difference(texts, better, worse, ratings, seed=1)
    for name, gain in gains.items():
        before, after = first[name], second[name]
        assert before
        assert after
        assert gain
        assert gain["value"] == pytest.approx(after["value"] - before["value"])
        assert gain["value"] > 0
    none = figures.difference(texts, better, better, ratings, seed=1)
    assert none["tau_b"] == {"value": 0.0, "low": None, "high": None, "n": 6}
    constant = figures.difference(texts, [0.5] * 6, better, ratings, seed=1)
    assert constant["tau_b"] is constant["pearson"] is None


@pytest.mark.parametrize(
    ("words", "first", "second", "score_range", "verdict"),
    [
        (">", 0.6, 0.5, 1.0, True),
        (">", 0.5, 0.5, 1.0, False),
        (">", 0.4, 0.5, 1.0, False),
        ("=", 0.5, 0.55, 1.0, True),
        ("=", 0.5, 0.56, 1.0, False),
        ("=", -1.0, -0.9, 2.0, True),
    ],
)
def test_rankings(words: str, first: float, second: float, score_range: float, verdict: bool) -> None:
    ranking = Ranking("C1", "C2", equal=words == "=")
    assert holds(ranking, {"C1": first, "C2": second}, score_range) is verdict


def test_a_case_passes_when_all_its_rankings_hold() -> None:
    better = (Ranking("A", "B", equal=False), Ranking("B", "C", equal=False))
    cases = [RankedCase("k", REFERENCE, dict.fromkeys("ABC", FAIR), better, needs_context=False)] * 2
    assert passed(cases, [0.9, 0.5, 0.1, 0.9, 0.1, 0.5], 1.0) == [True, False]


def test_the_verb(tmp_path: Path) -> None:
    """Both spellings of the names mean the same; no text and no id is printed."""
    file = write_lines(tmp_path / "radpref.jsonl", radpref_rows())
    spaced = CliRunner().invoke(app, ["rewards", "agree", "--rewards", "counts", "f1", str(file), "--json"])
    found = json.loads(spaced.stdout)
    lists, reports = found["rated"]
    assert (lists["form"], lists["n"], lists["cases"]) == ("lists of findings", 6, 3)
    assert list(reports["scores"]) == ["counts", "f1"]
    assert (reports["baseline"], list(reports["differences"])) == ("counts", ["f1"])
    assert reports["raters"]["raters"] == len(reports["raters"]["one_against_others"]) == 3
    printed = CliRunner().invoke(app, ["rewards", "agree", str(file), "--rewards", "counts,f1"])
    assert printed.exit_code == 0
    for output in (spaced.stdout, printed.stdout):
        assert not any(word in output.lower() for word in ("effusion", "heart", "c0", "c1"))
    assert max(map(len, printed.stdout.splitlines())) <= 80


def test_the_verb_with_rankings(tmp_path: Path) -> None:
    file = write_lines(tmp_path / "radjudge.jsonl", radjudge_rows())
    result = CliRunner().invoke(app, ["rewards", "agree", str(file)])
    assert "context (1 needs context)" in result.stdout
    row = {"passed": 7, "passed_without_context": 6, "categories": {"k": 7}, "ms_per_sample": 0.1}
    names = [f"radeval:metric:key{number}" for number in range(5)]
    many = {"cases": 9, "needs_context": 0, "categories": {"k": 9}, "contexts": {}}
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(tables({"ranked": many | {"scores": dict.fromkeys(names, row)}}))
    printed = console.export_text()
    assert printed.count(" 6 ") == printed.count("0.100") == 5  # no column is cut off
    ranked = agree(read_judgements(file), scores.open_scores(["jaccard"]))["ranked"]
    assert (ranked["cases"], ranked["needs_context"]) == (2, 1)
    row = ranked["scores"]["jaccard"]
    assert (row["passed"], row["passed_without_context"]) == (1, 1)
    assert row["categories"] == {"wrong side": 1, "context": 0}


def test_raters_who_are_not_named_have_no_agreement(tmp_path: Path) -> None:
    file = tmp_path / "ratings.csv"
    file.write_text(table(raters=False), encoding="utf-8")
    assert agree(read_judgements(file), scores.open_scores(["f1"]))["rated"][0]["raters"] is None
    assert "two raters" not in CliRunner().invoke(app, ["rewards", "agree", str(file)]).stdout


def test_figures_on_the_half_here(shared_data: Path) -> None:
    """As measured when the sets came; the lexicon has moved them by a hundredth since."""
    folder = shared_data / "radiologists"
    if not folder.is_dir():
        pytest.skip(f"no judgements of radiologists at {folder}")
    opened = scores.open_scores(["jaccard"])
    lists, reports = agree(read_judgements(folder / "radpref_dev.jsonl"), opened)["rated"]
    for rated, tau, share in ((lists, 0.56, 0.81), (reports, 0.35, 0.88)):
        assert rated["scores"]["jaccard"]["tau_b"]["value"] == pytest.approx(tau, abs=0.05)
        assert rated["scores"]["jaccard"]["better_of_pair"]["value"] == pytest.approx(share, abs=0.05)
        assert 0.7 < rated["raters"]["between"]["mean"] < 0.85
    ranked = agree(read_judgements(folder / "radjudge_dev.jsonl"), opened)["ranked"]
    assert (ranked["cases"], ranked["needs_context"]) == (15, 1)
    assert ranked["scores"]["jaccard"]["passed"] == pytest.approx(3, abs=2)


def test_draws_that_miss_the_figure_tell_no_interval() -> None:
    few_draws = np.array([0.5, 0.6, 0.7, 0.8])
    assert figures._estimate(few_draws, 5) == {"value": 0.5, "low": None, "high": None, "n": 5}
    around = figures._estimate(np.array([0.65, 0.6, 0.7, 0.8]), 5)
    assert around is not None
    assert around["low"] is not None


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("No effusion.,Effusion.,nan", "line 2: rating is nan: write a finite number"),
        (" ,Effusion.,3", "line 2: reference is empty: write the text that the candidate is judged by"),
    ],
)
def test_a_row_of_a_table_without_a_number_or_a_reference_is_refused(
    row: str, sentence: str, tmp_path: Path
) -> None:
    file = tmp_path / "ratings.csv"
    file.write_text(f"reference,candidate,rating\n{row}\n")
    with pytest.raises(InputError, match=sentence):
        read_judgements(file)
