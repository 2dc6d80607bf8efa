"""The settings of `chexphi evaluate`."""

from __future__ import annotations

from dataclasses import dataclass, field

from chexphi.models.run_check import MODEL_RANGES, ModelFields
from chexphi.ranges import COUNT, COUNT_OR_NONE, SEED


@dataclass(frozen=True)
class EvaluateRecipe(ModelFields):
    """Answer every example and score it. As in the reward, no answer is right in a malformed completion.

    Figures without that gate, and with answers compared as meanings (clinical), are given too.
    """

    data: str | None = field(default=None, metadata={"help": "a folder of annotation files, or one file"})
    annotation_file: str | None = field(default=None, metadata={"help": "one file (the original's flag)"})
    image_root: str | None = field(
        default=None, metadata={"help": "folder of the images (default: beside the data)"}
    )
    img_root: str | None = field(
        default=None, metadata={"help": "the same as image_root (the original's flag)"}
    )
    out: str | None = field(default=None, metadata={"help": "run folder (default runs/<timestamp>_evaluate)"})
    limit: int | None = field(
        default=None, metadata={"help": "evaluate the first N examples of each file only"}
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
    extractor: str = field(
        default="lexicon", metadata={"help": "the extractor of graphs: lexicon, rexkg:FOLDER or radgraph"}
    )
    seed: int = field(default=0, metadata={"help": "seed of the intervals and of the samples"})


RANGES = MODEL_RANGES | {
    "batch_size": COUNT, "max_new_tokens": COUNT, "answer_samples": COUNT_OR_NONE, "seed": SEED,
}  # fmt: skip
