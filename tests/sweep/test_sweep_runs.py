"""Small sweeps of real runs: what they leave, what is skipped, what is listed as failed."""

from __future__ import annotations

import io
import json
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from rich.console import Console
from typer.testing import CliRunner

from chexphi.cli import app
from chexphi.report import sweep as report
from chexphi.schema import InputError
from chexphi.sweep import run, sweep_recipe, trials

GRID = {"policy": ["hard_uniform"], "size": [6], "learning_rate": ["4e-6", 5.0e-6], "seed": [0, 1]}
GOOD, BAD = (f"learning_rate-{rate}_policy-hard_uniform_size-6" for rate in ("0.001", "1e+30"))


def of(sweep: Path, name: str) -> Path:
    """The folder of a run, its timestamp found."""
    folder = trials.folder_of(sweep, name)
    assert folder is not None
    return folder


def test_a_dry_run_prints_commands_and_makes_nothing(
    write_sweep: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = write_sweep(tmp_path, GRID, settings={"rewards": ["format", "external_kg_jac"]})
    done = CliRunner().invoke(app, ["sweep", "--config", str(file), "--dry-run"])
    assert done.exit_code == 0, done.output
    lines = [line for line in done.stdout.splitlines() if line.startswith("chexphi grpo ")]
    assert len(lines) == 4
    words = shlex.split(lines[0])
    assert words[words.index("--learning_rate") + 1] == "4e-06"
    assert words[words.index("--data") + 1].endswith("/hard_uniform/6.json")
    assert words[words.index("--rewards") + 1 :][:2] == ["format", "external_kg_jac"]
    stamp = r"\d{8}-\d{6}_"
    name = "policy-hard_uniform_size-6_learning_rate-4e-06_seed-0"
    assert re.fullmatch(rf"runs/{stamp}sweep/{stamp}{name}", words[-1])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["grpo.yaml", "sweep.yaml"]


def test_a_failed_run_is_listed_and_the_others_finish(swept: Path) -> None:
    found = json.loads((swept / "summary.json").read_text())
    good, bad = found["runs"]
    assert (good["name"], good["state"], good["exit_code"], good["tries"]) == (GOOD, "finished", 0, 1)
    assert (bad["name"], bad["state"], bad["exit_code"], bad["tries"]) == (BAD, "failed", 1, 1)
    assert (found["finished"], found["failed"]) == (1, 1)
    assert good["steps"] == 2
    rows = [json.loads(line) for line in (of(swept, GOOD) / "metrics.jsonl").read_text().splitlines()]
    assert good["rewards"]["total"] == rows[1]["reward"]
    assert good["rewards"].keys() == {"total", "external_r1v_acc", "external_kg_jac"}
    log = Path(bad["log"]).read_text()
    assert log.startswith("== chexphi grpo --config ")
    assert "nan" in log.splitlines()[-1]
    settings = yaml.safe_load((of(swept, GOOD) / "config.yaml").read_text())
    assert settings["trainer"]["learning_rate"] == 1e-3
    assert settings["data"].endswith("/hard_uniform/6.json")


def test_the_page_and_the_table_name_every_run(swept: Path) -> None:
    page = (swept / "sweep.html").read_text()
    assert page.count("plotly.js v") == 1  # the library is there, and once
    markup = re.sub(r"<script\b.*?</script>", "", page, flags=re.DOTALL)
    assert not re.search(r"\b(?:src|href)=\"(?!#)", markup)
    assert markup.count("<figure") >= 3  # by learning rate, and curves
    assert f"<td>{of(swept, BAD).name}.log</td>" in markup
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(report.table(json.loads((swept / "summary.json").read_text())))
    text = console.export_text()
    assert "1 of 2 runs finished, 1 failed" in text
    assert "1e+30" in text
    assert "policy" not in text.split("Rewards are")[0].split("finished, 1 failed")[1]  # it does not vary


def test_what_is_finished_is_not_run_again(swept: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(swept, out)
    good, bad = of(out, GOOD), of(out, BAD)
    shutil.rmtree(bad)
    shutil.copytree(good, bad)  # as if it had finished
    log = Path(f"{good}.log").read_text()
    argv = ["sweep", "--config", str(swept.parent / "sweep.yaml"), "--out", str(out), "--resume", "--json"]
    done = CliRunner().invoke(app, argv)
    assert done.exit_code == 0, done.output
    found = json.loads((out / "summary.json").read_text())
    assert found == json.loads(done.stdout)
    assert [row["state"] for row in found["runs"]] == ["finished", "finished"]
    assert [row["tries"] for row in found["runs"]] == [1, 1]
    assert [row["folder"] for row in found["runs"]] == [str(good), str(bad)]
    assert Path(f"{good}.log").read_text() == log


@pytest.mark.parametrize("content", ["{}", '{"runs": 3}', '{"runs": [{"name": "a"}]}'])
def test_a_summary_of_something_else_is_not_gone_on_from(content: str, tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text(content)
    with pytest.raises(InputError) as refused:
        run.open_records(tmp_path, [], retries=0)
    assert str(refused.value) == (
        f"sweep: {tmp_path / 'summary.json'} is not a sweep's summary: choose another --out"
    )


def test_a_model_that_is_half_written_is_not_finished(swept: Path, tmp_path: Path) -> None:
    folder = tmp_path / GOOD
    shutil.copytree(of(swept, GOOD), folder)
    weights = folder / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    assert not trials.is_finished(folder)
    assert not trials.is_finished(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "already holds a run"),
        (["--resume", "--model", "{other}"], "was started with other model: choose another --out"),
        (["--resume", "--out", "{empty}"], "holds no run to go on with"),
        (["--resume", "--overwrite"], "exclude each other"),
    ],
)
def test_a_folder_is_only_taken_up_as_it_was_left(
    swept: Path, tiny_model_dir: Path, tmp_path: Path, flags: list[str], message: str
) -> None:
    (tmp_path / "model").symlink_to(tiny_model_dir)
    (tmp_path / "empty").mkdir()
    words = [word.format(other=tmp_path / "model", empty=tmp_path / "empty") for word in flags]
    before = (swept / "summary.json").read_bytes()
    with pytest.raises(InputError, match=message):
        run.main(
            sweep_recipe.parse(["--config", str(swept.parent / "sweep.yaml"), "--out", str(swept), *words])
        )
    assert (swept / "summary.json").read_bytes() == before


def test_a_config_that_has_changed_is_named(swept: Path, tmp_path: Path) -> None:
    recipe = sweep_recipe.parse(["--config", str(swept.parent / "sweep.yaml"), "--out", str(swept)])
    base = recipe.configs[0]
    with pytest.raises(InputError, match=f"was started with other {base}: choose another --out"):
        run.check_same_settings(swept, recipe, {base: "another hash"})
