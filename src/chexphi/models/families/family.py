"""What every family of policies has beyond its native classes in transformers.

A family is one file: the subclasses of its model and processor say which modules carry a LoRA, with what a
turn ends, what stands for an image in a prompt, how positions are counted and which settings shape a film.
The rest is here, log-probabilities in fp32, no placeholder sampled, and in `processor`.

The subclasses keep the native names, so that what they save opens in plain transformers as well.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from chexphi import model_folder
from chexphi.files import read_object
from chexphi.models import config_check, tensor_headers, trial_question
from chexphi.models.adapter_settings import CONFIG
from chexphi.models.families.film_features import Tower, without_empty_films
from chexphi.models.shared_prompts import prefill
from chexphi.models.shared_prompts.sharing import SharedPrompts
from chexphi.schema import InputError

LAYERS = r"model\.language_model\.layers\.\d+\.(?:self_attn\.[qkvo]_proj|mlp\.(?:gate|up|down)_proj)"
"""The usual modules that carry a LoRA, of the language layers: bare suffixes would hit the vision tower."""


class Head(nn.Linear):
    """Logits in fp32 whatever the weights' type: in bf16 a logit of 20 may be off by 0.06."""

    def forward(self, input: Tensor) -> Tensor:
        with torch.autocast(input.device.type, enabled=False):
            bias = None if self.bias is None else self.bias.float()
            return nn.functional.linear(input.float(), self.weight.float(), bias)


