"""The crops of a film are set once and saved with the policy; no row is cut in silence."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from PIL import Image
from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

from chexphi.data.film_loader import FilmLoader
from chexphi.data.images import film_size
from chexphi.data.read import read_examples
from chexphi.evaluation import evaluate
from chexphi.mining import score
from chexphi.models import policy
from chexphi.models.families import phi4
from chexphi.schema import Example, InputError
from chexphi.training import completions, grpo, sft
from chexphi.training.dataset import check_lengths, grpo_dataset, sft_dataset

ROOT = Path(__file__).resolve().parents[2]
SIZES = [(64, 64), (300, 90), (70, 500), (1, 400), (129, 65), (64, 100)]
QUIET = ["--disable_tqdm=true", "--gradient_checkpointing=false", "--per_device_train_batch_size=4"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve rows of none, one and two films of many sizes."""
    folder = tmp_path_factory.mktemp("crops")
    draw = random.Random(0)
    for i, size in enumerate(SIZES):
        Image.effect_noise(size, 80 + i).save(folder / f"{i}.png")
    rows = [
        {
            "id": f"row{i}",
            "images": [f"{draw.randrange(len(SIZES))}.png" for _ in range(i % 3)],
            "question": f"Is there an opacity? {'Is it new? ' * (i % 4)}",
            "answer": "yes" if i % 2 else "no",
            "explanation": f"<think>{'The lung is clear. ' * (1 + i % 5)}</think><answer>no</answer>",
        }
        for i in range(12)
    ]
    (folder / "rows.json").write_text(json.dumps(rows))
    return folder / "rows.json"


def train_sft(model: Path, data: Path, out: Path, *flags: str) -> Path:
    return sft.main(
        *sft.parse(
            ["--model", str(model), "--data", str(data), "--out", str(out), *QUIET, "--max_steps=2", *flags]
        )
    )


def crops_of(run: Path) -> int:
    return json.loads((run / "manifest.json").read_text())["dynamic_hd"]


def test_every_stage_takes_the_crops_that_sft_set(tiny_model_dir: Path, data: Path, tmp_path: Path) -> None:
    first = train_sft(tiny_model_dir, data, tmp_path / "sft", "--dynamic_hd=4", "--save_steps=1")
    assert crops_of(first) == 4
    assert phi4.load(tiny_model_dir)[1].image_processor.dynamic_hd == 1
    for folder in (first / "model", first / "checkpoint-1", first / "checkpoint-2"):
        assert policy.load(folder)[1].image_processor.dynamic_hd == 4
    common = ["--model", str(first / "model"), "--data", str(data), "--out"]
    short = ["--max_new_tokens=2", "--batch_size=12"]
    score.main(score.parse([*common, str(tmp_path / "mine"), *short]))
    evaluate.main(evaluate.parse([*common, str(tmp_path / "eval"), *short]))
    flags = [
        "--num_generations=4",
        "--max_completion_length=2",
        "--max_steps=1",
        "--rewards",
        "external_r1v_acc",
    ]
    grpo.main(*grpo.parse([*common, str(tmp_path / "grpo"), *QUIET, *flags]))
    assert [crops_of(tmp_path / stage) for stage in ("mine", "eval", "grpo")] == [4, 4, 4]
    assert policy.load(tmp_path / "grpo" / "model")[1].image_processor.dynamic_hd == 4


