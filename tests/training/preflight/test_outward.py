"""Settings that would upload, print or publish what a run writes; and what TRL does without being asked."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub.utils import _telemetry
from killed_runs import command
from trl import GRPOConfig, SFTConfig
from trl.trainer import base_trainer

from chexphi.cli import telemetry
from chexphi.schema import InputError
from chexphi.training import grpo, kept_here, sft
from chexphi.training.preflight import outward


def settings(kind: type, folder: Path, **values: Any) -> Any:
    args = kind(output_dir=str(folder), use_cpu=True, bf16=False, report_to="none")
    for name, value in values.items():
        setattr(args, name, value)
    return args


@pytest.mark.parametrize("kind", [SFTConfig, GRPOConfig])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("push_to_hub", True),
        ("hub_model_id", "user/name"),
        ("hub_token", "secret-word"),
        ("hub_always_push", True),
        ("hub_revision", "main"),
    ],
)
def test_nothing_is_uploaded(kind: type, name: str, value: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"sft: {name} is set, .*hf upload USER/NAME RUN/model") as caught:
        outward.check(settings(kind, tmp_path, **{name: value}), "sft")
    assert "secret-word" not in str(caught.value)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"log_completions": True}, "grpo: log_completions is true"),
        ({"log_completions_hub_repo": "user/name"}, "grpo: log_completions_hub_repo is set"),
        ({"report_to": ["trackio"], "trackio_space_id": "user/name"}, "would make a public Space"),
        ({"report_to": ["trackio"], "trackio_bucket_id": "user/name"}, "would make a public Space"),
        (
            {"report_to": ["trackio"], "trackio_space_id": "user/name", "hub_private_repo": True},
            None,
        ),
        ({"report_to": ["trackio"]}, None),
        ({"report_to": ["wandb", "tensorboard"]}, None),
        ({"hub_private_repo": True, "hub_strategy": "end"}, None),
        ({}, None),
    ],
)
def test_texts_and_public_pages_are_refused(
    values: dict[str, Any], expected: str | None, tmp_path: Path
) -> None:
    args = settings(GRPOConfig, tmp_path, **values)
    if expected is None:
        outward.check(args, "grpo", {})
    else:
        with pytest.raises(InputError, match=expected):
            outward.check(args, "grpo", {})


@pytest.mark.parametrize(
    ("tracker", "variable", "value", "refused"),
    [
        ("comet_ml", "COMET_LOG_ASSETS", "True", True),
        ("comet_ml", "COMET_LOG_ASSETS", "false", False),
        ("dagshub", "HF_DAGSHUB_LOG_ARTIFACTS", "1", True),
        ("dvclive", "HF_DVCLIVE_LOG_MODEL", "ALL", True),
        ("dvclive", "HF_DVCLIVE_LOG_MODEL", "true", False),  # the model alone
        ("wandb", "COMET_LOG_ASSETS", "true", False),  # another tracker's
        ("trackio", "TRACKIO_SPACE_ID", "user/name", True),
    ],
)
def test_a_tracker_that_takes_the_whole_folder_is_refused(
    tracker: str, variable: str, value: str, refused: bool, tmp_path: Path
) -> None:
    args = settings(SFTConfig, tmp_path, report_to=[tracker])
    if not refused:
        outward.check(args, "sft", {variable: value})
    else:
        with pytest.raises(InputError, match=r"sft: .*(upload the run's folder|a public Space)"):
            outward.check(args, "sft", {variable: value})


def test_transformers_still_reads_these_variables() -> None:
    from transformers.integrations import integration_utils

    source = Path(integration_utils.__file__).read_text()
    for variable, _ in outward.FOLDER_UPLOADS.values():
        assert f'"{variable}"' in source
    handed_over = source.count("args.output_dir, recursive=True") + source.count(
        "log_artifact(args.output_dir)"
    )
    assert handed_over + source.count("add_dir(args.output_dir)") == len(outward.FOLDER_UPLOADS)


@pytest.mark.parametrize(
    ("verb", "flags"),
    [
        ("sft", ["--push_to_hub=true"]),
        ("grpo", ["--push_to_hub", "--hub_model_id=user/name"]),
        ("grpo", ["--log_completions=true"]),
    ],
)
def test_they_are_refused_before_anything_is_loaded(
    subsets: Path, tmp_path: Path, verb: str, flags: list[str]
) -> None:
    out, stage = tmp_path / "run", {"sft": sft, "grpo": grpo}[verb]
    words = command(verb, tmp_path / "no model", subsets.parent, "--max_steps=1", "--out", str(out), *flags)
    with pytest.raises(InputError, match="patients' texts"):
        stage.main(*stage.parse([word for word in words[1:] if word != "--limit=10"]))
    assert not out.exists()


def test_the_command_line_turns_reports_off_but_leaves_what_the_user_set() -> None:
    environment = {"HF_HUB_DISABLE_TELEMETRY": "0", "PATH": "/bin"}
    telemetry.turn_off(environment)
    assert environment == {**telemetry.REPORTS_OFF, "HF_HUB_DISABLE_TELEMETRY": "0", "PATH": "/bin"}


def test_they_are_off_before_any_library_is_loaded() -> None:
    """The hub's library reads its variable once, when it is imported."""
    code = (
        "import os, sys\nimport chexphi.cli\n"
        "assert 'huggingface_hub' not in sys.modules and 'HF_HUB_DISABLE_TELEMETRY' not in os.environ\n"
        "sys.argv = ['chexphi', 'sft', '--help']\n"
        "try:\n    chexphi.cli.main()\nexcept SystemExit:\n    pass\n"
        "from huggingface_hub import constants\nprint(constants.HF_HUB_DISABLE_TELEMETRY)"
    )
    kept = {name: value for name, value in os.environ.items() if name not in telemetry.REPORTS_OFF}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=kept, check=False)
    assert done.stdout.splitlines()[-1:] == ["True"], done.stderr


@pytest.mark.parametrize(
    ("value", "sends"), [(None, False), ("1", False), ("", False), ("0", True), ("FALSE", True)]
)
def test_trainers_send_nothing_even_where_trl_was_imported_first(
    value: str | None, sends: bool, subsets: Path, tiny_model_dir: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The library's own switch is open here, as it is for who imported it before this package."""
    monkeypatch.setattr(_telemetry.constants, "HF_HUB_DISABLE_TELEMETRY", False)
    sent: list[str] = []
    monkeypatch.setattr(base_trainer, "send_telemetry", lambda topic, **_: sent.append(topic))
    monkeypatch.delenv("CI", raising=False)
    if value is None:
        monkeypatch.delenv(kept_here.TELEMETRY, raising=False)
    else:
        monkeypatch.setenv(kept_here.TELEMETRY, value)
    words = command("sft", tiny_model_dir, subsets.parent, "--max_steps=1", "--out", str(tmp_path / "run"))
    out = sft.main(*sft.parse([word for word in words[1:] if word != "--limit=10"]))
    assert bool(sent) == sends
    card = (out / "model" / "README.md").read_text()  # ours, and TRL's nowhere
    assert "1 step." in card
    assert "fine-tuned version of" not in card
    assert set(out.rglob("README.md")) == {out / "README.md", out / "model" / "README.md"}