class PolicyModel:
    """What a model class takes on before its native class."""

    lora_targets: ClassVar[str]
    """Pattern of the modules that carry a LoRA."""
    end_tokens: ClassVar[tuple[str, ...]]
    """Each of them ends a completion."""
    film_inputs: ClassVar[tuple[str, ...]]
    """Inputs with a value a film."""
    gathered_together: ClassVar[tuple[type[nn.Module], ...]] = ()
    """Modules whose parts run a number of times that depends on the films."""
    prompt_sharing = SharedPrompts()
    """Whether what rows have in common is read once: equal prompts by `generate`, which also holds them once,
    and common beginnings by `read_prompts`."""
    if TYPE_CHECKING:  # the native class's
        config: Any
        model: Any
        lm_head: Any
        generation_config: Any
        post_init: Any
        training: bool

    def __init__(self, config: Any) -> None:
        super().__init__(config)  # type: ignore[call-arg]
        old = self.lm_head
        self.lm_head = Head(old.in_features, old.out_features, bias=old.bias is not None)
        self.model.register_forward_pre_hook(without_empty_films, with_kwargs=True)
        self.post_init()

    @classmethod
    def is_custom_code(cls) -> bool:
        """No: of code of one's own the library neither reads nor writes the published tensor names."""
        return False

    @property
    def tower(self) -> Tower:
        """What reads films."""
        raise NotImplementedError

    @property
    def placeholder_ids(self) -> list[int]:
        """The ids that stand for images (or sounds) in a prompt, and are never sampled."""
        raise NotImplementedError

    def film_counts(self, input_ids: Tensor) -> list[int]:
        """Films of each prompt, read off its ids (rows, length)."""
        raise NotImplementedError

    def single_films(self, inputs: Mapping[str, Any]) -> dict[str, Sequence[Tensor]]:
        """The inputs that belong to films as one tensor a film."""
        given = {name: inputs[name] for name in self.film_inputs if inputs.get(name) is not None}
        return {name: [value[i : i + 1] for i in range(len(value))] for name, value in given.items()}

    def prompt_positions(self, inputs: dict[str, Tensor]) -> Tensor:
        """Positions of a left-padded prompt, (..., rows, length); what follows goes on from the last one."""
        return (inputs["attention_mask"].cumsum(1) - 1).clamp(min=0)

    def row_positions(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Positions that `forward` by itself gives the tokens of padded prompts, (..., rows, length)."""
        ids = inputs["input_ids"]
        return torch.arange(ids.shape[1], device=ids.device).expand(ids.shape)

    def both_ways(self, inputs: Mapping[str, Tensor]) -> Tensor | None:
        """bool (rows, length, length): tokens of prompts that see later ones as well; None if none do."""
        return None

    def generate(self, inputs: Any = None, generation_config: Any = None, **kwargs: Any) -> Any:
        """As the native method, with the placeholders suppressed whatever the configuration says."""
        given = [kwargs.pop("suppress_tokens", None)]
        given += [config.suppress_tokens for config in (generation_config, self.generation_config) if config]
        suppress = sorted({*(next(filter(None, given), ())), *self.placeholder_ids})
        if generation_config is None:
            kwargs["suppress_tokens"] = suppress
        else:
            generation_config = copy.deepcopy(generation_config)
            generation_config.suppress_tokens = suppress
        return super().generate(inputs, generation_config=generation_config, **kwargs)  # type: ignore[misc]

    def _expand_inputs_for_generation(
        self,
        expand_size: int = 1,
        is_encoder_decoder: bool = False,
        input_ids: Tensor | None = None,
        **kwargs: Any,
    ) -> tuple[Tensor | None, dict[str, Any]]:
        """As natively (beams, several sequences a prompt), with a row's films repeated together."""
        films = {name: kwargs.pop(name, None) for name in self.film_inputs}
        parts = self.single_films(films)
        if parts and input_ids is not None and expand_size > 1:
            of_row = torch.arange(sum(counts := self.film_counts(input_ids))).split(counts)
            order = torch.cat([row.repeat(expand_size) for row in of_row]).tolist()
            films = {name: torch.cat([films_of[i] for i in order]) for name, films_of in parts.items()}
        input_ids, kwargs = super()._expand_inputs_for_generation(  # type: ignore[misc]
            expand_size, is_encoder_decoder, input_ids, **kwargs
        )
        return input_ids, kwargs | films

    def _supports_mm_encoder_outputs(self) -> bool:
        """No: films are read with their prompts, in `_prefill`, and not before."""
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
        processor_folder: Where the processor is, if not beside the weights.
        dtype: Name of a torch dtype; `auto` is the one the weights were saved in.

    Raises:
        InputError: The folder holds no such model, or not all of its weights, chat template or end tokens.
    """
    folder = Path(folder).absolute()  # what an adapter names as its base
    beside = Path(processor_folder or folder)
    if not any(folder.glob("*.safetensors")):
        raise InputError(f"{folder} has no *.safetensors file: name the folder of the weights")
    kind, config = model_class.config_class.model_type, folder / "config.json"
    if not config.is_file() or read_object(config).get("model_type") != kind:
        raise InputError(f"{folder} holds no model of type {kind!r}: its config.json is missing or another's")
    if (folder / CONFIG).is_file():  # the library would load what it names
        raise InputError(f"{folder} is a base and has an {CONFIG} of its own: move the adapter elsewhere")
    for place in {folder, beside.absolute()}:
        model_folder.check(place)
        trial_question.check_films(place)
    config_check.check(model_class, folder, tensor_headers.read(folder))
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
        raise InputError(f"{folder} lacks weights, the first of them {min(info['missing_keys'])!r}.")
    config_check.check_unused(model, folder, info["unexpected_keys"])
    with model_folder.reading(beside, f"a {processor_class.__name__}"):
        processor = processor_class.from_pretrained(beside, local_files_only=True, trust_remote_code=False)
    _set_turns(model, processor, beside)
    trial_question.check_generation(model, folder)
    return model.eval(), processor


def _set_turns(model: Any, processor: Any, folder: Path) -> None:
    """Left padding, a chat template, and every end token of the family in the generation config."""
    tokenizer = processor.tokenizer
    if processor.chat_template is None:
        processor.chat_template = tokenizer.chat_template  # where a fine-tuned model's may lie alone
    if processor.chat_template is None:
        raise InputError(f"{folder} has no chat template: copy chat_template.jinja from the published model")
    known = tokenizer.get_vocab()
    if missing := next((token for token in model.end_tokens if token not in known), None):
        raise InputError(
            f"the tokenizer of {folder} lacks {missing!r}, which ends a turn of {model.config.model_type}: "
            "copy the tokenizer from the published model"
        )
    tokenizer.padding_side = "left"
    model.generation_config.eos_token_id = tokenizer.convert_tokens_to_ids(list(model.end_tokens))