def test_other_crops_than_the_policys_are_said(
    tiny_model_dir: Path, data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    argv = ["--model", str(tiny_model_dir), "--data", str(data), "--max_new_tokens=1", "--limit=2"]
    for crops, said in ((1, 0), (2, 1)):
        caplog.clear()
        out = tmp_path / str(crops)
        evaluate.main(evaluate.parse([*argv, "--out", str(out), f"--dynamic_hd={crops}"]))
        assert crops_of(out) == crops
        assert (
            sum("dynamic_hd is 2 here and 1 in" in record.getMessage() for record in caplog.records) == said
        )


@pytest.mark.parametrize("crops", ["0", "-2", "37"])
def test_a_bad_number_of_crops_leaves_no_folder(
    tiny_model_dir: Path, data: Path, tmp_path: Path, crops: str
) -> None:
    argv = ["--model", str(tiny_model_dir), "--data", str(data), "--out", str(tmp_path / "run")]
    argv += [f"--dynamic_hd={crops}"]
    for run in (
        lambda: sft.main(*sft.parse([*argv, *QUIET])),
        lambda: grpo.main(*grpo.parse([*argv, *QUIET, "--num_generations=4"])),
        lambda: score.main(score.parse(argv)),
        lambda: evaluate.main(evaluate.parse(argv)),
    ):
        with pytest.raises(InputError, match=f"dynamic_hd is {crops}: give .* 1 to 36"):
            run()
    assert not (tmp_path / "run").exists()


def test_shipped_configs_leave_the_crops_to_the_policy() -> None:
    """A value in a later stage's file would change, unasked, what the policy was trained with."""
    for path in sorted((ROOT / "configs").glob("*.yaml")):
        crops = yaml.safe_load(path.read_text()).get("dynamic_hd")
        assert crops == (4 if path.stem == "sft" else None), path.name


def lengths_in_training(examples: list[Example], root: Path, processor: Any) -> list[int]:
    """What TRL's own collator makes of each row."""
    collate = DataCollatorForVisionLanguageModeling(processor, completion_only_loss=True)
    dataset = sft_dataset(examples, root)
    return [int(collate([dataset[i]])["attention_mask"].sum()) for i in range(len(examples))]


@pytest.mark.parametrize("dynamic_hd", [1, 4])
def test_rows_are_counted_as_training_counts_them(tiny_model_dir: Path, data: Path, dynamic_hd: int) -> None:
    _, processor = phi4.load(tiny_model_dir, dynamic_hd=dynamic_hd)
    for example, length in zip(
        examples := read_examples(data), lengths_in_training(examples, data.parent, processor), strict=True
    ):
        check_lengths([example], data.parent, processor, length)
        with pytest.raises(
            InputError, match=f"example {example.id} has {length} tokens and max_length is {length - 1}"
        ):
            check_lengths([example], data.parent, processor, length - 1)


def test_sft_cuts_nothing(tiny_model_dir: Path, data: Path, tmp_path: Path) -> None:
    _, processor = phi4.load(tiny_model_dir, dynamic_hd=4)
    examples = read_examples(data)
    lengths = lengths_in_training(examples, data.parent, processor)
    first = next(e.id for e, n in zip(examples, lengths, strict=True) if n == max(lengths))
    with pytest.raises(InputError, match=f"example {first} has {max(lengths)} tokens"):
        train_sft(
            tiny_model_dir, data, tmp_path / "run", "--dynamic_hd=4", f"--max_length={max(lengths) - 1}"
        )
    assert not (tmp_path / "run").exists()
    config = tmp_path / "sft.yaml"
    config.write_text(f"max_length: {max(lengths) - 1}\n")
    with pytest.raises(InputError, match="cut its answer"):
        train_sft(tiny_model_dir, data, tmp_path / "run", "--dynamic_hd=4", "--config", str(config))
    train_sft(tiny_model_dir, data, tmp_path / "run", "--dynamic_hd=4", f"--max_length={max(lengths)}")


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_the_size_of_a_film_is_that_of_the_film_as_opened(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    for suffix in ("png", "jpg"):
        Image.new("L", (70, 30)).save(tmp_path / f"film.{suffix}", exif=exif)
        opened = FilmLoader(tmp_path)(f"film.{suffix}")
        assert film_size(f"film.{suffix}", tmp_path) == opened.size


def test_grpo_logs_what_each_row_has_alone(tiny_model_dir: Path, data: Path, tmp_path: Path) -> None:
    """Rows of none, one and two films of several crops, shuffled and cut into micro-batches by TRL."""
    out = grpo.main(
        *grpo.parse([
            "--model", str(tiny_model_dir), "--data", str(data), "--out", str(tmp_path / "run"), *QUIET,
            "--dynamic_hd=4", "--learning_rate=0", "--gradient_accumulation_steps=6", "--num_generations=2",
            "--max_completion_length=8", "--max_steps=1", "--save_strategy=no", "--temperature=0.8",
        ])
    )  # fmt: skip
    model, processor = phi4.load(tiny_model_dir, dynamic_hd=4)
    examples = {example.id: example for example in read_examples(data)}
    dataset = grpo_dataset(list(examples.values()), data.parent)
    rows = list(completions.read(out / "completions.jsonl"))
    assert {len(examples[row.id].images) for row in rows} == {0, 1, 2}
    for row in rows:
        item = dataset[list(examples).index(row.id)]
        text = processor.apply_chat_template(item["prompt"], add_generation_prompt=True)
        inputs = processor(
            text=[text], images=[item["images"]], return_tensors="pt", add_special_tokens=False
        )
        ids = torch.tensor([row.token_ids])
        inputs["input_ids"] = torch.cat([inputs["input_ids"], ids], dim=1)
        inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
        with torch.no_grad():
            logprobs = model(**inputs).logits[0, -ids.shape[1] - 1 : -1].log_softmax(-1)
        assert row.per_token_logps == pytest.approx(logprobs.gather(1, ids.T)[:, 0].tolist(), abs=1e-4)


def test_grpo_cuts_no_prompt(
    tiny_model_dir: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chexphi.training.grpo_trainer import LoggedGRPOTrainer

    seen: list[int] = []
    plain = LoggedGRPOTrainer._generate_and_score_completions

    def watched(self: Any, inputs: Any) -> Any:
        output = plain(self, inputs)
        seen.extend(output["prompt_mask"].sum(1).tolist())
        return output

    monkeypatch.setattr(LoggedGRPOTrainer, "_generate_and_score_completions", watched)
    row = {
        "id": "long",
        "images": ["1.png"],
        "question": "Is it new? " * 130,
        "answer": "no",
        "explanation": "x",
    }
    (data.parent / "long.json").write_text(json.dumps([row]))
    argv = ["--model", str(tiny_model_dir), "--data", str(data.parent / "long.json"), *QUIET, "--max_steps=1"]
    argv += ["--num_generations=4", "--max_completion_length=2", "--rewards", "external_r1v_acc"]
    grpo.main(*grpo.parse([*argv, "--out", str(tmp_path / "run"), "--save_strategy=no"]))
    _, processor = phi4.load(tiny_model_dir)
    item = grpo_dataset(read_examples(data.parent / "long.json"), data.parent)[0]
    text = processor.apply_chat_template(item["prompt"], add_generation_prompt=True)
    whole = len(processor(text=[text], images=[item["images"]], add_special_tokens=False)["input_ids"][0])
    assert whole > 1024
    assert seen == [whole] * 4
    with pytest.raises(InputError, match="unknown flag --max_prompt_length"):
        grpo.parse([*argv, "--max_prompt_length=512"])
