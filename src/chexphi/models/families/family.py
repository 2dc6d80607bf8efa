"""The base class of policies, before the native class of transformers, and the loading of a policy.

A family is one file. The subclasses of its model and processor define the modules that have a LoRA, the end
of a turn, the tokens that stand for an image, the positions and the settings that shape a film. What all
families have in common is here (logits in fp32, placeholders that are never sampled) and in `processor`.

The subclasses keep the native names, so that transformers alone can open what they save.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from chexphi import model_folder
from chexphi.models import config_check, policy_folder, trial_question
from chexphi.models.families.film_features import Tower, without_empty_films
from chexphi.models.rollout.native import Rollouts
from chexphi.models.shared_prompts import prefill
from chexphi.models.shared_prompts.sharing import SharedPrompts
from chexphi.schema import InputError

LAYERS = r"model\.language_model\.layers\.\d+\.(?:self_attn\.[qkvo]_proj|mlp\.(?:gate|up|down)_proj)"
"""The usual modules with a LoRA, in the language layers; suffixes alone would match the vision tower too."""


class Head(nn.Linear):
    """Logits in fp32 for weights of any type: in bf16 a logit of 20 may be wrong by 0.06."""

    def forward(self, input: Tensor) -> Tensor:
        """Hidden states (..., hidden) -> logits (..., vocabulary) in fp32."""
        with torch.autocast(input.device.type, enabled=False):
            bias = None if self.bias is None else self.bias.float()
            return nn.functional.linear(input.float(), self.weight.float(), bias)


class PolicyModel:
    """The base class of policies, before the native class."""

    lora_targets: ClassVar[str]
    """Pattern of the modules that have a LoRA."""
    end_tokens: ClassVar[tuple[str, ...]]
    """Each of them ends a completion."""
    film_inputs: ClassVar[tuple[str, ...]]
    """Inputs with a value a film."""
    gathered_together: ClassVar[tuple[type[nn.Module], ...]] = ()
    """Modules whose submodules run a number of times that depends on the films."""
    prompt_sharing = SharedPrompts()
    """Whether what rows have in common is read once: equal prompts by `generate`, which also holds them once,
    and common beginnings by `read_prompts`."""
    rollouts: Rollouts | None = None
    """How `generate` samples; None: as the library does."""
    if TYPE_CHECKING:  # the native class's
        config: Any
        model: Any
        lm_head: Any
        generation_config: Any
        post_init: Any
        training: bool

    def __init__(self, config: Any) -> None:
        super().__init__(config)  # type: ignore[call-arg]
        native_head = self.lm_head
        self.lm_head = Head(
            native_head.in_features, native_head.out_features, bias=native_head.bias is not None
        )
        self.model.register_forward_pre_hook(without_empty_films, with_kwargs=True)
        self.post_init()

    @classmethod
    def is_custom_code(cls) -> bool:
        """No: the library neither reads nor writes the published tensor names of custom code."""
        return False

    @property
    def tower(self) -> Tower:
        """The module that reads films."""
        raise NotImplementedError

    @property
    def placeholder_ids(self) -> list[int]:
        """Ids that stand for images (or sounds) in a prompt, and are never sampled."""
        raise NotImplementedError

    def film_counts(self, input_ids: Tensor) -> list[int]:
        """How many films each prompt has, counted in its ids (rows, length)."""
        raise NotImplementedError

    def single_films(self, inputs: Mapping[str, Any]) -> dict[str, Sequence[Tensor]]:
        """The inputs of films, each as one tensor a film."""
        film_inputs = {name: inputs[name] for name in self.film_inputs if inputs.get(name) is not None}
        return {name: [value[i : i + 1] for i in range(len(value))] for name, value in film_inputs.items()}

    def prompt_positions(self, inputs: dict[str, Tensor]) -> Tensor:
        """Positions of left-padded prompts, (..., rows, length); text after them goes on from the last."""
        return (inputs["attention_mask"].cumsum(1) - 1).clamp(min=0)

    def row_positions(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Positions that `forward` gives the tokens of padded prompts by default, (..., rows, length)."""
        ids = inputs["input_ids"]
        return torch.arange(ids.shape[1], device=ids.device).expand(ids.shape)

    def both_ways(self, inputs: Mapping[str, Tensor]) -> Tensor | None:
        """bool (rows, length, length): tokens of prompts that see later ones as well; None if none do."""
        return None

    def generate(self, inputs: Any = None, generation_config: Any = None, **kwargs: Any) -> Any:
        """As the native method, but placeholders are suppressed with any configuration."""
        settings = [kwargs.pop("suppress_tokens", None)]
        settings += [
            config.suppress_tokens for config in (generation_config, self.generation_config) if config
        ]
        suppress = sorted({*(next(filter(None, settings), ())), *self.placeholder_ids})
        if generation_config is None:
            kwargs["suppress_tokens"] = suppress
        else:
            generation_config = copy.deepcopy(generation_config)
            generation_config.suppress_tokens = suppress
        if self.rollouts is not None:
            kwargs.setdefault("custom_generate", self.rollouts.sample)
        return super().generate(inputs, generation_config=generation_config, **kwargs)  # type: ignore[misc]

    def _expand_inputs_for_generation(
        self,
        expand_size: int = 1,
        is_encoder_decoder: bool = False,
        input_ids: Tensor | None = None,
        **kwargs: Any,
    ) -> tuple[Tensor | None, dict[str, Any]]:
        """As the native method (for beams, or several sequences a prompt); a row's films stay together."""
        films = {name: kwargs.pop(name, None) for name in self.film_inputs}
        single_films = self.single_films(films)
        if single_films and input_ids is not None and expand_size > 1:
            films_of_row = torch.arange(sum(counts := self.film_counts(input_ids))).split(counts)
            order = torch.cat([film_numbers.repeat(expand_size) for film_numbers in films_of_row]).tolist()
            films = {name: torch.cat([values[i] for i in order]) for name, values in single_films.items()}
        input_ids, kwargs = super()._expand_inputs_for_generation(  # type: ignore[misc]
            expand_size, is_encoder_decoder, input_ids, **kwargs
        )
        return input_ids, kwargs | films

    def _supports_mm_encoder_outputs(self) -> bool:
        """No: films are read together with their prompts, in `_prefill`."""
        return False

    def _prefill(self, input_ids: Tensor, config: Any, inputs: dict[str, Any], **kwargs: Any) -> Any:
        """Read the prompts, as the native method does for `generate`; a prompt of several rows once."""
        sharing = self.prompt_sharing
        native = super()._prefill  # type: ignore[misc]
        if sharing.why_not is not None:
            return native(input_ids, config, inputs, **kwargs)
        to_read = prefill.distinct_prompts(self, input_ids, config, inputs, sharing)
        if to_read is None:
            output = native(input_ids, config, inputs, **kwargs)
        else:
            output = native(input_ids[to_read.prompts.first_rows], config, to_read.inputs, **kwargs)
        return prefill.expand_to_rows(self, output, to_read, config, inputs, sharing)


