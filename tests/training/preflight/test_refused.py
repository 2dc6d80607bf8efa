"""Settings that cannot train are one sentence, and a run that has nothing yet leaves no folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from killed_runs import command
from transformers.integrations import integration_utils
from trl import GRPOConfig, SFTConfig

from chexphi.rewards.checked import RewardError
from chexphi.schema import InputError
from chexphi.training import grpo, sft
from chexphi.training.preflight import refused, trackers


@pytest.mark.parametrize("name", sorted(trackers.TRACKERS))
def test_a_tracker_without_its_library_names_the_pip_line(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    function, package = trackers.TRACKERS[name]
    monkeypatch.delenv("KUBEFLOW_TRAINER_SERVER_URL", raising=False)
    if getattr(integration_utils, function)():
        pytest.skip(f"{name} is installed here")
    remedy = f"pip install {package}, or use --report_to none" if package else "leave it out"
    with pytest.raises(InputError, match=f"report_to names '{name}', .*: {remedy}$"):
        trackers.check_installed([name])


def test_every_tracker_of_transformers_is_known_here() -> None:
    assert set(trackers.TRACKERS) == set(integration_utils.INTEGRATION_TO_CALLBACK)


@pytest.mark.parametrize(
    ("report_to", "expected"),
    [
        ("none", None),
        ("all", None),
        (["none"], None),
        ([], None),
        ("wandbb", "report_to names 'wandbb': use none, all or a list of azure_ml, "),
        ("wandb,mlflow", "report_to names 'wandb,mlflow': use none, all or a list of "),
        (["none", "wandb"], "report_to names 'none': use it alone"),
        (["all", "none"], "report_to names 'all': use it alone"),
        (None, "report_to names None: use none, all or a list of "),
    ],
)
def test_names_of_trackers(tmp_path: Path, report_to: Any, expected: str | None) -> None:
    args = SFTConfig(output_dir=str(tmp_path), use_cpu=True, bf16=False, report_to=report_to)
    if expected is None:
        trackers.check_names(args.report_to)
    else:
        with pytest.raises(InputError) as caught:
            trackers.check_names(args.report_to)
        assert str(caught.value).startswith(expected)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, None),
        ({"per_device_train_batch_size": 0}, "grpo: per_device_train_batch_size is 0: use at least 1"),
        ({"dataloader_num_workers": -1}, "grpo: dataloader_num_workers is -1: use at least 0"),
        ({"seed": -1}, "grpo: seed is -1: use at least 0"),
        ({"learning_rate": -1e-4}, "grpo: learning_rate is -0.0001: use at least 0"),
        ({"num_iterations": 0}, "grpo: num_iterations is 0: use at least 1"),
        ({"max_completion_length": 0}, "grpo: max_completion_length is 0: use at least 1"),
        ({"temperature": 0.0}, "grpo: temperature is 0.0: use at least 1e-06"),
        ({"repetition_penalty": 0.0}, "grpo: repetition_penalty is 0.0: use more than 0"),
        ({"eval_on_start": True}, "grpo has no data to evaluate on while it trains"),
        ({"eval_strategy": "epoch"}, "grpo has no data to evaluate on while it trains"),
        ({"save_strategy": "best"}, "grpo evaluates nothing while it trains: save_strategy is no, steps or"),
    ],
)
def test_values_that_fail_only_after_loading(
    tmp_path: Path, values: dict[str, Any], expected: str | None
) -> None:
    args = GRPOConfig(output_dir=str(tmp_path), use_cpu=True, bf16=False, report_to="none")
    for name, value in values.items():
        setattr(args, name, value)  # TRL refuses some of them itself, beside others
    if expected is None:
        refused.check(args, "grpo")
    else:
        with pytest.raises(InputError) as caught:
            refused.check(args, "grpo")
        assert str(caught.value).startswith(expected)


def test_a_missing_template_is_not_looked_for_on_a_hub(tmp_path: Path) -> None:
    args = SFTConfig(
        output_dir=str(tmp_path), use_cpu=True, bf16=False, report_to="none", chat_template_path="no/where"
    )
    with pytest.raises(InputError, match="sft: chat_template_path 'no/where' does not exist"):
        refused.check(args, "sft")


@pytest.mark.parametrize(
    ("verb", "flags", "expected"),
    [
        ("sft", ["--report_to", "swanlab"], "report_to names 'swanlab'"),
        ("sft", ["--packing=true"], "sft: these settings cannot train: ValueError: Packing is not supported"),
        ("sft", ["--lr_scheduler_kwargs", '{"power": 3}'], "sft: no schedule can be made (TypeError: "),
        (
            "grpo",
            ["--resume=auto", "--router_aux_loss_coef=0.1"],
            "grpo: these settings cannot train: ValueError: `router_aux_loss_coef` is set to 0.1 but ",
        ),
    ],
)
def test_a_refused_run_leaves_no_folder(
    tiny_model_dir: Path, subsets: Path, tmp_path: Path, verb: str, flags: list[str], expected: str
) -> None:
    out, stage = tmp_path / "run", {"sft": sft, "grpo": grpo}[verb]
    words = [*command(verb, tiny_model_dir, subsets.parent, "--max_steps=2"), "--out", str(out), *flags]
    words += ["--rewards", "external_r1v_acc"] if verb == "grpo" else []
    with pytest.raises(InputError) as caught:
        stage.main(*stage.parse([word for word in words[1:] if word != "--limit=10"]))
    assert str(caught.value).startswith(expected)
    assert not out.exists()


def fails(completions: list[Any], **_: Any) -> list[float]:
    """A reward with a fault of its own."""
    return [float("not a number") for _ in completions]


def test_a_fault_of_a_reward_is_no_refusal(tiny_model_dir: Path, subsets: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = command("grpo", tiny_model_dir, subsets.parent, "--max_steps=1", "--out", str(out))
    words[words.index("killed_runs:uneven")] = "test_refused:fails"
    with pytest.raises(RewardError, match="test_refused:fails raised ValueError on row "):
        grpo.main(*grpo.parse([word for word in words[1:] if word != "--limit=10"]))
    assert (out / "manifest.json").exists()


def test_what_counts_as_a_librarys_refusal() -> None:
    import torch

    with pytest.raises(ValueError, match="Invalid learning rate") as caught:
        torch.optim.AdamW([torch.zeros(1)], lr=-1.0)
    assert refused.is_refusal(caught.value)
    with pytest.raises(ValueError, match="here") as ours:
        raise ValueError("here")
    assert not refused.is_refusal(ours.value)
