"""How a GRPO trainer samples: by fixed numbers and with drafts, which its checkpoints keep."""

from __future__ import annotations

import functools
import logging
from pathlib import Path
from typing import Any

from trl import GRPOTrainer

from chexphi.models.rollout import saved_drafts
from chexphi.models.rollout.drafting import Drafter
from chexphi.models.rollout.native import Rollouts
from chexphi.models.rollout.recording import Recorder

logger = logging.getLogger(__name__)


class SamplesByNumbers(GRPOTrainer):
    """Mixed into a trainer before TRL's class. A sample depends on the seed, its row and its prompt alone."""

    _rollouts: Rollouts | None = None
    """None where the library samples."""

    def sample_by_numbers(
        self, causal: Any, drafter: Drafter | None, recorder: Recorder | None = None, *, sharded: bool
    ) -> None:
        """Let the policy sample by our loop.

        Args:
            causal: The policy, without PEFT around it.
            drafter: Proposes tokens; None leaves sampling to the library.
            recorder: Records steps; None: they run kernel by kernel.
            sharded: Whether weights are split between processes: then all have to read as many tokens.
        """
        if drafter is not None and sharded:
            logger.warning("completions are sampled by the library: the weights are split between processes")
        if drafter is not None and not sharded:
            self._rollouts = Rollouts(self.args.seed, drafter, recorder=recorder)
        causal.rollouts = self._rollouts

    def _generate(self, prompts: list[Any]) -> Any:
        if self._rollouts is None:
            return super()._generate(prompts)
        is_training = self.model.training
        first_row = self.accelerator.process_index * len(prompts)
        self._rollouts.begin_call(int(is_training), self.state.global_step, first_row=first_row)
        generated = super()._generate(prompts)
        counts = self._rollouts.drafter.take_counts()
        for name, value in counts.items() if counts["forwards"] else ():  # none where the library sampled
            self._metrics["train" if is_training else "eval"][f"rollout/{name}"].append(value)
        return generated

    def _save_rng_state(self, output_dir: str) -> None:
        super()._save_rng_state(output_dir)
        if self._rollouts is not None:
            path = saved_drafts.file_of(Path(output_dir), self.accelerator.process_index)
            saved_drafts.keep_table(self._rollouts.drafter, path, self._vocabulary)

    def _load_rng_state(self, checkpoint: str | None) -> None:
        super()._load_rng_state(checkpoint)
        if self._rollouts is not None and checkpoint:
            path = saved_drafts.file_of(Path(checkpoint), self.accelerator.process_index)
            saved_drafts.load_table(self._rollouts.drafter, path, self._vocabulary)

    @functools.cached_property
    def _vocabulary(self) -> str:
        """Of the tokenizer; of 200,000 words it takes a while, and each checkpoint needs it."""
        return saved_drafts.vocabulary_digest(self._tokenizer)
