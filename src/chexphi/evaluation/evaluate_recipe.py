"""The settings of `chexphi evaluate`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from chexphi.evaluation.film_controls.names import CONTROLS_HELP
from chexphi.models.run_check import MODEL_RANGES, DataFields, ModelFields
from chexphi.ranges import COUNT, COUNT_OR_NONE, SEED
from chexphi.rewards.rules import EXTRACTOR_HELP, ONTOLOGY_HELP


@dataclass(frozen=True)
class OriginalDataFields:
    """The original's names of `data`, for one file, and of `image_root`."""

    HEADING: ClassVar[str] = DataFields.HEADING
    annotation_file: str | None = field(default=None, metadata={"help": "one file (the original's flag)"})
    img_root: str | None = field(
        default=None, metadata={"help": "the same as image_root (the original's flag)"}
    )


@dataclass(frozen=True)
class EvaluateRecipe(OriginalDataFields, ModelFields):
    """Answer every example and score it. As in the reward, no answer is right in a malformed completion.

    Figures without that gate, and with answers compared as meanings (clinical), are given too.
    """

    HEADING: ClassVar[str] = "Answers and scores"
    data: str = field(
        default="",
        metadata={"help": "a folder of annotation files, or one file", "required": "annotation_file"},
    )
    batch_size: int = field(default=32, metadata={"help": "questions a batch"})
    max_new_tokens: int = field(default=256, metadata={"help": "longest completion in tokens"})
    tokens: bool = field(
        default=False, metadata={"help": "write each token's log-probability and probability"}
    )
    answer_samples: int = field(
        default=0,
        metadata={
            "help": "samples of reasoning for the probability of each answer to a question with two (0: none)"
        },
    )
    controls: str = field(default="", metadata={"help": CONTROLS_HELP})
    extractor: str = field(default="lexicon", metadata={"help": EXTRACTOR_HELP})
    ontology: str = field(default="", metadata={"help": ONTOLOGY_HELP})
    seed: int = field(default=0, metadata={"help": "seed of the intervals and of the samples"})


RANGES = MODEL_RANGES | {
    "batch_size": COUNT, "max_new_tokens": COUNT, "answer_samples": COUNT_OR_NONE, "seed": SEED,
}  # fmt: skip
