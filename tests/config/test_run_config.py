"""A run's own `config.yaml` is accepted by `--config`, and gives the same settings again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chexphi.runs.run_folder import yaml_values
from chexphi.schema import InputError
from chexphi.training import grpo, sft, trainer_settings
from chexphi.yaml_files import dump_yaml

COMMON = ["--model=m", "--data=d", "--learning_rate=3e-6", "--lr_scheduler_kwargs", '{"min_lr": 1e-7}']
GRPO = ["--num_generations=4", "--steps_per_generation=2", "--generation_kwargs", '{"suppress_tokens": [5]}']


@pytest.mark.parametrize(
    ("stage", "verb", "flags"),
    [
        (sft, "sft", [*COMMON, "--max_length=700", "--packing=false"]),
        (grpo, "grpo", [*COMMON, *GRPO, "--rewards=external_r1v_acc,format", "--reward_weights=1,0.5"]),
        (grpo, "grpo", [*COMMON, "--generation_batch_size=16", "--lr_scheduler_type=cosine_with_min_lr"]),
    ],
)
def test_the_settings_of_a_run_make_the_same_run(
    tmp_path: Path, stage: Any, verb: str, flags: list[str]
) -> None:
    out = tmp_path / "run"
    recipe, settings = stage.parse([*flags, f"--out={out}", "--overwrite", "--resume=auto"])
    args = trainer_settings.config(settings, verb)
    saved = yaml_values(recipe) | {"trainer": yaml_values(args)}
    (tmp_path / "config.yaml").write_text(dump_yaml(saved))
    again, given = stage.parse(["--config", str(tmp_path / "config.yaml")])
    assert (again.resume, again.overwrite) == (False, False)  # nobody replaces a run by naming its settings
    assert yaml_values(again) == yaml_values(recipe) | {"resume": False, "overwrite": False}
    assert yaml_values(trainer_settings.config(given, verb)) == saved["trainer"]
    changed, _ = stage.parse(["--config", str(tmp_path / "config.yaml"), "--model=other"])
    assert changed.model == "other"


def test_a_key_inside_the_trainer_is_checked_as_any_other(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("model: m\ntrainer:\n  learning_rat: 1\n")
    with pytest.raises(InputError, match=r"config\.yaml: unknown key 'learning_rat': did you mean"):
        sft.parse(["--config", str(file)])


@pytest.mark.parametrize(("stage", "verb"), [(sft, "sft"), (grpo, "grpo")])
def test_the_library_leaves_numbers_as_they_are_given(tmp_path: Path, stage: Any, verb: str) -> None:
    """A run that is resumed is compared by them before TRL is imported."""
    _, settings = stage.parse(["--model=m", "--data=d", f"--out={tmp_path}", "--logging_steps=0.5"])
    given = {name: value for name, value in vars(settings).items() if type(value) in (int, float)}
    made = vars(trainer_settings.config(settings, verb))
    assert {name: made[name] for name in given} == given
    assert len(given) > 15
