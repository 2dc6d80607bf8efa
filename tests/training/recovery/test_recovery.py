"""What a run leaves when it is killed, pre-empted or out of disk, and how it goes on from there."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from killed_runs import FLAGS, begin, end, lines, same, wait_until

from chexphi.models.families import tiny
from chexphi.runs import run_folder, run_settings
from chexphi.runs.stop import AGAIN_SECONDS, EXIT_CODE
from chexphi.schema import InputError
from chexphi.training import grpo
from chexphi.training.recovery import checkpoints
from chexphi.training.recovery.checkpoints import Checkpoint, newest, superfluous


@pytest.fixture(scope="module")
def argv(tiny_model_dir: Path, pool: Path) -> list[str]:
    """Three epochs."""
    flags = ["--model", str(tiny_model_dir), "--data", str(pool), *FLAGS, "--max_steps=10", "--save_steps=2"]
    return ["grpo", *flags]


@pytest.fixture(scope="module")
def whole(argv: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing stopped."""
    out = tmp_path_factory.mktemp("whole") / "run"
    said = out.with_suffix(".txt")
    assert end(begin([*argv, "--out", str(out)], said)) == 0, said.read_text()
    return out


def go_on(argv: list[str], out: Path) -> str:
    """What a run says that goes on to its end."""
    said = out.with_suffix(".said")
    assert end(begin([*argv, "--out", str(out), "--resume", "auto"], said)) == 0, said.read_text()
    return said.read_text()


def unfinished(whole: Path, out: Path) -> Path:
    """As a kill behind the last checkpoint leaves a run."""
    shutil.copytree(whole, out)
    shutil.rmtree(out / "model")
    return out


def test_a_run_killed_twice_ends_as_an_unbroken_one(argv: list[str], whole: Path, tmp_path: Path) -> None:
    out, chance = tmp_path / "run", random.Random(0)
    for step in (3, 7):
        process = begin([*argv, "--out", str(out), "--resume", "auto"], tmp_path / "said.txt")
        size = (whole / "completions.jsonl").stat().st_size * step // 10 + chance.randrange(2000)
        log = out / "completions.jsonl"
        assert wait_until(process, lambda log=log, size=size: log.exists() and log.stat().st_size > size)
        process.kill()
        assert end(process) == -signal.SIGKILL
    go_on(argv, out)
    same(whole, out)
    before = (out / "metrics.jsonl").read_text()
    assert "nothing is left to do" in go_on(argv, out)
    assert (out / "metrics.jsonl").read_text() == before


@pytest.mark.parametrize("seed", range(4))
def test_the_newest_complete_checkpoint_is_taken_and_the_run_says_which_it_skipped(
    argv: list[str], whole: Path, tmp_path: Path, seed: int
) -> None:
    """One file of a checkpoint is cut at any byte."""
    out, chance = unfinished(whole, tmp_path / "run"), random.Random(seed)
    files = sorted(path for path in (out / "checkpoint-10").rglob("*") if path.is_file())
    file = chance.choice(files)
    size = chance.randrange(file.stat().st_size)
    with file.open("r+b") as opened:
        opened.truncate(size)
    found, said = newest(out)
    assert found is not None
    assert found.step == 8
    assert [line.split(":")[0] for line in said] == ["checkpoint-10 is skipped"]
    assert file.name in said[0]
    if seed == 0:
        assert said[0] in go_on(argv, out)
        same(whole, out)


@settings(max_examples=40)
@given(st.data())
def test_a_checkpoint_cut_anywhere_is_none(tmp_path_factory: pytest.TempPathFactory, data: Any) -> None:
    folder = tmp_path_factory.mktemp("cut") / "checkpoint-3"
    sizes = data.draw(st.lists(st.integers(1, 50), min_size=1, max_size=4))
    for number, size in enumerate(sizes):
        file = folder / ("ref" if number % 2 else "") / f"{number}.bin"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x" * size)
    (folder / "trainer_state.json").write_text('{"epoch": 1.5, "global_step": 3, "max_steps": 4}')
    assert checkpoints.read(folder) == "it has no complete.json: it was not written to its end"
    checkpoints.mark(folder, 3)
    assert checkpoints.read(folder) == Checkpoint(folder, 3, epochs=1)
    file = data.draw(st.sampled_from(sorted(path for path in folder.rglob("*") if path.is_file())))
    cut = data.draw(st.integers(0, file.stat().st_size - (2 if file.name == checkpoints.MARKER else 1)))
    file.write_bytes(file.read_bytes()[:cut])
    assert isinstance(checkpoints.read(folder), str)


@pytest.mark.parametrize(
    ("found", "limit", "keep", "expected"),
    [
        ([], 2, None, []),
        ([(2, True), (4, True)], None, None, []),
        ([(2, True), (4, True)], 0, None, []),
        ([(2, True), (10, True), (4, True)], 1, None, [2, 4]),
        ([(2, True), (4, False)], 1, None, [4]),  # the only complete one stays, however old
        ([(2, False), (4, False)], 1, None, []),
        ([(2, True), (4, True), (6, True)], 1, 2, [4]),
    ],
)
def test_which_checkpoints_may_go(
    found: list[tuple[int, bool]], limit: int | None, keep: int | None, expected: list[int]
) -> None:
    assert superfluous(found, limit, keep) == expected


