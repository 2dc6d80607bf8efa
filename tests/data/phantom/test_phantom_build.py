"""Datasets of drawn films on disk: layout, disjoint patients, references that earn full reward."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path

import pytest

from chexphi import answers, prompts
from chexphi.data.phantom.build import Sizes, build
from chexphi.data.phantom.scene import Scene
from chexphi.data.read import read_examples
from chexphi.demo.settings import STUDY
from chexphi.graph.lexicon.extractor import LexiconExtractor
from chexphi.graph.match import score
from chexphi.graph.types import Graph
from chexphi.schema import Example, InputError

COUNTS = Sizes(sight=60, sft=40, pool=20, valid=12, test=60)
TINY = Sizes(sight=4, sft=2, pool=2, valid=2, test=4)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("phantom") / "data"
    build(out, counts=COUNTS, seed=3)
    return out


def rows(dataset: Path, name: str) -> list[Example]:
    return read_examples(dataset / "annotations" / name)


def every(dataset: Path) -> dict[str, list[Example]]:
    files = sorted((dataset / "annotations").rglob("*.json"))
    return {str(file.relative_to(dataset / "annotations")): read_examples(file) for file in files}


def digest(folder: Path) -> dict[str, str]:
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def test_the_layout_and_its_sizes(dataset: Path) -> None:
    assert {name: len(examples) for name, examples in every(dataset).items()} == {
        "sight/train.json": 60,
        "sft/train.json": 40,
        "pool/train.json": 20,
        "uniform/20.json": 20,
        "valid/valid.json": 12,
        "eval/test_basic_vqa.json": 36,
        "eval/test_region_vqa.json": 12,
        "eval/test_compare_vqa.json": 12,
    }


def test_rows_name_their_films_as_the_original_does(dataset: Path) -> None:
    for row in json.loads((dataset / "annotations/eval/test_compare_vqa.json").read_text()):
        assert [f"{name}.png" for name in row["image_ids"]] == row["images"]
        assert len(row["images"]) == 2
        assert all((dataset / "images" / image).is_file() for image in row["images"])


def test_patients_are_in_one_part_only(dataset: Path) -> None:
    parts: dict[str, set[str]] = {}
    for name, examples in every(dataset).items():
        part = "pool" if name.startswith("uniform") else name.split("/")[0]
        parts.setdefault(part, set()).update(example.subject_id for example in examples)
    assert max(Counter(subject for subjects in parts.values() for subject in subjects).values()) == 1
    assert len(parts["eval"]) == 6


def test_ids_are_unique_over_all_parts(dataset: Path) -> None:
    ids = [e.id for name, examples in every(dataset).items() if "uniform" not in name for e in examples]
    assert len(ids) == len(set(ids))


def test_every_reference_earns_full_reward(dataset: Path) -> None:
    extractor = LexiconExtractor()
    for examples in every(dataset).values():
        for example in examples:
            parsed = prompts.parse(example.explanation)
            assert parsed.think is not None
            assert parsed.answer is not None
            assert answers.score(parsed.answer, example.answer) == 1.0
            assert example.graph is not None
            (graph,) = extractor.extract([parsed.think])
            assert score(graph, Graph.from_dict(example.graph)) == 1.0


def test_each_film_is_told_with_its_scene(dataset: Path) -> None:
    for examples in every(dataset).values():
        for example in examples:
            assert example.scene is not None
            assert len(example.scene) == len(example.images) == (2 if example.kind == "compare" else 1)
            assert [Scene.from_dict(scene).to_dict() for scene in example.scene] == list(example.scene)


def test_sight_is_half_captions(dataset: Path) -> None:
    kinds = Counter(example.question_type == "report" for example in rows(dataset, "sight/train.json"))
    assert kinds == {True: 30, False: 30}


def test_the_imperfect_writer_reports_less_than_is_there(dataset: Path) -> None:
    def reported(name: str) -> float:
        share = []
        for example in rows(dataset, name):
            assert example.graph is not None
            graph = Graph.from_dict(example.graph)
            share.append(sum(label.endswith("_present") for _, label in graph.entities))
        return sum(share) / len(share)

    assert reported("sft/train.json") < 0.75 * reported("pool/train.json")


def test_uniform_samples_come_from_the_pool(dataset: Path) -> None:
    pool = {example.id for example in rows(dataset, "pool/train.json")}
    assert {example.id for example in rows(dataset, "uniform/20.json")} == pool


def test_no_question_comes_twice_on_the_same_films(dataset: Path) -> None:
    asked = [(e.images, e.question) for name, es in every(dataset).items() if "eval" in name for e in es]
    assert len(set(asked)) >= 0.97 * len(asked)


def test_the_same_seed_gives_the_same_bytes_with_any_number_of_processes(tmp_path: Path) -> None:
    build(tmp_path / "a", counts=TINY, seed=5)
    build(tmp_path / "b", counts=TINY, seed=5, workers=2)
    build(tmp_path / "c", counts=TINY, seed=6)
    assert digest(tmp_path / "a") == digest(tmp_path / "b") != digest(tmp_path / "c")


def test_progress_counts_the_films(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    build(tmp_path / "a", counts=TINY, progress=lambda done, total: seen.append((done, total)))
    films = len(list((tmp_path / "a/images").rglob("*.png")))
    assert seen == [(n, films) for n in range(1, films + 1)]


def test_a_folder_with_files_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(InputError, match="already holds files"):
        build(tmp_path, counts=TINY)
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]
    build(tmp_path, counts=TINY, overwrite=True)
    assert (tmp_path / "mine.txt").read_text() == "keep"
    assert (tmp_path / "annotations/sft/train.json").is_file()


def test_overwrite_leaves_nothing_of_the_earlier_dataset(tmp_path: Path) -> None:
    build(tmp_path / "a", counts=COUNTS)
    build(tmp_path / "a", counts=TINY, overwrite=True)
    build(tmp_path / "b", counts=TINY)
    assert digest(tmp_path / "a") == digest(tmp_path / "b")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 32}, "film size 32"),
        ({"size": 1024}, "film size 1024"),
        ({"counts": Sizes(pool=-1)}, "phantom: pool is -1: use at least 0"),
    ],
)
def test_numbers_out_of_range_are_refused(tmp_path: Path, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build(tmp_path / "a", **arguments)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_the_study_has_enough_patients_and_examples() -> None:
    assert STUDY.test_examples >= 2000
