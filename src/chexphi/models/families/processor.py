"""Base classes of the families' processors, before the native class.

Each distinct film of a batch is processed once, a row may have no film, and no text can act as a control
token.
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

_SAMPLE_TURN = "some text"
"""A turn of the assistant that is rendered only to see what the template writes after it."""


@dataclass(frozen=True, slots=True)
class PreparedFilm:
    """A processed film, as the model takes it."""

    tensors: Mapping[str, Tensor]
    """Of this film alone, by the processor's names."""
    placeholder: str
    """The text that stands for it in a prompt."""

    @property
    def nbytes(self) -> int:
        """Bytes of the tensors."""
        return sum(tensor.nbytes for tensor in self.tensors.values())


class FilmsOnce:
    """A base class of processors, before the native class: a film of several rows is processed once."""

    if TYPE_CHECKING:  # the native class's
        image_processor: Any
        tokenizer: Any
        _merge_kwargs: Any

    def prepare_film(self, film: Film) -> None:
        """Process a film ahead of a call, with the settings of a call without any; in any thread."""
        settings = self._merge_kwargs(tokenizer_init_kwargs=self.tokenizer.init_kwargs)["images_kwargs"]
        film.process_once(*self._recipe(settings))

    def _process_images(self, images: Any, **kwargs: Any) -> tuple[BatchFeature, list[str]]:
        """Process films, or rows of films, as the native method does, but each distinct film once."""
        films = [film for row in images for film in (row if isinstance(row, list | tuple) else [row])]
        key, process = self._recipe(kwargs)
        prepared_by_id: dict[int, PreparedFilm] = {}
        for film in films:
            if id(film) not in prepared_by_id:
                prepared_by_id[id(film)] = (
                    film.take_processed(key, process) if isinstance(film, Film) else process(film)
                )
        prepared = [prepared_by_id[id(film)] for film in films]
        batch = join([film.tensors for film in prepared])
        return BatchFeature(batch), [film.placeholder for film in prepared]

    def _recipe(self, kwargs: Mapping[str, Any]) -> tuple[object, Any]:
        """The settings that a film's tensors depend on, and the function that makes the tensors."""
        settings = {name: value for name, value in kwargs.items() if name != "return_tensors"}
        native = super()._process_images  # type: ignore[misc]

        def process(film: Image.Image) -> PreparedFilm:
            tensors, (placeholder,) = native([film], **settings, return_tensors="pt")
            return PreparedFilm(dict(tensors), placeholder)

        return (self.image_processor, settings), process


def join(films: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The tensors of films as one batch; films of fewer crops are filled up with zeros.

    >>> join([{"pixels": torch.ones(1, 1)}, {"pixels": torch.ones(1, 2)}])["pixels"].tolist()
    [[1.0, 0.0], [1.0, 1.0]]
    """
    return {name: _cat([film[name] for film in films]) for name in films[0]}


def _cat(values: Sequence[Tensor]) -> Tensor:
    """Tensors (films, crops, ...) one below the other; fewer crops are filled up with zeros."""
    if all(value.shape[1:] == values[0].shape[1:] for value in values):
        return torch.cat(list(values))
    max_crops = max(value.shape[1] for value in values)
    batch = values[0].new_zeros(sum(map(len, values)), max_crops, *values[0].shape[2:])
    start = 0
    for value in values:
        batch[start : start + len(value), : value.shape[1]] = value
        start += len(value)
    return batch


class PolicyProcessor(FilmsOnce):
    """A base class of processors with a chat template, before the native class."""

    film_settings: ClassVar[tuple[str, ...]]
    """The settings of the image processor that shape a film, for the manifest."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """As the native call, but without a second `<bos>`: TRL renders the first one itself."""
        return super().__call__(*args, **{"add_special_tokens": False, **kwargs})  # type: ignore[misc]

    def apply_chat_template(self, conversation: Any, chat_template: str | None = None, **kwargs: Any) -> Any:
        """As the native method, with control tokens in messages broken up: `< |im_end|>` for `<|im_end|>`.

        A conversation that ends with the assistant's turn is a target to imitate. It is rendered as the
        prompt of a policy, the target, and the end of a turn: templates of thinking models would leave the
        reasoning out, or move its tags.

        Raises:
            InputError: If the prompt ends in `<think>` and the target does not begin with it, or the template
                leaves the assistant's turn out.
        """
        messages = _disarmed(conversation, _control_of(self.tokenizer))
        native = super().apply_chat_template  # type: ignore[misc]
        render = functools.partial(native, chat_template=chat_template, **kwargs)
        render_natively = kwargs.get("tokenize") or kwargs.get("continue_final_message")
        if render_natively or not _ends_with_target(messages):
            return render(messages)
        *prompt_messages, target = messages
        prompt = render(prompt_messages, add_generation_prompt=True)
        opened_think = prompts.opens_think(prompt)
        text = prompts.after_prompt(prompts.text_of([target]).strip(), opened_think=opened_think)
        if text is None:
            raise InputError(
                "this model's chat template opens <think> itself, and a target does not begin with it: write "
                "<think>REASONING</think><answer>ANSWER</answer>, the reasoning first"
            )
        is_text = isinstance(target["content"], str)
        content = _SAMPLE_TURN if is_text else [{"type": "text", "text": _SAMPLE_TURN}]
        rendered = render([*prompt_messages, {**target, "content": content}])
        _, turn, end = rendered.rpartition(_SAMPLE_TURN)
        if not turn:
            raise InputError(
                "this model's chat template leaves the assistant's turn out: use the published one"
            )
        return prompt + text + end

    def prepare_inputs_layout(self, images: Any = None, text: Any = None, **kwargs: Any) -> Any:
        """As the native method, but a row may have several films, `[]` or None, and a batch none at all."""
        if isinstance(images, list | tuple):
            rows = [row if isinstance(row, list | tuple) else [row] for row in images]
            rows = [[film for film in row if film is not None] for row in rows]
            images = rows if any(rows) else None
        return super().prepare_inputs_layout(images=images, text=text, **kwargs)  # type: ignore[misc]


def _ends_with_target(conversation: Any) -> bool:
    message = conversation[-1] if isinstance(conversation, list | tuple) and conversation else None
    return isinstance(message, dict) and message.get("role") == "assistant"


@functools.lru_cache(maxsize=4)
def _control_of(tokenizer: Any) -> re.Pattern[str]:
    return _starts_of([token.content for token in tokenizer.added_tokens_decoder.values() if token.special])


def _starts_of(tokens: Sequence[str]) -> re.Pattern[str]:
    """A pattern that matches the first character of every token, also of overlapping ones."""
    longer = "|".join(re.escape(token) for token in tokens if len(token) > 1)
    return re.compile(rf"(?=(?:{longer}))(.)", re.DOTALL)


def _disarmed(content: Any, control: re.Pattern[str]) -> Any:
    """A conversation, message or block of one, with the control tokens in its texts broken up."""
    if isinstance(content, str):
        return control.sub(r"\1 ", content)
    if isinstance(content, list | tuple):
        return [_disarmed(value, control) for value in content]
    if isinstance(content, dict):
        texts = {name: _disarmed(content[name], control) for name in ("content", "text") if name in content}
        return {**content, **texts}
    return content
