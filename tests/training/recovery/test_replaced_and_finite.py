"""What is saved is finite, and an older run is there until the one that replaces it has done a step."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import pytest
from killed_runs import begin, command, end, wait_until

from chexphi.runs import replaced_run, run_folder
from chexphi.schema import InputError
from chexphi.training import sft

SMALL = ("--trainable=vision_lora", "--lora_rank=4", "--lora_alpha=4", "--gradient_accumulation_steps=1")
BLOWS_UP = ("--learning_rate=1e38", "--weight_decay=1e10", "--logging_steps=50")
"""Loss and gradients of the first step are finite, the weights behind it are not."""


@pytest.fixture(scope="module")
def words(tiny_model_dir: Path, subsets: Path) -> list[str]:
    """Of `chexphi sft`, but for `--out`, steps and saves."""
    return [word for word in command("sft", tiny_model_dir, subsets.parent, *SMALL) if word != "--limit=10"]


def train(words: Sequence[str], out: Path, *more: str) -> Path:
    return sft.main(*sft.parse([*words[1:], "--out", str(out), *more]))


def digest(folder: Path) -> dict[str, str]:
    """Each file of a folder with its content."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "run.lock"]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_weights_that_are_not_finite_are_not_saved(words: list[str], tmp_path: Path) -> None:
    out, said = tmp_path / "run", tmp_path / "said"
    argv = [*words, "--out", str(out), "--max_steps=1", *BLOWS_UP]
    assert end(begin(argv, said)) == 1
    (line,) = [line for line in said.read_text().splitlines() if line.startswith("error: ")]
    assert "is not finite after step 1: nothing is saved, the last checkpoint is kept; lower" in line
    assert "Traceback" not in said.read_text()
    assert not (out / "model").exists()
    assert not list(out.glob("checkpoint-*"))


def test_the_last_good_checkpoint_stays(words: list[str], tmp_path: Path) -> None:
    out = tmp_path / "run"
    saves = ("--save_strategy=steps", "--save_steps=1", "--save_total_limit=1", "--max_steps=3")
    with pytest.raises(FloatingPointError, match="is not finite after step 2: nothing is saved"):
        train(words, out, *saves, "--warmup_steps=1", *BLOWS_UP)  # the rate of the first step is 0
    assert [path.name for path in out.glob("checkpoint-*")] == ["checkpoint-1"]
    assert (out / "checkpoint-1" / "complete.json").is_file()
    assert not (out / "model").exists()


def test_a_run_is_replaced_once_the_new_one_has_done_a_step(words: list[str], tmp_path: Path) -> None:
    out = train(words, tmp_path / "run", "--max_steps=1")
    before = digest(out)
    late = ("--max_steps=1", "--overwrite=true", "--packing=true")
    with pytest.raises(InputError, match="Packing is not supported"):  # said by TRL's trainer
        train(words, out, *late)
    assert digest(out) == before
    with pytest.raises(FloatingPointError, match="is not finite"):
        train(
            words,
            out,
            "--max_steps=1",
            "--overwrite=true",
            *BLOWS_UP,
            "--save_strategy=steps",
            "--save_steps=1",
        )
    assert digest(out) == before
    train(words, out, "--max_steps=1", "--overwrite=true", "--seed=7")
    assert digest(out)["manifest.json"] != before["manifest.json"]
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.faults
def test_a_run_killed_before_its_first_step_leaves_the_older_one(
    words: list[str], tiny_model_dir: Path, subsets: Path, tmp_path: Path
) -> None:
    out, said = tmp_path / "run", tmp_path / "said"
    first = [*words, "--out", str(out), "--max_steps=1"]  # in processes of their own, which end their locks
    assert end(begin(first, said)) == 0
    before, aside = digest(out), replaced_run.replaced_folder(out)
    grpo = command("grpo", tiny_model_dir, subsets.parent, "--max_steps=1", "--out", str(out), *SMALL)
    grpo[grpo.index("killed_runs:uneven")] = "killed_runs:endless"
    process = begin([*grpo, "--overwrite=true"], said)
    assert wait_until(process, lambda: said.exists() and b"scoring" in said.read_bytes(), 0.05)
    process.kill()
    assert end(process) == -9
    assert digest(aside) == before
    assert (out / "manifest.json").is_file()
    assert end(begin([*first, "--overwrite=true"], said)) == 0
    assert not aside.exists()


def test_which_run_is_kept_and_put_back(tmp_path: Path) -> None:
    out, aside = tmp_path / "run", tmp_path / "run.replaced"
    for name in ("first", "second", "third"):
        run_folder.open_run(out, overwrite=name != "first", keep_replaced=True)
        (out / "manifest.json").write_text(name)
    assert (aside / "manifest.json").read_text() == "first"  # the second never did a step
    assert replaced_run.put_back(out)
    assert (out / "manifest.json").read_text() == "first"
    assert not aside.exists()
    assert not replaced_run.put_back(out)
    run_folder.open_run(out, overwrite=True, keep_replaced=True)
    replaced_run.drop(out)
    assert not aside.exists()
    assert not (out / "manifest.json").exists()


def test_a_link_to_a_run_stays_a_link(tmp_path: Path) -> None:
    out, link = tmp_path / "disk" / "run", tmp_path / "run"
    run_folder.open_run(out)
    (out / "manifest.json").write_text("first")
    link.symlink_to(out)
    run_folder.open_run(link, overwrite=True, keep_replaced=True)
    assert link.is_symlink()
    assert not (link / "manifest.json").exists()
    assert replaced_run.put_back(link)
    assert (link / "manifest.json").read_text() == "first"
