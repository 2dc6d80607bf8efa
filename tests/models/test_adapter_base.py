"""The base of an adapter is found from any working folder, also where both have moved."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from chexphi.models import adapter, policy, policy_folder
from chexphi.schema import InputError
from chexphi.training.recovery.load_weights import check


@pytest.fixture
def project(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a base MODEL and a policy runs/sft/model, trained from the base as it is typed there."""
    folder = tmp_path / "project"
    shutil.copytree(tiny_folder, folder / "MODEL")
    monkeypatch.chdir(folder)
    model, processor = policy.load("MODEL")
    model = adapter.with_new_lora(model, targets=model.lora_targets, rank=2, alpha=4, with_head=False)
    model.save_pretrained("runs/sft/model")
    processor.save_pretrained("runs/sft/model")
    monkeypatch.chdir(tmp_path)
    return folder


def name_base(policy_folder: Path, base: str | None) -> None:
    file = policy_folder / adapter.CONFIG
    file.write_text(json.dumps(json.loads(file.read_text()) | {"base_model_name_or_path": base}))


def test_an_adapter_names_its_base_so_that_any_folder_finds_it(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = json.loads((project / "runs/sft/model" / adapter.CONFIG).read_text())
    assert saved["base_model_name_or_path"] == str(project / "MODEL")
    for place in (tmp_path, project, project / "runs", Path("/")):
        monkeypatch.chdir(place)
        folder = Path(os.path.relpath(project / "runs/sft/model"))
        model, _ = policy.load(folder)
        again = tmp_path / "again"
        model.save_pretrained(again)  # and what is trained from it
        assert policy_folder.locate(again).base == project / "MODEL"


@pytest.mark.parametrize("named", ["MODEL", "../MODEL", "../../../MODEL", "./MODEL"])
def test_a_relative_base_is_looked_for_around_the_adapter(project: Path, named: str) -> None:
    folder = project / "runs" / "sft" / "model"
    name_base(folder, named)
    assert policy_folder.locate(folder).base.resolve() == project / "MODEL"


def test_the_working_folder_comes_first(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = project / "runs" / "sft" / "model"
    name_base(folder, "MODEL")
    shutil.copytree(project / "MODEL", tmp_path / "here" / "MODEL")
    monkeypatch.chdir(tmp_path / "here")
    assert policy_folder.locate(folder).base == tmp_path / "here" / "MODEL"


def test_a_project_may_move(project: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    moved = project.rename(tmp_path / "elsewhere")
    assert policy_folder.locate(moved / "runs/sft/model").base == moved / "MODEL"
    assert "does not exist any more" in caplog.text
    policy.load(moved / "runs/sft/model")
    # the whole path, in another root
    name_base(moved / "runs/sft/model", "/old/home/MODEL")
    (moved / "old" / "home").mkdir(parents=True)
    (moved / "MODEL").rename(moved / "old/home/MODEL")
    assert policy_folder.locate(moved / "runs/sft/model").base == moved / "old/home/MODEL"


def test_a_base_around_its_adapter(project: Path, tmp_path: Path) -> None:
    inside = project / "MODEL" / "vision-lora"
    shutil.copytree(project / "runs/sft/model", inside)
    renamed = (project / "MODEL").rename(tmp_path / "another name")
    assert policy_folder.locate(renamed / "vision-lora").base == renamed


@pytest.mark.parametrize("named", ["/gone/nowhere", "nowhere", "owner/Published-Model", "", None])
def test_a_base_that_is_nowhere(project: Path, named: str | None) -> None:
    folder = project / "runs" / "sft" / "model"
    name_base(folder, named)
    with pytest.raises(InputError, match="where no model is: write the folder of the base"):
        policy_folder.locate(folder)


def test_a_checkpoint_that_names_the_same_base_otherwise_is_resumed(project: Path) -> None:
    folder = project / "runs" / "sft" / "model"
    model, _ = policy.load(folder)
    name_base(folder, "MODEL")  # as versions before wrote it
    check(model, folder)
    other = shutil.copytree(project / "MODEL", project / "OTHER")
    name_base(folder, str(other))
    with pytest.raises(InputError, match=r"its base is .*OTHER, this one's is .*MODEL"):
        check(model, folder)
