"""Reading the published layout, and saying clearly what is wrong with a folder."""

from __future__ import annotations

import json
import logging
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from chexphi.graph.rexkg import checkpoint
from chexphi.graph.rexkg.extractor import RexkgExtractor
from chexphi.graph.types import LABELS
from chexphi.schema import InputError


@pytest.fixture
def folder(random_checkpoint: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(random_checkpoint, tmp_path / "copy"))


def reshape(part: str, **shapes: tuple[int, ...]) -> Callable[[Path], object]:
    def spoil(root: Path) -> None:
        path = root / part / "model.safetensors"
        named = {name.replace("__", "."): shape for name, shape in shapes.items()}
        save_file(load_file(path) | {name: torch.zeros(shape) for name, shape in named.items()}, path)

    return spoil


def rename(old: str, new: str) -> Callable[[Path], object]:
    return lambda root: (root / old).rename(root / new)


def write(path: str, text: str) -> Callable[[Path], object]:
    return lambda root: (root / path).write_text(text, encoding="utf-8")


def cut(path: str) -> Callable[[Path], object]:
    return lambda root: (root / path).write_bytes((root / path).read_bytes()[:1000])


def add_tokenizers(root: Path) -> None:
    for name in ("one", "two"):
        shutil.copytree(root / "BiomedNLP", root / name)
    shutil.rmtree(root / "BiomedNLP")


def drop_tokenizer(root: Path) -> None:
    shutil.rmtree(root / "BiomedNLP")


def pickle_only(root: Path) -> None:
    (root / "run_relation/model.safetensors").rename(root / "run_relation/pytorch_model.bin")


def many_layers(root: Path) -> None:
    path = root / "run_entity" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"num_hidden_layers": 4000}))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (rename("run_entity", "elsewhere"), ("run_entity", "is missing")),
        (rename("run_relation/config.json", "config.txt"), ("run_relation", "config.json is missing")),
        (rename("run_entity/model.safetensors", "w"), ("run_entity", "model.safetensors is missing")),
        (pickle_only, ("run_relation", "pickle", "safe", "python -c", "weights_only=True")),
        (drop_tokenizer, ("no tokenizer", "run_relation", "BiomedNLP")),
        (rename("run_entity/vocab.txt", "v"), ("no tokenizer", "run_entity")),
        (add_tokenizers, ("several tokenizer folders", "one, two")),
        (write("run_entity/config.json", "{"), ("config.json", "not JSON")),
        (write("run_entity/config.json", '{"model_type": "albert"}'), ("albert", "only bert")),
        (many_layers, ("config.json describes 4000 layers", "tensors: take all files from the same model")),
        (cut("run_entity/model.safetensors"), ("not a whole safetensors file",)),
        (write("BiomedNLP/vocab.txt", "\n".join(f"w{n}" for n in range(900))), ("BiomedNLP", "pieces")),
        (reshape("run_entity", ner_classifier__1__weight=(8, 20)), ("8 labels", "9 are needed")),
        (reshape("run_relation", classifier__weight=(5, 64)), ("5 labels", "4 are needed")),
        (reshape("run_relation", classifier__weight=(4, 60)), ("classifier.weight", "(4, 60)", "(4, 64)")),
        (
            reshape("run_entity", width_embedding__weight=(7, 12)),
            ("width_embedding.weight", "(7, 12)", "(9, 12)"),
        ),
        (reshape("run_entity", other=(1,)), ("unknown weight other",)),
        (
            lambda root: shutil.copy(root / "run_entity/model.safetensors", root / "run_relation/"),
            ("run_relation", "lacks classifier.weight"),
        ),
    ],
)
def test_what_is_wrong_is_said(folder: Path, spoil: Callable[[Path], object], words: tuple[str, ...]) -> None:
    spoil(folder)
    with pytest.raises(InputError) as error:
        RexkgExtractor(folder)
    message = str(error.value)
    assert all(word in message for word in words), message
    assert "\n" not in message
    assert str(folder) in message


def test_no_folder_at_all(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        RexkgExtractor(tmp_path / "nowhere")


def test_the_conversion_that_is_hinted_at_works(folder: Path) -> None:
    """A pickle with the weights, the command out of the message, and the same graphs as before."""
    texts = ["The heart is enlarged and a small mass is in the left lung."]
    before = RexkgExtractor(folder).extract(texts)
    path = folder / "run_relation" / "model.safetensors"
    torch.save(load_file(path), path.with_name("pytorch_model.bin"))
    path.unlink()
    with pytest.raises(InputError) as error:
        RexkgExtractor(folder)
    code = str(error.value).split('"')[1]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path.parent)
        exec(code, {})
    assert RexkgExtractor(folder).extract(texts) == before


def test_the_names_are_those_of_the_published_files(random_checkpoint: Path) -> None:
    parts = checkpoint.load(random_checkpoint)
    for name, model in (("run_entity", parts.entity), ("run_relation", parts.relation)):
        written = load_file(random_checkpoint / name / "model.safetensors")
        assert model.state_dict().keys() == written.keys()
        assert all(torch.equal(value, written[key]) for key, value in model.state_dict().items())
        assert not model.training


