"""Evaluation of a small random model: three modes, resuming, and what a prediction says."""

from __future__ import annotations

import json
import math
import random
import shutil
from pathlib import Path

import pytest
from PIL import Image

from chexphi.data.phantom import build as phantom
from chexphi.data.phantom.scene import Finding, Scene, sample_build
from chexphi.evaluation import evaluate, scoring
from chexphi.evaluation.answer_probability import answer_options, answer_probabilities
from chexphi.evaluation.predictions import read_predictions
from chexphi.graph.lexicon.extractor import LexiconExtractor
from chexphi.models.families import phi4
from chexphi.models.generate import Generation
from chexphi.schema import Example, InputError
from chexphi.yaml_files import read_yaml


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluate") / "data"
    phantom.build(folder, counts=phantom.Sizes(sight=4, sft=4, pool=4, valid=4, test=20), seed=2)
    return folder


def run(model: Path, out: Path, *flags: object) -> dict:
    argv = ["--model", model, "--out", out, "--max_new_tokens", 8, "--batch_size", 6, *flags]
    return evaluate.main(evaluate.parse([str(word) for word in argv]))


def test_a_folder_and_its_files_agree(tiny_model_dir: Path, data: Path, tmp_path: Path) -> None:
    folder = data / "annotations" / "eval"
    summary = run(tiny_model_dir, tmp_path / "all", "--data", folder)
    whole = {row.id: row for row in read_predictions(tmp_path / "all")}
    assert summary["n"] == len(whole) == 20
    assert set(summary["by_kind"]) == {"basic", "region", "compare"}
    parts = {}
    for file in sorted(folder.glob("*.json")):
        run(tiny_model_dir, tmp_path / file.stem, "--annotation_file", file, "--img_root", data / "images")
        parts |= {row.id: row for row in read_predictions(tmp_path / file.stem)}
    assert {i: r.generated_text for i, r in parts.items()} == {i: r.generated_text for i, r in whole.items()}


