"""The quick demo: every stage once, as the README runs it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from terminal_lines import foreign

from chexphi.evaluation.predictions import read_predictions
from chexphi.training import completions


def demo(out: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "chexphi", "demo", "--quick", "--out", str(out), "--json", *flags]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def test_the_quick_demo_makes_everything_the_long_one_does(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    done = demo(out)
    assert done.returncode == 0, done.stderr
    assert foreign(done.stderr) == []
    for log in out.glob("*.log"):  # what the stages print
        assert not re.search(r"it/s|Warning|site-packages|\r", log.read_text()), log
    results = json.loads(done.stdout)
    assert results["arms"].keys() == {"sft", "grpo_acc", "grpo_kg"}
    for arm, summary in results["arms"].items():
        assert summary["n"] == len(read_predictions(out / f"eval_{arm}"))
        assert summary["accuracy"]["low"] <= summary["accuracy"]["value"] <= summary["accuracy"]["high"]
    for arm in ("grpo_acc", "grpo_kg"):
        rows = list(completions.read(out / arm / "completions.jsonl"))
        assert len(rows) == 2 * 2 * 4
        assert (out / arm / "model" / "model.safetensors").exists()
    for arm, summary in results["arms"].items():
        card = (out / arm / "model" / "README.md").read_text()
        assert f"| strict accuracy | {summary['accuracy']['value']:.3f} [" in card
        assert "no patient is in them" in card
        assert str(tmp_path) not in card
        assert (out / arm / "README.md").exists()
    page = (out / "report.html").read_text()
    assert "not a medical device" in page.lower()
    assert "grpo_kg" in page

    assert demo(out).returncode == 2  # a run is not touched without a word
    (out / "eval_grpo_kg" / "summary.json").unlink()  # as if killed in its last stage
    before = (out / "sight" / "manifest.json").stat().st_mtime_ns
    again = demo(out, "--resume")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["arms"]["grpo_kg"] == results["arms"]["grpo_kg"]
    assert (out / "sight" / "manifest.json").stat().st_mtime_ns == before
