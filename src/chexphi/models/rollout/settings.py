"""The settings of rollouts. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from chexphi.ranges import Range, check_choices
from chexphi.schema import InputError

BY_NUMBERS, LIBRARY = "fixed", "library"
MOST_DRAFTS = 32
RANGES = {"draft_tokens": Range(0, MOST_DRAFTS), "draft_slots": Range(256, 1 << 24)}


@dataclass(frozen=True)
class RolloutFields:
    """How completions are sampled."""

    HEADING: ClassVar[str] = "Rollouts"
    sampling: str = field(
        default=BY_NUMBERS,
        metadata={
            "help": "fixed: a sample depends on the seed, its row and its prompt alone, and drafts save "
            "forwards; library: from torch's stream of random numbers, one token a forward"
        },
    )
    draft_tokens: int | None = field(
        default=None,
        metadata={
            "help": f"most tokens a row that a forward verifies beside its own, up to {MOST_DRAFTS}; they "
            "change no sample (default: 4 on a CPU, 8 on a GPU; 0: none)"
        },
    )
    draft_slots: int = field(
        default=1 << 16,
        metadata={"help": "contexts that the table of drafts remembers, a power of 2 (24 bytes each)"},
    )
    record_steps: bool = field(
        default=False,
        metadata={
            "help": "record the steps of sampling as CUDA graphs (on a GPU only; not yet run on one); keys "
            "and values then keep their memory between calls"
        },
    )


def check(fields: RolloutFields, source: str, *, use_vllm: bool = False) -> None:
    """Refuse settings of rollouts that do not fit; ranges are checked before.

    Args:
        fields: The settings.
        source: Begins the message.
        use_vllm: Whether vLLM samples.

    Raises:
        InputError: For the first of them.
    """
    check_choices(source, vars(fields), {"sampling": (BY_NUMBERS, LIBRARY)})
    if fields.draft_slots & (fields.draft_slots - 1):
        raise InputError(f"{source}: draft_slots is {fields.draft_slots}: give a power of 2, such as 65536")
    if fields.sampling == LIBRARY and fields.draft_tokens:
        raise InputError(
            f"{source}: draft_tokens is {fields.draft_tokens}, and with sampling {LIBRARY} there are no "
            "drafts: leave one of them out"
        )
    if fields.record_steps and (use_vllm or fields.sampling == LIBRARY):
        sampler = "use_vllm" if use_vllm else f"sampling {LIBRARY}"
        raise InputError(
            f"{source}: record_steps is true, and with {sampler} there are no steps of ours: leave one of "
            "them out"
        )


def check_device(fields: RolloutFields, source: str, *, has_gpu: bool) -> None:
    """Refuse to record steps where there is no GPU.

    Args:
        fields: The settings.
        source: Begins the message.
        has_gpu: Whether the run uses one.

    Raises:
        InputError: If they should be recorded and cannot.
    """
    if fields.record_steps and not has_gpu:
        raise InputError(
            f"{source}: record_steps is true, and only steps on a GPU can be recorded, which this run does "
            "not use: leave it out"
        )
