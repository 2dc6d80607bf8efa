"""Write safetensors files from byte ranges of others: no tensor is ever in memory, no bit can change.

The format (github.com/huggingface/safetensors): 8 bytes, the length of the header; the header, JSON with
type, shape and place of each tensor; then the data, without gaps.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from chexphi import atomic
from chexphi.models.tensor_headers import Header
from chexphi.schema import InputError

CHUNK = 16 << 20
"""Bytes held at once."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A tensor to be written: its new name, and where its data lie."""

    name: str
    source: Path
    header: Header


@dataclass(frozen=True, slots=True)
class Output:
    """A file to be written."""

    path: Path
    tensors: tuple[Copy, ...]

    @property
    def size(self) -> int:
        """Bytes of its data."""
        return sum(tensor.header.size for tensor in self.tensors)


def write(output: Output, progress: Callable[[int], None], *, remedy: str = atomic.REMEDY) -> None:
    """Write a whole file or none.

    Args:
        output: The file; its folder is made.
        progress: Is told the bytes of each chunk.
        remedy: What the user can do where it cannot be written.

    Raises:
        InputError: If it cannot be written.
    """
    with atomic.whole_file(output.path, remedy=remedy) as part, part.open("wb") as target:
        target.write(_header(output.tensors))
        for tensor in output.tensors:
            for chunk in chunks(tensor.source, tensor.header):
                target.write(chunk)
                progress(len(chunk))


def chunks(source: Path, header: Header) -> Iterator[bytes]:
    """The bytes of a tensor, piece by piece."""
    with source.open("rb") as file:
        file.seek(header.start)
        left = header.size
        while left:
            chunk = file.read(min(CHUNK, left))
            if not chunk:
                raise InputError(f"{source} ends inside a tensor: copy it again")
            left -= len(chunk)
            yield chunk


def equal(first: Copy, second: Copy) -> bool:
    """Whether two tensors have the same type, shape and bytes."""
    a, b = first.header, second.header
    if (a.dtype, a.shape) != (b.dtype, b.shape):
        return False
    pairs = zip(chunks(first.source, a), chunks(second.source, b), strict=True)
    return all(one == other for one, other in pairs)


def _header(tensors: Sequence[Copy]) -> bytes:
    entries: dict[str, object] = {"__metadata__": {"format": "pt"}}
    place = 0
    for tensor in tensors:
        header = tensor.header
        offsets = [place, place + header.size]
        entries[tensor.name] = {"dtype": header.dtype, "shape": list(header.shape), "data_offsets": offsets}
        place = offsets[1]
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text
