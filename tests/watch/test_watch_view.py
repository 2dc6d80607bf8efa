"""The picture of a run: it fits its terminal, and says of each stage of a loop what it does."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from watched_runs import finish, holding, log, row, write_rows, write_run

from chexphi.watch.run_state import state_of
from chexphi.watch.states import RunState
from chexphi.watch.view import view

hold = pytest.fixture(holding)


@pytest.mark.parametrize("width", [50, 80, 120])
def test_a_picture_fits_its_terminal(width: int, tmp_path: Path, hold: Any) -> None:
    out = write_run(tmp_path / "run")
    write_rows(out / "metrics.jsonl", *(row(step, 2.0 * step, reward=step / 8) for step in range(1, 8)))
    log(out, "WARNING chexphi.training.diagnostics: step 5: " + "long words " * 20)
    hold(out)
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(view(state_of(out), width=width))
    lines = console.export_text().splitlines()
    assert max(len(line.rstrip()) for line in lines[1:]) <= width
    assert any("7/8 steps" in line and "0:02 left" in line for line in lines)
    assert any(line.startswith("reward") and "▁" in line and "█" in line for line in lines)


def test_a_loop_lists_what_starts_and_what_is_to_come(tmp_path: Path, hold: Any) -> None:
    out = write_run(tmp_path / "demo", "demo", stages=["sight", "sft", "mine"])
    for name in ("sight", "sft"):
        (out / f"{name}.yaml").write_text("{}\n")
    finish(write_run(out / "sight", "sft"), "model/complete.json")
    assert [each.activity for each in state_of(out).stages] == ["ended", "waiting", "waiting"]  # killed
    hold(out)
    state = state_of(out)
    assert (state.done, state.total) == (1, 3)
    assert [each.activity for each in state.stages] == ["ended", "starting", "waiting"]
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(view(state, width=80))
    shown = console.export_text()
    assert re.search(r"sft +starting", shown)
    assert re.search(r"mine +to come", shown)


def picture(state: RunState, width: int) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(view(state, width=width))
    return console.export_text()


def test_a_demo_says_that_films_are_drawn(tmp_path: Path, hold: Any) -> None:
    root = write_run(tmp_path / "study", "study", stages=["seed0/data", "seed0/sft", "seed1/data"])
    films = root / "seed0" / "data.part" / "images" / "p1"
    films.mkdir(parents=True)
    for name in "ab":
        (films / f"{name}.png").touch()
    assert "drawing" not in picture(state_of(root), 80)  # killed
    hold(root)
    assert re.search(r"seed0/data +drawing +2 films", picture(state_of(root), 80))
    (root / "seed0" / "data.part").rename(root / "seed0" / "data")
    (root / "seed0" / "data" / "phantom.json").write_text("{}")
    (root / "seed1" / "data.part").mkdir(parents=True)
    state = state_of(root)
    assert [each.activity for each in state.stages] == ["ended", "running", "waiting"]
    assert (state.done, state.total) == (1, 3)


@pytest.mark.parametrize("width", [50, 80, 120])
@pytest.mark.parametrize("name", ["grpo_kg", "seed0/eval_sft_references"])
def test_figures_give_way_to_what_a_stage_does(width: int, name: str, tmp_path: Path, hold: Any) -> None:
    root = write_run(tmp_path / "study", "study", stages=[name, "mine"])
    out = write_run(root / name)
    figures = {"reward": 1.0, "rewards/external_r1v_acc/mean": 0.25, "rewards/external_kg_jac/mean": 0.5}
    write_rows(out / "metrics.jsonl", *(row(step, 2.0 * step, **figures) for step in range(1, 8)))
    hold(root)
    hold(out)
    shown = picture(state_of(root), width)
    table = shown[: shown.index(str(out))].splitlines() if str(out) in shown else shown.splitlines()
    stage = next(line for line in table if "7/8 steps" in line and "running" in line)
    assert "0:02" in stage
    assert "…" not in stage or (width < 80 and not name.startswith("grpo"))
    assert ("loss" in stage) == (width >= 80 or name == "grpo_kg")
    assert len(stage.rstrip()) <= width
    assert any("to come" in line for line in table)


def test_a_mistyped_folder_is_told_from_one_to_come(tmp_path: Path) -> None:
    write_run(tmp_path / "demo")
    state = state_of(tmp_path / "dmeo")
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(view(state, width=200))
    assert f"no run has begun there yet ({tmp_path} has demo)" in console.export_text()
