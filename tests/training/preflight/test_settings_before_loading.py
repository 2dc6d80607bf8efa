"""Settings that no library can train with are one sentence before a model is loaded or a folder is made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from transformers.integrations import is_deepspeed_zero3_enabled
from trl import GRPOConfig, SFTConfig

from chexphi.schema import InputError
from chexphi.training import grpo, grpo_checks, sft, sft_checks, trainer_settings
from chexphi.training.preflight import refused

NAN, INF, HUGE = float("nan"), float("inf"), 10**30

BOTH: list[tuple[str, Any, str]] = [
    # numbers that no range holds
    ("learning_rate", INF, "use a finite number"),
    ("learning_rate", NAN, "use at least 0"),
    ("weight_decay", NAN, "use at least 0"),
    ("weight_decay", -0.1, "use at least 0"),
    ("adam_beta1", 1, "use less than 1"),
    ("adam_beta2", -1, "use at least 0"),
    ("adam_epsilon", 0, "use more than 0"),
    ("max_grad_norm", INF, "use a finite number (0: gradients are not clipped)"),
    ("max_grad_norm", -1, "use at least 0 (0: gradients are not clipped)"),
    ("per_device_train_batch_size", 0, "use at least 1"),
    ("per_device_train_batch_size", HUGE, "use at most 2147483647"),
    ("gradient_accumulation_steps", -1, "use at least 1"),
    ("num_train_epochs", NAN, "use more than 0"),
    ("num_train_epochs", 0, "use more than 0"),
    ("max_steps", -5, "use at least -1"),
    ("max_steps", HUGE, "use at most 2147483647"),
    ("warmup_steps", NAN, "use at least 0"),
    ("warmup_steps", INF, "use at most 2147483647 (below 1: a share of all steps)"),
    ("label_smoothing_factor", 2, "use at most 1"),
    ("neftune_noise_alpha", NAN, "use at least 0"),
    ("logging_steps", NAN, "use at least 0"),
    ("logging_steps", INF, "use at most 2147483647"),
    ("save_steps", -1, "use at least 0"),
    ("save_steps", 0, "save_steps is 0: use at least 1, or save_strategy no"),
    ("save_total_limit", -1, "use at least 0 (0: all checkpoints stay)"),
    ("seed", -1, "use at least 0"),
    ("seed", HUGE, "use at most 4294967295"),
    ("data_seed", -1, "use at least 0"),
    ("dataloader_num_workers", -1, "use at least 0"),
    ("dataloader_prefetch_factor", 0, "use at least 1"),
    ("ddp_timeout", HUGE, "use at most 2147483647"),
    ("ddp_timeout", -1, "use at least 1"),
    ("lora_rank", HUGE, "use at most 65536"),
    ("lora_alpha", 0, "use at least 1"),
    ("limit", 0, "use at least 1"),
    ("limit", -1, "use at least 1"),
    # texts that are not known
    ("optim", "unheard_of", "optim is 'unheard_of': use one of adamw_torch, "),
    ("lr_scheduler_type", "unheard_of", "lr_scheduler_type is 'unheard_of': use one of linear, "),
    ("log_level", "unheard_of", "log_level is 'unheard_of': use one of detail, debug"),
    ("log_level", "", "log_level is '': use one of"),
    ("train_sampling_strategy", "unheard_of", "use one of random, sequential"),
    ("ddp_backend", "unheard_of", "use one of nccl"),
    ("debug", "unheard_of", "unheard_of is not a valid DebugOption"),
    ("torch_compile_backend", "foo", "torch_compile_backend is 'foo': use one of eager, "),
    ("torch_compile_mode", "foo", "torch_compile_mode is 'foo': use one of default, "),
    ("dataloader_multiprocessing_context", "foo", "use one of fork, spawn, forkserver"),
    # what libraries make of settings
    ("lr_scheduler_kwargs", {"unheard_of": 1}, "no schedule can be made (TypeError: "),
    ("lr_scheduler_kwargs", "power", "lr_scheduler_kwargs is 'power': give a mapping"),
    ("lr_scheduler_kwargs", {"num_cycles": NAN}, "use a finite number"),
    ("optim_args", "no_equals_sign", "no optimiser can be made (ValueError: "),
    ("accelerator_config", {"unheard_of": 1}, "unheard_of"),
    ("accelerator_config", "nowhere.json", "'nowhere.json' cannot be read (No such file or directory)"),
    ("gradient_checkpointing_kwargs", "x", "give a mapping"),
    ("remove_unused_columns", True, "remove_unused_columns is true, and rows are made of columns"),
    ("dataloader_persistent_workers", True, "needs dataloader_num_workers of at least 1"),
    # libraries and machines that are not there
    (
        "use_liger_kernel",
        True,
        "use_liger_kernel needs a library that is not installed: pip install liger-kernel",
    ),
    ("optim", "adamw_toch", "optim is 'adamw_toch': use one of adamw_torch, "),
    ("optim", "adamw_8bit", "no optimiser can be made (ImportError: You need to install `bitsandbytes`"),
    ("optim", "galore_adamw", "no optimiser can be made (ImportError: You need to install `galore_torch`"),
    ("optim", "schedule_free_adamw", "no optimiser can be made (ImportError: "),
    ("deepspeed", {"zero_optimization": {"stage": 2}}, "deepspeed"),
]
OF_SFT: list[tuple[str, Any, str]] = [
    ("loss_type", "unheard_of", "loss_type is 'unheard_of': use one of nll, dft"),
    ("packing_strategy", "unheard_of", "use one of bfd, bfd_split, wrapped"),
    ("truncation_mode", "unheard_of", "use one of keep_end, keep_start"),
    ("max_length", 0, "use at least 1"),
    ("dataset_num_proc", 0, "use at least 1"),
    ("pad_to_multiple_of", 0, "use at least 1"),
    ("pad_to_multiple_of", "eight", "invalid literal for int"),
    ("activation_offloading", True, "activation_offloading moves activations off a GPU, and there is none"),
    ("chat_template_path", "", "chat_template_path '' does not exist"),
]
OF_GRPO: list[tuple[str, Any, str]] = [
    ("beta", -1, "use at least 0 (0: no KL term and no reference)"),
    ("epsilon", -1, "use at least 0"),
    ("top_p", 5, "use at most 1"),
    ("top_p", 0, "use more than 0"),
    ("top_k", -1, "use at least 0 (0: all tokens)"),
    ("min_p", 2, "use at most 1"),
    ("temperature", NAN, "use at least 1e-06"),
    ("temperature", 1e-300, "use at least 1e-06"),
    ("repetition_penalty", 0, "use more than 0"),
    ("num_generations", 0, "use at least 2"),
    ("num_generations", 1, "use at least 2"),
    ("num_iterations", 0, "use at least 1"),
    ("max_completion_length", -1, "use at least 1"),
    ("steps_per_generation", 0, "use at least 1"),
    ("generation_batch_size", 0, "use at least 1"),
    ("generation_batch_size", 3, "must be divisible"),
    ("top_entropy_quantile", 1.5, "use at most 1"),
    ("delta", 0, "use more than 0"),
    ("ref_model_sync_steps", 0, "use at least 1"),
    ("vllm_server_port", 0, "use at least 1"),
    ("off_policy_mask_threshold", NAN, "use more than 0"),
    ("reward_weights", [1.0, NAN], "reward_weights is [1.0, nan]: use a finite number"),
    ("log_every", 0, "use at least 1"),
    ("gate_at", NAN, "use more than 0"),
    ("soft_overlong_share", 2, "use at most 1"),
    ("repetition_ngram", 0, "use at least 1"),
    ("logp_outliers", 2, "use at most 1"),
    ("loss_type", "unheard_of", "use one of grpo, dr_grpo, bnpo, dapo, cispo, sapo, luspo, vespo"),
    ("importance_sampling_level", "word", "use one of token, sequence"),
    ("multi_objective_aggregation", "", "use one of sum_then_normalize, normalize_then_sum"),
    ("scale_rewards", "unheard_of", "use one of group, batch, none"),
    ("cache_implementation", "unheard_of", "cache_implementation is 'unheard_of': use one of static"),
    (
        "generation_kwargs",
        {"unheard_of": 1},
        "generation_kwargs has the unknown key 'unheard_of': leave it out",
    ),
    ("generation_kwargs", {"num_beam": 1}, "did you mean num_beams?"),
    (
        "generation_kwargs",
        {"temperature": -1.0},
        "grpo: generation_kwargs: temperature is -1.0: use at least",
    ),
    (
        "generation_kwargs",
        {"early_stopping": "x"},
        "grpo: generation_kwargs cannot be used (ValueError: `early_stopping` must be a boolean or 'never', "
        "but is x.): correct it",
    ),
    ("chat_template_kwargs", "x", "give a mapping"),
    ("measure", "dice", "measure is 'dice': use jaccard, f1"),
]
CASES = [
    *(("sft", *case) for case in BOTH + OF_SFT),
    *(("grpo", *case) for case in BOTH[:6] + OF_GRPO),
]


@pytest.mark.parametrize(("verb", "name", "value", "message"), CASES)
def test_a_setting_that_cannot_train_is_one_sentence(
    tmp_path: Path, subsets: Path, verb: str, name: str, value: Any, message: str
) -> None:
    file, data = tmp_path / "run.yaml", subsets / "uniform" / "6.json"
    settings = {"model": "nowhere", "data": str(data), "report_to": "none", name: value}
    settings |= (
        {"per_device_train_batch_size": 4, "num_generations": 2} | {name: value} if verb == "grpo" else {}
    )
    file.write_text(yaml.safe_dump(settings))
    with pytest.raises(InputError) as caught:
        begin(verb, ["--config", str(file), "--out", str(tmp_path / "out")])
    said = str(caught.value)
    assert message in said
    assert len(said) < 700
    assert "\n" not in said
    assert not (tmp_path / "out").exists()


def test_a_refused_deepspeed_setting_does_not_meet_the_next_run(tmp_path: Path) -> None:
    """transformers keeps it for the process while the error is alive; each load of a model asks for it."""
    file = tmp_path / "config.yaml"
    settings = {"model": "MODEL", "data": "DATA", "deepspeed": {"zero_optimization": {"stage": 3}}}
    file.write_text(yaml.safe_dump(settings))
    with pytest.raises(InputError, match="deepspeed") as caught:
        begin("sft", ["--config", str(file), "--out", str(tmp_path / "out")])
    assert not is_deepspeed_zero3_enabled()
    assert caught.value is not None


def begin(verb: str, words: list[str]) -> None:
    """What a stage does before it looks for the model; here there is none, so no further step is taken."""
    stage: Any = grpo if verb == "grpo" else sft
    recipe, settings = stage.parse(words)
    checks: Any = grpo_checks if verb == "grpo" else sft_checks
    checks.check_settings(recipe, settings)
    refused.check(trainer_settings.config(settings, verb), verb)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_grad_norm", 0),
        ("warmup_steps", 0.1),
        ("max_steps", -1),
        ("save_total_limit", 0),
        ("optim", "sgd"),
        ("optim", "adafactor"),
        ("optim_args", "momentum=0.9"),
        ("lr_scheduler_type", "cosine_with_min_lr"),
        ("lr_scheduler_type", "polynomial"),
        ("lr_scheduler_type", "inverse_sqrt"),
        ("lr_scheduler_kwargs", {}),
        ("torch_compile_mode", "reduce-overhead"),
        ("dataloader_multiprocessing_context", "spawn"),
        ("gradient_checkpointing_kwargs", {"use_reentrant": False}),
        ("log_level", "info"),
        ("save_strategy", "no"),
        ("generation_kwargs", {"num_beams": 1, "suppress_tokens": [5]}),
        ("pad_to_multiple_of", 8),
        ("pad_to_multiple_of", "auto"),
        ("epsilon_high", 5.0),
        ("beta", 0),
        ("top_k", 0),
        ("scale_rewards", "none"),
        ("cache_implementation", "dynamic"),
        ("vllm_importance_sampling_clip_max", 3),
    ],
)
def test_settings_that_libraries_take_are_taken(tmp_path: Path, name: str, value: Any) -> None:
    beside = {
        "optim_args": {"optim": "sgd"},
        "cosine_with_min_lr": {"lr_scheduler_kwargs": {"min_lr": 1e-7}},
    }
    for kind, verb in ((SFTConfig, "sft"), (GRPOConfig, "grpo")):
        if name in kind.__dataclass_fields__:
            more = {**beside.get(name, {}), **(beside.get(value, {}) if isinstance(value, str) else {})}
            given = {"output_dir": str(tmp_path), "use_cpu": True, "bf16": False, "report_to": "none"}
            given |= {"remove_unused_columns": False}
            refused.check(kind(**given, **more, **{name: value}), verb)