@pytest.mark.parametrize(
    ("size", "file"),
    [
        pytest.param(2_000_000, "checkpoint-6", marks=pytest.mark.faults),
        pytest.param(6_000_000, "checkpoint-6", marks=pytest.mark.faults),
        (500, "completions.jsonl"),
    ],
)
def test_a_full_disk_is_one_sentence_and_the_older_checkpoint_is_good(
    argv: list[str], whole: Path, tmp_path: Path, size: int, file: str
) -> None:
    """A file that grows beyond a size fails, as on a full disk: the weights, the optimiser or a log."""
    out = unfinished(whole, tmp_path / "run")
    for step in (6, 8, 10):
        shutil.rmtree(out / f"checkpoint-{step}")
    said = tmp_path / "said.txt"
    size += size < 1000 and checkpoints.marker(out / "checkpoint-4")["logs"]["completions.jsonl"]  # type: ignore[index]
    assert end(begin([*argv, "--out", str(out), "--resume", "auto"], said, file_size=size)) == 2
    text = said.read_text()
    assert "Traceback" not in text
    [line] = [line for line in text.splitlines() if line.startswith("error:")]
    assert f"{file} cannot be written (" in line
    assert "enforce fail" not in line  # torch's own words
    assert {path.name for path in out.glob("checkpoint-*")} == {"checkpoint-2", "checkpoint-4"}
    go_on(argv, out)
    same(whole, out)


def stopped(argv: list[str], out: Path, happened: Callable[[], bool]) -> int:
    """Exit code of a run that is sent SIGTERM once something has happened."""
    process = begin([*argv, "--out", str(out), "--resume", "auto"], out.with_suffix(".txt"))
    assert wait_until(process, happened), out.with_suffix(".txt").read_text()
    process.terminate()
    return end(process, 30)


@pytest.mark.parametrize(
    "moment", ["generation", *(pytest.param(name, marks=pytest.mark.faults) for name in ("load", "step"))]
)
def test_a_preempted_run_saves_and_says_so(argv: list[str], whole: Path, tmp_path: Path, moment: str) -> None:
    out = tmp_path / "run"
    happened = {
        "load": lambda: bool(lines(out.with_suffix(".txt"))),
        "generation": lambda: lines(out / "metrics.jsonl") >= 2,  # the next step begins with it
        "step": lambda: lines(out / "completions.jsonl") > 0,  # its rows' log-probabilities are known
    }[moment]
    code = stopped([*argv, "--save_strategy=no"], out, happened)
    assert code == EXIT_CODE, out.with_suffix(".txt").read_text()
    checkpoint, skipped = newest(out)
    assert not skipped
    assert checkpoint is not None or moment == "load"
    if checkpoint is not None:  # a fast machine may be at the first step when the model is loaded
        assert checkpoint.step in (2, 4)
        assert lines(out / "metrics.jsonl") == checkpoint.step
        assert f"saved at step {checkpoint.step}" in (out / "train.log").read_text()
    assert not (out / "model").exists()
    go_on(argv, out)
    same(whole, out)
    starts = json.loads((out / "manifest.json").read_text())["starts"]
    assert starts[-1]["from_step"] == (checkpoint.step if checkpoint else 0)
    assert [start["from_step"] for start in starts[:-1]] in ([0], [])  # no manifest before the model loads
    assert f"started {len(starts)} times" in (out / "model" / "README.md").read_text() or len(starts) == 1


