"""TRL's config, made of settings that were read and checked before torch and TRL were imported."""

from __future__ import annotations

from typing import Any

import torch
import trl
from transformers.integrations import unset_hf_deepspeed_config

from chexphi.config import check_choices
from chexphi.config.flags import cut
from chexphi.config.library_fields import Unknown
from chexphi.field_values import check_values, described_fields
from chexphi.runs import processes
from chexphi.schema import InputError, shown


@processes.fail_together()
def make(settings: Any, verb: str) -> Any:
    """TRL's config. Several processes meet here, so that later they fail together.

    Without a GPU the run uses fp32 on the CPU unless the settings say otherwise.

    Args:
        settings: TRL's settings as they were given, of a class with the name of TRL's.
        verb: Of the stage, for the message.

    Raises:
        InputError: For what TRL refuses, and for more processes than GPUs or cores.
    """
    processes.check(0 if settings.use_cpu is True else torch.cuda.device_count())
    has_gpu = torch.cuda.is_available()
    values = {"bf16": has_gpu, "use_cpu": not has_gpu}
    values |= {name: value for name, value in vars(settings).items() if value is not Unknown.DEFAULT}
    kind = getattr(trl, type(settings).__name__)
    source = f"chexphi {verb}"
    # a default that is a whole number stays one: config.yaml has 500, and not 500.0
    integers = {name: value for name, value in values.items() if type(value) is int}
    values = check_values(values, [kind], source) | integers
    check_choices(values, described_fields([kind]), source)
    try:
        return kind(**values)
    except InputError:
        raise
    except Exception as error:  # TRL checks its values in many ways
        unset_hf_deepspeed_config()  # of a refused setting: models of this process would be loaded for it
        raise InputError(f"{source}: {_sentence(error)}") from error


def _sentence(error: Exception) -> str:
    """A library's message about a setting, with the error's type where the text alone says little."""
    if isinstance(error, OSError) and error.filename:
        return f"{shown(error.filename)} cannot be read ({error.strerror}): correct the path"
    return cut(
        str(error) if isinstance(error, ValueError | ImportError) else f"{type(error).__name__}: {error}"
    )
