"""Whatever takes a file of concepts reads the terms and words of that file in the texts."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from synthetic_predictions import predictions
from typer.testing import CliRunner

from chexphi import score
from chexphi.cli import app
from chexphi.data.read import write_examples
from chexphi.evaluation import evaluate
from chexphi.evaluation.predictions import read_predictions
from chexphi.graph.open import open_extractor
from chexphi.integrations import verl
from chexphi.mining import score as mine_score
from chexphi.report.films import finding_rows
from chexphi.reward_checks import offline_scores, probe
from chexphi.rewards import ConsistencyReward, GraphReward, GraphRule, by_name, settings
from chexphi.schema import Example

REFERENCE = "<think>The ticker is enlarged.</think><answer>yes</answer>"
COMPLETION = "<think>Cardiomegaly.</think><answer>yes</answer>"
QUESTION = "Is the heart enlarged?"


@pytest.fixture
def own(tmp_path: Path) -> str:
    file = tmp_path / "own.toml"
    file.write_text('[words.same]\nheart = ["ticker"]\n')
    return str(file)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.json"
    write_examples(path, [Example(name, (), QUESTION, ("yes",), REFERENCE) for name in "ab"])
    return path


def printed(*words: str) -> Any:
    done = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.mark.parametrize("has_file", [False, True])
def test_rewards(has_file: bool, own: str) -> None:
    rule = GraphRule("clinical", ontology=own if has_file else "")
    expected = 1.0 if has_file else None
    batch: dict[str, Any] = {"solution": [REFERENCE]}
    assert score(COMPLETION, REFERENCE, graph_rule=rule).graph == expected
    assert GraphReward(rule=rule)([COMPLETION], **batch) == [expected]
    assert GraphReward(open_extractor(), rule)([COMPLETION], **batch) == [expected]
    verdict = ConsistencyReward(rule=rule)([REFERENCE], question=[QUESTION])
    assert verdict == [1.0 if has_file else 0.5]
    values = verl.compute_score("own", COMPLETION, REFERENCE, measure="clinical", ontology=rule.ontology)
    assert values["scored/external_kg_jac"] == float(has_file)


def test_the_rewards_of_grpo(own: str) -> None:
    fields = settings.RewardFields(measure="clinical", ontology=own)
    (reward,) = by_name.open_rewards(
        settings.RewardFields(measure="clinical", ontology=own, rewards=["external_kg_jac"]),
        by_name.extractor_of(fields),
    )
    assert reward([COMPLETION], solution=[REFERENCE], id=["a"]) == [1.0]


def test_rewards_score_and_probe(own: str, tmp_path: Path) -> None:
    path = tmp_path / "scored.jsonl"
    path.write_text(json.dumps({"id": "a", "completion": COMPLETION, "solution": REFERENCE}) + "\n")
    flags = ("--measure", "clinical", "--ontology", own, "--json")
    (scored_row,) = printed("rewards", "score", str(path), *flags)["rows"]
    assert scored_row["rewards"]["external_kg_jac"] == 1
    examples = [Example(name, (), QUESTION, ("yes",), REFERENCE) for name in "ab"]
    earned = []
    for ontology in ("", own):
        fields = settings.RewardFields(measure="clinical", ontology=ontology)
        prepared = probe.prepare(examples, {"one": offline_scores.RewardSetup(fields)})
        figures = probe.probe(prepared)
        (cheats,) = (configuration["cheats"] for configuration in figures["configurations"])
        earned.append(cheats[0]["gold"].get("external_kg_jac"))
    assert earned[0] != earned[1]


def test_kg_compare_and_show(own: str) -> None:
    texts = ("Cardiomegaly.", "The ticker is enlarged.")
    assert printed("kg", "compare", *texts, "--ontology", own, "--json")["reward"] == 1
    shown = printed("kg", "show", texts[1], "--ontology", own, "--json")
    assert shown["entities"] == {"ticker": "anatomy", "enlarged": "concept"}


def test_the_report(own: str) -> None:
    (one,) = predictions(1)
    row = dataclasses.replace(one, explanation=REFERENCE)
    assert finding_rows(row, "Cardiomegaly.") == []
    assert [item["kind"] for item in finding_rows(row, "Cardiomegaly.", own)] == ["matched"]


def test_ask(own: str, tiny_model_dir: Path) -> None:
    words = ("ask", str(tiny_model_dir), QUESTION, "--reference", REFERENCE, "--max-new-tokens", "4")
    row = printed(*words, "--ontology", own, "--json")
    assert [item["reference"]["concept"] for item in row["comparison"]["findings"]["findings"]] == [
        "cardiomegaly"
    ]


def test_evaluate(own: str, rows: Path, tiny_model_dir: Path, tmp_path: Path) -> None:
    argv = ["--model", tiny_model_dir, "--data", rows, "--max_new_tokens", 4, "--image_root", tmp_path]
    for name, flags in (("plain", []), ("own", ["--ontology", own])):
        evaluate.main(evaluate.parse([str(word) for word in [*argv, "--out", tmp_path / name, *flags]]))
    plain, taught = ([row.clinical for row in read_predictions(tmp_path / name)] for name in ("plain", "own"))
    assert plain == [None, None]
    assert all(taught)


def test_mine_score(own: str, rows: Path, tiny_model_dir: Path, tmp_path: Path) -> None:
    argv = ["--model", tiny_model_dir, "--data", rows, "--max_new_tokens", 4, "--image_root", tmp_path]
    flags = ["--out", tmp_path / "mine", "--measure", "clinical", "--ontology", own]
    mine_score.main(mine_score.parse([str(word) for word in [*argv, *flags]]))
    scored = [json.loads(line) for line in (tmp_path / "mine" / "scored.jsonl").read_text().splitlines()]
    assert [row["graph"] for row in scored] == [[0.0] * 4] * 2  # without the file it cannot be scored
