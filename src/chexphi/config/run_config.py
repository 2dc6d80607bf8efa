"""The `config.yaml` of a run as settings of another run: `--config RUN/config.yaml`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

OF_ONE_START = ("resume", "overwrite")
"""Settings that said what to do with the folder then."""
MASKED = re.compile(r"<[A-Z_]*TOKEN>")
"""What transformers writes in place of a password."""


def is_of_run(values: Mapping[str, Any]) -> bool:
    """Whether these are all settings of a run that trains: TRL's are below `trainer`."""
    return isinstance(values.get("trainer"), dict)


def as_given(values: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a run as flat keys, without what belongs to its start alone.

    TRL computes one of `generation_batch_size` and `steps_per_generation` from the other, and takes only one.
    A folder is not used twice: name another with `--out`, or go on with `--resume`.

    >>> as_given({"model": "m", "overwrite": True, "trainer": {"beta": 0.1, "hub_token": "<HUB_TOKEN>"}})
    {'model': 'm', 'beta': 0.1}
    """
    trainer = dict(values["trainer"])
    if trainer.get("steps_per_generation") is not None:
        trainer.pop("generation_batch_size", None)
    flat = {**values, **trainer}
    return {
        key: value
        for key, value in flat.items()
        if key not in ("trainer", *OF_ONE_START) and not (isinstance(value, str) and MASKED.fullmatch(value))
    }