@pytest.mark.faults
def test_a_second_signal_ends_at_once_and_a_run_in_use_is_refused(
    argv: list[str], whole: Path, tmp_path: Path
) -> None:
    out, said, other = tmp_path / "run", tmp_path / "said.txt", tmp_path / "other.txt"
    endless = [*argv, "--rewards", "killed_runs:endless", "--out", str(out)]
    process = begin(endless, said)
    assert wait_until(process, lambda: said.exists() and "scoring" in said.read_text())
    for flags in (["--resume"], ["--overwrite"], []):
        assert end(begin([*endless, *flags], other)) == 2
        assert f"is in use by process {process.pid} on " in other.read_text()
        other.unlink()
    for _ in range(2):  # two at once are one
        process.terminate()
        time.sleep(0.5)
    assert process.is_alive()
    time.sleep(AGAIN_SECONDS)
    process.terminate()
    assert end(process, 30) == -signal.SIGTERM
    again = [*argv, "--out", str(out), "--overwrite"]
    assert end(begin(again, other)) == 0  # the lock went with its process
    same(whole, out)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"beta": 0.0}, {"beta": 0.1}, ["beta"]),
        ({"beta": 0.1, "limit": None}, {"beta": 0.1, "limit": 3}, ["limit"]),
        ({"out": "a", "output_dir": "a"}, {"out": "b", "output_dir": "b"}, []),
        ({"resume": False, "overwrite": True}, {"resume": "auto", "overwrite": False}, []),
        ({"save_steps": 5, "save_strategy": "no"}, {"save_steps": 2, "save_strategy": "steps"}, []),
        ({"logging_steps": 1, "log_every": 1}, {"logging_steps": 2, "log_every": 9}, []),
        ({"report_to": ["none"], "run_name": "a"}, {"report_to": ["wandb"], "run_name": "b"}, []),
        ({"dataloader_num_workers": 0}, {"dataloader_num_workers": 2}, []),
        ({"draft_tokens": None, "draft_slots": 512}, {"draft_tokens": 0, "draft_slots": 1024}, []),
        ({"dataloader_drop_last": False}, {"dataloader_drop_last": True}, ["dataloader_drop_last"]),
        ({"logits_to_keep": 1}, {"logits_to_keep": 2}, ["logits_to_keep"]),
        ({"of_an_older_version": 1}, {"of_a_newer_one": 1}, []),
        ({"seed": 1, "max_steps": 4}, {"seed": 2, "max_steps": 8}, ["max_steps", "seed"]),
        ({"bf16": True}, {"bf16": 1}, []),
    ],
)  # fmt: skip
def test_what_a_resumed_run_may_change(old: dict[str, Any], new: dict[str, Any], expected: list[str]) -> None:
    assert [name for name, *_ in run_settings.differing(old, new)] == expected


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


@pytest.mark.parametrize("flag", ["--resume", "--resume=auto"])
def test_another_config_is_refused_with_what_differs_and_nothing_is_touched(
    argv: list[str], whole: Path, tmp_path: Path, flag: str
) -> None:
    out = unfinished(whole, tmp_path / "run")
    before = contents(out)
    flags = ["--out", str(out), "--beta=0.2", "--limit=9", "--save_steps=4", flag]
    with pytest.raises(InputError) as caught:
        grpo.main(*grpo.parse([*argv[1:], *flags]))
    assert str(caught.value).startswith(
        f"the run in {out} has other settings: beta was 0.1 and is 0.2; limit was 10 and is 9: give it"
    )
    assert contents(out) == before


def test_other_data_under_the_same_name_are_refused(argv: list[str], whole: Path, tmp_path: Path) -> None:
    out = unfinished(whole, tmp_path / "run")
    manifest = json.loads((out / "manifest.json").read_text())
    (out / "manifest.json").write_text(json.dumps(manifest | {"data_sha256": "0" * 64, "processes": 2}))
    with pytest.raises(
        InputError, match=f"data_sha256 was .{'0' * 64}. and is .*; processes was 2 and is 1:"
    ):
        grpo.main(*grpo.parse([*argv[1:], "--out", str(out), "--resume"]))


def test_a_checkpoint_of_another_model_is_refused(argv: list[str], whole: Path, tmp_path: Path) -> None:
    out = unfinished(whole, tmp_path / "run")
    tiny.build(tmp_path / "other", ["A small film."], hidden_size=32)
    weights = "model.safetensors"
    shutil.copy(tmp_path / "other" / weights, out / "checkpoint-10" / weights)
    checkpoints.mark(out / "checkpoint-10", 10)
    before = contents(out)
    with pytest.raises(InputError, match=r"checkpoint-10 is of another model: its .* is of shape"):
        grpo.main(*grpo.parse([*argv[1:], "--out", str(out), "--resume"]))
    assert contents(out) == before


def test_an_output_folder_that_cannot_be_written_is_refused() -> None:
    """As another user than root, whom permissions do not stop."""
    with tempfile.TemporaryDirectory() as name:
        out = Path(name) / "run"
        out.mkdir()
        (out / "manifest.json").write_text("{}")
        for folder, mode in ((out, 0o555), (Path(name), 0o555)):
            folder.chmod(mode)
        user = os.geteuid()
        os.seteuid(65534 if user == 0 else user)
        try:
            for folder, resume in ((out, "auto"), (out, True), (Path(name) / "new" / "run", False)):
                with pytest.raises(InputError, match=r"cannot be written \(\S+ is read-only\)"):
                    run_folder.check_folder(folder, resume=resume)
        finally:
            os.seteuid(user)
            Path(name).chmod(0o755)
            out.chmod(0o755)


def test_a_reference_that_moved_is_not_gone_on_with(argv: list[str], tmp_path: Path) -> None:
    """TRL saves no reference, so a resumed run would go on from another."""
    out = tmp_path / "run"
    flags = ["--beta=0.1", "--sync_ref_model", "--ref_model_sync_steps=1", "--max_steps=2", "--save_steps=1"]
    command = [*argv[1:], *flags, "--out", str(out)]
    grpo.main(*grpo.parse(command))
    shutil.rmtree(out / "model")
    with pytest.raises(InputError, match="sync_ref_model moves a reference that no checkpoint has"):
        grpo.main(*grpo.parse([*command, "--resume"]))
