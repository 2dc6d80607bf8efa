"""A folder of weights that somebody else may have made: checks of its small files, and errors of loading it.

Its files may name code, files and models. Code is never run, and a named file has to be in the folder. An
error that a library raises about the folder becomes a one-sentence message. Standard library only.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path, PurePath
from typing import Any

from chexphi.files import read_object, similar_names
from chexphi.schema import InputError, shown

logger = logging.getLogger(__name__)

COMPLETE = "complete.json"
"""The file that a training run writes last into the folder of a policy."""

SETTINGS = (
    *("config.json", "generation_config.json", "adapter_config.json", "audio_tokenizer_config.json"),
    *("processor_config.json", "preprocessor_config.json", "video_preprocessor_config.json"),
    *("tokenizer_config.json", "special_tokens_map.json", "chat_template.json"),
)
"""Files in which the libraries look for settings; each holds a JSON object."""
TABLES = ("tokenizer.json", "vocab.json", "added_tokens.json")
"""Files of tokens: they do not name files, classes or models."""
RECORDS = ("special_tokens_map_file", "tokenizer_file")
"""Keys with the path of a file on the machine that made the folder: no library opens it."""
MAX_REASON = 200
"""Characters of a library's own message that a sentence shows."""


def read_config(folder: Path) -> dict[str, Any]:
    """A model's `config.json`.

    Raises:
        InputError: If the folder does not exist, or has none that can be read.
    """
    if not (folder / "config.json").is_file():
        if not folder.exists():
            raise InputError(
                f"model folder {folder} does not exist{similar_names(folder)}: check its path; nothing is "
                "downloaded"
            )
        inside = folder / "model"  # of a run
        advice = f": did you mean {inside}?" if inside.is_dir() else ""
        raise InputError(f"{folder} is not a model folder: it has no config.json{advice}")
    return read_object(folder / "config.json")


def check(folder: Path) -> None:
    """Refuse a folder whose small files are damaged, or name files or models outside it.

    Raises:
        InputError: For the first such entry.
    """
    for name in (*SETTINGS, *TABLES):
        if (path := folder / name).is_file():
            content = read_object(path)
            if name in SETTINGS:
                _check_names(path, content)
            if name == "tokenizer.json":
                _check_merges(path, content.get("model"))
    if (code := own_code(folder)) is not None:
        _warn_of_code(*code)


@cache
def _warn_of_code(path: Path, name: str) -> None:
    """Once in a process: a stage looks at a folder before and while the model is loaded."""
    logger.warning("%s names code of its own, %s: it is not run, the library's class is used", path, name)


def _check_merges(path: Path, model: Any) -> None:
    """Refuse merges whose second half lacks the prefix: tokenizers cuts off its length without a check."""
    prefix = model.get("continuing_subword_prefix") if isinstance(model, dict) else None
    merges = model.get("merges") if prefix and isinstance(prefix, str) else None
    for merge in merges if isinstance(merges, list) else ():
        halves = merge.split(" ") if isinstance(merge, str) else merge
        if not (isinstance(halves, list) and halves and str(halves[-1]).startswith(str(prefix))):
            raise InputError(
                f"{path}: model.continuing_subword_prefix is {shown(prefix)}, which not all of its merges "
                "have: copy the file again"
            )


def weights_sha256(folder: Path) -> dict[str, str]:
    """The hash of each file of weights of a folder, and of the adapter in its `vision-lora/`, by file name.

    The same as `sha256sum *.safetensors` gives. It reads every byte.
    """
    files = [*sorted(folder.glob("*.safetensors")), *sorted(folder.glob("vision-lora/*.safetensors"))]
    hashes = {}
    for path in files:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        hashes[path.relative_to(folder).as_posix()] = digest
    return hashes


def leads_outside(name: str) -> bool:
    """Whether a file's name inside a folder leads out of it.

    >>> [leads_outside(name) for name in ("model.bin", "onnx/model.bin", "../model.bin", "/model.bin")]
    [False, False, True, True]
    """
    path = PurePath(name.replace("\\", "/"))
    return path.is_absolute() or ".." in path.parts


def nested_entries(content: Any) -> Iterator[tuple[str, Any]]:
    """Every key of an object with its value, also those of objects inside it."""
    if isinstance(content, dict):
        yield from content.items()
    below = content.values() if isinstance(content, dict) else content if isinstance(content, list) else ()
    for value in below:
        yield from nested_entries(value)


def _check_names(path: Path, content: dict[str, Any]) -> None:
    for key, value in nested_entries(content):
        names = value if isinstance(value, list) else [value]
        texts = [name for name in names if isinstance(name, str)]
        if key.endswith(("_file", "_files")) and key not in RECORDS:
            for name in filter(leads_outside, texts):
                raise InputError(
                    f"{path}: {key} names {shown(name)}, which is outside the folder: only files in it are "
                    "read"
                )
        if key.endswith("_implementation") and any("/" in name for name in texts):
            raise InputError(f"{path}: {key} names code from elsewhere, {shown(value)}: remove the entry")
        if key.startswith("audio_tokenizer") and value is not None:
            raise InputError(f"{path}: {key} names a second model, and only one is read: remove the entry")


def own_code(folder: Path) -> tuple[Path, str] | None:
    """The first file of a folder that names a class of its own (`auto_map`), and that class; else None."""
    for path in (folder / name for name in SETTINGS):
        for key, value in nested_entries(read_object(path)) if path.is_file() else ():
            if key == "auto_map" and value:
                values = list(value.values()) if isinstance(value, dict) else [value]
                return path, shown(values[0])
    return None


@contextmanager
def reading(folder: Path, kind: str) -> Iterator[None]:
    """A context around calls of libraries that load a folder: their errors become one-sentence messages.

    Only such calls may be inside: every error is taken for the folder's, except a lack of memory on a GPU.

    Args:
        folder: The folder of the files.
        kind: What they are read as, for the message: "a Phi4MultimodalImageProcessor".

    Raises:
        InputError: In place of the library's error.
    """
    try:
        yield
    except InputError:
        raise
    except BaseException as error:
        if not _of_the_folder(error):
            raise
        if "trust_remote_code" in str(error) and (code := own_code(folder)):
            raise InputError(
                f"{code[0]} names a class of its own, {code[1]}, whose code is not run, and the library has "
                f"none for it: use a folder that can be read as {kind} without code"
            ) from error
        raise InputError(
            f"{folder} cannot be read as {kind} ({reason(error)}): copy its files again"
        ) from error


def _of_the_folder(error: BaseException) -> bool:
    """Whether a library refused the folder, also by a panic of Rust code, which is not an `Exception`."""
    if type(error).__name__ == "OutOfMemoryError":
        return False
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"


def reason(error: BaseException) -> str:
    """The first line of an error's message with the error's type, at most `MAX_REASON` characters.

    >>> reason(KeyError("vocab"))
    "KeyError: 'vocab'"
    """
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    text = f"{type(error).__name__}: {line}".removesuffix(":").removesuffix(": ")
    return text if len(text) <= MAX_REASON else f"{text[: MAX_REASON - 3]}..."
