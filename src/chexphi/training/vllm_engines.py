"""Samples from vLLM: the weights that vLLM gets, and whether both engines agree.

TRL drives vLLM (`use_vllm`, `vllm_mode` and its other `vllm_*` settings, all untouched). Added here:

* Weights. TRL 1.16 folds the adapter into the base's own tensors, sends them, and takes it out again: in bf16
  that changes the base, and with it the reference, at every step. It also sends the `lm_head` of the adapter
  `ref`, a name that no engine knows. Here a folded copy is sent, one tensor at a time.
* Names. vLLM reads Phi-4-multimodal in the original layout only (pull request 30049 removed the native one in
  0.13), so the policy's tensors get the original's names.
* Agreement. The log-probabilities of the first batch, as vLLM sampled it, against the trainer's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from chexphi.models import adapter
from chexphi.models.lora_names import PREFIX
from chexphi.models.original_layout import tensor_names
from chexphi.schema import InputError
from chexphi.training.vllm_settings import OUTLIER, Limits


def attach(generation: Any) -> None:
    """Let TRL's `VLLMGeneration` send a folded copy, sample no placeholder and check what vLLM returns."""
    model, native_parameters, native_generate = (
        generation.model,
        generation._iter_named_params,
        generation.generate,
    )
    has_adapter = hasattr(model, "peft_config")
    base = model.get_base_model() if has_adapter else model

    def named_parameters() -> Iterator[tuple[str, Tensor]]:
        if has_adapter and not generation._dist.is_fsdp:  # FSDP's shards are gathered by TRL's own walk
            with generation._dist.gather_params(list(model.parameters())):
                yield from with_vllm_names(folded_tensors(model), base.config.model_type)
        else:
            yield from with_vllm_names(native_parameters(), base.config.model_type)

    def generate(*args: Any, **kwargs: Any) -> Any:
        output = native_generate(*args, **kwargs)
        _, completion_ids, logprobs, *_ = output
        if problem := why_malformed(completion_ids, logprobs):
            raise InputError(problem)
        return output

    generation._iter_named_params, generation.generate = named_parameters, generate
    forbidden = dict.fromkeys(base.placeholder_ids, -100.0)
    generation.generation_kwargs = {"logit_bias": forbidden} | generation.generation_kwargs


def folded_tensors(model: Any) -> Iterator[tuple[str, Tensor]]:
    """The tensors of a `PeftModel` with the adapter `default` folded in; the model does not change.

    Sums are made in fp32 and rounded once to the base's type.
    """
    modules = dict(model.named_modules())
    for name, parameter in model.named_parameters():
        native = name.removeprefix(PREFIX)
        module, is_saved_module, adapter_path = native.partition(".modules_to_save.")
        if is_saved_module:
            adapter_name, _, tensor_name = adapter_path.partition(".")
            if adapter_name == adapter.NAME:
                yield f"{module}.{tensor_name}", parameter.data
        elif native.endswith(".base_layer.weight"):
            delta = modules[name.removesuffix(".base_layer.weight")].get_delta_weight(adapter.NAME)
            total = parameter.data.float() + delta.detach().float()
            yield native.replace(".base_layer.", "."), total.to(parameter.dtype)
        elif ".lora_" not in native and ".original_module." not in native:
            yield native.replace(".base_layer.", "."), parameter.data


def with_vllm_names(tensors: Iterator[tuple[str, Tensor]], kind: str) -> Iterator[tuple[str, Tensor]]:
    """The tensors under the names that vLLM reads from the disk for this `model_type`."""
    for name, tensor in tensors:
        yield (tensor_names.original(name, adapted=False) if kind == "phi4_multimodal" else name), tensor


def why_malformed(ids: Sequence[Sequence[int]], logprobs: Sequence[Sequence[Any]] | None) -> str | None:
    """What is wrong with the lengths of completions and log-probabilities; None if nothing is.

    TRL would fill a row that is too short with zeros.
    """
    if logprobs is None or len(logprobs) != len(ids):
        return (
            f"vLLM returned log-probabilities for {len(logprobs or ())} of {len(ids)} completions: {_REMEDY}"
        )
    for row, (tokens, values) in enumerate(zip(ids, logprobs, strict=True)):
        if len(tokens) != len(values):
            return (
                f"vLLM returned {len(values)} log-probabilities for the {len(tokens)} tokens of completion "
                f"{row}: {_REMEDY}"
            )
    return None


_REMEDY = "use a vLLM that TRL supports (0.22 to 0.31)"


def difference_sums(vllm_logps: Tensor, trainer_logps: Tensor, mask: Tensor) -> Tensor:
    """Sums over tokens for `disagreement`, which can be added over processes.

    Args:
        vllm_logps: vLLM's log-probabilities, (rows, length), NaN where it gave none.
        trainer_logps: The trainer's at the same temperature, (rows, length).
        mask: 1 where a token was sampled, (rows, length).

    Returns:
        fp64 (4,): tokens, those without a finite value in one of the two, outliers, the sum of |difference|.
    """
    differences = (vllm_logps.double() - trainer_logps.double()).abs()[mask.bool()]
    is_finite = differences.isfinite()
    differences = differences[is_finite]
    tokens, missing = torch.ones_like(is_finite).sum(), (~is_finite).sum()
    sums = (tokens, missing, (differences > OUTLIER).sum(), differences.sum())
    return torch.stack([value.double() for value in sums])


def disagreement(sums: Tensor, limits: Limits) -> str | None:
    """One sentence if the two engines are not the same policy, None if they are.

    Args:
        sums: Of `difference_sums`, (4,).
        limits: The largest disagreement that is accepted.
    """
    tokens, missing, outliers, total = sums.tolist()
    if missing or not tokens:
        return (
            f"{missing:.0f} of the first batch's {tokens:.0f} tokens have no finite log-probability in vLLM "
            "or in the trainer: check the weights and dtype that vLLM serves"
        )
    mean, share = total / tokens, outliers / tokens
    if mean <= limits.difference and share <= limits.outliers:
        return None
    return (
        f"vLLM and the trainer are not the same policy: over the first batch's {tokens:.0f} tokens their "
        f"log-probabilities differ by {mean:.3g} on average (limit {limits.difference:g}), and {share:.1%} "
        f"by more than {OUTLIER} (limit {limits.outliers:.1%}): check that vLLM serves this base with this "
        "dtype, dynamic_hd and logprobs mode, or raise logp_difference and logp_outliers"
    )
