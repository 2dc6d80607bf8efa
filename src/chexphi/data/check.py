"""What is in a dataset and what is wrong with it: `chexphi data check FILE`."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from chexphi import answers, prompts
from chexphi.data import film_looks
from chexphi.data.cells import Repairs
from chexphi.data.film_looks import FilmLook
from chexphi.data.importers import publish
from chexphi.data.read import annotation_files, examples_or_errors, image_errors, image_root_of
from chexphi.schema import Example, InputError

MAX_PROBLEMS = 20
"""Problems that are spelled out; all are counted."""
MAX_NAMES = 50
"""Names of a field that are counted apart, the most frequent ones; our choice."""


def check(
    path: Path | str,
    *,
    image_root: Path | str | None = None,
    limit: int | None = None,
    max_problems: int = MAX_PROBLEMS,
    pay: Callable[[Sequence[Example]], dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Read a dataset to its end, whatever is wrong with single rows.

    Args:
        path: A dataset file, or a folder of them.
        image_root: Folder of the images; see `read.image_root_of`.
        limit: Read the first rows of each file only.
        max_problems: How many problems are spelled out.
        pay: What rewards say of the examples, if that is asked for; see `offline_scores.pay_of_references`.

    Returns:
        `problems` (sentences; the dataset is unusable), `problem_count`, `warnings` (sentences; usable,
        but look at it) and figures: `rows`, `patients`, `rows_without_patient`, `images`, `bad_images`,
        `image_root`, `kinds`, `question_types`, `answer_types`, `splits`, `films_per_question`,
        `explanations` (by parse status, or `none`), `with_graph`, `with_scene`, `majority`; with `pay`
        also `rewards`.

    Raises:
        InputError: If a file is missing or broken as a whole.
    """
    path = Path(path)
    root = image_root_of(path, image_root)
    placed: list[tuple[str, Example]] = []
    errors: list[InputError] = []
    repairs = Repairs()
    for file in annotation_files(path) if path.is_dir() else [path]:
        for where, found in examples_or_errors(file, root, limit=limit, repairs=repairs):
            if isinstance(found, InputError):
                errors.append(found)
            else:
                placed.append((where, found))
    looks: dict[str, FilmLook] = {}
    bad_images = list(
        image_errors(placed, root, look=lambda ref, film: looks.update({ref: film_looks.measure_look(film)}))
    )
    errors += bad_images
    if not placed and not errors:
        errors.append(InputError(f"dataset {path} is empty: give a file with at least one row"))
    examples = [example for _, example in placed]
    explanations = _parsed(examples)
    earned = pay(examples) if pay else None
    return {
        "file": str(path),
        "image_root": str(root),
        **figures(examples, explanations),
        "bad_images": len(bad_images),
        "problem_count": len(errors),
        "problems": [str(error) for error in errors[:max_problems]],
        "warnings": [
            *warnings(examples, explanations),
            *film_looks.film_warnings(looks),
            *repairs.sentences(),
            *(reward_warnings(earned) if earned else ()),
        ],
        **({"rewards": earned} if earned else {}),
    }


def figures(examples: Sequence[Example], explanations: Sequence[prompts.Parsed | None]) -> dict[str, Any]:
    """Counts over valid rows; no id, no text of a report."""
    return {
        "rows": len(examples),
        "patients": len({example.subject_id for example in examples if example.subject_id}),
        "rows_without_patient": sum(not example.subject_id for example in examples),
        "images": len({ref for example in examples for ref in example.images}),
        "kinds": _counts(example.kind for example in examples),
        "question_types": _counts(example.question_type or "none" for example in examples),
        "answer_types": _counts(example.answer_type or "none" for example in examples),
        "splits": _counts(example.split or "none" for example in examples),
        "films_per_question": _counts(str(len(example.images)) for example in examples),
        "explanations": _counts(map(_status, explanations)),
        "with_graph": sum(example.graph is not None for example in examples),
        "with_scene": sum(example.scene is not None for example in examples),
        "majority": publish.majorities(examples),
    }


def _counts(values: Any) -> dict[str, int]:
    return dict(Counter(map(publish.shown_name, values)).most_common(MAX_NAMES))


def _parsed(examples: Sequence[Example]) -> list[prompts.Parsed | None]:
    """The explanation of each row as a completion; None where there is none."""
    return [prompts.parse(example.explanation) if example.explanation else None for example in examples]


def _status(parsed: prompts.Parsed | None) -> str:
    return parsed.status.value if parsed else "none"


def _contradicts(example: Example, parsed: prompts.Parsed | None) -> bool:
    """Whether the explanation ends in another answer than the row: its own text would earn no reward."""
    if parsed is None or parsed.answer is None:
        return False
    return answers.score(parsed.answer, example.answer) < 1


def warnings(examples: Sequence[Example], explanations: Sequence[prompts.Parsed | None]) -> list[str]:
    """What does not stop a run but is seldom meant."""
    found = []
    statuses = Counter(map(_status, explanations))
    for status, count in sorted(statuses.items()):
        if status not in ("ok", "none"):
            found.append(f"{count} explanations are malformed ({status}): SFT would teach that form")
    if statuses["none"]:
        found.append(f"{statuses['none']} rows have no explanation: SFT and the graph reward need one")
    contradictions = sum(map(_contradicts, examples, explanations))
    if contradictions:
        found.append(f"{contradictions} explanations end in another answer than their row")
    odd = sum(example.kind == "compare" and len(example.images) != 2 for example in examples)
    if odd:
        found.append(f"{odd} compare questions do not have two films")
    splits: dict[str, set[str]] = defaultdict(set)
    for example in examples:
        if example.subject_id:
            splits[example.subject_id].add(example.split)
    shared = sum(len(names) > 1 for names in splits.values())
    if shared:
        found.append(f"{shared} patients are in more than one split")
    return found


def reward_warnings(earned: dict[str, Any]) -> list[str]:
    """Rows whose reference a policy would not be paid for, or garbage would."""
    found = []
    for key, words in (
        ("below", "their own explanation earns less than it could"),
        ("above", "garbage earns something"),
    ):
        if ids := earned[key]:
            first = ", ".join(map(publish.shown_name, ids[:3]))
            found.append(f"{len(ids)} of {earned['rows']} rows: {words} (first: {first})")
    for name, count in sorted(earned["unscorable"].items()):
        found.append(f"{count} of {earned['rows']} rows cannot be scored by {name}")
    return found
