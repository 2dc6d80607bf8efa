"""What we rely on inside TRL 1.16: a changed signature fails here before it fails in a run."""

from __future__ import annotations

import inspect

import pytest
import trl
from transformers import Trainer
from trl import GRPOTrainer, SFTTrainer
from trl.generation.vllm_generation import VLLMGeneration
from trl.kernels.chunked_logprob import ChunkedLogProbFunction
from trl.trainer.base_trainer import _BaseTrainer
from trl.trainer.utils import add_fused_lm_head

from chexphi.training.dynamic_sampling.resampling_trainer import ResamplingGRPOTrainer
from chexphi.training.grpo_trainer import LoggedGRPOTrainer
from chexphi.training.kept_here import KeptHere
from chexphi.training.recovery.resume import Recovering
from chexphi.training.unscored_rows import SkipsUnscorable

OVERRIDDEN = {
    "_prepare_inputs": ["self", "generation_batch"],
    "_generate_and_score_completions": ["self", "inputs"],
    "_generate": ["self", "prompts"],
    "_calculate_rewards": ["self", "inputs", "prompts", "completions", "completion_ids_list"],
    "_get_train_sampler": ["self", "dataset"],
    "_prepare_for_training": ["self", "max_steps", "train_dataloader", "resume_from_checkpoint"],
    "_run_epoch": [
        "self", "model", "epoch", "train_dataloader", "steps_in_epoch", "num_update_steps_per_epoch", "trial",
        "ignore_keys_for_eval", "start_time", "resume_from_checkpoint", "epochs_trained",
        "steps_trained_in_current_epoch",
    ],
    "_maybe_log_save_evaluate": [
        "self", "tr_loss", "grad_norm", "model", "trial", "epoch", "ignore_keys_for_eval", "start_time",
        "learning_rate",
    ],
    "_save_checkpoint": ["self", "model", "trial"],
    "_send_telemetry": ["self"],
    "create_model_card": ["self", "model_name", "dataset_name", "tags"],
    "_load_from_checkpoint": ["self", "resume_from_checkpoint", "model"],
    "_load_optimizer_and_scheduler": ["self", "checkpoint"],
    "_load_rng_state": ["self", "checkpoint"],
    "compute_loss": ["self", "model", "inputs", "return_outputs", "num_items_in_batch"],
    "_get_per_token_logps_and_entropies": [
        "self", "model", "input_ids", "attention_mask", "logits_to_keep", "batch_size", "compute_entropy",
        "compute_aux_loss", "pixel_values", "image_grid_thw", "num_images", "pixel_attention_mask",
        "spatial_shapes", "num_tiles", "image_sizes", "token_type_ids", "mm_token_type_ids",
        "image_position_ids",
    ],
}  # fmt: skip


def test_the_release_is_the_one_that_is_pinned() -> None:
    assert trl.__version__.startswith("1.16.")


@pytest.mark.parametrize("name", OVERRIDDEN)
def test_overridden_methods_have_the_signature_we_wrap(name: str) -> None:
    assert list(inspect.signature(getattr(GRPOTrainer, name)).parameters) == OVERRIDDEN[name]


def test_nothing_else_is_overridden() -> None:
    ours = {
        name
        for kind in (Recovering, KeptHere, SkipsUnscorable, LoggedGRPOTrainer, ResamplingGRPOTrainer)
        for name in vars(kind)
        if hasattr(GRPOTrainer, name) and not name.startswith("__")
    }
    assert ours - {"_abc_impl"} == set(OVERRIDDEN)


