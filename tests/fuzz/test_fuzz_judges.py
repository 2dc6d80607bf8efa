"""The second readers see what is wrong in silence: each fault that is put into a right result."""

from __future__ import annotations

import dataclasses
import json
import math
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from fuzz import (
    accepted_films,
    accepted_folders,
    accepted_ontologies,
    accepted_predictions,
    accepted_rows,
    accepted_settings,
    accepted_texts,
)
from fuzz.accepted_texts import REFERENCE
from fuzz.kinds import _png
from fuzz.ontologies import GOOD, toml
from fuzz.settings import Setting
from fuzz.trial import WrongError
from safetensors.torch import save_file
from torch import nn

from chexphi.data.read import write_examples
from chexphi.graph.types import Graph
from chexphi.schema import Example, Prediction


def judged(module: Any, one: Any, result: Any, spoil: Callable[[Any], Any], words: str) -> None:
    """The judge takes the result, and not the spoilt one."""
    module.judge(one, result)
    with pytest.raises(WrongError, match=words):
        module.judge(one, spoil(result))


GRAPH = {"entities": [["heart", "anatomy"]], "relations": []}
EXAMPLES = [
    Example(str(n), (), "Is it new?", ("yes", "no"), "<think>a</think><answer>yes</answer>", graph=GRAPH)
    for n in range(3)
]


def other(**changes: Any) -> Callable[[Any], Any]:
    """A reading whose second row has other values."""
    return lambda read: replace(
        read, examples=[replace(row, **changes) if row.id == "1" else row for row in read.examples]
    )


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".parquet"])
@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda read: replace(read, examples=read.examples[:2]), "3 rows in the file, 2 read"),
        (lambda read: replace(read, counted=read.counted | {"rows": 2}), "2 checked"),
        (lambda read: replace(read, counted=read.counted | {"problem_count": 1}), "with 1 problems"),
        (other(question="Is it?"), "row 2, question"),
        (other(explanation=""), "row 2, explanation"),
        (other(answer=("yes",)), "row 2, answer"),
        (other(subject_id="p"), "row 2, subject_id"),
        (other(graph={"entities": [], "relations": []}), "row 2, graph"),
        (lambda read: replace(read, examples=read.examples[::-1]), "row 1, id"),
    ],
)
def test_rows(tmp_path: Path, suffix: str, spoil: Callable[[Any], Any], words: str) -> None:
    file = tmp_path / f"data{suffix}"
    write_examples(file, [replace(example, subject_id="q") for example in EXAMPLES])
    judged(accepted_rows, file, accepted_rows.use(file), spoil, words)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ('[{"id": "1", "question": "a", "question": "Is it new?", "answer": "yes", "images": []}]', "twice"),
        ('[{"id": true, "question": "Is it new?", "answer": "yes", "images": []}]', "row 1, id"),
        ('[{"id": "1", "question": "Is it new?", "answer": ["yes", false], "images": []}]', "row 1, answer"),
    ],
)
def test_rows_that_must_be_refused(tmp_path: Path, rows: str, words: str) -> None:
    file = tmp_path / "data.json"
    file.write_text(rows)
    read = accepted_rows.Read([Example("1", (), "Is it new?", ("yes",))], {"problem_count": 0, "rows": 1})
    with pytest.raises(WrongError, match=words):
        accepted_rows.judge(file, read)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda loaded: replace(loaded, mode="L"), "L of"),
        (lambda loaded: replace(loaded, said=(4, 5)), "said"),
        (lambda loaded: replace(loaded, digests=("a", "b")), "2 readings"),
        (lambda loaded: replace(loaded, size=(16, 17), said=(16, 17)), "its header says"),
    ],
)
def test_films(tmp_path: Path, spoil: Callable[[Any], Any], words: str) -> None:
    film = tmp_path / "film.png"
    film.write_bytes(_png())
    judged(accepted_films, film, accepted_films.use(film), spoil, words)


def test_a_film_whose_checksum_is_wrong(tmp_path: Path) -> None:
    film = tmp_path / "film.png"
    film.write_bytes(_png())
    loaded = accepted_films.use(film)
    content = film.read_bytes()
    start = content.index(b"IDAT")
    end = content.index(b"IEND") - 8
    checksum = zlib.crc32(content[start:end])
    film.write_bytes(content[:end] + (checksum ^ 1).to_bytes(4, "big") + content[end + 4 :])
    with pytest.raises(WrongError, match="IDAT"):
        accepted_films.judge(film, loaded)


@pytest.mark.parametrize("suffix", ["jpeg", "bmp"])
def test_headers_of_other_formats(tmp_path: Path, suffix: str) -> None:
    from PIL import Image

    film = tmp_path / f"film.{suffix}"
    Image.new("RGB", (9, 6)).save(film)
    assert accepted_films._header(film.read_bytes()) == (9, 6)


def paid(graph: float | None) -> Callable[[Any], Any]:
    return lambda found: replace(found, other=replace(found.other, graph=graph))


