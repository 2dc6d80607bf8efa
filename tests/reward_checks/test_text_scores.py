"""The scores whose agreement is asked for: their conventions, and those of others."""

from __future__ import annotations

import math
import sys
import types

import pytest
from judgement_rows import BAD, FAIR, REFERENCE

from chexphi.graph.lexicon import extractor
from chexphi.reward_checks.agreement import scores
from chexphi.rewards import radeval_reward
from chexphi.schema import InputError


@pytest.mark.parametrize(
    ("name", "candidate", "reference", "value"),
    [
        ("jaccard", REFERENCE, REFERENCE, 1.0),
        ("f1", REFERENCE, REFERENCE, 1.0),
        ("counts", REFERENCE, REFERENCE, 1.0),
        ("jaccard", "", "", 1.0),  # neither has a finding
        ("jaccard", BAD, "", 0.0),  # claimed, and the reference has none
        ("jaccard", "", BAD, 0.0),
        ("counts", "", BAD, 1 / 2),
        ("counts", "Effusion.", "Effusion. Pneumothorax.", 2 / 3),
        ("counts", "No effusion. No edema.", "", 1.0),  # what is absent does not count
    ],
)
def test_scores_of_texts(name: str, candidate: str, reference: str, value: float) -> None:
    score = scores.open_scores([name])[name]
    assert score(candidate, reference) == pytest.approx(value)


def test_each_text_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the second score, and the second candidate of a reference, would seem faster than they are."""
    read: list[str] = []
    tokenize = extractor.tokenize
    monkeypatch.setattr(extractor, "tokenize", lambda text: read.append(text) or tokenize(text))
    opened = scores.open_scores(["jaccard", "f1"])
    for score in opened.values():
        scored = scores.score_texts(score, [(BAD, FAIR), (BAD, FAIR)])
        assert (len(set(scored.values)), len(scored.seconds)) == (1, 2)
    assert read.count(BAD) == read.count(FAIR) == 4


def test_a_reward_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("agree_probe_module")
    module.length = lambda completions, solution, **columns: [float(len(completions[0]))]  # type: ignore[attr-defined]
    module.silent = lambda completions, **columns: [None]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    opened = scores.open_scores([f"{module.__name__}:length", f"{module.__name__}:silent"])
    length, silent = opened.values()
    assert length(BAD, REFERENCE) - length("", REFERENCE) == len(BAD)
    with pytest.raises(InputError, match="silent cannot score a text"):
        silent(BAD, REFERENCE)


def test_radeval_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    returned: list[list[float]] = [[0.25], [math.nan], []]
    monkeypatch.setattr(
        radeval_reward, "open_metric", lambda name: lambda completions, ground_truth: returned.pop(0)
    )
    score = scores.open_scores(["radeval:bleu"])["radeval:bleu"]
    assert [score("", "."), score("", BAD), score(BAD, "")] == [1.0, 0.0, 0.0]  # the metric is not asked
    assert score(BAD, FAIR) == 0.25
    for kind in ("a number", "0 values"):
        with pytest.raises(InputError, match=f"radeval:bleu returned {kind} for a text"):
            score(BAD, FAIR)


@pytest.mark.parametrize(
    ("names", "sentence"),
    [(["jaccard", "jacard"], "has no score 'jacard': use jaccard, f1"), (["f1", "f1"], "names f1 twice")],
)
def test_names_that_are_refused(names: list[str], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        scores.open_scores(names)
