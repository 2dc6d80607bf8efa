"""Which numbers each setting of TRL's configs can have: TRL 1.16, transformers 5.24, torch 2.

Comments name the source: where a library says so, or what raises outside of the range. No setting takes NaN
or infinity: where a number means "off" it is inside the range, and the note says so. A test holds the names
here against the fields of both configs.
"""

from __future__ import annotations

from chexphi.models.rollout import settings as rollout_settings
from chexphi.models.run_check import LEARNING_RANGES
from chexphi.ranges import (
    COUNT,
    COUNT_OR_NONE,
    FINITE,
    NOT_NEGATIVE,
    POSITIVE,
    SEED,
    SHARE,
    TEMPERATURE,
    Range,
)
from chexphi.rewards import settings

PORT = Range(1, 65535)
BELOW_ONE = Range(0, 1, excluded="maximum")
SHARE_ABOVE_ZERO = Range(0, 1, excluded="minimum")

TRANSFORMERS: dict[str, Range] = {
    # training_args.py: sizes and lengths of a run
    "per_device_train_batch_size": COUNT,
    "per_device_eval_batch_size": COUNT,
    "gradient_accumulation_steps": COUNT,
    "eval_accumulation_steps": COUNT,
    "num_train_epochs": POSITIVE,
    "max_steps": Range(-1, 2**31 - 1, note="-1: num_train_epochs counts"),
    "warmup_steps": Range(0, 2**31 - 1, note="below 1: a share of all steps"),
    "torch_empty_cache_steps": COUNT,
    # torch.optim.AdamW raises for other ones, as for the weight decay
    "learning_rate": NOT_NEGATIVE,
    "weight_decay": NOT_NEGATIVE,
    "adam_beta1": BELOW_ONE,
    "adam_beta2": BELOW_ONE,
    "adam_epsilon": POSITIVE,  # with 0 a weight without a gradient becomes NaN
    # trainer.py clips where it is above 0
    "max_grad_norm": Range(0, note="0: gradients are not clipped"),
    # trainer_pt_utils.LabelSmoother weighs two losses with it
    "label_smoothing_factor": SHARE,
    # trainer.py adds noise of this size
    "neftune_noise_alpha": NOT_NEGATIVE,
    # training_args.py: above 1 a number of steps, below it a share of them
    "logging_steps": Range(0, 2**31 - 1),
    "eval_steps": Range(0, 2**31 - 1),
    "save_steps": Range(0, 2**31 - 1),
    "eval_delay": NOT_NEGATIVE,
    "save_total_limit": Range(0, 2**31 - 1, note="0: all checkpoints stay"),
    # numpy.random.seed
    "seed": SEED,
    "data_seed": SEED,
    # torch.utils.data.DataLoader; processes, so no machine has more
    "dataloader_num_workers": Range(0, 1024),
    "dataloader_prefetch_factor": Range(1, 1024),
    # torch.nn.parallel.DistributedDataParallel; seconds of a timedelta
    "ddp_bucket_cap_mb": COUNT,
    "ddp_timeout": COUNT,
    "local_rank": Range(-1, 2**31 - 1),
}
"""Of transformers.TrainingArguments."""

SFT: dict[str, Range] = {
    "router_aux_loss_coef": NOT_NEGATIVE,
    # datasets.Dataset.map
    "dataset_num_proc": Range(1, 1024),
    "max_length": COUNT,
    "pad_to_multiple_of": COUNT,
}
"""Of trl.SFTConfig."""

GRPO: dict[str, Range] = {
    "router_aux_loss_coef": NOT_NEGATIVE,
    "pad_to_multiple_of": COUNT,
    # grpo_config.py: a group of one has no advantages
    "num_generations": Range(2, 2**31 - 1),
    "num_generations_eval": COUNT,
    "max_completion_length": COUNT,
    "generation_batch_size": COUNT,
    "steps_per_generation": COUNT,
    # transformers.generation's logits processors raise for other ones
    "temperature": TEMPERATURE,
    "top_p": SHARE_ABOVE_ZERO,
    "top_k": Range(0, 2**31 - 1, note="0: all tokens"),
    "min_p": SHARE,
    "repetition_penalty": POSITIVE,
    # vLLM
    "vllm_server_port": PORT,
    "vllm_group_port": PORT,
    "vllm_server_timeout": NOT_NEGATIVE,
    "vllm_gpu_memory_utilization": SHARE_ABOVE_ZERO,
    "vllm_max_model_length": COUNT,
    "vllm_tensor_parallel_size": COUNT,
    # the loss (grpo_config.py's docstring, and the papers that it names)
    "beta": Range(0, note="0: no KL term and no reference"),
    "num_iterations": COUNT,
    "epsilon": NOT_NEGATIVE,
    "epsilon_high": NOT_NEGATIVE,
    "delta": POSITIVE,
    "sapo_temperature_neg": POSITIVE,
    "sapo_temperature_pos": POSITIVE,
    "vespo_k_pos": NOT_NEGATIVE,
    "vespo_lambda_pos": NOT_NEGATIVE,
    "vespo_k_neg": NOT_NEGATIVE,
    "vespo_lambda_neg": NOT_NEGATIVE,
    "reward_weights": FINITE,
    "ref_model_mixup_alpha": SHARE,
    "ref_model_sync_steps": COUNT,
    "top_entropy_quantile": SHARE,
    "entropy_coef": FINITE,
    "entropy_coef_min": FINITE,
    "entropy_coef_max": FINITE,
    "entropy_coef_delta": NOT_NEGATIVE,
    "entropy_target": NOT_NEGATIVE,
    "max_tool_calling_iterations": COUNT_OR_NONE,
    "vllm_importance_sampling_clip_max": POSITIVE,
    "vllm_importance_sampling_clip_min": NOT_NEGATIVE,
    "vllm_importance_sampling_cap": POSITIVE,
    "off_policy_mask_threshold": POSITIVE,
    "num_completions_to_print": COUNT_OR_NONE,
}
"""Of trl.GRPOConfig."""

SFT_RUN = TRANSFORMERS | SFT | LEARNING_RANGES
GRPO_RUN = {
    **TRANSFORMERS,
    **GRPO,
    **LEARNING_RANGES,
    **settings.RANGES,
    **rollout_settings.RANGES,
    "max_resample_times": COUNT_OR_NONE,
    "log_every": COUNT,
    "logp_difference": POSITIVE,
    "logp_outliers": SHARE,
}
"""Of all settings of a run, the recipe's and TRL's."""
