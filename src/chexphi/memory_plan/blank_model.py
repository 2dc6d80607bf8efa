"""A model without weights: built on `meta`, run on tensors that have shapes and types but no data.

Every operation of the real modules takes place, gradient checkpointing and autocast included. That takes
seconds at any size. `MemoryTally` adds up the storages that are alive at a time. TRL's fused head is replaced
by a stand-in, because its kernel runs only on a GPU.
"""

from __future__ import annotations

import warnings
import weakref
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import Phi4MultimodalConfig
from transformers.initialization import no_init_weights
from trl.kernels.chunked_logprob import TOKEN_CHUNK_SIZE
from trl.trainer import utils as trl_utils

from chexphi.files import read_object
from chexphi.model_folder import reading
from chexphi.models import adapter, trainable
from chexphi.models.families import phi4


def full_size() -> Phi4MultimodalConfig:
    """The published Phi-4-multimodal; the library's own defaults have 32 heads and an untied `lm_head`."""
    return Phi4MultimodalConfig(
        num_attention_heads=24,
        num_key_value_heads=8,
        tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.75},
        dtype="bfloat16",
    )


def read_config(base: Path) -> Phi4MultimodalConfig:
    """The configuration in a base model's folder; no other file of it is needed.

    Raises:
        InputError: If it cannot be read.
    """
    read_object(base / "config.json")
    with reading(base, "the configuration of a model"):
        return Phi4MultimodalConfig.from_pretrained(base, local_files_only=True, trust_remote_code=False)


