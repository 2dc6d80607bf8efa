"""A few SFT steps on a small random model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from killed_runs import figures
from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

from chexphi.data.film_loader import FilmLoader
from chexphi.data.read import read_examples
from chexphi.models.families import phi4
from chexphi.schema import Example, InputError
from chexphi.training import sft
from chexphi.training.dataset import sft_dataset, sft_target

FLAGS = [
    "--per_device_train_batch_size=4",
    "--disable_tqdm=true",
    "--save_strategy=no",
    "--gradient_checkpointing=false",
    "--trainable=all",
]


def run(model: Path, data: Path, out: Path, *flags: str) -> Path:
    return sft.main(
        *sft.parse(["--model", str(model), "--data", str(data), "--out", str(out), *FLAGS, *flags])
    )


@pytest.fixture(scope="module")
def train(films: Path) -> Path:
    return films / "annotations" / "sft" / "train.json"


def test_loss_falls_and_the_policy_is_saved(
    tiny_model_dir: Path, train: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = run(
        tiny_model_dir, train, tmp_path / "run", "--max_steps=12", "--learning_rate=5e-3", "--logging_steps=1"
    )
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert rows[11]["loss"] < 0.8 * rows[0]["loss"]
    assert rows[-1]["cpu_seconds"] > 0 < rows[-1]["train_runtime"]
    assert capsys.readouterr().out == ""  # standard output belongs to --json
    before, after = phi4.load(tiny_model_dir)[0], phi4.load(out / "model")[0]
    assert not torch.equal(before.lm_head.weight, after.lm_head.weight)


def test_loss_is_on_the_answer_turn_alone(tiny_model_dir: Path, train: Path, films: Path) -> None:
    examples = read_examples(train)
    dataset = sft_dataset(examples, films / "images")
    _, processor = phi4.load(tiny_model_dir)
    collate = DataCollatorForVisionLanguageModeling(processor, completion_only_loss=True)
    batch = collate([dataset[index] for index in range(4)])
    for labels, example in zip(batch["labels"], examples, strict=False):
        text = processor.tokenizer.decode(labels[labels != -100])
        assert text == f"{example.explanation}<|end|>\n<|endoftext|>"


@pytest.mark.parametrize(
    ("strip", "target"),
    [(False, "<think>Clear lungs.</think><answer>no</answer>"), (True, "Clear lungs. no")],
)
def test_target(strip: bool, target: str) -> None:
    example = Example("1", (), "?", ("no",), "<think>Clear lungs.</think><answer>no</answer>")
    assert sft_target(example, strip_tags=strip) == target


def test_films_are_never_flipped(films: Path, train: Path) -> None:
    example = read_examples(train)[0]
    dataset = sft_dataset([example], films / "images")
    film = FilmLoader(films / "images")(example.images[0])
    assert all(dataset[0]["images"][0].tobytes() == film.tobytes() for _ in range(5))


def test_resume_goes_on_where_it_stopped(tiny_model_dir: Path, train: Path, tmp_path: Path) -> None:
    flags = ["--max_steps=4", "--logging_steps=1", "--save_strategy=steps", "--save_steps=2"]
    out = run(tiny_model_dir, train, tmp_path / "run", *flags)
    whole, logged = phi4.load(out / "model")[0].state_dict(), figures(out)
    (out / "checkpoint-4" / "trainer_state.json").unlink()
    run(tiny_model_dir, train, out, *flags, "--resume=true")
    again = phi4.load(out / "model")[0].state_dict()
    assert all(torch.equal(whole[name], again[name]) for name in whole)
    steps = [json.loads(line)["step"] for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3, 4, 4]
    assert figures(out) == logged


def test_an_example_without_explanation_is_named(tiny_model_dir: Path, tmp_path: Path) -> None:
    data = tmp_path / "rows.json"
    data.write_text(json.dumps([{"id": "x7", "question": "Is it?", "answer": "no", "images": []}]))
    with pytest.raises(InputError, match="x7 has no explanation"):
        run(tiny_model_dir, data, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("argv", "missing"),
    [([], "--model and --data"), (["--model", "m"], "--data"), (["--data", "d"], "--model")],
)
def test_what_is_needed_is_said(argv: list[str], missing: str) -> None:
    with pytest.raises(InputError, match=f"^sft needs {missing}: give"):
        sft.main(*sft.parse(argv))
