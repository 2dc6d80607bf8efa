"""A seeded mutator of settings: a config and flags of a verb, with what an accepted one must have."""

from __future__ import annotations

import json
import math
import random
import string
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

GOOD: dict[str, dict[str, Any]] = {
    "grpo": {
        "trainable": "all", "rewards": ["external_r1v_acc", "external_kg_jac"], "match": "clinical",
        "measure": "f1", "combine": "sum", "gate_at": 1.0, "repetition_ngram": 3, "dynamic_sample": False,
        "learning_rate": 4e-6, "per_device_train_batch_size": 8, "num_generations": 4, "temperature": 0.9,
        "top_p": 0.95, "top_k": 50, "beta": 0.04, "epsilon": 0.2, "max_completion_length": 64, "max_steps": 3,
        "gradient_accumulation_steps": 1, "warmup_steps": 2, "weight_decay": 0.1, "seed": 7,
        "lr_scheduler_type": "cosine", "loss_type": "dapo", "save_strategy": "no", "logging_steps": 1,
        "num_iterations": 1, "scale_rewards": "group", "dataloader_num_workers": 0, "max_grad_norm": 1.0,
    },
    "sft": {
        "trainable": "all", "lora_rank": 8, "lora_alpha": 16, "strip_tags": False, "limit": 5,
        "learning_rate": 1e-4, "per_device_train_batch_size": 4, "num_train_epochs": 2.0, "max_length": None,
        "warmup_ratio": 0.1, "weight_decay": 0.0, "adam_beta1": 0.9, "adam_epsilon": 1e-8, "seed": 1,
        "optim": "adamw_torch", "save_steps": 5, "save_total_limit": 2, "max_grad_norm": 1.0,
        "gradient_accumulation_steps": 2, "logging_steps": 1, "packing": False,
    },
    "evaluate": {
        "dtype": "float32", "batch_size": 8, "max_new_tokens": 32, "tokens": True, "answer_samples": 0,
        "limit": 3, "seed": 2, "dynamic_hd": 4, "extractor": "lexicon", "resume": False,
    },
    "mine score": {
        "samples": 4, "temperature": 1.0, "batch_size": 8, "max_new_tokens": 16, "seed": 0, "limit": 2,
    },
    "demo": {"quick": True, "seed": 1, "limit": 4, "workers": 2, "resume": False},
}  # fmt: skip
"""Settings that each verb takes."""
NUMBERS = (
    *(0, -1, 1, 2, 3, 8, 64, 10**9, 2**31, 2**63, 10**30, -(10**30)),
    *(0.0, -0.5, 0.5, 1.5, 5.0, 1e-5, 1e-300, 1e300, math.inf, -math.inf, math.nan),
)
OTHERS = (
    *(None, True, False, "", "x", "none", "cosine", "NaN", "1", "6e-5", "-1", "é", "a b", "../x", "a" * 300),
    *([], [1], ["x", "x"], [None], {}, {"a": 1}, [[1]], ["a"] * 200),
)
SPELLED: dict[str, tuple[Any, ...]] = {
    "010": (10,), "08": (8,), "0x1F": (31,), "0o17": (15,), "0b11": (3,), "1_000": (1000,), "1:30": (),
    "190:20:30": (), "1e5": (1e5,), "6e-5": (6e-5,), "+1": (1,), ".5": (0.5,), "1.": (1,), "-0": (0,),
    "2026-11-30": (), "yes": (True,), "no": (False,), "on": (True,), "off": (False,), "y": (True,),
    "~": (None,), "null": (None,), "!!float 1": (1,), "!!int '7'": (7,), "!!python/name:os.system": (),
    "!!binary aGk=": (), "!own 1": (), "9" * 5000: (), "<<": (), "*a": (), "&a 1": (1,), "1 # one": (1,),
}  # fmt: skip
"""Bare words of YAML, and the values that may be read for them; a text field may also have the word."""


