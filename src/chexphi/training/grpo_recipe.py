"""The settings of `chexphi grpo`: the flags of our own, and where TRL's defaults are replaced."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from chexphi.models.rollout.settings import RolloutFields
from chexphi.models.run_check import DataFields, LearningFields
from chexphi.rewards import settings
from chexphi.training import vllm_settings


@dataclass(frozen=True)
class PoolFields:
    """Examples that rewards can score."""

    HEADING: ClassVar[str] = DataFields.HEADING
    pools: list[str] = field(
        default_factory=list,
        metadata={"help": "more files like --data, mixed with it; each may write its answer first or last"},
    )
    unscorable: str = field(
        default="leave_out",
        metadata={"help": "examples that none of the rewards can score: leave_out (counted) or refuse"},
    )


@dataclass(frozen=True)
class GRPORecipe(RolloutFields, PoolFields, settings.RewardFields, LearningFields):
    """Train a policy on what its reasoning says, not only on its answer."""

    HEADING: ClassVar[str] = "Sampling and logging"
    data: str = field(
        default="", metadata={"help": "examples with answers and reference reasoning", "required": True}
    )
    dynamic_sample: bool = field(
        default=False,
        metadata={"help": "replace groups without a spread of rewards by groups of other prompts"},
    )
    max_resample_times: int = field(
        default=4, metadata={"help": "with dynamic_sample: most rounds of other prompts a batch"}
    )
    log_every: int = field(
        default=1,
        metadata={
            "help": "of the steps at which completions are generated, log the first and each N-th after"
        },
    )
    share_prefix: bool = field(
        default=True, metadata={"help": "read each distinct prompt once for its completions"}
    )
    logp_difference: float = field(
        default=0.05,
        metadata={"help": "with use_vllm: most mean |log-probability of vLLM - trainer| in the first batch"},
    )
    logp_outliers: float = field(
        default=0.05,
        metadata={
            "help": f"with use_vllm: largest share of tokens that differ by more than {vllm_settings.OUTLIER}"
        },
    )

    @property
    def vllm_limits(self) -> vllm_settings.Limits:
        """The largest disagreement with vLLM that still counts as the same policy."""
        return vllm_settings.Limits(self.logp_difference, self.logp_outliers)


DEFAULTS: dict[str, Any] = {
    "log_completions": False,  # TRL would print patient text
    "log_multimodal": False,  # and gather films, on which a process without any does not join in
    "report_to": "none",
    "use_bias_correction_kl": False,  # on in TRL 1.16; changes gradients whenever beta != 0
    "gradient_checkpointing": False,
    "logging_steps": 1,
}
