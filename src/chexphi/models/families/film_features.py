"""Features of films, kept so that a frozen vision tower reads a film once.

A film is known by a digest of what the tower sees of it, the processed pixels and which of them hold film:
the image and the processor's settings are in it, the film's name is not. What is kept is the tower's output
before the projector, without a graph; gradients of a projector that learns start there. A tower that learns
keeps nothing, and one that drops values at random reads every film for itself.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import xxhash
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from chexphi import atomic
from chexphi.models.shared_prompts.dropout import has_dropout
from chexphi.models.shared_prompts.same_prompts import same_films

logger = logging.getLogger(__name__)

MEMORY = 2**30
"""Bytes of features that are held beside the model at most: 1,800 crops of Phi-4 in bf16."""
_NAME = "features"


def digest(*values: Tensor, note: str = "") -> str:
    """128 bits (xxh3, in hexadecimal) of tensors' types, shapes and bytes, and of a note."""
    whole = xxhash.xxh3_128(note.encode())
    for value in values:
        whole.update(f"{value.dtype}{tuple(value.shape)}".encode())
        whole.update(value.detach().cpu().flatten().contiguous().view(torch.uint8).numpy().data)
    return whole.hexdigest()


def weights_digest(encoder: Any) -> str:
    """The same of what a tower's output depends on beside the film: configuration, weights and their type."""
    tensors = [*encoder.named_parameters(), *encoder.named_buffers()]
    names = " ".join(name for name, _ in tensors)
    config = encoder.config
    note = f"{config.to_json_string()} {config._attn_implementation} {names}"
    return digest(*(tensor for _, tensor in tensors), note=note)


class Features:
    """Features by the digests of their films: the last used ones in memory, all of them in a folder.

    Args:
        folder: Made if need be, and shared by processes; None keeps nothing beyond the memory.
        limit: Bytes in memory; what was not used for the longest time goes first.
    """

    def __init__(self, folder: Path | None = None, *, limit: int = MEMORY) -> None:
        self._memory: OrderedDict[str, Tensor] = OrderedDict()
        self._limit, self._size = limit, 0
        self._folder = folder
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def get(self, key: str, device: torch.device) -> Tensor | None:
        """Features as they were put; None if they are not there, or their file is damaged: it is logged."""
        if key in self._memory:
            self._memory.move_to_end(key)
            return self._memory[key]
        found = self._read(key)
        if found is not None:
            found = found.to(device)
            self._remember(key, found)
        return found

    def put(self, key: str, features: Tensor) -> None:
        """Keep a copy; its file is whole as soon as it is there."""
        with torch.inference_mode(False):  # else no later backward could use them
            features = features.detach().clone(memory_format=torch.contiguous_format)
        self._remember(key, features)
        if self._folder is not None:
            content = save({_NAME: features.cpu()}, metadata={"digest": digest(features)})
            with atomic.whole_file(self._path(key), shared=True) as part:
                part.write_bytes(content)

    def clear(self) -> None:
        """Forget what is in memory."""
        self._memory.clear()
        self._size = 0

    def _remember(self, key: str, features: Tensor) -> None:
        if (old := self._memory.pop(key, None)) is not None:
            self._size -= old.nbytes
        self._memory[key] = features
        self._size += features.nbytes
        while self._size > self._limit:
            self._size -= self._memory.popitem(last=False)[1].nbytes

    def _read(self, key: str) -> Tensor | None:
        if self._folder is None or not (path := self._path(key)).exists():
            return None
        try:
            with safe_open(path, "pt") as file:
                features = file.get_tensor(_NAME).clone()
                whole = (file.metadata() or {}).get("digest") == digest(features)
        except SafetensorError:
            whole = False
        if not whole:
            logger.warning("%s is damaged: the film is read again", path)
        return features if whole else None

    def _path(self, key: str) -> Path:
        assert self._folder is not None, "asked before"
        return self._folder / f"{key}.safetensors"


class Tower:
    """What a vision tower's class takes on before its native class."""

    features: Features | None = None
    """What is kept of films from one pass to the next; equal films of one pass are always read once."""

    @classmethod
    def is_custom_code(cls) -> bool:
        """No, as in `family.PolicyModel`."""
        return False

    @property
    def vision(self) -> nn.Module:
        """All that the features of a film depend on."""
        assert isinstance(self, nn.Module), "the native class is one"
        return self

    @property
    def learns(self) -> bool:
        """Whether anything of it learns."""
        return any(parameter.requires_grad for parameter in self.vision.parameters())

    @contextmanager
    def encoding(self) -> Iterator[None]:
        """How films are read: without a graph if the tower is frozen, and then in its own type.

        Gradient checkpointing asks for gradients at its entry. What casts to bf16 around a tower that is in
        bf16 would make a film's features others in training than in generation; a frozen tower in fp32 is
        cast, for speed.
        """
        first = next(self.vision.parameters())
        learns, kind = self.learns, first.device.type
        cast = torch.is_autocast_enabled(kind) and (learns or first.dtype == torch.float32)
        with torch.set_grad_enabled(learns and torch.is_grad_enabled()), torch.autocast(kind, enabled=cast):
            yield

    def read(
        self,
        films: Sequence[Tensor | Sequence[Tensor]],
        encode: Callable[[list[int]], Sequence[Tensor]],
    ) -> Sequence[Tensor]:
        """Features of each film, one tensor a film.

        Args:
            films: As for `same_films`.
            encode: Reads the films of these numbers, in one batch.
        """
        if self.vision.training and has_dropout(self.vision):
            return encode(list(range(len(films[0]))))
        place = same_films(films)
        distinct = list(dict.fromkeys(place))
        kept = None if self.learns else self.features
        if kept is None:
            found = dict(zip(distinct, encode(distinct), strict=True))
        else:
            found = self._kept(kept, films, distinct, encode)
        return [found[number] for number in place]

    def _kept(
        self,
        kept: Features,
        films: Sequence[Tensor | Sequence[Tensor]],
        distinct: list[int],
        encode: Callable[[list[int]], Sequence[Tensor]],
    ) -> dict[int, Tensor]:
        """Features of films by their numbers, what is not kept yet read and kept."""
        device = films[0][0].device
        with self.encoding():
            cast = torch.is_autocast_enabled(device.type) and str(torch.get_autocast_dtype(device.type))
        keys = {number: digest(*(part[number] for part in films), note=cast or "") for number in distinct}
        known = {number: kept.get(key, device) for number, key in keys.items()}
        found = {number: features for number, features in known.items() if features is not None}
        new = [number for number in distinct if number not in found]
        for number, features in zip(new, encode(new) if new else (), strict=True):
            found[number] = features
            kept.put(keys[number], features)
        return found


def rows(values: Tensor, numbers: list[int]) -> Tensor:
    """Some rows of a tensor, in ascending order; the tensor itself if it is all of them."""
    return values if len(numbers) == len(values) else values[numbers]


def without_empty_films(model: nn.Module, args: tuple[object, ...], kwargs: dict[str, object]) -> object:
    """A hook before a backbone's forward that takes films of no rows out, which no tower reads.

    TRL passes them for a micro-batch without films.
    """
    pixels = kwargs.get("pixel_values")
    if not isinstance(pixels, Tensor) or len(pixels):
        return None
    return args, {
        name: value for name, value in kwargs.items() if name not in ("pixel_values", "image_grid_thw")
    }
