"""The records that travel between the stages. Standard library only."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from typing import Any, Literal, TypeGuard

Kind = Literal["basic", "region", "compare"]
KINDS: tuple[Kind, ...] = ("basic", "region", "compare")


class InputError(ValueError):
    """Bad input from the user: one sentence that says what, where, which value and what to do.

    The command line prints it without a traceback and exits with code 2.
    """


class NotFiniteError(FloatingPointError):
    """A loss, reward or weight is NaN or infinite: one sentence that says which one, and at which step.

    Training stops. The command line prints it without a traceback and exits with code 1.
    """


MAX_SHOWN = 80
"""Characters of a value that a message shows: a longer value may be the text of a report."""


def shown(value: Any) -> str:
    """A value as messages show it; of a long one they give only the length."""
    if isinstance(value, str | bytes) and len(value) > MAX_SHOWN:
        return f"a text of {len(value)} characters"
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer of thousands of digits; lists within lists
        return f"{type_shown(value)} too large to show"
    return text if len(text) <= MAX_SHOWN else f"{type_shown(value)} of {len(text)} characters"


def word_shown(value: str) -> str:
    """A word as messages show it if it has only letters: anything else may be a text or a patient.

    >>> word_shown("compair"), word_shown("p10003412"), word_shown("Is the heart large?")
    ("'compair'", 'a text of 9 characters', 'a text of 19 characters')
    """
    return repr(value) if re.fullmatch(r"[a-zA-Z_-]{0,20}", value) else f"a text of {len(value)} characters"


def type_shown(value: Any) -> str:
    """The type of a value as messages name it: in the words of JSON, without the value.

    >>> type_shown([1]), type_shown(None), type_shown(True)
    ('a list', 'null', 'true or false')
    """
    if value is None or isinstance(value, bool):
        return "null" if value is None else "true or false"
    words = {int: "a number", float: "a number", str: "a text", list: "a list", tuple: "a list"}
    words |= {dict: "an object", bytes: "bytes"}
    return next(
        (word for kind, word in words.items() if isinstance(value, kind)), f"a {type(value).__name__}"
    )


_CONTROL = {code: " " for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


def visible(text: str) -> str:
    """The text with a blank for each control character, so that none reaches a terminal or a page."""
    return text.translate(_CONTROL)


def is_text(value: Any) -> TypeGuard[str]:
    """Whether a value is a text that UTF-8 can store: half of a surrogate pair cannot be stored.

    >>> is_text("clear"), is_text(chr(0xD800)), is_text(7)
    (True, False, False)
    """
    if not isinstance(value, str):
        return False
    try:
        return value.isascii() or bool(value.encode())
    except UnicodeEncodeError:
        return False


@dataclass(frozen=True, slots=True)
class Example:
    """One question about zero, one or two films, with its reference reasoning and answer."""

    id: str
    """Unique within a dataset."""
    images: tuple[str, ...]
    """Paths relative to the image root, or `data:` URIs; prior film first, current film last."""
    question: str
    answer: tuple[str, ...]
    """Every label of the reference answer; order carries no meaning."""
    explanation: str = ""
    """`<think>…</think><answer>…</answer>`."""
    kind: Kind = "basic"
    semantic_type: str = ""
    """What the question asks for: verify, choose or query."""
    question_type: str = ""
    """What it is about: presence, location, view, …"""
    answer_type: str = ""
    """closed or open."""
    subject_id: str = ""
    """The patient: intervals are clustered by it, and no patient is in two splits."""
    study_id: str = ""
    split: str = ""
    scene: tuple[dict[str, Any], ...] | None = None
    """What is really on each film (drawn films only), in the order of `images`."""
    graph: dict[str, Any] | None = None
    """The exact graph of the explanation's reasoning, if known: `Graph.to_dict()`."""

    def to_dict(self) -> dict[str, Any]:
        """The record as written to disk; empty optional fields are left out."""
        row = dataclasses.asdict(self)
        row["images"], row["answer"] = list(self.images), list(self.answer)
        if self.scene is not None:
            row["scene"] = list(self.scene)
        return {key: value for key, value in row.items() if value is not None and value != ""}