def load(
    model_class: Any,
    processor_class: Any,
    folder: Path | str,
    *,
    processor_folder: Path | None = None,
    dtype: str = "auto",
    attn_implementation: str = "sdpa",
) -> tuple[Any, Any]:
    """A model, in evaluation mode, and its processor from a folder with safetensors weights.

    Args:
        model_class: Of the family, a `PolicyModel`.
        processor_class: Of the family, a `PolicyProcessor`.
        folder: Of the weights.
        processor_folder: Of the processor, if it is not beside the weights.
        dtype: Name of a torch dtype; `auto` is the type in which the weights were saved.
        attn_implementation: `sdpa`, `eager` or `flash_attention_2`.

    Raises:
        InputError: If the folder holds another model, or lacks some of the weights, a chat template or end
            tokens.
    """
    folder = Path(folder).absolute()  # an adapter names it as its base
    processor_folder = processor_folder or folder
    kind = model_class.config_class.model_type
    config_check.check(model_class, folder, policy_folder.check_files(kind, folder, processor_folder))
    with model_folder.reading(folder, f"a {model_class.__name__}"):
        model, info = model_class.from_pretrained(
            folder,
            dtype=dtype if dtype == "auto" else getattr(torch, dtype),
            attn_implementation=attn_implementation,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    if info["missing_keys"]:
        raise InputError(
            f"{folder} lacks weights, the first of them {min(info['missing_keys'])!r}: copy the folder again"
        )
    config_check.check_unused(model, folder, info["unexpected_keys"])
    with model_folder.reading(processor_folder, f"a {processor_class.__name__}"):
        processor = processor_class.from_pretrained(
            processor_folder, local_files_only=True, trust_remote_code=False
        )
    _set_turns(model, processor, processor_folder)
    trial_question.check_generation(model, folder)
    return model.eval(), processor


def _set_turns(model: Any, processor: Any, folder: Path) -> None:
    """Set left padding, a chat template, and every end token of the family in the generation config."""
    tokenizer = processor.tokenizer
    if processor.chat_template is None:
        processor.chat_template = tokenizer.chat_template  # some fine-tuned models have it only there
    if processor.chat_template is None:
        raise InputError(f"{folder} has no chat template: copy chat_template.jinja from the published model")
    vocabulary = tokenizer.get_vocab()
    if missing := next((token for token in model.end_tokens if token not in vocabulary), None):
        raise InputError(
            f"the tokenizer of {folder} lacks {missing!r}, which ends a turn of {model.config.model_type}: "
            "copy the tokenizer from the published model"
        )
    tokenizer.padding_side = "left"
    model.generation_config.eos_token_id = tokenizer.convert_tokens_to_ids(list(model.end_tokens))