@pytest.mark.parametrize(
    "words",
    [
        'self._logs["rewards"]',
        'self._logs["advantages"]',
        "self.reward_func_names",
        "self.reward_weights",
        "self.eos_token_ids",
        "steps_per_generation * self.num_iterations",
        "gradient_accumulation_steps % generate_every != 0",
        "shuffle_sequence_dict(generation_batch)",
        "self.vllm_generation.sync_weights()",
        "self.use_vllm and self.vllm_importance_sampling_correction",
        'output["sampling_per_token_logps"]',
        'mask = completion_mask if "tool_mask" not in inputs else completion_mask * inputs["tool_mask"]',
        "if self.mask_truncated_completions:\n",
        "eos_and_pad = [*self.eos_token_ids, self._tokenizer.pad_token_id]",
        "num_items_in_batch = self.accelerator.gather(loss_mask.sum()).sum()",
        "unscorable_mask = torch.isnan(rewards_per_func).all(dim=1)",
        "if torch.isnan(rewards_per_func).all(dim=1).any():",  # then it prints the row
        "if images is None:\n            images = dataset_images",
    ],
)
def test_the_trainer_still_works_the_way_we_read_it(words: str) -> None:
    assert words in inspect.getsource(GRPOTrainer)


@pytest.mark.parametrize(
    "words",
    [
        "for epoch in range(epochs_trained, num_train_epochs):",  # whether or not a step is left in it
        "self.control = self.callback_handler.on_save(self.args, self.state, self.control)",
        "steps_trained_in_current_epoch *= self.args.gradient_accumulation_steps",
        "self.state.epoch = epoch + (step + 1) / steps_in_epoch",
        "self._run_epoch(\n                model=model,",  # by keyword
        "save_total_limit=self.args.save_total_limit",
    ],
)
def test_the_trainer_below_still_saves_the_way_we_read_it(words: str) -> None:
    assert words in inspect.getsource(Trainer)


def test_sft_counts_tokens_from_the_start_of_its_process() -> None:
    source = inspect.getsource(SFTTrainer)
    assert "self._total_train_tokens = 0" in source
    assert 'self._metrics[mode]["num_tokens"] = [self._total_train_tokens]' in source


def test_the_fused_head_makes_the_tensors_that_a_plan_counts() -> None:
    source = inspect.getsource(ChunkedLogProbFunction)
    assert source.count("torch.empty((min(N, TOKEN_CHUNK_SIZE), chunk_size)") == 2  # a tile a pass
    assert source.count("torch.zeros(hidden.shape") == source.count("torch.zeros(weight.shape") == 1
    assert "hidden_states[mask] if compact" in inspect.getsource(
        add_fused_lm_head
    )  # completions alone on a GPU


def test_the_vllm_backend_has_what_is_replaced_on_it() -> None:
    methods = {
        "_iter_named_params": ["self"],
        "generate": ["self", "prompts", "images", "num_generations", "profiler"],
    }
    for name, parameters in methods.items():
        assert list(inspect.signature(getattr(VLLMGeneration, name)).parameters) == parameters
    source = inspect.getsource(VLLMGeneration)
    assert "return prompt_ids, completion_ids, logprobs, logprob_token_ids" in source
    assert all(f"self.{name} =" in source for name in ("model", "_dist", "generation_kwargs"))
    assert '"generation_kwargs": self.generation_kwargs' in source  # the server's
    assert "generation_kwargs.update(self.generation_kwargs)" in source  # colocated


def test_what_trl_sends_and_writes_goes_through_the_two_methods_that_we_replace() -> None:
    source = inspect.getsource(_BaseTrainer)
    assert source.count("send_telemetry(") == 3  # the method, its call in __init__, and the library's
    assert "def create_model_card" in source
    assert all("self.create_model_card(" in inspect.getsource(kind) for kind in (GRPOTrainer, SFTTrainer))


def test_helpers_take_what_we_pass() -> None:
    forward = list(inspect.signature(ChunkedLogProbFunction.forward).parameters)
    assert forward == [
        "ctx", "hidden", "weight", "bias", "targets", "temperature", "chunk_size", "final_logit_softcapping",
        "logit_scale", "outputs",
    ]  # fmt: skip
    assert {"model", "temperature", "cast_lm_head_to_fp32"} <= inspect.signature(
        add_fused_lm_head
    ).parameters.keys()
