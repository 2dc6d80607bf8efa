"""GRPO with dynamic sampling: groups without reward spread give way to groups of other prompts.

Sampling and scoring come first, round by round, until enough groups spread (`spread_rule` decides). Then TRL
does a step on the chosen groups as if it had just sampled them, so that the passes of the old policy and the
reference read those alone. All processes take part in every round; groups are counted over all of them.

Figures about completions and rewards are of the sampler's own prompts, so that they compare with those of a
run without dynamic sampling. `dynamic/*` tells what the rounds cost and which reward is trained on.
"""

from __future__ import annotations

import logging
import math
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from accelerate.utils import gather_object
from torch import Tensor
from trl import GRPOConfig
from trl.data_utils import prepare_multimodal_messages
from trl.trainer.utils import nanstd

from chexphi.prompts import text_of
from chexphi.training import loss_mask
from chexphi.training.completions import rewards_of
from chexphi.training.dynamic_sampling import spread_rule
from chexphi.training.dynamic_sampling.sampled_groups import Replay, Sample, SampledGroups
from chexphi.training.dynamic_sampling.sampling_state import SamplingState
from chexphi.training.dynamic_sampling.spread_rule import Batch, Rule
from chexphi.training.grpo_trainer import LoggedGRPOTrainer

logger = logging.getLogger(__name__)

NO_PASS = {"kept": False, "per_token_logps": ()}
"""Of a completion outside of the batch: no pass of the policy reads it."""