def blank_policy(
    config: Phi4MultimodalConfig,
    *,
    dtype: str,
    attention: str,
    what_learns: str,
    rank: int,
    alpha: int,
    own_head: bool = False,
) -> tuple[Any, FakeTensorMode]:
    """The policy as `trainable.prepare` makes it, without data, and the mode to run it under.

    Positions use RoPE without length factors: LongRoPE reads lengths from data, and needs the same memory.

    Args:
        config: Of the base model. It is changed.
        dtype: Name of the type of the weights.
        attention: `sdpa` or `eager`.
        what_learns: A setting of `trainable`.
        rank: Of the LoRA, where the setting has one.
        alpha: Of the LoRA.
        own_head: Whether the policy's adapter has an `lm_head` already.
    """
    rotated_share = config.rope_parameters.get("partial_rotary_factor", 1.0)
    config.rope_parameters = {
        "rope_type": "default",
        "rope_theta": 10000.0,
        "partial_rotary_factor": rotated_share,
    }
    lora: dict[str, Any] = {
        "targets": phi4.Phi4MultimodalForCausalLM.lora_targets,
        "rank": rank,
        "alpha": alpha,
    }
    with torch.device("meta"), no_init_weights(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a tied lm_head gets weights of its own: that is intended
        model = phi4.Phi4MultimodalForCausalLM._from_config(
            config, dtype=getattr(torch, dtype), attn_implementation=attention
        )
        model.tie_weights()
        if own_head:
            model = adapter.with_new_lora(model, with_head=True, **lora)
            for name, parameter in model.named_parameters():
                if f".{adapter.NAME}." in name:
                    parameter.data = parameter.data.float()  # the type that it is trained and saved in
        model = trainable.prepare(model, what_learns, **lora)
    mode = FakeTensorMode()
    with mode:
        _without_data(model)
    return model.train(), mode


def _without_data(model: nn.Module) -> None:
    """Replace tensors on `meta`, for which attention takes its slowest path, by fake CPU tensors."""
    fake_parameters: dict[int, nn.Parameter] = {}  # by the `id` of the one on `meta`: tied ones stay tied
    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                if id(parameter) not in fake_parameters:
                    data = torch.empty(parameter.shape, dtype=parameter.dtype, device="cpu")
                    fake = nn.Parameter(data, requires_grad=parameter.requires_grad)
                    fake_parameters[id(parameter)] = fake
                module._parameters[name] = fake_parameters[id(parameter)]
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = torch.empty(buffer.shape, dtype=buffer.dtype, device="cpu")


class MemoryTally(TorchDispatchMode):
    """Counts the bytes of all storages made under it, and the most that were alive at once.

    Args:
        model: Its weights are not counted. Its gradients are, and have a figure of their own as well.
        existing: Tensors that were made before; they are not counted either.
    """

    def __init__(self, model: nn.Module, *existing: Tensor | None) -> None:
        super().__init__()
        self.peak = 0
        """Most bytes alive at once, gradients included."""
        self.gradients = 0
        """Bytes of gradients at that time."""
        self._alive_bytes = 0
        self._gradient_bytes = 0
        self._alive: dict[int, Any] = {}
        self._hooks = []
        for tensor in (*model.parameters(), *model.buffers(), *existing):
            if tensor is None:
                continue
            storage = tensor.untyped_storage()
            self._alive[storage._cdata] = storage
            if tensor.requires_grad:
                self._hooks.append(tensor.register_post_accumulate_grad_hook(self._gradient))

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for value in tree_leaves(result):
            if isinstance(value, Tensor):
                self._add(value.untyped_storage())
        return result

    def _add(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._alive:
            return

        def freed(_: Any) -> None:
            del self._alive[key]
            self._alive_bytes -= size

        self._alive[key] = weakref.ref(storage, freed)
        self._alive_bytes += size
        if self._alive_bytes > self.peak:
            self.peak, self.gradients = self._alive_bytes, self._gradient_bytes

    def _gradient(self, parameter: Tensor) -> None:
        assert parameter.grad is not None, "it was just accumulated"
        self._gradient_bytes += parameter.grad.nbytes

    def __exit__(self, *error: Any) -> None:
        for hook in self._hooks:
            hook.remove()
        super().__exit__(*error)


class FusedHead(torch.autograd.Function):
    """The tensors that TRL's `ChunkedLogProbFunction` makes, without its results.

    It multiplies tiles of (tokens, vocabulary) entries and folds each into running sums. A GPU does that in
    place. Elsewhere torch does it, with three copies at a time forward (scaled, shifted, exponential) and
    seven backward. The gradients of hidden states and weights are summed in fp32.
    """

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, dtype: torch.dtype, gpu: bool) -> Tensor:
        """States (tokens, hidden) and weights (vocabulary, hidden) -> (tokens,), multiplied in `dtype`."""
        ctx.save_for_backward(hidden, weight)
        ctx.dtype, ctx.gpu = dtype, gpu
        _tile(hidden, weight, dtype, copies=0 if gpu else 3)
        return hidden.new_empty(len(hidden), dtype=torch.float32)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        """Gradients of hidden states (tokens, hidden) and weights (vocabulary, hidden), in their types."""
        hidden, weight = ctx.saved_tensors
        sums = [
            torch.zeros_like(tensor, dtype=torch.float32) if needs_grad else None
            for tensor, needs_grad in zip((hidden, weight), ctx.needs_input_grad[:2], strict=True)
        ]
        _tile(hidden, weight, ctx.dtype, copies=0 if ctx.gpu else 7)
        of_hidden, of_weight = sums
        return (
            None if of_hidden is None else of_hidden.to(hidden.dtype),
            None if of_weight is None else of_weight.to(weight.dtype),
            None,
            None,
        )


def _tile(hidden: Tensor, weight: Tensor, dtype: torch.dtype, *, copies: int) -> list[Tensor]:
    """A tile of logits (tokens, vocabulary), its two factors in its type, and fp32 copies of the tile.

    The vocabulary's last tile is narrower: the copies have its width, the tile itself has the full one.
    """
    width = trl_utils._CHUNKED_LOGPROB_CHUNK_SIZE
    states, entries = hidden[:TOKEN_CHUNK_SIZE].to(dtype), weight[:width].to(dtype)
    tile = hidden.new_empty(len(states), width, dtype=dtype)
    folded = [tile.new_empty(len(states), len(entries), dtype=torch.float32) for _ in range(copies)]
    return [tile, states, entries, *folded]