def test_constants_among_the_weights_are_no_error(folder: Path) -> None:
    texts = ["No mass in the left lung and a small pleural effusion."]
    before = RexkgExtractor(folder).extract(texts)
    path = folder / "run_entity" / "model.safetensors"
    save_file(load_file(path) | {"bert.embeddings.position_ids": torch.arange(512)[None]}, path)
    assert RexkgExtractor(folder).extract(texts) == before


def test_any_other_folder_may_hold_the_tokenizer(folder: Path) -> None:
    texts = ["No mass in the left lung and a small pleural effusion."]
    before = RexkgExtractor(folder).extract(texts)
    (folder / "BiomedNLP").rename(folder / "words")
    assert RexkgExtractor(folder).extract(texts) == before
    (folder / "words/vocab.txt").rename(folder / "run_relation/vocab.txt")
    assert RexkgExtractor(folder).extract(texts) == before


def test_no_random_number_is_drawn(random_checkpoint: Path) -> None:
    def states() -> tuple[object, ...]:
        kind, keys, *rest = np.random.get_state()
        return random.getstate(), torch.get_rng_state().tolist(), kind, keys.tolist(), rest

    before = states()
    for relations in ("exact", "approximate"):
        RexkgExtractor(random_checkpoint, relations=relations).extract(
            ["No mass in the left lung. Big heart."]
        )
    assert states() == before


def test_bfloat16_runs(random_checkpoint: Path) -> None:
    extractor = RexkgExtractor(random_checkpoint, dtype="bfloat16", device="cpu")
    assert extractor.parse(["The heart is enlarged and a small mass is in the left lung."])[0].mentions


TYPED = [
    f"<{side}_{end}={label}>" for label in LABELS for side in ("subj", "obj") for end in ("start", "end")
]


def test_unknown_markers_are_told_once(random_checkpoint: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        extractor = RexkgExtractor(random_checkpoint)
        for _ in range(2):
            extractor.extract(["The heart is enlarged and a small mass is in the left lung."])
    (record,) = caplog.records
    assert "32 of the 32" in record.getMessage()
    assert "[UNK]" in record.getMessage()


def test_known_markers_are_used(write_checkpoint, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        extractor = RexkgExtractor(write_checkpoint(tmp_path / "typed", extra=TYPED))
    assert not caplog.records
    pieces = (tmp_path / "typed/BiomedNLP/vocab.txt").read_text().split("\n")
    marks = extractor._pair_rows.keywords["marks"]["size", "anatomy"]
    wanted = ["<subj_start=size>", "<obj_start=anatomy>", "<subj_end=size>", "<obj_end=anatomy>"]
    assert [pieces[mark] for mark in marks] == wanted


UNUSED = [f"[unused{number}]" for number in range(1, 40)]


def test_unused_markers_are_numbered_as_in_pure(write_checkpoint, tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "unused", extra=UNUSED)
    pieces = (folder / "BiomedNLP/vocab.txt").read_text().split("\n")

    def names(head: str, tail: str) -> list[str]:
        extractor = RexkgExtractor(folder, markers="unused")
        return [pieces[mark] for mark in extractor._pair_rows.keywords["marks"][head, tail]]

    # Four without a label, then four a label: start and end of the subject, start and end of the object.
    assert names("size", "anatomy") == ["[unused5]", "[unused11]", "[unused6]", "[unused12]"]
    special = {
        f"{side}_{end}={label}": "[unused9]"
        for label in LABELS
        for side in ("SUBJ", "OBJ")
        for end in ("START", "END")
    }
    special["OBJ_END=anatomy"] = "[unused2]"
    (folder / "run_relation/special_tokens.json").write_text(json.dumps(special))
    assert names("size", "anatomy") == ["[unused9]", "[unused9]", "[unused9]", "[unused2]"]


def test_unused_markers_that_do_not_exist_are_refused(random_checkpoint: Path) -> None:
    with pytest.raises(InputError, match="no piece for the marker SUBJ_START=size"):
        RexkgExtractor(random_checkpoint, markers="unused")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"compat": "original", "relations": "approximate"}, "reads each pair alone"),
        ({"compat": "original"}, "128 positions"),
        ({"compat": "old"}, "unknown compat 'old': use default or original"),
        ({"markers": "typed"}, "unknown markers 'typed': use unk or unused"),
        ({"relations": "all"}, "unknown relations 'all': use exact or approximate"),
        ({"dtype": "int8"}, "unknown dtype 'int8'"),
        ({"dtype": "half-float"}, "unknown dtype 'half-float'"),
    ],
)
def test_options_that_do_not_go_together(write_checkpoint, tmp_path: Path, options, words: str) -> None:
    with pytest.raises(InputError, match=words):
        RexkgExtractor(write_checkpoint(tmp_path / "short", positions=128), **options)
