"""One rule says when an answer is right: the reward, `evaluate` and `ask` agree."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chexphi.evaluation import ask, scoring
from chexphi.evaluation.predictions import read_predictions
from chexphi.evaluation.summary import summarize
from chexphi.graph.lexicon.extractor import LexiconExtractor
from chexphi.mining import score as mining
from chexphi.models.generate import Generation
from chexphi.prompts import ParseStatus
from chexphi.rewards import AccuracyReward, AnswerRule, score
from chexphi.schema import Example, Prediction

GOLD = "<think>There is a left pleural effusion.</think><answer>left lower lobe</answer>"
THINK = "<think>There is a left pleural effusion.</think>"
TEXTS = [
    (ParseStatus.ok, THINK + "<answer>left lower lobe</answer>"),
    (ParseStatus.ok, THINK + "<answer>LLL</answer>"),
    (ParseStatus.ok, THINK + "<answer>right lower lobe</answer>"),
    (ParseStatus.ok, "<answer>left lower lobe</answer>" + THINK),
    (ParseStatus.no_think, "<answer>left lower lobe</answer>"),
    (ParseStatus.no_think, "<answer>LLL</answer>"),
    (ParseStatus.no_answer, THINK + "left lower lobe"),
    (ParseStatus.unclosed, "<think>There is an effusion.<answer>left lower lobe</answer>"),
    (ParseStatus.unclosed, THINK + "<answer>left lower lobe"),
    (ParseStatus.unclosed, "<think>There <answer>left lower lobe</answer> is.</think>"),
    (ParseStatus.several_answers, THINK + "<answer>left lower lobe</answer><answer>LLL</answer>"),
    (ParseStatus.empty_think, "<think> </think><answer>left lower lobe</answer>"),
    (ParseStatus.truncated, GOLD),
    (ParseStatus.truncated, THINK + "<answer>left"),
]
EXAMPLE = Example("a", (), "Where is it?", ("left lower lobe",), GOLD, question_type="location")


def generation(status: ParseStatus, text: str) -> Generation:
    return Generation(text, (1, 2), ("a", "b"), (-1.0, -1.0), status is ParseStatus.truncated, "")


def predicted(status: ParseStatus, text: str) -> Prediction:
    ((reference, said),) = scoring.reading_pairs([EXAMPLE], [text], LexiconExtractor())
    return scoring.make_prediction(
        EXAMPLE, generation(status, text), reference, said, Path(), extractor=LexiconExtractor(), tokens=False
    )


def test_every_status_is_tried() -> None:
    assert {status for status, _ in TEXTS} == set(ParseStatus)


@pytest.mark.parametrize(("status", "text"), TEXTS)
def test_the_reward_and_what_evaluates_agree(status: ParseStatus, text: str) -> None:
    row, cut = predicted(status, text), status is ParseStatus.truncated
    assert row.parse_status == status
    columns = {"solution": [GOLD], "completion_ids": [[1] if cut else [7]]}
    for gate, match, right in (
        (True, "exact", row.is_correct),
        (True, "clinical", row.correct_clinical),
        (False, "exact", row.correct_no_format_gate),
    ):
        reward = AccuracyReward(AnswerRule(match, gate), [7])
        assert reward([text], **columns) == [right]
        assert score(text, GOLD, truncated=cut, answer_rule=AnswerRule(match, gate)).accuracy == right
    if status is not ParseStatus.ok:
        assert not row.is_correct
        assert not row.correct_clinical
    reader = LexiconExtractor()
    (parse,) = reader.parse([""])
    compared = ask.compare(generation(status, text), parse, ask.read_reference(GOLD, reader))
    assert compared.is_correct == row.is_correct
    # mining asks what the policy knows
    assert mining.score_samples(EXAMPLE, [generation(status, text)]).correct == (row.correct_no_format_gate,)


def test_the_figures_are_named_and_older_files_are_read_by_the_same_rule(tmp_path: Path) -> None:
    rows = [predicted(status, text).to_dict() | {"id": f"q{n}"} for n, (status, text) in enumerate(TEXTS)]
    file = tmp_path / "predictions.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    now = summarize(read_predictions(file), resamples=10)
    names = ("accuracy", "accuracy_clinical", "accuracy_no_format_gate")
    values = [now[name]["value"] * len(rows) for name in names]
    assert values == pytest.approx([2, 3, 6])
    for row in rows:  # as they were written before there was one rule
        row["is_correct"] = row.pop("correct_no_format_gate")
        del row["correct_clinical"]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    before = summarize(read_predictions(file), resamples=10)
    assert [before[name] for name in names] == [now["accuracy"], None, now["accuracy_no_format_gate"]]
