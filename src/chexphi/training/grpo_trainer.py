"""TRL's GRPOTrainer that also writes every completion with its token log-probabilities.

The algorithm is not changed. Six methods are wrapped, and each calls TRL's own:

* `_generate_and_score_completions` forgets the last films, numbers the rows and keeps what was sampled.
* `_get_per_token_logps_and_entropies` reads the policy's log-probabilities off the pass that runs anyway, and
  each distinct prompt once.
* `compute_loss` knows which rows a micro-batch holds, because TRL shuffles them.
* `_prepare_inputs` keeps the completions of a prompt in one micro-batch.
* `_get_train_sampler` and `_run_epoch` find the order of a resumed run, and its step in it.

With vLLM the log-probabilities of the first pass are compared with vLLM's (`vllm_engines`).

TRL loads the reference policy again by the name of its class in transformers, which does not take TRL's
inputs: here it is copied from the policy instead.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import gather_object
from torch import Tensor
from transformers.integrations import is_deepspeed_zero3_enabled
from trl import GRPOConfig

from chexphi.models import adapter, trainable
from chexphi.models.rollout.drafting import Drafter
from chexphi.models.rollout.recording import Recorder
from chexphi.models.shared_prompts.sharing import SharedPrompts
from chexphi.runs.jsonl import JsonLines
from chexphi.schema import InputError
from chexphi.training import loss_mask, micro_batches, shared_prompt_logps, vllm_engines, vllm_settings
from chexphi.training.completions import CompletionLog, is_logged, not_finite, sampled_row
from chexphi.training.kept_here import KeptHere
from chexphi.training.policy_pass import PolicyPass
from chexphi.training.recovery.resume import Recovering
from chexphi.training.reference import prepare as prepare_reference
from chexphi.training.rollouts import SamplesByNumbers
from chexphi.training.shared_prompt_logps import LogProbabilities
from chexphi.training.unscored_rows import SkipsUnscorable

logger = logging.getLogger(__name__)

ROW = "row_index"


class LoggedGRPOTrainer(Recovering, SamplesByNumbers, KeptHere, SkipsUnscorable):
    """GRPO with a `completions.jsonl`; the dataset has the columns `id` and `prompt`.

    Args:
        model: The policy.
        completions: Where the lines go; only the main process writes.
        log_every: N; one in N generations is written.
        limits: Largest disagreement with vLLM that still counts as the same policy.
        share_prefix: Whether prompts may be read once for all their completions.
        drafter: Of the rollouts, which are then sampled by fixed numbers; None: by the library.
        recorder: Records steps of the rollouts; None: they run kernel by kernel.
        epochs_done: Passes over the data before the checkpoint that a run resumes from.
        logs: The run's logs, whose lengths belong to a checkpoint.
        args: As for `trl.GRPOTrainer`, like all other arguments.
    """

    def __init__(
        self,
        model: Any,
        args: GRPOConfig,
        *,
        completions: JsonLines,
        log_every: int = 1,
        limits: vllm_settings.Limits | None = None,
        share_prefix: bool = True,
        drafter: Drafter | None = None,
        recorder: Recorder | None = None,
        epochs_done: int = 0,
        logs: Sequence[Path] = (),
        **kwargs: Any,
    ) -> None:
        has_adapter, beta, sync = hasattr(model, "peft_config"), args.beta, args.sync_ref_model
        self._learning = trainable.learning(model)
        reference = copy.deepcopy(model) if beta and not has_adapter else None
        if reference is not None:
            args.beta, args.sync_ref_model = 0.0, False  # TRL makes no reference of its own
        super().__init__(model=model, args=args, **kwargs)
        args.beta, args.sync_ref_model, self.beta = beta, sync, beta
        sharded = self.is_fsdp_enabled or is_deepspeed_zero3_enabled()
        self._sharing = self._share_prompts(reference, share_prefix=share_prefix, sharded=sharded)
        self.sample_by_numbers(self._causal_model(), drafter, recorder, sharded=sharded)
        self._step_films = shared_prompt_logps.keep_films(self._causal_model(), reference, sharded=sharded)
        if reference is not None:
            self.ref_model = prepare_reference(reference, self)
        elif beta:
            adapter.copy_to_reference(self.model)
            adapter.save_alone(self.model)
        if args.use_vllm:
            vllm_engines.attach(self.vllm_generation)
        self._buffered_inputs: list[dict[str, Any]] | None = None
        self._limits = (limits or vllm_settings.Limits()) if args.use_vllm else None
        self._log_every, self._period = log_every, args.steps_per_generation * self.num_iterations
        self._log = CompletionLog(
            completions,
            self.processing_class.tokenizer,
            self.eos_token_ids,
            gather=gather_object,
            main=self.accelerator.is_main_process,
        )
        self._epochs_done, self.recovery_logs = epochs_done, logs
        self._policy_pass: PolicyPass | None = None
        # our own `loss_mask` in place of TRL's, which no pass would read
        self._mask_truncated, self.mask_truncated_completions = args.mask_truncated_completions, False

    def _get_train_sampler(self, dataset: Any = None) -> Any:
        sampler = super()._get_train_sampler(dataset)
        for _ in range(self._epochs_done if sampler.shuffle else 0):  # it would draw the first order again
            torch.randperm(sampler.num_samples, generator=sampler.generator)
        return sampler

    def _run_epoch(self, **arguments: Any) -> None:
        if arguments["epoch"] == arguments["epochs_trained"]:  # TRL does not count earlier steps
            batches, epochs = arguments["steps_in_epoch"], arguments["epochs_trained"]
            self._step: int = epochs * batches + arguments["steps_trained_in_current_epoch"]
        super()._run_epoch(**arguments)

    def _at_boundary(self) -> bool:
        return self._step % self._period == 0

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        if self._step_films is not None:
            self._step_films.clear()
        period, accumulation = self._period, self.args.gradient_accumulation_steps
        corrects_vllm = self.use_vllm and self.vllm_importance_sampling_correction
        is_policy_read = accumulation % period != 0 or corrects_vllm
        step = self.state.global_step
        self._log.on = is_logged(step, self._log_every, accumulation=accumulation, period=period)
        with self._watch_policy_pass(is_policy_read and self.model.training) as policy_pass:
            output = super()._generate_and_score_completions(inputs)
        self._compare_with_vllm(policy_pass, output)
        # a reference pass leaves the whole adapter with gradients, what is frozen in it included
        trainable.freeze_all_but(self.accelerator.unwrap_model(self.model), self._learning)
        if self._mask_truncated:
            end_ids = [*self.eos_token_ids, self._tokenizer.pad_token_id]  # TRL's
            truncated = loss_mask.truncated(output["completion_ids"], output["completion_mask"], end_ids)
            loss_mask.leave_out(output, truncated, self.accelerator.gather)
        if self.model.training:
            self._log.begin(self._sampled(inputs, output["completion_ids"], output["completion_mask"]))
            output[ROW] = torch.arange(len(inputs))
            if policy_pass.logps is not None:
                self._log.keep(output[ROW], policy_pass.logps)
        return output

    def _prepare_inputs(self, generation_batch: Any) -> Any:
        if not (self._sharing.in_training and self.model.training and self.args.steps_per_generation > 1):
            return super()._prepare_inputs(generation_batch)
        count = self.args.steps_per_generation
        if self._buffered_inputs is None or self._step % (count * self.num_iterations) == 0:
            batch = self._generate_and_score_completions(generation_batch)
            self._buffered_inputs = micro_batches.split(batch, self.num_generations, count)
        return self._buffered_inputs[self._step % count]

    @contextmanager
    def _watch_policy_pass(self, keep_logps: bool) -> Iterator[PolicyPass]:
        """TRL's first pass inside, with its log-probabilities if they are to be kept.

        A generation that is not written needs no more than to know whether its log-probabilities are finite.
        """
        policy_pass = PolicyPass(at_temperature_one=self.temperature != 1 and self._log.on)
        self._policy_pass = policy_pass if keep_logps else None
        try:
            yield policy_pass
        finally:
            self._policy_pass = None

    def _get_per_token_logps_and_entropies(self, model: Any, *args: Any, **kwargs: Any) -> Any:
        policy_pass, self._policy_pass = self._policy_pass, None  # the passes after it are the reference's
        plain_pass, causal = super()._get_per_token_logps_and_entropies, self._causal_model()

        def read() -> LogProbabilities:
            if self._sharing.in_training:
                reader = shared_prompt_logps.Reader(plain_pass, self.accelerator.autocast, causal)
                return reader.read(model, *args, **kwargs)
            logps, entropies, expert_loss = plain_pass(model, *args, **kwargs)
            return LogProbabilities(logps, entropies, [], expert_loss)

        if policy_pass is None:
            result = read()
        else:
            input_ids, completion_length = args[0], args[2]
            result = policy_pass.run(read, causal, input_ids[:, -completion_length:])
        return result.logps, result.entropies, result.expert_loss

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        rows = inputs.get(ROW)
        waits = rows is not None and self._log.waits_for(rows)
        with self._watch_policy_pass(waits) as policy_pass:
            loss = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        if rows is not None and not loss.isfinite():
            raise not_finite("loss", loss.item(), self.state.global_step + 1, self._log.ids(rows))
        self._compare_with_vllm(policy_pass, inputs)
        if rows is not None and policy_pass.logps is not None:
            self._log.keep(rows, policy_pass.logps)
        return loss

    def _compare_with_vllm(self, policy_pass: PolicyPass, batch: dict[str, Any]) -> None:
        """Stop if vLLM sampled the first batch that a pass reads from another policy than this one."""
        if self._limits is None or policy_pass.sampled_logps is None:
            return
        limits, self._limits = self._limits, None
        vllm_logps, mask = batch["sampling_per_token_logps"], batch["completion_mask"]
        sums = vllm_engines.difference_sums(vllm_logps, policy_pass.sampled_logps, mask)
        sums = self.accelerator.reduce(sums, "sum")
        if problem := vllm_engines.disagreement(sums, limits):
            raise InputError(problem)

    def _share_prompts(self, reference: Any, *, share_prefix: bool, sharded: bool) -> SharedPrompts:
        """Whether prompts are shared; the policy gets it, for `generate`, and the log says why not."""
        causal = self._causal_model()
        models = [causal] if reference is None else [causal, reference]
        sharing = SharedPrompts.for_training(models, share_prefix=share_prefix, sharded=sharded)
        if sharing.why_not_in_training:
            logger.warning(sharing.why_not_in_training)
        causal.prompt_sharing = sharing
        return sharing

    def _causal_model(self) -> Any:
        return adapter.unwrapped(self.accelerator.unwrap_model(self.model))

    def _sampled(self, inputs: list[dict[str, Any]], ids: Tensor, mask: Tensor) -> list[dict[str, Any]]:
        """Each row of this process with its rewards, before its log-probabilities are known.

        Args:
            inputs: Rows of the data.
            ids: Of the completions, (rows, length).
            mask: 1 for tokens and 0 for padding, (rows, length).
        """
        local_rows = slice(start := self.accelerator.process_index * len(inputs), start + len(inputs))
        columns = [list(self._logs["rewards"][name])[local_rows] for name in self.reward_func_names]
        weights, advantages = self.reward_weights.tolist(), list(self._logs["advantages"])[local_rows]
        return [
            sampled_row(
                self.state.global_step + 1,
                row,
                ids[i, mask[i].bool()].tolist(),
                names=self.reward_func_names,
                rewards=rewards,
                weights=weights,
                advantage=advantages[i],
            )
            for i, (row, rewards) in enumerate(zip(inputs, zip(*columns, strict=True), strict=True))
        ]
