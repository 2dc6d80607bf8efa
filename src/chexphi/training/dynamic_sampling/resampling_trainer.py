"""GRPO with dynamic sampling: groups without reward spread give way to groups of other prompts.

Sampling and scoring come first, round by round, until enough groups spread (`spread_rule` decides). Then TRL
does a step on the chosen groups as if it had just sampled them, so that the old policy's and the reference's
passes read those alone. All processes take part in every round; groups are counted over all of them.

Figures about completions and rewards speak of the sampler's own prompts, so that they compare with those of
a run without dynamic sampling; `dynamic/*` tells what the rounds cost and which reward is trained on.
"""

from __future__ import annotations

import logging
import math
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from accelerate.utils import gather_object
from torch import Tensor
from trl import GRPOConfig
from trl.data_utils import prepare_multimodal_messages
from trl.trainer.utils import nanstd

from chexphi.prompts import text_of
from chexphi.rewards.combine import weighted_sum
from chexphi.training import loss_mask
from chexphi.training.completions import rewards_of
from chexphi.training.dynamic_sampling import spread_rule
from chexphi.training.dynamic_sampling.draws_state import DrawnOn
from chexphi.training.dynamic_sampling.spread_rule import Batch, Rule
from chexphi.training.grpo_trainer import LoggedGRPOTrainer

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sample:
    """One completion as TRL sampled it, with what TRL needs of its prompt."""

    id: str
    prompt: str
    opened_think: bool
    prompt_ids: list[int]
    completion_ids: list[int]
    completion: Any
    logps: list[float] | None
    """The engine's own, from vLLM."""


