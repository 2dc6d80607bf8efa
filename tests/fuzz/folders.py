"""A seeded mutator of model and adapter folders: each one has a single file changed, and the same weights."""

from __future__ import annotations

import itertools
import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

SCALARS = (
    *(None, True, False, "", "text", "0", "nan", "../outside", "/outside/x.json", "org/model"),
    *(-1, 0, 1, 2, 3, 7, 255, 2**31, 10**12, -(10**6), 0.5, -0.5, 1e300, 1e-300, [], {}, [[]], [0], {"a": 0}),
)
"""What takes the place of a value."""
ENTRIES: tuple[tuple[str, Any], ...] = (
    ("auto_map", {"AutoTokenizer": ["own.Own", None], "AutoConfig": "own.Own", "AutoProcessor": "own.Own"}),
    ("auto_map", {"AutoImageProcessor": "own.Own", "AutoVideoProcessor": "other/model--own.Own"}),
    ("auto_map", 7),
    ("tokenizer_class", "OwnTokenizer"),
    ("image_processor_type", "OwnImageProcessor"),
    ("processor_class", "OwnProcessor"),
    ("vocab_file", "../outside.txt"),
    ("fast_tokenizer_files", ["../outside/tokenizer.1.json"]),
    ("audio_tokenizer", {"audio_tokenizer_class": "DacModel", "audio_tokenizer_name_or_path": "../outside"}),
    ("quantization_config", {"quant_method": "bitsandbytes"}),
    ("attn_implementation", "other/kernel"),
    ("num_beams", 4),
    ("suppress_tokens", [10**9]),
    ("megatron_config", {"a": 1}),
    ("use_dora", True),
    ("dtype", "float99"),
    ("base_model_name_or_path", "other/model"),
)
"""Entries that published files may have, and that this one has not."""


def _places(value: Any, rng: random.Random) -> tuple[Any, Any]:
    """A container inside a JSON value and one of its keys, drawn level by level."""
    while True:
        key = rng.choice(list(value) if isinstance(value, dict) else range(len(value)))
        below = value[key]
        if not isinstance(below, dict | list) or not below or rng.random() < 0.2:
            return value, key
        value = below


def _change_value(content: Any, rng: random.Random) -> None:
    container, key = _places(content, rng)
    old = container[key]
    choices = [*SCALARS, [old], {"a": old}, str(old)]
    if isinstance(old, int | float):
        choices += [-old, old * 2, old + 1, old // 2, float(old)]
    container[key] = rng.choice(choices)


def _remove_value(content: Any, rng: random.Random) -> None:
    container, key = _places(content, rng)
    del container[key]


def _add_entry(content: Any, rng: random.Random) -> None:
    name, value = rng.choice(ENTRIES)
    content[name] = value


TREE: tuple[Callable[[Any, random.Random], None], ...] = (
    *(_change_value, _change_value, _change_value, _remove_value, _add_entry),
)


def _damaged(text: bytes, rng: random.Random) -> bytes:
    """The bytes of a file as a bad copy, another program or a typing error leaves them."""
    place = rng.randrange(len(text) or 1)
    return rng.choice(
        (
            text[:place],
            b"",
            text[:place] + bytes([rng.randrange(256)]) + text[place + 1 :],
            b"\xef\xbb\xbf" + text,
            text.decode(errors="replace").encode("utf-16"),
            text + text,
            text[::-1],
            b"[]",
            b"null",
            b"7",
            b"{}",
            b"\x00" * len(text),
            b"[" * 100_000,
            b'{"a": ' + b"9" * 10_000 + b"}",
            b'{"a": NaN}',
            text.replace(b"{", b'{"a": 1, "a": 2, ', 1),
            b"{% for x in messages %}" + text,
            text + b"{{ messages[7].a.b.c }}",
        )
    )


def mutated(path: Path, rng: random.Random) -> bytes:
    """The content of a text file with one change."""
    text = path.read_bytes()
    if path.suffix != ".json" or rng.random() < 0.2:
        return _damaged(text, rng)
    content = json.loads(text)
    rng.choice(TREE)(content, rng)
    return json.dumps(content).encode()


def mutated_folders(source: Path, into: Path, rng: random.Random) -> Iterator[Path]:
    """Copies of a folder without end, each with one file changed; one is removed when the next is asked for.

    Args:
        source: A folder of a model or an adapter. Its weights are linked and never changed.
        into: Where the copies are made.
        rng: What is drawn depends on nothing else.
    """
    texts = sorted(path for path in source.iterdir() if path.suffix in (".json", ".jinja"))
    for number in itertools.count():
        folder = into / f"{source.name}-{number}"
        folder.mkdir(parents=True)
        for path in source.iterdir():
            if path.suffix == ".safetensors":
                (folder / path.name).symlink_to(path.resolve())
            elif path.is_file():
                shutil.copyfile(path, folder / path.name)
        changed = rng.choice(texts)
        (folder / changed.name).write_bytes(mutated(changed, rng))
        try:
            yield folder
        finally:
            shutil.rmtree(folder)
