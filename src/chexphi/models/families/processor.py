"""What every family of processors has beyond its native class.

Each distinct film of a batch is processed once, a row may have none, and no text passes for control tokens.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from PIL import Image
from torch import Tensor
from transformers.feature_extraction_utils import BatchFeature

from chexphi import prompts
from chexphi.data.film_loader import Film
from chexphi.schema import InputError

_SOME = "some text"
"""A turn of the assistant's, of which what stands behind it is looked at."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A film as the model takes it."""

    tensors: Mapping[str, Tensor]
    """Of this film alone, by the processor's names."""
    words: str
    """What stands for it in a prompt."""

    @property
    def nbytes(self) -> int:
        """Bytes of the tensors."""
        return sum(tensor.nbytes for tensor in self.tensors.values())


class FilmsOnce:
    """What a processor class takes on before its native class: a film of several rows is processed once."""

    if TYPE_CHECKING:  # the native class's
        image_processor: Any
        tokenizer: Any
        _merge_kwargs: Any

    def prepare_film(self, film: Film) -> None:
        """Process a film ahead of need, as a call without settings of its own will; for any thread."""
        settings = self._merge_kwargs(tokenizer_init_kwargs=self.tokenizer.init_kwargs)["images_kwargs"]
        film.process_once(*self._recipe(settings))

    def _process_images(self, images: Any, **kwargs: Any) -> tuple[BatchFeature, list[str]]:
        """As natively, for rows of films or films, but each distinct one once."""
        films = [film for row in images for film in (row if isinstance(row, list | tuple) else [row])]
        key, process = self._recipe(kwargs)
        once: dict[int, Prepared] = {}
        for film in films:
            if id(film) not in once:
                once[id(film)] = (
                    film.take_processed(key, process) if isinstance(film, Film) else process(film)
                )
        parts = [once[id(film)] for film in films]
        joined = join([part.tensors for part in parts])
        return BatchFeature(joined), [part.words for part in parts]

    def _recipe(self, kwargs: Mapping[str, Any]) -> tuple[object, Any]:
        """What a film's tensors depend on, and what makes them."""
        settings = {name: value for name, value in kwargs.items() if name != "return_tensors"}
        native = super()._process_images  # type: ignore[misc]

        def process(film: Image.Image) -> Prepared:
            tensors, (words,) = native([film], **settings, return_tensors="pt")
            return Prepared(dict(tensors), words)

        return (self.image_processor, settings), process


def join(films: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The tensors of films as those of a batch; films of fewer crops are filled up with zeros.

    >>> join([{"pixels": torch.ones(1, 1)}, {"pixels": torch.ones(1, 2)}])["pixels"].tolist()
    [[1.0, 0.0], [1.0, 1.0]]
    """
    return {name: _cat([film[name] for film in films]) for name in films[0]}


def _cat(values: Sequence[Tensor]) -> Tensor:
    if all(value.shape[1:] == values[0].shape[1:] for value in values):
        return torch.cat(list(values))
    most = max(value.shape[1] for value in values)
    found = values[0].new_zeros(sum(map(len, values)), most, *values[0].shape[2:])
    start = 0
    for value in values:
        found[start : start + len(value), : value.shape[1]] = value
        start += len(value)
    return found


class PolicyProcessor(FilmsOnce):
    """What a processor class takes on before its native class."""

    film_settings: ClassVar[tuple[str, ...]]
    """Of the image processor: what shapes a film, for the manifest."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """As natively, without the second `<bos>` that TRL would get: it renders the first one itself."""
        return super().__call__(*args, **{"add_special_tokens": False, **kwargs})  # type: ignore[misc]

    def apply_chat_template(self, conversation: Any, chat_template: str | None = None, **kwargs: Any) -> Any:
        """As natively, the messages' own control tokens broken up: `<|im_end|>` becomes `< |im_end|>`.

        A conversation that ends with the assistant's turn, which is a target to imitate, is rendered as the
        prompt that a policy is asked with, the target and the end of a turn. Templates of thinking models
        would leave the reasoning out, or move its tags.

        Raises:
            InputError: If the prompt ends in `<think>` and the target does not begin with it, or the template
                leaves the assistant's turn out.
        """
        plain = _disarmed(conversation, _control_of(self.tokenizer))
        native = super().apply_chat_template  # type: ignore[misc]
        render = functools.partial(native, chat_template=chat_template, **kwargs)
        as_it_is = kwargs.get("tokenize") or kwargs.get("continue_final_message")
        if as_it_is or not _ends_with_target(plain):
            return render(plain)
        *before, target = plain
        prompt = render(before, add_generation_prompt=True)
        opened_think = prompts.opens_think(prompt)
        text = prompts.after_prompt(prompts.text_of([target]).strip(), opened_think=opened_think)
        if text is None:
            raise InputError(
                "this model's chat template opens <think> itself, and a target does not begin with it: write "
                "<think>REASONING</think><answer>ANSWER</answer>, the reasoning first"
            )
        as_given = _SOME if isinstance(target["content"], str) else [{"type": "text", "text": _SOME}]
        _, shown, end = render([*before, {**target, "content": as_given}]).rpartition(_SOME)
        if not shown:
            raise InputError(
                "this model's chat template leaves the assistant's turn out: use the published one"
            )
        return prompt + text + end

    def prepare_inputs_layout(self, images: Any = None, text: Any = None, **kwargs: Any) -> Any:
        """As natively; a row may have several films, `[]` or None, and a batch none at all."""
        if isinstance(images, list | tuple):
            rows = [row if isinstance(row, list | tuple) else [row] for row in images]
            rows = [[film for film in row if film is not None] for row in rows]
            images = rows if any(rows) else None
        return super().prepare_inputs_layout(images=images, text=text, **kwargs)  # type: ignore[misc]


def _ends_with_target(conversation: Any) -> bool:
    last = conversation[-1] if isinstance(conversation, list | tuple) and conversation else None
    return isinstance(last, dict) and last.get("role") == "assistant"


@functools.lru_cache(maxsize=4)
def _control_of(tokenizer: Any) -> re.Pattern[str]:
    return _starts_of([token.content for token in tokenizer.added_tokens_decoder.values() if token.special])


def _starts_of(tokens: Sequence[str]) -> re.Pattern[str]:
    """Matches the first character of every token, of overlapping ones too."""
    longer = "|".join(re.escape(token) for token in tokens if len(token) > 1)
    return re.compile(rf"(?=(?:{longer}))(.)", re.DOTALL)


def _disarmed(part: Any, control: re.Pattern[str]) -> Any:
    """A conversation, message or part of one, its texts without control tokens."""
    if isinstance(part, str):
        return control.sub(r"\1 ", part)
    if isinstance(part, list | tuple):
        return [_disarmed(value, control) for value in part]
    if isinstance(part, dict):
        texts = {name: _disarmed(part[name], control) for name in ("content", "text") if name in part}
        return {**part, **texts}
    return part