@pytest.mark.parametrize(
    ("text", "spoil", "words"),
    [
        (REFERENCE, lambda found: replace(found, graph=Graph()), "another graph"),
        (REFERENCE, lambda found: replace(found, other=replace(found.other, graph=1.5)), "a score of 1.5"),
        (REFERENCE, lambda found: replace(found, other=replace(found.other, graph=-0.1)), "a score of -0.1"),
        (
            REFERENCE,
            lambda found: replace(found, other=replace(found.other, graph=math.nan)),
            "a score of nan",
        ),
        (REFERENCE, lambda found: replace(found, other=replace(found.other, graph=None)), "a score of None"),
        (REFERENCE, lambda found: replace(found, parsed=replace(found.parsed, think="x")), "the reasoning"),
        (REFERENCE, lambda found: replace(found, parsed=replace(found.parsed, status="no_think")), "status"),
        ("yes", lambda found: replace(found, parsed=replace(found.parsed, status="ok")), "status"),
    ],
)
def test_texts(text: str, spoil: Callable[[Any], Any], words: str) -> None:
    from chexphi.prompts import ParseStatus

    def spoilt(found: Any) -> Any:
        result = spoil(found)
        status = ParseStatus(result.parsed.status)
        return replace(result, parsed=replace(result.parsed, status=status))

    judged(accepted_texts, text, accepted_texts.use(text), spoilt, words)


def test_a_malformed_text_that_earns_something() -> None:
    found = accepted_texts.use("yes")
    more = replace(found.score, graph=0.5)
    with pytest.raises(WrongError, match="malformed"):
        accepted_texts.judge("yes", replace(found, score=more, again=(found.graph, more)))


@pytest.mark.parametrize(
    ("given", "found", "words"),
    [
        ({"seed": (10, "010")}, {"seed": 8}, "seed is 8"),
        ({"seed": ("1:30",)}, {"seed": 90}, "seed is 90"),
        ({"limit": (True,)}, {"limit": 1}, "limit is 1"),
        ({"resume": (2,)}, {"resume": True}, "resume is True"),
        ({"unknown": (1,)}, {"seed": 0}, "unknown"),
        ({}, {"temperature": float("inf")}, "temperature is inf"),
    ],
)
def test_settings(tmp_path: Path, given: dict[str, Any], found: dict[str, Any], words: str) -> None:
    with pytest.raises(WrongError, match=words):
        accepted_settings.judge((Setting("mine score", b"", (), given), tmp_path), found)


@pytest.mark.parametrize(
    ("allowed", "got"),
    [
        ((6e-5, "6e-5"), 6e-5),
        ((10, "010"), 10),
        ((8,), 8.0),
        ((True, "yes"), True),
        ((1,), True),
        (("x",), "x"),
    ],
)
def test_settings_that_are_right(tmp_path: Path, allowed: tuple[Any, ...], got: Any) -> None:
    accepted_settings.judge((Setting("mine score", b"", (), {"a": allowed}), tmp_path), {"a": got})


def test_predictions(tmp_path: Path) -> None:
    good = Prediction("1", (), "Is it new?", ("yes",), "", "yes", False, True, "no_answer")
    file = tmp_path / "predictions.jsonl"
    lines = [json.dumps(dataclasses.asdict(replace(good, id=name))) for name in "ab"]
    file.write_text("\n".join(lines))
    summed = accepted_predictions.use(file)
    spoilt = {
        "2 lines, 3 predictions": replace(summed, summary=summed.summary | {"n": 3}),
        "give": replace(summed, compared=summed.compared | {"wins": 1}),
        "the accuracy is 0.5": replace(summed, summary=summed.summary | {"accuracy": {"value": 0.5}}),
        "id is not": replace(summed, predictions=[replace(one, id="c") for one in summed.predictions]),
    }
    for words, result in spoilt.items():
        judged(accepted_predictions, file, summed, lambda _, result=result: result, words)


def test_ontologies(tmp_path: Path) -> None:
    file = tmp_path / "good.toml"
    file.write_text(toml(GOOD))
    read = accepted_ontologies.use(file)
    concepts, name = read.ontology.concepts, "made_up_plug"
    spoilt = {
        "terms of 'made_up_plug'": concepts | {name: replace(concepts[name], terms=("plug",))},
        "significance of": concepts | {name: replace(concepts[name], significance="benign")},
        "hiatal_hernia of the package": {key: concepts[key] for key in concepts if key != "hiatal_hernia"},
    }
    for words, found in spoilt.items():
        ontology = replace(read.ontology, concepts=found)
        judged(
            accepted_ontologies,
            file,
            read,
            lambda _, ontology=ontology: replace(read, ontology=ontology),
            words,
        )
    is_worse = replace(read, with_silence=read.with_itself)
    judged(accepted_ontologies, file, read, lambda _: is_worse, "silence 1")


def test_weights(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2))
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    accepted_folders.judge(tmp_path, model)
    with torch.no_grad():
        model[1].bias[0] += 1
    with pytest.raises(WrongError, match="1 tensors of the files are not in the model, 1 are only there"):
        accepted_folders.judge(tmp_path, model)