@dataclass(frozen=True, slots=True)
class Completion:
    """One sampled completion with its rewards, as written to `completions.jsonl`."""

    step: int
    id: str
    prompt: str
    completion: str
    token_ids: tuple[int, ...]
    """The sampled ids with the end token and without padding; they are never made from the text again."""
    raw_completion_tokens: tuple[str, ...]
    per_token_logps: tuple[float, ...]
    """Log-probabilities of the sampled ids under the policy at temperature 1, in fp32."""
    rewards: dict[str, float | None]
    total: float
    advantage: float
    truncated: bool
    """True if the completion hit the length limit without an end token."""
    opened_think: bool = False
    """True if the prompt ended in an open `<think>`, so that the completion begins inside the reasoning."""
    kept: bool = True
    """False if dynamic sampling left the completion's group out of training. If the group was not even in the
    batch, no pass of the policy read it and `per_token_logps` is empty."""
    schema: int = 1

    def to_dict(self) -> dict[str, Any]:
        row = {entry.name: getattr(self, entry.name) for entry in dataclasses.fields(self)}
        return {"schema": row.pop("schema"), **row}


@dataclass(frozen=True, slots=True)
class Prediction:
    """One evaluated example, as written to `predictions.jsonl`."""

    id: str
    image_ids: tuple[str, ...]
    question: str
    answer: tuple[str, ...]
    explanation: str
    generated_text: str
    is_correct: bool
    """Strict: the answer of a well-formed completion equals the reference as a set of labels."""
    correct_substring: bool
    """The original's metric: any label occurs anywhere in the response."""
    parse_status: str
    opened_think: bool = False
    """True if the prompt ended in an open `<think>`, so that the completion begins inside the reasoning."""
    correct_clinical: bool | None = None
    """Whether the answer of a well-formed completion has the reference's meaning; None in older files."""
    correct_no_format_gate: bool | None = None
    """Whether the answer equals the reference, also in a malformed completion whose answer can be read."""
    image_paths: tuple[str, ...] = ()
    generated_tokens: tuple[str, ...] = ()
    token_ids: tuple[int, ...] = ()
    token_logprobs: tuple[float, ...] = ()
    token_probabilities: tuple[float, ...] = ()
    graph_reference: dict[str, Any] | None = None
    graph_predicted: dict[str, Any] | None = None
    kind: str = ""
    """This and the fields below are keys of `extra` in the file."""
    question_type: str = ""
    semantic_type: str = ""
    subject_id: str | int = ""
    """The patient; intervals are clustered by it."""
    predicted_answer: str | None = None
    """The answer as the policy wrote it; None where none can be read."""
    reasoning_words: int | None = None
    """Length of the reasoning; None in files that are older than it."""
    scene_counts: tuple[int, ...] | None = None
    """True positives, false positives and false negatives against the film itself (drawn films only)."""
    clinical: dict[str, float] | None = None
    """What `graph.clinical.sums.figures_of` gives: findings by their significance; None in older files."""
    consistency: str | None = None
    """Whether the reasoning `entails` the answer, `contradicts` it or is `silent`; None if malformed, or if
    nothing can be read."""
    answer_probabilities: dict[str, float] | None = None
    """Probability of each answer to a question that has two (`evaluate --answer_samples`)."""
    present_findings: dict[str, list[str]] | None = None
    """Names of the findings that are present by the `reference` and by the `predicted` reasoning, each once;
    None where the reference has no findings, and in older files."""
    film_control: str | None = None
    """What was shown in place of the film (`evaluate --controls`); None for the film itself."""
    extra: dict[str, Any] = field(default_factory=dict)
    """What else the file has."""

    def to_dict(self) -> dict[str, Any]:
        """The record as written to disk, with the fields of `PREDICTION_EXTRA` inside `extra`."""
        row = dataclasses.asdict(self)
        in_extra = {name: row.pop(name) for name in PREDICTION_EXTRA}
        for name in ("scene_counts", "clinical", "answer_probabilities", "present_findings", "film_control"):
            if in_extra[name] is None:
                del in_extra[name]
        return row | {"extra": in_extra | self.extra}


PREDICTION_EXTRA = (
    "kind", "question_type", "semantic_type", "subject_id", "predicted_answer", "reasoning_words",
    "consistency", "scene_counts", "clinical", "answer_probabilities",
    "present_findings", "film_control",
)  # fmt: skip
"""Fields of a `Prediction` that are keys of `extra` in `predictions.jsonl`, in the order they are written."""


KEYS = frozenset(
    (
        *(entry.name for record in (Example, Completion, Prediction) for entry in dataclasses.fields(record)),
        *("image", "image_id", "image_ids", "image_path", "messages", "solution", "role", "content", "text"),
        *("data", "rows", "train", "validation", "test", "questions", "annotations", "examples"),
        *("bytes", "path", "url"),
    )
)
"""Keys that messages name: in a table by patient, another key may be a patient."""


def key_shown(key: str, number: int) -> str:
    """A key as messages show it: one of our names, else only its number among the keys, from 1.

    >>> key_shown("answer", 3), key_shown("p10003412", 3)
    ("the key 'answer'", 'the key number 3')
    """
    return f"the key {key!r}" if key in KEYS else f"the key number {number}"