@dataclass(frozen=True)
class Setting:
    """Words for one verb."""

    verb: str
    config: bytes
    flags: tuple[str, ...]
    given: dict[str, tuple[Any, ...]] | None
    """The values that an accepted one may have, by key; None where the file was damaged."""


def mutated_settings(rng: random.Random, count: int) -> Iterator[Setting]:
    """Settings of which most are nearly good ones; what is drawn depends on `rng` alone."""
    for _ in range(count):
        verb = rng.choice(list(GOOD))
        good = GOOD[verb]
        kept = rng.sample(list(good), rng.randint(0, len(good) // 2))
        values: dict[str, tuple[str, tuple[Any, ...]]] = {
            key: (_yaml(good[key]), (good[key],)) for key in kept
        }
        for key in rng.sample(list(good), rng.choice((0, 1, 1, 1, 2))):
            values[key] = _value(rng, good[key])
        if rng.random() < 0.05:
            values["".join(rng.choices(string.ascii_lowercase, k=rng.choice((3, 12, 400))))] = ("1", ())
        yield _written(rng, verb, values)


def _value(rng: random.Random, good: Any) -> tuple[str, tuple[Any, ...]]:
    draw = rng.random()
    if draw < 0.3:
        word = rng.choice(list(SPELLED))
        return word, (*SPELLED[word], word)
    number = isinstance(good, int | float) and not isinstance(good, bool)
    value = rng.choice(NUMBERS if number and draw < 0.8 else (*OTHERS, *NUMBERS))
    return _yaml(value), (value,)


def _yaml(value: Any) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    return json.dumps(value, ensure_ascii=False)


def _written(rng: random.Random, verb: str, values: dict[str, tuple[str, tuple[Any, ...]]]) -> Setting:
    """Some as flags, the others in the file; the file of every fifth is damaged."""
    flags: list[str] = []
    given = {key: allowed for key, (_, allowed) in values.items()}
    lines = []
    for key, (text, allowed) in values.items():
        plain = len(allowed) == 1 and isinstance(allowed[0], int | float) and not isinstance(allowed[0], bool)
        if plain and text == _yaml(allowed[0]) and rng.random() < 0.2:
            word = text.removeprefix(".").replace("-.", "-")
            flags.append(f"--{key}={word}")
            given[key] = (*allowed, word)  # on the command line a field of text has the word
        else:
            lines.append(f"{key}: {text}")
    content = "".join(f"{line}\n" for line in lines).encode()
    if rng.random() < 0.2:
        return Setting(verb, _damaged(rng, content), tuple(flags), None)
    return Setting(verb, content, tuple(flags), given)


def _damaged(rng: random.Random, content: bytes) -> bytes:
    """A config as another program, a bad copy or a joker leaves it."""
    place = rng.randrange(len(content) + 1)
    deep, wide = rng.choice((3, 50, 3000)), rng.randint(2, 7)
    aliases = ["a0: &a0 [x, x]"] + [
        f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * wide)}]" for i in range(1, wide)
    ]
    return rng.choice(
        (
            content[:place],
            content[:place] + bytes([rng.randrange(256)]) + content[place + 1 :],
            content[:place]
            + rng.choice((b"\0", b"\t", b": ", b"- ", b"'", b"{", b"&a ", b"\xff"))
            + content[place:],
            content + content,
            b"\xef\xbb\xbf" + content,
            content.decode().encode("utf-16"),
            content + "name: \u00e9\n".encode("latin-1"),
            content + f"seed: {'[' * deep}{']' * deep}\n".encode(),
            content + "\n".join(aliases).encode(),
            content + b"out: " + b"x" * 100_000 + b"\n",
            content + b"? [a, b]\n: 1\n",
            content + b"1: 2\ntrue: 3\n",
            content + b"---\nseed: 1\n",
            b"",
            b"[]",
            b"7",
            b"- seed: 1",
        )
    )
