"""The state of a run from its folder: not begun, running, ended, stopped, crashed; files half written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_disks import few_rights
from watched_runs import finish, holding, log, row, write_rows, write_run

from chexphi.runs import run_lock
from chexphi.runs.commands import resume_command
from chexphi.schema import InputError
from chexphi.watch.growing_files import GrowingFiles
from chexphi.watch.run_state import NO_MESSAGE, state_of
from chexphi.watch.sparkline import BLOCKS, sparkline

hold = pytest.fixture(holding)


def test_a_run_that_has_not_begun_is_waited_for(tmp_path: Path) -> None:
    assert state_of(tmp_path / "later").activity == "waiting"
    (tmp_path / "empty").mkdir()
    assert state_of(tmp_path / "empty").activity == "waiting"
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "manifest.json").write_text('{"stage": "gr')
    assert state_of(tmp_path / "half").activity == "waiting"


def test_a_run_goes_on_as_long_as_its_lock_is_held(tmp_path: Path, hold: Any) -> None:
    out = write_run(tmp_path / "run")
    finish(out, "model/complete.json")  # of the run before, if it is resumed
    holder = hold(out)
    assert state_of(out).activity == "running"
    assert json.loads((out / run_lock.NAME).read_text())["pid"] == holder.pid  # looking changes nothing
    holder.kill()
    holder.wait()
    assert state_of(out).activity == "ended"
    run_lock.acquire(out)  # and keeps no lock


@pytest.mark.parametrize(
    ("lines", "activity", "reason"),
    [
        ([], "gone", NO_MESSAGE),
        (["INFO chexphi.training.sft: sft on 4 examples, 8 steps"], "gone", NO_MESSAGE),
        (["WARNING chexphi.training.grpo: 3 examples are left out"], "gone", NO_MESSAGE),
        (["ERROR chexphi: loss is nan at step 3"], "crashed", "loss is nan at step 3"),
        (["ERROR transformers.trainer: of a library"], "gone", NO_MESSAGE),
        (
            ["INFO chexphi.training.recovery.resume: SIGTERM: saved at step 3, --resume auto goes on"],
            "stopped",
            "SIGTERM: saved at step 3, --resume auto goes on",
        ),
        (["INFO chexphi: Ctrl-C: the run stops"], "stopped", "Ctrl-C: the run stops"),
        (["INFO chexphi: SIGHUP: the run stops"], "stopped", "SIGHUP: the run stops"),
    ],
)
def test_how_a_run_came_to_its_end(
    lines: list[str], activity: str, reason: str | None, tmp_path: Path
) -> None:
    out = write_run(tmp_path / "run")
    log(out, "ERROR chexphi: of an earlier start", time="2026-11-29 10:00:00")
    log(out, *lines)
    state = state_of(out)
    assert (state.activity, state.reason) == (activity, reason)
    assert state.resume == "chexphi grpo --config configs/grpo_kg.yaml --out runs/a --resume auto"


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["chexphi", "sft", "--resume", "--out", "a"], "chexphi sft --out a --resume auto"),
        (["chexphi", "sft", "--resume=auto", "--out=a"], "chexphi sft --out=a --resume auto"),
        (["chexphi", "sft", "--overwrite"], "chexphi sft --out 'runs/my run' --resume auto"),
        (
            ["chexphi", "sft", "--overwrite", "--seed", "1"],
            "chexphi sft --seed 1 --out 'runs/my run' --resume auto",
        ),
        (None, None),
        (["chexphi", 3], None),
    ],
)
def test_the_command_that_goes_on(words: Any, command: str | None) -> None:
    assert resume_command(words, Path("runs/my run")) == command


def test_figures_curves_and_time_left_of_a_training(tmp_path: Path, hold: Any) -> None:
    out = write_run(tmp_path / "run")
    precision_recall = {"graph/entity_precision": 0.5, "graph/entity_recall": 1.0}
    write_rows(
        out / "metrics.jsonl",
        row(1, 5.0, reward=0.5),
        row(2, 900.0, reward=0.6),
        row(3, 2.0, reward=0.7),  # a resumed run counts its seconds from its start
        row(5, 6.0, reward=float("nan"), **{"rewards/external_r1v_acc/mean": 0.25}, **precision_recall),
    )
    hold(out)
    state = state_of(out)
    assert (state.done, state.total) == (5, 8)
    assert state.seconds_left == 6.0  # three steps of two seconds
    assert state.curves["reward"] == [0.5, 0.6, 0.7]
    assert state.figures["answer"] == 0.25
    assert state.figures["graph F1"] == pytest.approx(2 / 3)
    assert json.loads(json.dumps(state.to_dict()))["figures"]["loss"] == 0.2


def test_answers_of_all_processes_are_counted(tmp_path: Path) -> None:
    out = write_run(tmp_path / "run", "evaluate", examples=8)
    write_rows(out / "predictions.jsonl", {"is_correct": True}, {"is_correct": False})
    write_rows(out / "predictions.part1.jsonl", {"is_correct": True}, {"is_correct": True})
    state = state_of(out)
    assert (state.done, state.total, state.unit, state.figures["accuracy"]) == (4, 8, "questions", 0.75)
    mined = write_run(tmp_path / "mined", "mine", examples=2)
    write_rows(mined / "scored.jsonl", {"correct": [1.0, 0.0, 0.0, 0.0]}, {"correct": [1.0, 1.0, 1.0, 0.0]})
    finish(mined, "summary.json")
    assert (state_of(mined).activity, state_of(mined).figures) == ("ended", {"accuracy": 0.5})


def test_answers_with_other_films_count_but_not_as_right(tmp_path: Path) -> None:
    out = write_run(tmp_path / "run", "evaluate", examples=2, answers=6)
    write_rows(out / "predictions.jsonl", {"is_correct": True}, {"is_correct": False})
    (out / "controls/blank").mkdir(parents=True)
    write_rows(out / "controls/blank/predictions.part1.jsonl", {"is_correct": False})
    state = state_of(out)
    assert (state.done, state.total, state.figures["accuracy"]) == (3, 6, 0.5)


def test_a_manifest_of_another_program_is_no_crash_of_ours(tmp_path: Path) -> None:
    out = write_run(tmp_path / "run", "evaluate", started="yesterday", starts=None, examples="many")
    log(out, "ERROR chexphi: bad")
    state = state_of(out)
    assert (state.activity, state.reason, state.total) == ("crashed", "bad", None)


def test_a_loop_shows_its_stages(tmp_path: Path, hold: Any) -> None:
    root = write_run(tmp_path / "demo", "demo")
    for name, stage, last_file in (("sft", "sft", "model/complete.json"), ("mine", "mine", "summary.json")):
        finish(write_run(root / name, stage), last_file)
    write_run(root / "data", "phantom")
    hold(root)
    hold(write_run(root / "grpo_kg"))
    state = state_of(root)
    assert {each.stage: each.activity for each in state.stages} == {
        "sft": "ended", "mine": "ended", "grpo": "running",
    }  # fmt: skip
    assert (state.activity, state.done) == ("running", 2)


def test_a_loop_ends_as_its_stages_do(tmp_path: Path) -> None:
    root = write_run(tmp_path / "demo", "demo")
    assert state_of(root).activity == "gone"
    log(root, "INFO chexphi: Ctrl-C: the run stops")
    write_run(root / "sft", "sft")  # which the demo has killed
    assert (state_of(root).activity, state_of(root).reason) == ("stopped", "Ctrl-C: the run stops")
    (root / "train.log").unlink()
    log(root / "sft", "ERROR chexphi: loss is nan")
    assert state_of(root).activity == "crashed"
    assert str(state_of(root).reason).endswith("sft: loss is nan")


def test_the_results_of_an_earlier_start_are_no_end(tmp_path: Path) -> None:
    """A demo that has ended is resumed with a stage deleted, and fails or is stopped."""
    root = write_run(tmp_path / "demo", "demo", stages=["data", "sft", "mine"])
    finish(root, "results.json")
    finish(write_run(root / "sft", "sft"), "model/complete.json")
    assert state_of(root).activity == "ended"  # the others may have been deleted to save room
    log(root, "ERROR chexphi: stage mine failed with exit code 2: its log is mine.log")
    assert state_of(root).activity == "crashed"
    (root / "train.log").unlink()
    log(write_run(root / "mine", "mine"), "ERROR chexphi: bad")
    assert state_of(root).activity == "crashed"
    (root / "mine" / "train.log").unlink()
    assert state_of(root).activity == "gone"
    finish(root / "mine", "summary.json")
    assert state_of(root).activity == "ended"


def test_a_sweep_has_ended_when_its_runs_have(tmp_path: Path) -> None:
    root = write_run(tmp_path / "sweep", "sweep")
    finish(write_run(root / "1_a"), "model/complete.json")
    (root / "summary.json").write_text(json.dumps({"runs": [{}, {}]}))
    assert (state_of(root).activity, state_of(root).done, state_of(root).total) == ("gone", 1, 2)
    finish(write_run(root / "2_b"), "model/complete.json")
    assert state_of(root).activity == "ended"


@given(st.lists(st.integers(0, 9), max_size=12), st.lists(st.integers(1, 15), max_size=8))
def test_a_file_is_read_while_it_is_written(numbers: list[int], sizes: list[int]) -> None:
    import tempfile

    content = "".join(f'{{"step": {number}}}\n' for number in numbers).encode()
    files = GrowingFiles()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        written = 0
        for size in [*sizes, len(content)]:
            with path.open("ab") as file:
                file.write(content[written : written + size])
            written = min(len(content), written + size)
            whole = content[:written].decode().split("\n")[:-1]
            assert files.rows(path, lambda row: row["step"]) == [json.loads(line)["step"] for line in whole]


def test_a_file_that_was_cut_back_or_replaced_is_read_anew(tmp_path: Path) -> None:
    path, files = tmp_path / "metrics.jsonl", GrowingFiles()
    write_rows(path, {"step": 1}, {"step": 2})
    assert files.rows(path, lambda row: row["step"]) == [1, 2]
    write_rows(path, {"step": 1})
    assert files.rows(path, lambda row: row["step"]) == [1]
    other = tmp_path / "other"
    write_rows(other, {"step": 7}, {"step": 8}, {"step": 9})
    other.replace(path)
    assert files.rows(path, lambda row: row["step"]) == [7, 8, 9]
    path.unlink()
    assert files.rows(path, lambda row: row["step"]) == []


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=200), st.integers(1, 80))
def test_a_sparkline_fits_and_rises_with_its_values(values: list[float], width: int) -> None:
    line = sparkline(values, width)
    assert len(line) == min(width, len(values))
    rising = [BLOCKS.index(block) for block in sparkline(sorted(values), width)]
    assert rising == sorted(rising)


def test_damaged_rows_and_lost_settings_do_not_end_it(tmp_path: Path) -> None:
    mined = write_run(tmp_path / "mined", "mine", examples=4)
    (mined / "scored.jsonl").write_text(
        '{"correct": [1.0]}\n{"correct": [null]}\n{"correct": "abc"}\n{"correct": 3}\n[]\n{"cor\n'
        '{"correct": [0'
    )
    state = state_of(mined)
    assert (state.done, state.figures) == (1, {"accuracy": 1.0})
    root = write_run(tmp_path / "demo", "demo", stages=[None, 3, "sft"])
    (root / "results.json").write_text("")
    (write_run(root / "sft", "sft") / "config.yaml").unlink()
    assert [each.stage for each in state_of(root).stages] == ["sft", "", ""]


def test_a_folder_that_may_not_be_read_is_not_waited_for(tmp_path: Path) -> None:
    out = write_run(tmp_path / "closed" / "run")
    out.parent.chmod(0)
    with few_rights(), pytest.raises(InputError) as refused:
        state_of(out)
    out.parent.chmod(0o700)
    assert str(refused.value) == (
        f"you may not read {out}: ask its owner for permission, or watch as the user who started the run"
    )
