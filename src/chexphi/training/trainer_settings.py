"""The settings of a stage that trains: a recipe of ours, and TRL's, read without importing TRL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chexphi.config import parse as parse_fields
from chexphi.config.library_fields import Unknown, outline
from chexphi.ranges import Range
from chexphi.runs import processes

MODULES = {"SFTConfig": "trl.trainer.sft_config", "GRPOConfig": "trl.trainer.grpo_config"}
BY_MACHINE = dict.fromkeys(("bf16", "use_cpu"), Unknown.DEFAULT)
"""Settings whose default depends on whether there is a GPU: `trainer_config` knows it."""


def fields_of_trl(name: str) -> type:
    """A dataclass with the fields of `SFTConfig` or `GRPOConfig`.

    Raises:
        ModuleNotFoundError: If TRL is not installed.
    """
    return outline(MODULES[name], name)


def parse(
    argv: Sequence[str],
    recipe: type,
    trl: str,
    *,
    verb: str,
    defaults: Mapping[str, Any],
    number_ranges: Mapping[str, Range],
) -> tuple[Any, Any]:
    """Read a training recipe and TRL's settings; `--out` is the short name of TRL's `output_dir`.

    Args:
        argv: The words after the verb.
        recipe: Our dataclass.
        trl: `SFTConfig` or `GRPOConfig`.
        verb: Of the stage.
        defaults: Our values for fields of TRL's.
        number_ranges: The range of each setting that has one.

    Returns:
        The recipe, and TRL's settings as they were given; `trainer_config.make` makes TRL's config of them.

    Raises:
        InputError: For anything the user has to correct.
    """
    # `output_dir`: TRL's default folder has the same name for all runs
    ours, settings = parse_fields(
        argv,
        recipe,
        fields_of_trl(trl),
        prog=f"chexphi {verb}",
        defaults={"output_dir": "", **BY_MACHINE, **defaults},
        number_ranges=number_ranges,
    )
    settings.output_dir = str(ours.out or settings.output_dir)
    return ours, settings


def config(settings: Any, verb: str) -> Any:
    """TRL's config, made of the settings that were given; imports torch and TRL.

    Raises:
        InputError: For what TRL refuses, and for more processes than GPUs or cores.
    """
    from chexphi.training import trainer_config

    return trainer_config.make(settings, verb)


def shared_config(settings: Any, verb: str) -> Any:
    """TRL's config if several processes share a run: they meet when it is made, and then fail together.

    One process makes it once all else is checked: here it gets None.
    """
    return config(settings, verb) if processes.count() > 1 else None
