"""What a run's folder says of itself: its starts, its README, and the table of its files."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from chexphi.runs import manifest, readme, run_files, run_folder
from chexphi.schema import InputError

PAGE = Path(__file__).parents[2] / "docs" / "formats.md"
VERBS = {"mine": "mine score", "kg-train": "kg train", "probe": "rewards probe"}


def begin(out: Path, *, stage: str = "sft", step: int | None = 0, **extra: object) -> dict[str, object]:
    manifest.write(out, config={}, data=None, seed=0, stage=stage, from_step=step, **extra)
    return json.loads((out / "manifest.json").read_text())


def test_each_start_of_a_run_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for step, words in enumerate((["--out", "a"], ["--resume", "auto"], ["--resume", "true"])):
        monkeypatch.setattr(sys, "argv", ["/bin/chexphi", "sft", *words])
        values = begin(tmp_path, step=step)
    assert [(start["from_step"], start["command"][2:]) for start in values["starts"]] == [
        (0, ["--out", "a"]),
        (1, ["--resume", "auto"]),
        (2, ["--resume", "true"]),
    ]
    newest = {name: values[name] for name in manifest.OF_A_START}
    assert values["starts"][-1] == newest | {"from_step": 2}


@pytest.mark.parametrize("starts", [None, "many", [1]])
def test_a_manifest_without_starts_is_one_start(tmp_path: Path, starts: object) -> None:
    old = begin(tmp_path)
    del old["starts"]
    old |= {"started": "2026-01-01T00:00:00+00:00", "command": ["chexphi", "sft", "--old"]}
    old |= {} if starts is None else {"starts": starts}
    (tmp_path / "manifest.json").write_text(json.dumps(old))
    first, second = begin(tmp_path, step=7)["starts"]
    assert (first["started"], first["command"], first["from_step"]) == (old["started"], old["command"], None)
    assert second["from_step"] == 7


def test_a_damaged_manifest_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"star')
    with pytest.raises(InputError, match=r"cannot go on .*: begin again with another --out"):
        begin(tmp_path)
    assert (tmp_path / "manifest.json").read_text() == '{"star'


def test_the_readme_has_the_first_command_and_keeps_notes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["/bin/chexphi", "sft", "--data", "my data.json"])
    begin(tmp_path)
    page = tmp_path / readme.NAME
    assert "chexphi sft --data 'my data.json'" in page.read_text()
    assert f"chexphi sft --data 'my data.json' --out {tmp_path} --resume auto\n" in page.read_text()
    page.write_text(page.read_text() + "\nThe run for the paper.\n")
    begin(tmp_path, step=3)
    assert page.read_text().endswith("The run for the paper.\n")


def test_a_killed_start_with_a_readme_can_begin_again(tmp_path: Path) -> None:
    for name in ("README.md", "README.md.part", "config.yaml", "train.log"):
        (tmp_path / name).write_text("")
    assert run_folder.open_run(tmp_path, resume="auto") == tmp_path


@pytest.mark.parametrize("stage", run_files.ALL)
def test_every_stage_has_a_readme(stage: str) -> None:
    start = {"started": "2026-11-30T12:00:00+00:00", "command": ["chexphi", stage]}
    page = readme.text(stage, start, {})
    rows = re.findall(r"^\| `([^`]+)` \|", page, re.M)
    assert rows == [file.name for file in run_files.files_of(stage, {})]
    assert {"config.yaml", "manifest.json", "README.md", "run.lock"} <= set(rows)
    resumes = re.findall(r"^chexphi .* (--resume.*)$", page, re.M)
    assert (
        resumes == []
        if stage == "probe"
        else resumes == ["--resume" if stage == "kg-train" else "--resume auto"]
    )
    patients = [file.name for file in run_files.files_of(stage, {}) if file.patient_data]
    section = page.split("## What must not be shared")[1]
    drawn = stage in run_files.LOOPS
    assert drawn or all(f"`{name}`" in section for name in patients)


def test_files_behind_a_setting_are_listed_with_it() -> None:
    assert "never_spread.json" not in readme.text("grpo", {}, {"dynamic_sample": False})
    assert "`never_spread.json`" in readme.text("grpo", {}, {"dynamic_sample": True})


def test_the_page_of_formats_has_the_same_files_and_stages() -> None:
    section = PAGE.read_text(encoding="utf-8").split("## The files of a run")[1].split("\n## ")[0]
    table = section.split("\n\n")[1]
    documented = {}
    for line in table.splitlines()[2:]:
        name, written_by, _ = (cell.strip() for cell in line.split("|")[1:-1])
        documented[name.strip("`")] = written_by
    expected = {}
    for file in run_files.FILES:
        verbs = [f"`{VERBS.get(stage, stage)}`" for stage in file.stages]
        verbs = ["every stage with a run folder"] if file.stages == run_files.ALL else verbs
        setting = [f"with `--{file.setting}`"] if file.setting else []
        expected[file.name] = ", ".join(verbs + setting)
    assert documented == expected
