"""A cache of films' features, so that a frozen vision tower reads each film once.

The key of a film is a digest of the tower's input: the processed pixels and the mask of those that are film.
So it depends on the image and the processor's settings, and not on the film's name. The cached features are
the tower's output before the projector, without a graph; gradients of a projector that learns begin there.
Nothing is cached for a tower that learns, and a tower with dropout reads every film separately.
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

MAX_BYTES = 2**30
"""The most bytes of features in memory: 1,800 crops of Phi-4 in bf16."""
_NAME = "features"


def digest(*tensors: Tensor, note: str = "") -> str:
    """128 bits (xxh3, in hexadecimal) of tensors' types, shapes and bytes, and of a note."""
    hash_ = xxhash.xxh3_128(note.encode())
    for tensor in tensors:
        hash_.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
        hash_.update(tensor.detach().cpu().flatten().contiguous().view(torch.uint8).numpy().data)
    return hash_.hexdigest()


def weights_digest(encoder: Any) -> str:
    """Digest of what a tower's output depends on beside the film: configuration, weights and their type."""
    tensors = [*encoder.named_parameters(), *encoder.named_buffers()]
    names = " ".join(name for name, _ in tensors)
    config = encoder.config
    note = f"{config.to_json_string()} {config._attn_implementation} {names}"
    return digest(*(tensor for _, tensor in tensors), note=note)


class FeatureCache:
    """Features by the digests of their films: the last used ones in memory, all of them in a folder.

    Args:
        folder: Made if needed, and shared by processes; with None, features are only in memory.
        limit: Bytes in memory; the least recently used features are dropped first.
    """

    def __init__(self, folder: Path | None = None, *, limit: int = MAX_BYTES) -> None:
        self._memory: OrderedDict[str, Tensor] = OrderedDict()
        self._limit, self._size = limit, 0
        self._folder = folder
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def get(self, key: str, device: torch.device) -> Tensor | None:
        """The features of a key; None if they are missing, or their file is damaged, which is logged."""
        if key in self._memory:
            self._memory.move_to_end(key)
            return self._memory[key]
        features = self._read(key)
        if features is not None:
            features = features.to(device)
            self._remember(key, features)
        return features

    def put(self, key: str, features: Tensor) -> None:
        """Store a copy of the features; a file is never there in part."""
        with torch.inference_mode(False):  # otherwise no later backward could use them
            features = features.detach().clone(memory_format=torch.contiguous_format)
        self._remember(key, features)
        if self._folder is not None:
            content = save({_NAME: features.cpu()}, metadata={"digest": digest(features)})
            with atomic.whole_file(self._path(key), shared=True) as part_path:
                part_path.write_bytes(content)

    def clear(self) -> None:
        """Drop the features in memory."""
        self._memory.clear()
        self._size = 0

    def _remember(self, key: str, features: Tensor) -> None:
        if (replaced := self._memory.pop(key, None)) is not None:
            self._size -= replaced.nbytes
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
                undamaged = (file.metadata() or {}).get("digest") == digest(features)
        except SafetensorError:
            undamaged = False
        if not undamaged:
            logger.warning("%s is damaged: the film is read again", path)
        return features if undamaged else None

    def _path(self, key: str) -> Path:
        assert self._folder is not None, "only called with a folder"
        return self._folder / f"{key}.safetensors"


class Tower:
    """A base class of vision towers, before the native class: it reads equal films once."""

    features: FeatureCache | None = None
    """Features from earlier passes; equal films of one pass are always read once."""

    @classmethod
    def is_custom_code(cls) -> bool:
        """No: the library neither reads nor writes the published tensor names of custom code."""
        return False

    @property
    def vision(self) -> nn.Module:
        """The module that the features of a film depend on."""
        assert isinstance(self, nn.Module), "the native class is one"
        return self

    @property
    def learns(self) -> bool:
        """Whether any of its parameters learns."""
        return any(parameter.requires_grad for parameter in self.vision.parameters())

    @contextmanager
    def encoding(self) -> Iterator[None]:
        """The context in which films are read: a frozen tower has no graph, and runs in its own type.

        Without it, gradient checkpointing would start a graph at the tower's input. And autocast around a
        tower in bf16 would make a film's features differ between training and generation. A frozen tower in
        fp32 is cast, for speed.
        """
        parameter = next(self.vision.parameters())
        learns, device_type = self.learns, parameter.device.type
        cast = torch.is_autocast_enabled(device_type) and (learns or parameter.dtype == torch.float32)
        with (
            torch.set_grad_enabled(learns and torch.is_grad_enabled()),
            torch.autocast(device_type, enabled=cast),
        ):
            yield

    def read(
        self,
        films: Sequence[Tensor | Sequence[Tensor]],
        encode: Callable[[list[int]], Sequence[Tensor]],
    ) -> Sequence[Tensor]:
        """Features of each film, one tensor a film.

        Args:
            films: Each input of the tower with a value a film, as `same_films` takes them.
            encode: Reads the films of these numbers, in one batch.
        """
        if self.vision.training and has_dropout(self.vision):
            return encode(list(range(len(films[0]))))
        distinct_of_film = same_films(films)
        distinct = list(dict.fromkeys(distinct_of_film))
        cache = None if self.learns else self.features
        if cache is None:
            features = dict(zip(distinct, encode(distinct), strict=True))
        else:
            features = self._through_cache(cache, films, distinct, encode)
        return [features[number] for number in distinct_of_film]

    def _through_cache(
        self,
        cache: FeatureCache,
        films: Sequence[Tensor | Sequence[Tensor]],
        distinct: list[int],
        encode: Callable[[list[int]], Sequence[Tensor]],
    ) -> dict[int, Tensor]:
        """Features of films by their numbers; missing ones are computed and added to the cache."""
        device = films[0][0].device
        with self.encoding():
            cast = torch.is_autocast_enabled(device.type) and str(torch.get_autocast_dtype(device.type))
        keys = {number: digest(*(values[number] for values in films), note=cast or "") for number in distinct}
        cached = {number: cache.get(key, device) for number, key in keys.items()}
        features = {number: tensor for number, tensor in cached.items() if tensor is not None}
        missing = [number for number in distinct if number not in features]
        for number, tensor in zip(missing, encode(missing) if missing else (), strict=True):
            features[number] = tensor
            cache.put(keys[number], tensor)
        return features


def select_rows(values: Tensor, numbers: list[int]) -> Tensor:
    """Some rows (numbers, ...) of a tensor (rows, ...), in ascending order; the tensor itself if all."""
    return values if len(numbers) == len(values) else values[numbers]


def without_empty_films(model: nn.Module, args: tuple[object, ...], kwargs: dict[str, object]) -> object:
    """A hook before a backbone's forward that removes film inputs without rows, which no tower can read.

    TRL passes such inputs for a micro-batch without films.
    """
    pixels = kwargs.get("pixel_values")
    if not isinstance(pixels, Tensor) or len(pixels):
        return None
    return args, {
        name: value for name, value in kwargs.items() if name not in ("pixel_values", "image_grid_thw")
    }
