"""A path with a typo: every reader of paths names the neighbour that was meant, and says what to give."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from error_sites import PACKAGE

import chexphi
from chexphi import model_folder
from chexphi.data.importers.convert import convert
from chexphi.data.read import read_examples, read_folder
from chexphi.evaluation.predictions import read_predictions
from chexphi.graph.findings.ontology import load
from chexphi.graph.open import check_extractor
from chexphi.kg.annotated import read_annotated
from chexphi.kg.extract import read_graphs
from chexphi.kg.input_texts import read_texts
from chexphi.kg.radgraph_f1 import read_annotations
from chexphi.mining import subset
from chexphi.report.collect import find_runs
from chexphi.reward_checks.agreement.read import read_judgements
from chexphi.reward_checks.completion_rows import read_rows
from chexphi.schema import InputError
from chexphi.sweep import run as sweep
from chexphi.sweep.grid import Trial


class Reader(NamedTuple):
    """A function that reads a path."""

    read: Callable[[Path], Any]
    name: str
    """Of the file or folder that is there."""
    typo: str
    sentence: str


def import_dataset(path: Path) -> None:
    convert("vqa-rad", path, path.parent / "out")


def select_from(path: Path) -> None:
    pool, out = path.parent / "p.json", path.parent / "o.json"
    subset.main(path, pool, out, selection="uniform", number=1, seed=0)


def sweep_over(path: Path) -> None:
    model = path.parent / "model"
    model.mkdir()
    (model / "config.json").write_text(json.dumps({"model_type": "phi4_multimodal"}))
    words = ("--num_generations=2", "--per_device_train_batch_size=2", "--bf16=false")
    sweep.read_trial_settings(Trial("r", {}, ("--model", str(model), "--data", str(path), *words)), {})


READERS = {
    "data/forms.py": Reader(
        read_examples, "train.json", "trian.json",
        "dataset {path} does not exist{hint}: give a file that ends in .json, .jsonl, .parquet",
    ),
    "data/importers/convert.py": Reader(
        import_dataset, "vqa_rad", "vqa_rd",
        "{path} does not exist{hint}: name the dataset's folder or file",
    ),
    "data/read.py": Reader(
        read_folder, "annotations", "anotations",
        "annotation folder {path} does not exist{hint}: give a folder of dataset files",
    ),
    "evaluation/predictions.py": Reader(
        read_predictions, "predictions.jsonl", "prediction.jsonl",
        "predictions file {path} does not exist{hint}: give the predictions.jsonl of a run",
    ),
    "graph/findings/concepts.py": Reader(
        load, "concepts.toml", "concpets.toml",
        "{path} cannot be read (No such file or directory){hint}: name a TOML file of concepts",
    ),
    "graph/rexkg/files.py": Reader(
        lambda path: check_extractor(f"rexkg:{path}"), "rexkg", "rexgk",
        "checkpoint folder {path} does not exist{hint}: give one with run_entity/ and run_relation/",
    ),
    "kg/annotated.py": Reader(
        read_annotated, "sentences.jsonl", "sentences.json",
        "{path} is not a file{hint}: name a JSONL file of annotated sentences",
    ),
    "kg/extract.py": Reader(
        read_graphs, "kg.jsonl", "gk.jsonl", "{path} is not a file{hint}: make it with `chexphi kg extract`",
    ),
    "kg/input_texts.py": Reader(
        lambda path: read_texts([path]), "report.txt", "repotr.txt",
        "{path} is not a file{hint}: name files of texts, a folder of them, or - for standard input",
    ),
    "kg/radgraph_f1.py": Reader(
        read_annotations, "gold.json", "glod.json",
        "{path} is not a file{hint}: name a JSON file of RadGraph's annotations",
    ),
    "mining/subset.py": Reader(
        select_from, "scored.jsonl", "scores.jsonl",
        "scored pool {path} does not exist{hint}: run `chexphi mine score` first",
    ),
    "model_folder.py": Reader(
        model_folder.read_config,
        "phi4",
        "phi_4",
        "model folder {path} does not exist{hint}: check its path; nothing is downloaded",
    ),
    "report/collect.py": Reader(
        lambda path: find_runs([path]), "grpo", "gpro",
        "run folder {path} does not exist{hint}: give the folder of a run",
    ),
    "reward_checks/agreement/read.py": Reader(
        read_judgements, "radpref.jsonl", "radperf.jsonl",
        "{path} does not exist{hint}: give RadPref, RadJudge, or CSV with reference, candidate, rating",
    ),
    "reward_checks/completion_rows.py": Reader(
        read_rows, "completions.jsonl", "completion.jsonl",
        "{path} does not exist{hint}: give a JSONL file of completions",
    ),
    "run_frames.py": Reader(
        chexphi.load, "sft", "stf",
        "run {path} does not exist{hint}: give the folder of a run, or a file of predictions",
    ),
    "sweep/run.py": Reader(
        sweep_over, "pool.json", "pol.json",
        "sweep: run r: data {path} does not exist{hint}: make it, or correct data and the grid",
    ),
}  # fmt: skip
"""By the module that has the sentence."""


@pytest.mark.parametrize("has_neighbour", [True, False])
@pytest.mark.parametrize("module", READERS)
def test_a_typo_is_answered_with_the_neighbour(module: str, has_neighbour: bool, tmp_path: Path) -> None:
    reader = READERS[module]
    if has_neighbour:
        (tmp_path / reader.name).touch()
    path = tmp_path / reader.typo
    hint = f" ({tmp_path} has {reader.name})" if has_neighbour else ""
    with pytest.raises(InputError) as refused:
        reader.read(path)
    assert str(refused.value) == reader.sentence.format(path=path, hint=hint)


def test_every_reader_that_compares_names_is_in_the_table() -> None:
    calls = {
        file.relative_to(PACKAGE).as_posix(): file.read_text(encoding="utf-8").count("similar_names(")
        for file in PACKAGE.rglob("*.py")
    }
    del calls["files.py"]  # where it is defined
    watching = {"watch/view.py": 1}  # a picture, no error: its own test has it
    assert {file: count for file, count in calls.items() if count} == dict.fromkeys(READERS, 1) | watching
