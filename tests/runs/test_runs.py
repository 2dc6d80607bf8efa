"""Run folders and append-only logs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from small_disks import file_size

from chexphi.runs import jsonl, manifest, processes, run_folder, run_lock, run_settings
from chexphi.schema import InputError


def test_a_run_is_never_overwritten_by_accident(tmp_path: Path) -> None:
    out = run_folder.open_run(tmp_path / "run")
    manifest.write(out, config={"a": 1}, data=None, seed=3, stage="sft")
    with pytest.raises(InputError, match="--resume"):
        run_folder.open_run(out)
    assert run_folder.open_run(out, resume=True) == out
    assert (out / "manifest.json").exists()
    run_folder.open_run(out, overwrite=True)
    assert [path.name for path in out.iterdir()] == ["run.lock"]


def test_one_way_to_deal_with_a_run_that_is_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--resume and --overwrite exclude each other: choose one"):
        run_folder.open_run(tmp_path / "run", resume=True, overwrite=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"output folder .*file is a file: choose another --out"):
        run_folder.open_run(tmp_path / "file")


HOLD = """
import fcntl, sys, time
file = open(sys.argv[1], "a+")
fcntl.lockf(file, fcntl.LOCK_EX)
file.write(sys.argv[2])
file.flush()
print("locked", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize(
    ("owner", "holder"),
    [
        ('{"pid": 7, "host": "gpu3"}', "process 7 on gpu3"),
        ("half a li", "another process"),
        ("7", "another process"),
    ],
)
def test_a_folder_in_use_names_its_user(owner: str, holder: str, tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path / run_lock.NAME, owner], stdout=subprocess.PIPE
    ) as child:
        assert child.stdout
        assert child.stdout.readline() == b"locked\n"
        try:
            with pytest.raises(
                InputError, match=f"is in use by {holder}: wait for it, end it, or choose another"
            ):
                run_folder.open_run(tmp_path, overwrite=True)
        finally:
            child.kill()


@pytest.mark.parametrize(
    ("processes_here", "gpus", "sentence"),
    [
        (
            9,
            8,
            "9 processes were started on a machine with 8 GPUs: start at most 8 (torchrun --nproc_per_node",
        ),
        (4000, 0, f"4000 processes were started on a machine with {os.cpu_count()} CPU core"),
    ],
)
def test_more_processes_than_devices(processes_here: int, gpus: int, sentence: str) -> None:
    launched = {"RANK": "0", "WORLD_SIZE": str(processes_here), "LOCAL_WORLD_SIZE": str(processes_here)}
    with pytest.raises(InputError) as refused:
        processes.check(gpus, launched)
    assert str(refused.value).startswith(sentence)
    with pytest.raises(InputError, match="accelerate launch was asked for several processes and started one"):
        processes.check(0, {"MASTER_PORT": "1", "ACCELERATE_USE_CPU": "true"})


def test_resume_needs_a_run_and_auto_does_not(tmp_path: Path) -> None:
    out = tmp_path / "run"
    with pytest.raises(InputError, match="holds no run to go on with"):
        run_folder.open_run(out, resume=True)
    assert not out.exists()
    assert run_folder.open_run(out, resume="auto") == out
    (out / "train.log").write_text("killed here")
    assert run_folder.open_run(out, resume="auto") == out
    (out / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="files but not a run"):
        run_folder.open_run(out, resume="auto")


def test_a_folder_on_a_full_disk_is_not_made(tmp_path: Path) -> None:
    out = tmp_path / "run"
    with file_size(0), pytest.raises(InputError) as refused:  # its lock cannot be written
        run_folder.open_run(out)
    assert str(refused.value) == (
        f"output folder {out} cannot be made (File too large): make room, or choose another --out"
    )
    assert not out.exists()


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("config.yaml", "- a", "config file {path} does not hold a mapping: write one `key: value` a line"),
        ("manifest.json", "[]", "{path} is not a JSON object: copy it again"),
    ],
)
def test_a_run_whose_settings_are_damaged_does_not_go_on(
    name: str, text: str, reason: str, tmp_path: Path
) -> None:
    (tmp_path / "config.yaml").write_text("a: 1\n")
    (tmp_path / "manifest.json").write_text("{}")
    run_settings.check(tmp_path, {"a": 1}, {})
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError) as refused:
        run_settings.check(tmp_path, {"a": 1}, {})
    reason = reason.format(path=tmp_path / name)
    assert (
        str(refused.value) == f"the run in {tmp_path} cannot go on ({reason}): begin again with another --out"
    )


def test_overwrite_only_replaces_runs(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="files but not a run"):
        run_folder.open_run(tmp_path, overwrite=True)
    assert (tmp_path / "thesis.tex").exists()


def test_the_manifest_knows_its_data(tmp_path: Path) -> None:
    data = tmp_path / "data.json"
    data.write_text("[]")
    manifest.write(tmp_path, config={}, data=data, seed=0, stage="sft")
    values = json.loads((tmp_path / "manifest.json").read_text())
    assert values["data_sha256"] == "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"
    assert {"chexphi", "python"} <= values["versions"].keys()


def test_a_torn_line_is_cut_and_the_rest_kept(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"step": 1}\n{"step": 2}\n{"ste')
    lines = jsonl.JsonLines(path)
    lines.write({"step": 3})
    lines.close()
    assert [row["step"] for row in jsonl.read(path)] == [1, 2, 3]
    jsonl.cut_back(path, len('{"step": 1}\n') * 2)
    assert [row["step"] for row in jsonl.read(path)] == [1, 2]
    with pytest.raises(InputError, match="has 24 bytes and the checkpoint counts on 25"):
        jsonl.cut_back(path, 25)


def test_a_log_on_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    """As a file that may not grow."""
    lines = jsonl.JsonLines(tmp_path / "log.jsonl")
    with file_size(20):
        with pytest.raises(InputError, match=r"log.jsonl cannot be written \(File too large\): make room"):
            lines.write({"step": 1}, {"step": 2})
        lines.close()


@pytest.mark.parametrize("line", ["{", "[1]"])
def test_a_broken_line_is_numbered(tmp_path: Path, line: str) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"a": 1}\n' + line + "\n")
    with pytest.raises(InputError, match="line 2"):
        list(jsonl.read(path))
