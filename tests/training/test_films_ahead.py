"""Runs whose films threads open and process are the runs they were; a bad film ends them in words."""

from __future__ import annotations

import json
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_families
import torch
from PIL import Image
from torch.utils.data import DataLoader
from transformers import Phi4MultimodalProcessor, ProcessorMixin

from chexphi.data import film_loader as data_films
from chexphi.data.film_loader import FilmLoader
from chexphi.data.images import load_image
from chexphi.models.families.processor import FilmsOnce
from chexphi.schema import InputError
from chexphi.training import grpo, grpo_run, sft, sft_run
from chexphi.training.late_collator import LateCollator

FLAGS = [
    "--learning_rate=1e-2", "--per_device_train_batch_size=4", "--gradient_accumulation_steps=2",
    "--max_steps=3", "--disable_tqdm=true", "--save_strategy=no", "--lora_rank=4", "--lora_alpha=8",
    "--logging_steps=1",
]  # fmt: skip
GROUPS = ["--num_generations=4", "--max_completion_length=8"]
STAGES: dict[str, tuple[Any, list[str]]] = {"grpo": (grpo, [*FLAGS, *GROUPS]), "sft": (sft, FLAGS)}


@pytest.fixture(scope="module", params=["phi4", "qwen3_vl"])
def base(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, tiny_model_dir: Path
) -> Path:
    return tiny_families.folder(request.param, tmp_path_factory) or tiny_model_dir


@pytest.fixture(scope="module")
def data(films: Path) -> Path:
    """Questions of one and two films, some with the film of another, one with none."""
    rows = json.loads((films / "annotations" / "pool" / "train.json").read_text())
    rows[1]["images"], rows[2]["images"] = rows[0]["images"], []
    path = films / "annotations" / "ahead" / "train.json"
    path.parent.mkdir()
    path.write_text(json.dumps(rows))
    return path


def run(stage: str, model: Path, data: Path, out: Path, *flags: str) -> dict[str, Any]:
    """What a run has come to: its completions, and its metrics without the times."""
    module, own = STAGES[stage]
    argv = ["--model", str(model), "--data", str(data), "--out", str(out), *own, *flags]
    module.main(*module.parse(argv))
    metrics = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    kept = ("step", "loss", "grad_norm", "reward", "entropy", "kl", "mean_token_accuracy")
    found = {"metrics": [{name: line.get(name) for name in kept} for line in metrics]}
    if stage == "grpo":
        found["completions"] = (out / "completions.jsonl").read_text()
    return found


def plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it was: films opened where a batch is read, every row's processed, no collator around TRL's."""
    monkeypatch.setattr(FilmLoader, "__call__", lambda own, ref: load_image(ref, own._root))
    monkeypatch.setattr(FilmsOnce, "_process_images", ProcessorMixin._process_images)
    monkeypatch.setattr(sft_run, "LateCollator", lambda collate: collate)


def length(completions: Any, completion_ids: list[list[int]], **columns: Any) -> list[float]:
    """A reward that random weights can earn."""
    return [float(sum(ids) % 7) for ids in completion_ids]


@pytest.mark.parametrize("stage", STAGES)
def test_a_run_is_the_one_without_threads(
    base: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    monkeypatch.setattr(grpo_run, "reward_functions", lambda *args: [length])
    found = run(stage, base, data, tmp_path / "ahead")
    workers = run(stage, base, data, tmp_path / "workers", "--dataloader_num_workers=1")
    plainly(monkeypatch)
    expected = run(stage, base, data, tmp_path / "plain")
    assert expected["metrics"][1]["grad_norm"] > 0
    assert found == expected
    assert workers == expected


@pytest.mark.parametrize("stage", STAGES)
def test_each_film_of_a_run_is_opened_and_processed_once(
    tiny_model_dir: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    opened: Counter[str] = Counter()
    processed: list[int] = []

    def counted(ref: str, root: Path) -> Image.Image:
        opened[ref] += 1
        return load_image(ref, root)

    def process(own: Any, images: Any, **kwargs: Any) -> Any:
        processed.append(sum(isinstance(film, data_films.Film) for film in images))
        return ProcessorMixin._process_images(own, images, **kwargs)

    monkeypatch.setattr(data_films, "load_image", counted)
    monkeypatch.setattr(Phi4MultimodalProcessor, "_process_images", process)  # the native class
    run(stage, tiny_model_dir, data, tmp_path / "run")
    assert set(opened.values()) == {1}
    assert [count for count in processed if count] == [1] * len(opened)  # none: a blank one is measured


@pytest.fixture
def damaged(films: Path, tmp_path: Path) -> Path:
    """Data whose every other film is broken in the middle, which the check before a run does not see."""
    rows = json.loads((films / "annotations" / "pool" / "train.json").read_text())
    noise = np.random.default_rng(0).integers(0, 256, (256, 256), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "good.png")
    content = bytearray((tmp_path / "good.png").read_bytes())
    content[30_000:30_100] = bytes(100)
    (tmp_path / "bad.png").write_bytes(content)
    for i, row in enumerate(rows):
        row["images"] = ["good.png", "bad.png"][i % 2 :][:1]
    (tmp_path / "train.json").write_text(json.dumps(rows))
    return tmp_path / "train.json"


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("stage", STAGES)
def test_a_film_damaged_in_the_middle_stops_a_run_with_its_sentence(
    tiny_model_dir: Path,
    damaged: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stage: str,
    workers: int,
) -> None:
    crashed: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", crashed.append)
    flags = [f"--image_root={damaged.parent}", f"--dataloader_num_workers={workers}"]
    with pytest.raises(InputError) as caught:
        run(stage, tiny_model_dir, damaged, tmp_path / "run", *flags)
    expected = "image 'bad.png' is truncated or damaged: copy it again from its source"
    assert str(caught.value) == expected
    assert not crashed


def test_a_batch_is_put_together_when_its_step_begins() -> None:
    called: list[Any] = []

    def collate(rows: list[int]) -> torch.Tensor:
        called.append(rows)
        return torch.tensor(rows)

    batches = list(DataLoader(range(4), batch_size=2, collate_fn=LateCollator(collate)))
    assert not called
    assert [batch.to("cpu").tolist() for batch in batches] == [[0, 1], [2, 3]] == called
