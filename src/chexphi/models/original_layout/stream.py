"""Write safetensors files from byte ranges of others: no tensor is ever in memory, no bit can change.

The format (github.com/huggingface/safetensors): 8 bytes with the length of the header; the header, JSON with
type, shape and position of each tensor; then the data, without gaps.
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
"""Bytes in memory at a time."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A tensor to write: its new name, and the file and header of its data."""

    name: str
    source: Path
    header: Header


@dataclass(frozen=True, slots=True)
class Output:
    """A file to write."""

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
        progress: Called with the number of bytes of each chunk.
        remedy: What the user can do if it cannot be written.

    Raises:
        InputError: If it cannot be written.
    """
    with atomic.whole_file(output.path, remedy=remedy) as part_path, part_path.open("wb") as target:
        target.write(_header(output.tensors))
        for tensor in output.tensors:
            for chunk in chunks(tensor.source, tensor.header):
                target.write(chunk)
                progress(len(chunk))


def chunks(source: Path, header: Header) -> Iterator[bytes]:
    """The bytes of a tensor, chunk by chunk."""
    with source.open("rb") as file:
        file.seek(header.start)
        remaining = header.size
        while remaining:
            chunk = file.read(min(CHUNK, remaining))
            if not chunk:
                raise InputError(f"{source} ends inside a tensor: copy it again")
            remaining -= len(chunk)
            yield chunk


def equal(a: Copy, b: Copy) -> bool:
    """Whether two tensors have the same type, shape and bytes."""
    if (a.header.dtype, a.header.shape) != (b.header.dtype, b.header.shape):
        return False
    pairs = zip(chunks(a.source, a.header), chunks(b.source, b.header), strict=True)
    return all(chunk_a == chunk_b for chunk_a, chunk_b in pairs)


def _header(tensors: Sequence[Copy]) -> bytes:
    entries: dict[str, object] = {"__metadata__": {"format": "pt"}}
    start = 0
    for tensor in tensors:
        header = tensor.header
        offsets = [start, start + header.size]
        entries[tensor.name] = {"dtype": header.dtype, "shape": list(header.shape), "data_offsets": offsets}
        start = offsets[1]
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text