class ResamplingGRPOTrainer(LoggedGRPOTrainer):
    """GRPO that trains on groups whose rewards spread.

    Args:
        model: The policy.
        args: As for `trl.GRPOTrainer`.
        rule: How long is drawn, and what spread is.
        drawn: Where the draws stand; also handed over as a callback here.
        kwargs: As for `LoggedGRPOTrainer`.
    """

    def __init__(self, model: Any, args: GRPOConfig, *, rule: Rule, drawn: DrawnOn, **kwargs: Any) -> None:
        super().__init__(model, args, **kwargs)
        self.add_callback(drawn)
        self._rule, self._drawn = rule, drawn
        ids = self.train_dataset.with_format(None)["id"]
        self._place = {str(id): place for place, id in enumerate(ids)}
        self._replay: tuple[list[Sample], Tensor] | None = None
        self._samples: list[Sample] = []
        self._sample_rewards: list[list[float]] = []
        self._here: list[tuple[int, bool]] = []
        """Of each local row of the batch: which sample it is, and whether it is trained on."""
        self._pending_metrics: Any
        self._pending_extra_logs: Any

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        if not self.model.training:
            return super()._generate_and_score_completions(inputs)
        if self._step_films is not None:
            self._step_films.clear()
        size = len(inputs) * self.accelerator.num_processes // self.num_generations
        held = {str(row["id"]): row for row in inputs}
        rounds, seconds = self._rounds(inputs, size, held)
        batch = spread_rule.choose(self._spreads(), size, self._rule)
        self._tell(batch, rounds, seconds)
        rows = [
            group * self.num_generations + i for group in batch.groups for i in range(self.num_generations)
        ]
        trained = [value for value in batch.trained for _ in range(self.num_generations)]
        first = self.accelerator.process_index * len(inputs)
        here = slice(first, first + len(inputs))
        chosen = [self._samples[row] for row in rows[here]]
        rewards = torch.tensor([self._sample_rewards[row] for row in rows], device=self.accelerator.device)
        rewards[~torch.tensor(trained)] = torch.nan  # TRL's word for: of no account
        self._replay, films, self._step_films = (chosen, rewards), self._step_films, None
        self._here = list(zip(rows[here], trained[here], strict=True))
        try:
            output = super()._generate_and_score_completions(
                [held.get(sample.id) or self.train_dataset[self._place[sample.id]] for sample in chosen]
            )
        finally:
            self._replay, self._step_films = None, films
        self._log_own(size)
        used = set(rows)
        self._log.write([self._line(row) | UNREAD for row in range(len(self._samples)) if row not in used])
        left_out = ~torch.tensor(trained[here], device=output["completion_mask"].device)
        loss_mask.leave_out(output, left_out, self.accelerator.gather)
        return output

    def _rounds(self, inputs: list[dict[str, Any]], size: int, held: dict[str, Any]) -> tuple[int, float]:
        """Sample the batch, then other prompts until enough groups spread: rounds and their seconds."""
        self._samples, self._sample_rewards = [], []
        self._sample(inputs)
        began, processes = time.perf_counter(), self.accelerator.num_processes
        for number in range(self._rule.rounds):
            count = spread_rule.wanted(self._spreads(), size, self._rule)
            tried = {self._place[sample.id] for sample in self._samples}
            found = self._drawn.draws.take(-(-count // processes) * processes, tried)
            each = len(found) // processes  # every process takes part, or none
            if not each:
                return number, time.perf_counter() - began
            first = self.accelerator.process_index * each
            drawn = [self.train_dataset[place] for place in found[first : first + each]]
            held |= {str(row["id"]): row for row in drawn}
            with self._unlogged():
                self._sample([row for row in drawn for _ in range(self.num_generations)])
        return self._rule.rounds, time.perf_counter() - began

    def _sample(self, inputs: list[dict[str, Any]]) -> None:
        """Completions of these prompts and their rewards, joined with those of all processes."""
        images: list[Any] = [row.get("images") for row in inputs]
        prompts = [row["prompt"] for row in inputs]
        if any(images):  # as in TRL: a batch without a film has plain prompts
            prompts = [
                prepare_multimodal_messages(prompt, images=films)
                for prompt, films in zip(prompts, images, strict=True)
            ]
        prompt_ids, ids, _, texts, logps, *_ = super()._generate(prompts)
        rewards = super()._calculate_rewards(inputs, prompts, texts, ids)
        columns = zip(inputs, prompt_ids, ids, texts, logps or [None] * len(inputs), strict=True)
        samples = [
            Sample(str(row["id"]), text_of(row["prompt"]), row.get("opened_think", False), *rest)
            for row, *rest in columns
        ]
        samples = gather_object(samples)
        for sample, values in zip(samples, rewards.tolist(), strict=True):
            rewards_of(sample.id, self.reward_func_names, values)  # stops at one that is not finite
        self._samples += samples
        self._sample_rewards += rewards.tolist()

    def _spreads(self) -> list[float]:
        weights, size = self.reward_weights.tolist(), self.num_generations
        apart = self.multi_objective_aggregation == "normalize_then_sum"
        groups = range(0, len(self._sample_rewards), size)
        return [
            spread_rule.spread(self._sample_rewards[start : start + size], weights, apart=apart)
            for start in groups
        ]

    def _generate(self, prompts: list[Any]) -> Any:
        if self._replay is None:
            return super()._generate(prompts)
        samples = self._replay[0]
        logps = None if samples[0].logps is None else [sample.logps for sample in samples]
        ids, texts = [s.completion_ids for s in samples], [s.completion for s in samples]
        return [s.prompt_ids for s in samples], ids, None, texts, logps, {}, None, []

    def _calculate_rewards(
        self, inputs: Any, prompts: Any, completions: Any, completion_ids_list: Any
    ) -> Tensor:
        if self._replay is None:
            return super()._calculate_rewards(inputs, prompts, completions, completion_ids_list)
        return self._replay[1]

    @contextmanager
    def _unlogged(self) -> Iterator[None]:
        """Keep what TRL and the rewards log of other prompts out of the figures."""
        kept = self._metrics["train"], self._pending_metrics, self._pending_extra_logs
        self._metrics["train"] = defaultdict(list)
        self._pending_metrics, self._pending_extra_logs = defaultdict(list), defaultdict(list)
        yield
        self._metrics["train"], self._pending_metrics, self._pending_extra_logs = kept
        self._metrics["train"]["num_tokens"] = [self.state.num_input_tokens_seen]

    def _tell(self, batch: Batch, rounds: int, seconds: float) -> None:
        """Log the cost, remember what became of each prompt, and say so if the batch is short."""
        weights, size, spreads = self.reward_weights.tolist(), self.num_generations, self._spreads()
        totals = [weighted_sum(values, weights) for values in self._sample_rewards]
        means = [sum(totals[start : start + size]) / size for start in range(0, len(totals), size)]
        good = [value > self._rule.threshold for value in spreads]
        for group, mean in enumerate(means):
            self._drawn.outcomes.add(self._samples[group * size].id, good[group], mean)
        trained = [means[group] for group, used in zip(batch.groups, batch.trained, strict=True) if used]
        own = len(batch.groups)
        for name, value in {
            "rounds": rounds,
            "extra_completions": len(self._samples) - own * size,
            "seconds": round(seconds, 3),
            "groups_trained": len(trained),
            "groups_spread": sum(good),
            "reward_trained": statistics.fmean(trained) if trained else math.nan,
        }.items():
            self._metrics["train"][f"dynamic/{name}"].append(value)
        if sum(good) < own and self.accelerator.is_main_process:
            logger.warning(
                "step %d: %d of %d groups have a spread of rewards after %d rounds of other prompts; %s",
                self.state.global_step + 1, sum(good), own, rounds,
                "its own batch is trained on" if self._rule.original else "these alone are trained on",
            )  # fmt: skip

    def _log_own(self, groups: int) -> None:
        """TRL's figures of rewards again, of the sampler's own prompts instead of those trained on."""
        rewards = torch.tensor(self._sample_rewards[: groups * self.num_generations])
        totals = (rewards * self.reward_weights.cpu()).nansum(dim=1)
        totals[rewards.isnan().all(dim=1)] = torch.nan
        zero = sum(value <= self._rule.threshold for value in self._spreads()[:groups])
        figures = {"reward": totals.nanmean(), "reward_std": nanstd(totals)}
        for name, column in zip(self.reward_func_names, rewards.T, strict=True):
            figures |= {f"rewards/{name}/mean": column.nanmean(), f"rewards/{name}/std": nanstd(column)}
        for name, value in figures.items():
            self._metrics["train"][name][-1] = value.item()
        self._metrics["train"]["frac_reward_zero_std"][-1] = zero / groups

    def _line(self, row: int) -> dict[str, Any]:
        """A sampled row for completions.jsonl."""
        sample, values = self._samples[row], self._sample_rewards[row]
        return {
            "step": self.state.global_step + 1,
            "id": sample.id,
            "prompt": sample.prompt,
            "token_ids": sample.completion_ids,
            "rewards": rewards_of(sample.id, self.reward_func_names, values),
            "total": weighted_sum(values, self.reward_weights.tolist()),
            "advantage": 0.0,
            "opened_think": sample.opened_think,
        }

    def _sampled(self, inputs: list[dict[str, Any]], ids: Tensor, mask: Tensor) -> list[dict[str, Any]]:
        """As without dynamic sampling, but that rows that only fill the batch are told what they earned."""
        pairs = zip(super()._sampled(inputs, ids, mask), self._here, strict=True)
        return [line if used else line | self._line(row) | {"kept": False} for line, (row, used) in pairs]


UNREAD = {"kept": False, "per_token_logps": ()}
"""A completion outside of the batch: no pass of the policy reads it."""
