"""Names, shapes, types and positions of a folder's tensors, from the headers of its safetensors files."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path

from safetensors import SafetensorError, safe_open

from chexphi.files import parse_json, read_object
from chexphi.model_folder import leads_outside
from chexphi.schema import InputError, shown

INDEX = "model.safetensors.index.json"


@dataclass(frozen=True, slots=True)
class Header:
    """The entry of one tensor in a file's header."""

    shape: tuple[int, ...]
    dtype: str
    """As safetensors writes it: `F32`, `BF16`."""
    file: str
    start: int
    """Position of its first byte in the file."""
    stop: int
    """Position after its last byte."""

    @property
    def count(self) -> int:
        """How many values it has."""
        return prod(self.shape)

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return self.stop - self.start


def read(folder: Path) -> dict[str, Header]:
    """The tensors of all safetensors files of a folder, by name.

    Raises:
        InputError: If there are none, a file is damaged or cut, two files have the same tensor, or the index
            names a file or a tensor that does not exist.
    """
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        pickles = sorted(file.name for file in folder.glob("*.bin"))
        hint = f"{pickles[0]} is a pickle and is not read" if pickles else "name the folder of the weights"
        raise InputError(f"{folder} has no *.safetensors file: {hint}")
    headers: dict[str, Header] = {}
    for file in files:
        for name, header in read_file(file).items():
            if name in headers:
                raise InputError(f"{file} holds {name}, which {headers[name].file} holds as well: remove one")
            headers[name] = header
    _check_index(folder, headers)
    return headers


def read_file(path: Path) -> dict[str, Header]:
    """The tensors of one file, in the order of their data.

    Raises:
        InputError: If the file is damaged or cut.
    """
    try:
        with safe_open(path, framework="numpy"):
            pass  # the library checks that header and data fit each other and the file
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            content = file.read(length)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} is damaged or cut short ({error}): copy it again") from None
    entries = parse_json(content, f"the header of {path}", advice="copy the file again")
    entries.pop("__metadata__", None)
    data = 8 + length
    return {
        name: Header(
            tuple(entry["shape"]),
            entry["dtype"],
            path.name,
            data + entry["data_offsets"][0],
            data + entry["data_offsets"][1],
        )
        for name, entry in sorted(entries.items(), key=lambda item: item[1]["data_offsets"])
    }


def _check_index(folder: Path, headers: dict[str, Header]) -> None:
    """Refuse an index that is wrong: the library opens the files that it names, without a check."""
    index = folder / INDEX
    if not index.is_file():
        return
    listed = read_object(index).get("weight_map")
    if not isinstance(listed, dict) or not listed:
        raise InputError(f"{index} is not an index of weights (it has no weight_map): copy it again")
    for name, file in listed.items():
        if not isinstance(file, str) or leads_outside(file) or "/" in file:
            raise InputError(
                f"{index} names {shown(file)} for {shown(name)}, and only files in its folder are read: copy "
                "it again"
            )
        if name not in headers:
            raise InputError(f"{index} names {name} in {file}, which is not there: copy {file} again")
        if headers[name].file != file:
            raise InputError(
                f"{index} names {name} in {file}, and it is in {headers[name].file}: copy it again"
            )
