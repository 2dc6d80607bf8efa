"""The quick study with one seed: five arms, the pairs between them, and controls of equal time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from chexphi.demo import study
from chexphi.schema import InputError


@pytest.mark.slow
def test_the_quick_study_has_five_arms_and_all_pairs(tmp_path: Path) -> None:
    out = tmp_path / "study"
    argv = [sys.executable, "-m", "chexphi", "study", "--quick", "--seeds", "0", "--out", str(out), "--json"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["seeds"]["0"]
    assert found == json.loads((out / "results.json").read_text())["seeds"]["0"]
    assert found["arms"].keys() == {"sft", *study.STUDY_ARMS}
    seed = out / "seed0"
    accuracy = {
        arm: json.loads((seed / f"eval_{arm}" / "summary.json").read_text())["accuracy"]["value"]
        for arm in ("early", *found["arms"])
    }
    for a, b in study.PAIRS:
        pair = found["pairs"][f"{b} - {a}"]["accuracy"]
        assert pair["difference"] == pytest.approx(accuracy[b] - accuracy[a])
    assert found["plateau"]["n"] == 24  # on validation, early against late
    for arm, source in {"sft_continued": "sft/train.json", "sft_references": "hard_uniform/12.json"}.items():
        settings = yaml.safe_load((seed / f"{arm}.yaml").read_text())
        assert settings["data"].endswith(source)
        assert settings["max_steps"] == study.sft_steps_in_time_of_grpo(seed)
        assert settings["model"] == str(seed / "sft" / "model")
    manifest = json.loads((out / "manifest.json").read_text())
    assert {out / name for name in manifest["stages"]} == {
        *(path.parent for path in seed.glob("*/manifest.json")),
        seed / "data",
    }
    assert "not a medical device" in (seed / "report.html").read_text().lower()


def test_controls_take_as_long_as_grpo(tmp_path: Path) -> None:
    for name, step, seconds in (("sft", 400, 80.0), ("grpo_kg", 100, 250.0)):
        (tmp_path / name).mkdir()
        rows = [{"step": 1, "loss": 0.5}, {"step": step, "train_runtime": 1.0, "cpu_seconds": seconds}]
        (tmp_path / name / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert study.sft_steps_in_time_of_grpo(tmp_path) == 1250  # 250 s of steps that take 0.2 s


@pytest.mark.parametrize("seeds", [[], [0, 0]])
def test_seeds_are_named_once_each(tmp_path: Path, seeds: list[int]) -> None:
    with pytest.raises(InputError, match="seeds is"):
        study.main(study.StudyRecipe(out=str(tmp_path / "s"), seeds=seeds))
    assert not (tmp_path / "s").exists()