class ResamplingGRPOTrainer(LoggedGRPOTrainer):
    """GRPO that trains on groups whose rewards spread.

    Args:
        model: The policy.
        args: As for `trl.GRPOTrainer`.
        rule: How many rounds are sampled, and what spread is.
        sampling_state: The draws and outcomes so far; it is also added as a callback here.
        kwargs: As for `LoggedGRPOTrainer`.
    """

    def __init__(
        self, model: Any, args: GRPOConfig, *, rule: Rule, sampling_state: SamplingState, **kwargs: Any
    ) -> None:
        super().__init__(model, args, **kwargs)
        self.add_callback(sampling_state)
        self._rule, self._sampling_state = rule, sampling_state
        ids = self.train_dataset.with_format(None)["id"]
        self._row_of_id = {str(id): row for row, id in enumerate(ids)}
        self._groups: SampledGroups
        self._replay: Replay | None = None
        self._pending_metrics: Any
        self._pending_extra_logs: Any

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        if not self.model.training:
            return super()._generate_and_score_completions(inputs)
        if self._step_films is not None:
            self._step_films.clear()
        group_count = len(inputs) * self.accelerator.num_processes // self.num_generations
        rows_by_id = {str(row["id"]): row for row in inputs}
        rounds, seconds = self._sample_rounds(inputs, group_count, rows_by_id)
        batch = spread_rule.choose_batch(self._groups.spreads, group_count, self._rule)
        self._report(batch, rounds, seconds)
        replay = self._replay_of(batch, len(inputs))
        with self._replaying(replay):
            output = super()._generate_and_score_completions(
                [
                    rows_by_id.get(sample.id) or self.train_dataset[self._row_of_id[sample.id]]
                    for sample in replay.samples
                ]
            )
        self._log_own_prompts(group_count)
        in_batch = set(self._groups.numbers(batch.groups))
        not_in_batch = [number for number in range(len(self._groups.samples)) if number not in in_batch]
        self._log.write([self._line(number) | NO_PASS for number in not_in_batch])
        left_out = ~torch.tensor(replay.trained, device=output["completion_mask"].device)
        loss_mask.leave_out(output, left_out, self.accelerator.gather)
        return output

    def _sample_rounds(
        self, inputs: list[dict[str, Any]], group_count: int, rows_by_id: dict[str, Any]
    ) -> tuple[int, float]:
        """Sample the batch, then other prompts until enough groups spread: rounds and their seconds.

        Args:
            inputs: The rows of the sampler's batch, of this process.
            group_count: Groups of a batch, of all processes.
            rows_by_id: Rows of the data whose films are open; those of other prompts are added.
        """
        self._groups = SampledGroups(
            self.num_generations,
            self.reward_weights.tolist(),
            per_reward=self.multi_objective_aggregation == "normalize_then_sum",
        )
        self._sample(inputs)
        start, processes = time.perf_counter(), self.accelerator.num_processes
        for number in range(self._rule.rounds):
            count = spread_rule.groups_to_sample(self._groups.spreads, group_count, self._rule)
            sampled = {self._row_of_id[id] for id in self._groups.ids}
            draws = self._sampling_state.draws.take(-(-count // processes) * processes, sampled)
            per_process = len(draws) // processes  # every process takes part, or none
            if not per_process:
                return number, time.perf_counter() - start
            own_start = self.accelerator.process_index * per_process
            rows = [self.train_dataset[row] for row in draws[own_start : own_start + per_process]]
            rows_by_id |= {str(row["id"]): row for row in rows}
            with self._unlogged():
                self._sample([row for row in rows for _ in range(self.num_generations)])
        return self._rule.rounds, time.perf_counter() - start

    def _sample(self, inputs: list[dict[str, Any]]) -> None:
        """Add completions of these prompts and their rewards, together with those of all processes."""
        images: list[Any] = [row.get("images") for row in inputs]
        prompts = [row["prompt"] for row in inputs]
        if any(images):  # as in TRL: a batch without a film has plain prompts
            prompts = [
                prepare_multimodal_messages(prompt, images=films)
                for prompt, films in zip(prompts, images, strict=True)
            ]
        prompt_ids, ids, _, texts, logps, *_ = super()._generate(prompts)
        rewards = super()._calculate_rewards(inputs, prompts, texts, ids).tolist()
        columns = zip(inputs, prompt_ids, ids, texts, logps or [None] * len(inputs), strict=True)
        samples = [
            Sample(str(row["id"]), text_of(row["prompt"]), row.get("opened_think", False), *sampled)
            for row, *sampled in columns
        ]
        samples = gather_object(samples)
        for sample, values in zip(samples, rewards, strict=True):
            rewards_of(sample.id, self.reward_func_names, values)  # stops at one that is not finite
        self._groups.samples += samples
        self._groups.rewards += rewards

    def _replay_of(self, batch: Batch, row_count: int) -> Replay:
        """What TRL gets of the chosen batch, of which `row_count` rows are this process's."""
        numbers = self._groups.numbers(batch.groups)
        trained = [is_trained for is_trained in batch.trained for _ in range(self.num_generations)]
        local_rows = slice(start := self.accelerator.process_index * row_count, start + row_count)
        rewards = torch.tensor(
            [self._groups.rewards[number] for number in numbers], device=self.accelerator.device
        )
        rewards[~torch.tensor(trained)] = torch.nan  # what TRL takes for "no reward"
        samples = [self._groups.samples[number] for number in numbers[local_rows]]
        return Replay(samples, rewards, numbers[local_rows], trained[local_rows])

    @contextmanager
    def _replaying(self, replay: Replay) -> Iterator[None]:
        """TRL gets these samples instead of new ones, and the films of the rounds stay."""
        self._replay, step_films, self._step_films = replay, self._step_films, None
        try:
            yield
        finally:
            self._replay, self._step_films = None, step_films

    def _generate(self, prompts: list[Any]) -> Any:
        if self._replay is None:
            return super()._generate(prompts)
        samples = self._replay.samples
        logps = None if samples[0].logps is None else [sample.logps for sample in samples]
        ids, texts = [sample.completion_ids for sample in samples], [sample.completion for sample in samples]
        return [sample.prompt_ids for sample in samples], ids, None, texts, logps, {}, None, []

    def _calculate_rewards(
        self, inputs: Any, prompts: Any, completions: Any, completion_ids_list: Any
    ) -> Tensor:
        if self._replay is None:
            return super()._calculate_rewards(inputs, prompts, completions, completion_ids_list)
        return self._replay.rewards

    @contextmanager
    def _unlogged(self) -> Iterator[None]:
        """Keep what TRL and the rewards log of other prompts out of the figures."""
        logs = self._metrics["train"], self._pending_metrics, self._pending_extra_logs
        self._metrics["train"] = defaultdict(list)
        self._pending_metrics, self._pending_extra_logs = defaultdict(list), defaultdict(list)
        yield
        self._metrics["train"], self._pending_metrics, self._pending_extra_logs = logs
        self._metrics["train"]["num_tokens"] = [self.state.num_input_tokens_seen]

    def _report(self, batch: Batch, rounds: int, seconds: float) -> None:
        """Log the cost, remember what became of each prompt, and warn if the batch is short."""
        groups, group_count = self._groups, len(batch.groups)
        means = groups.mean_totals
        is_spread_group = [self._rule.spreads(spread) for spread in groups.spreads]
        for id, is_spread, mean in zip(groups.ids, is_spread_group, means, strict=True):
            self._sampling_state.outcomes.add(id, is_spread, mean)
        trained_means = [
            means[group] for group, is_trained in zip(batch.groups, batch.trained, strict=True) if is_trained
        ]
        for name, value in {
            "rounds": rounds,
            "extra_completions": len(groups.samples) - group_count * self.num_generations,
            "seconds": round(seconds, 3),
            "groups_trained": len(trained_means),
            "groups_spread": sum(is_spread_group),
            "reward_trained": statistics.fmean(trained_means) if trained_means else math.nan,
        }.items():
            self._metrics["train"][f"dynamic/{name}"].append(value)
        if sum(is_spread_group) < group_count and self.accelerator.is_main_process:
            logger.warning(
                "step %d: %d of %d groups have a spread of rewards after %d rounds of other prompts; %s",
                self.state.global_step + 1, sum(is_spread_group), group_count, rounds,
                "its own batch is trained on" if self._rule.original else "these alone are trained on",
            )  # fmt: skip

    def _log_own_prompts(self, group_count: int) -> None:
        """TRL's figures of rewards again, of the sampler's own prompts instead of those trained on."""
        rewards = torch.tensor(self._groups.rewards[: group_count * self.num_generations])
        totals = (rewards * self.reward_weights.cpu()).nansum(dim=1)
        totals[rewards.isnan().all(dim=1)] = torch.nan
        flat = sum(spread <= self._rule.threshold for spread in self._groups.spreads[:group_count])
        figures = {"reward": totals.nanmean(), "reward_std": nanstd(totals)}
        for name, column in zip(self.reward_func_names, rewards.T, strict=True):
            figures |= {f"rewards/{name}/mean": column.nanmean(), f"rewards/{name}/std": nanstd(column)}
        for name, value in figures.items():
            self._metrics["train"][name][-1] = value.item()
        self._metrics["train"]["frac_reward_zero_std"][-1] = flat / group_count

    def _line(self, number: int) -> dict[str, Any]:
        """A sample as a row for completions.jsonl."""
        return self._groups.row(number, self.state.global_step + 1, self.reward_func_names)

    def _sampled(self, inputs: list[dict[str, Any]], ids: Tensor, mask: Tensor) -> list[dict[str, Any]]:
        """Each local row without its log-probabilities; rows that only fill the batch as they were scored."""
        replay = self._replay
        assert replay is not None, "only a batch that was chosen is trained on"
        rows = zip(super()._sampled(inputs, ids, mask), replay.numbers, replay.trained, strict=True)
        return [
            line if is_trained else line | self._line(number) | {"kept": False}
            for line, number, is_trained in rows
        ]