def test_the_image_root_has_two_spellings(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "alone.json"
    shutil.copy(data / "annotations" / "eval" / "test_basic_vqa.json", file)
    words = ["--model", "m", "--data", str(file)]
    for flags in (["--image_root", str(data / "images")], ["--img_root", str(data / "images")]):
        path, root = evaluate.check(evaluate.parse([*words, *flags]))
        assert evaluate.read_all(path, root)
        assert root == data / "images"
    with pytest.raises(InputError, match="both --image_root and --img_root"):
        evaluate.check(evaluate.parse([*words, "--image_root", "a", "--img_root", "b"]))


def test_tokens_are_written_on_demand(tiny_model_dir: Path, data: Path, tmp_path: Path) -> None:
    file = data / "annotations" / "eval" / "test_basic_vqa.json"
    run(tiny_model_dir, tmp_path / "plain", "--data", file, "--limit", 3)
    assert all(row.token_ids == () for row in read_predictions(tmp_path / "plain"))
    run(tiny_model_dir, tmp_path / "tokens", "--data", file, "--limit", 3, "--tokens", "true")
    _, processor = phi4.load(tiny_model_dir)
    for row in read_predictions(tmp_path / "tokens"):
        assert len(row.token_ids) == len(row.generated_tokens) == len(row.token_logprobs) > 0
        assert row.token_probabilities == pytest.approx([math.exp(value) for value in row.token_logprobs])
        assert processor.tokenizer.decode(row.token_ids, skip_special_tokens=True) == row.generated_text


def test_a_killed_evaluation_goes_on(tiny_model_dir: Path, data: Path, tmp_path: Path) -> None:
    file, out = data / "annotations" / "eval" / "test_basic_vqa.json", tmp_path / "run"
    whole = run(tiny_model_dir, out, "--data", file)
    lines = (out / "predictions.jsonl").read_text().splitlines(keepends=True)
    (out / "predictions.jsonl").write_text("".join(lines[:5]) + lines[5][:40])
    with pytest.raises(InputError, match="--resume"):
        run(tiny_model_dir, out, "--data", file)
    again = run(tiny_model_dir, out, "--data", file, "--resume", "true")
    assert (out / "predictions.jsonl").read_text().splitlines(keepends=True)[:5] == lines[:5]
    assert again == whole


def test_answer_probabilities_add_up(tiny_model_dir: Path, data: Path) -> None:
    model, processor = phi4.load(tiny_model_dir)
    film = [Image.new("RGB", (64, 64))]
    examples = [
        Example("a", ("f",), "Is there an opacity?", ("yes",), question_type="presence"),
        Example("b", ("f",), "Is there a nodule?", ("no",), question_type="presence"),
        Example("c", ("f",), "Where is it?", ("left lung",), question_type="location"),
    ]
    options = answer_options(examples)
    assert options == {"presence": ("no", "yes")}
    films = [film] * 3
    odds = answer_probabilities(
        model, processor, examples, films, options, samples=2, max_new_tokens=4, seed=0
    )
    assert odds[2] is None
    for row in odds[:2]:
        assert row is not None
        assert sum(row.values()) == pytest.approx(1)
        assert all(0 < value < 1 for value in row.values())


OWN = '[kyphosis]\nterms = ["kyphosis"]\nunder = ["scoliosis"]\nsignificance = "urgent"\n'
"""To the package kyphosis is minor, and nothing that scoliosis is above."""


def test_own_concepts_are_used_for_findings_and_consistency(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(OWN)
    reference = "<think>A small pleural effusion. There is kyphosis.</think><answer>no</answer>"
    text = "<think>There is kyphosis.</think><answer>no</answer>"
    example = Example("a", (), "Is there scoliosis?", ("no",), reference)
    generation, extractor = Generation(text, (1,), ("x",), (-0.5,), False, ""), LexiconExtractor()
    plain, own = (
        scoring.make_prediction(
            example, generation, *pair, tmp_path, extractor=extractor, tokens=False, ontology=ontology
        )
        for ontology in ("", str(tmp_path / "own.toml"))
        for pair in scoring.reading_pairs([example], [text], extractor, ontology=ontology)
    )
    assert plain.clinical is not None
    assert own.clinical is not None
    assert own.clinical["earned"] == 1 > plain.clinical["earned"]
    assert (plain.consistency, own.consistency) == ("silent", "contradicts")


def test_an_evaluation_with_own_concepts(tiny_model_dir: Path, data: Path, tmp_path: Path) -> None:
    """Some references have an enlarged heart: the file makes it urgent."""
    (tmp_path / "own.toml").write_text(
        '[cardiomegaly]\nterms = ["heart enlarged", "cardiomegaly"]\nsignificance = "urgent"\n'
    )
    file, out = data / "annotations" / "eval" / "test_basic_vqa.json", tmp_path / "own"
    words = ("--data", file, "--ontology", tmp_path / "own.toml")
    run(tiny_model_dir, tmp_path / "plain", "--data", file)
    own_summary = run(tiny_model_dir, out, *words)
    weights = [
        {row.id: row.clinical["possible"] for row in read_predictions(folder) if row.clinical}
        for folder in (tmp_path / "plain", out)
    ]
    assert weights[0].keys() == weights[1].keys()
    differing = [key for key in weights[0] if weights[0][key] != weights[1][key]]
    assert differing
    assert all(weights[1][key] > weights[0][key] for key in differing)
    assert read_yaml(out / "config.yaml")["ontology"] == str(tmp_path / "own.toml")
    lines = (out / "predictions.jsonl").read_text().splitlines(keepends=True)
    (out / "predictions.jsonl").write_text("".join(lines[:4]))
    with pytest.raises(InputError, match=r"ontology was .*own\.toml. and is .."):
        run(tiny_model_dir, out, "--data", file, "--resume", "true")
    assert run(tiny_model_dir, out, *words, "--resume", "true") == own_summary


GRAPH = "<think>There is a left pleural effusion.</think><answer>{}</answer>"


@pytest.mark.parametrize(
    ("text", "strict", "substring", "status", "f1"),
    [
        (GRAPH.format("yes"), True, True, "ok", 1.0),
        (GRAPH.format("no"), False, False, "ok", 1.0),
        ("<think>Clear to my eyes.</think><answer>no</answer>", False, True, "ok", 0.0),  # E3: yes in eyes
        ("yes", False, True, "no_answer", 0.0),
        ("<answer>yes</answer>", False, True, "no_think", 0.0),  # the reward pays it nothing
    ],
)
def test_one_prediction(
    tmp_path: Path, text: str, strict: bool, substring: bool, status: str, f1: float
) -> None:
    scene = Scene((Finding("pleural effusion", "left"),), sample_build(random.Random(0)), 0)
    example = Example(
        "a", ("f",), "Is there an effusion?", ("yes",), GRAPH.format("yes"), scene=(scene.to_dict(),)
    )
    generation = Generation(text, (1,), ("x",), (-0.5,), False, "")
    ((reference, predicted),) = scoring.reading_pairs([example], [text], LexiconExtractor())
    row = scoring.make_prediction(
        example, generation, reference, predicted, tmp_path, extractor=LexiconExtractor(), tokens=False
    )
    assert (row.is_correct, row.correct_substring, row.parse_status) == (strict, substring, status)
    assert row.correct_no_format_gate == ("<answer>yes" in text)
    assert row.scene_counts == ((1, 0, 0) if f1 else (0, 0, 1))
    json.dumps(row.to_dict())
