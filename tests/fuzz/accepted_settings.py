"""Settings: accepted ones have the values that were given, and every number among them is finite."""

from __future__ import annotations

import dataclasses
import enum
import importlib
import math
from pathlib import Path
from typing import Any

from fuzz.settings import Setting
from fuzz.trial import WrongError

from chexphi.schema import Example
from chexphi.training import grpo_checks, sft_checks, trainer_settings
from chexphi.training.preflight import refused

STAGES = {
    "grpo": "chexphi.training.grpo",
    "sft": "chexphi.training.sft",
    "evaluate": "chexphi.evaluation.evaluate",
    "mine score": "chexphi.mining.score",
    "demo": "chexphi.demo.demo",
}
SWITCHED = {True: ("1", "true", "yes", "on", "y", "t"), False: ("0", "false", "no", "off", "n", "f")}
REWRITTEN = ("report_to", "optim", "out", "output_dir")
"""Fields whose value the libraries give another form."""
EXAMPLES = [
    Example(
        str(number), (), "Is it new?", ("yes",), "<think>The heart is enlarged.</think><answer>yes</answer>"
    )
    for number in range(64)
]


def prepare(folder: Path) -> None:
    """Load every stage."""
    file = folder / "empty.yaml"
    file.write_text("{}")
    for verb in STAGES:
        use((Setting(verb, b"{}", ("--out=out",), {}), file))


def use(placed: tuple[Setting, Path]) -> dict[str, Any]:
    """Every field of a verb by its name, once parsed and checked as far as no model is needed."""
    setting, file = placed
    stage: Any = importlib.import_module(STAGES[setting.verb])
    parsed = stage.parse(["--config", str(file), *setting.flags])
    parts = _checked(setting.verb, parsed if isinstance(parsed, tuple) else (parsed,))
    return {field.name: getattr(part, field.name) for part in parts for field in dataclasses.fields(part)}


def _checked(verb: str, parts: tuple[Any, ...]) -> tuple[Any, ...]:
    """What the stage checks before it reads the model; of a stage that trains, with TRL's config."""
    if verb == "mine score":
        importlib.import_module(STAGES[verb]).check(dataclasses.replace(parts[0], model="model", data="data"))
    if verb not in ("grpo", "sft"):
        return parts
    recipe = dataclasses.replace(parts[0], model="model", data="data")
    if verb == "grpo":
        grpo_checks.check_settings(recipe, parts[1])
        grpo_checks.check_examples(recipe, parts[1], EXAMPLES)
    else:
        sft_checks.check_settings(recipe, parts[1])
    args = trainer_settings.config(parts[1], verb)
    refused.check(args, verb)
    return parts[0], args


def judge(placed: tuple[Setting, Path], found: dict[str, Any]) -> None:
    """Compare with what was written.

    Raises:
        WrongError: For the first value that is another.
    """
    given = placed[0].given or {}
    for key, allowed in given.items():
        if key not in found:
            raise WrongError(f"the key {key} is unknown and was accepted")
        got = found[key].value if isinstance(found[key], enum.Enum) else found[key]
        if key not in REWRITTEN and not any(_same(value, got) for value in allowed):
            raise WrongError(f"{key} is {got!r}, and {allowed!r:.80} was given")
    for key, value in found.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise WrongError(f"{key} is {value}")


def _same(given: Any, got: Any) -> bool:
    """Whether a value is the given one; a number may be given as text."""
    if given is None or isinstance(given, bool):
        return given is None or given is got
    if isinstance(got, bool):  # 1 is true for a switch, as a word of the command line too
        return bool((given in SWITCHED[got]) if isinstance(given, str) else given == got)
    if isinstance(given, str) and isinstance(got, int | float):
        try:
            return float(given) == got
        except ValueError:
            return False
    return bool(given == got)
