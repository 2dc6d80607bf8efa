"""Inputs that hypothesis makes from nothing; the mutators of `run.py` begin with good ones.

Part of `make test-fuzz`. The ordinary suite tries a few of each.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from fuzz import accepted_films, accepted_predictions, accepted_rows, accepted_settings, accepted_texts
from fuzz.run import SEED
from fuzz.settings import GOOD, Setting
from fuzz.trial import MESSAGE_CHARACTERS, RefusedError
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from chexphi.schema import InputError

FEW, MANY = 15, 1000
Folder = Path

plain = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12))
values = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
)
"""Whatever JSON can say."""
ROW: dict[str, Any] = {
    "id": "a",
    "images": [],
    "question": "Is it new?",
    "answer": ["yes"],
    "explanation": "<think>The heart is big.</think><answer>yes</answer>",
    "subject_id": "p1",
    "kind": "basic",
    "graph": {"entities": [["heart", "anatomy"]], "relations": []},
    "split": "train",
}
PREDICTION: dict[str, Any] = {
    "id": "a",
    "image_ids": [],
    "question": "Is it new?",
    "answer": ["yes"],
    "explanation": "",
    "generated_text": "<think>The heart is big.</think><answer>yes</answer>",
    "is_correct": True,
    "correct_substring": True,
    "parse_status": "ok",
    "graph_reference": {"entities": [["heart", "anatomy"]], "relations": []},
    "extra": {"kind": "basic", "subject_id": "p1"},
}


def rows_like(good: dict[str, Any]) -> st.SearchStrategy[list[dict[str, Any]]]:
    """One to three rows with other values in some fields, and fields of any name."""
    changes = st.dictionaries(st.sampled_from(list(good)) | st.text(max_size=6), values, max_size=3)
    return st.lists(changes, min_size=1, max_size=3).map(
        lambda found: [{**good, "id": f"r{number}", **change} for number, change in enumerate(found)]
    )


PIECES = st.sampled_from(
    (
        *(
            "<think>",
            "</think>",
            "<answer>",
            "</answer>",
            "< think >",
            "</ THINK>",
            "<|end|>",
            "<|image_1|>",
            "<",
        ),
        *(
            "The heart is enlarged. ",
            "There is no effusion. ",
            "yes",
            "no",
            ";",
            "\n- ",
            '"',
            "**",
            " ",
            "\x00",
        ),
    )
)
texts = st.lists(PIECES | st.text(max_size=6), max_size=14).map("".join)
words = st.text(st.characters(blacklist_categories=("Cs",)), max_size=30)
configs = st.dictionaries(
    st.sampled_from(list(GOOD["mine score"])), st.one_of(words, plain.map(json.dumps)), max_size=3
)


@pytest.fixture(scope="module", params=[FEW, pytest.param(MANY, marks=pytest.mark.fuzz)], ids=["few", "many"])
def examples(request: pytest.FixtureRequest) -> settings:
    """How many examples are tried, and from which seed: the same ones in every run unless it is given."""
    return settings(
        max_examples=request.param,
        derandomize=False,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


def tried(examples: settings, test: Any) -> None:
    """Run a property with these settings."""
    seed(int.from_bytes(os.environ.get(SEED, "0").encode()))(examples(test))()


def used(module: Any, one: Any) -> None:
    """Use an input and judge the result; what is refused is said in one short sentence."""
    try:
        result = module.use(one)
    except (InputError, RefusedError) as error:
        for sentence in map(str, error.args):
            assert 0 < len(sentence) <= MESSAGE_CHARACTERS, sentence[:200]
            assert sentence.isprintable(), sentence
        return
    module.judge(one, result)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A new folder for each input; only the last one stays."""
    root = tmp_path_factory.mktemp("properties")

    def fresh() -> Path:
        folder = root / str(next(numbers))
        folder.mkdir()
        for old in root.iterdir():
            if old != folder:
                shutil.rmtree(old)
        return folder

    numbers = itertools.count()
    return fresh


def test_rows_of_any_value(examples: settings, folders: Any) -> None:
    @given(rows_like(ROW), st.sampled_from((".json", ".jsonl")))
    def property(rows: list[dict[str, Any]], suffix: str) -> None:
        file = folders() / f"data{suffix}"
        lines = [json.dumps(row) for row in rows]
        file.write_text("\n".join(lines) if suffix == ".jsonl" else f"[{', '.join(lines)}]")
        used(accepted_rows, file)

    tried(examples, property)


def test_files_of_any_bytes(examples: settings, folders: Any) -> None:
    @given(st.binary(max_size=200), st.sampled_from((".json", ".jsonl", ".parquet")))
    def property(content: bytes, suffix: str) -> None:
        file = folders() / f"data{suffix}"
        file.write_bytes(content)
        used(accepted_rows, file)

    tried(examples, property)


def test_predictions_of_any_value(examples: settings, folders: Any) -> None:
    @given(rows_like(PREDICTION))
    def property(rows: list[dict[str, Any]]) -> None:
        file = folders() / "predictions.jsonl"
        file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        used(accepted_predictions, file)

    tried(examples, property)


def test_films_of_any_bytes(examples: settings, folders: Any) -> None:
    heads = st.sampled_from(
        (b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"GIF89a", b"BM", b"RIFF")
    )

    @given(heads, st.binary(max_size=300))
    def property(head: bytes, content: bytes) -> None:
        film = folders() / "film.png"
        film.write_bytes(head + content)
        used(accepted_films, film)

    tried(examples, property)


def test_texts_of_tags_and_anything(examples: settings) -> None:
    @given(texts)
    def property(text: str) -> None:
        used(accepted_texts, text)

    tried(examples, property)


def test_settings_of_any_words(examples: settings, folders: Any) -> None:
    @given(configs)
    def property(given_words: dict[str, str]) -> None:
        file = folders() / "config.yaml"
        content = "".join(f"{key}: {text}\n" for key, text in given_words.items()).encode()
        file.write_bytes(content)
        used(accepted_settings, (Setting("mine score", content, (), None), file))

    tried(examples, property)
