"""What is in a dataset and what is wrong with it: `chexphi data check FILE`."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PIL.Image import Image

from chexphi import answers, prompts
from chexphi.data import film_looks
from chexphi.data.cells import Repairs
from chexphi.data.film_looks import FilmLook
from chexphi.data.importers import publish
from chexphi.data.read import annotation_files, examples_or_errors, image_errors, image_root_of
from chexphi.number_text import count_text, counted, figure_text
from chexphi.schema import Example, InputError

MAX_PROBLEMS = 20
"""Problems that are written out; all are counted."""
MAX_NAMES = 50
"""Values of a field that figures list, the most frequent ones; our choice."""
MAX_NAMES_IN_LINE = 8
"""Question types that the line on the terminal names; `--json` has more of them."""


def check(
    path: Path | str,
    *,
    image_root: Path | str | None = None,
    limit: int | None = None,
    max_problems: int = MAX_PROBLEMS,
    pay: Callable[[Sequence[Example]], dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Read a dataset to its end, even if single rows are invalid.

    Args:
        path: A dataset file, or a folder of them.
        image_root: Folder of the images; see `read.image_root_of`.
        limit: Read the first rows of each file only.
        max_problems: How many problems are written out.
        pay: Computes what rewards pay for the examples; see `offline_scores.pay_of_references`.

    Returns:
        `problems` (sentences; the dataset cannot be used), `problem_count`, `warnings` (sentences; it can be
        used, but look at it) and figures: `rows`, `patients`, `rows_without_patient`, `images`, `bad_images`,
        `image_root`, `kinds`, `question_types`, `answer_types`, `splits`, `films_per_question`,
        `explanations` (by parse status, or `none`), `with_graph`, `with_scene`, `majority`; with `pay`
        also `rewards`.

    Raises:
        InputError: If a file is missing or broken as a whole.
    """
    path = Path(path)
    root = image_root_of(path, image_root)
    located, errors, repair_warnings = _read_rows(path, root, limit)
    looks, image_problems = _measure_films(located, root)
    errors += image_problems
    if not located and not errors:
        errors.append(InputError(f"dataset {path} is empty: give a file with at least one row"))
    examples = [example for _, example in located]
    explanations = _parse_explanations(examples)
    earned = pay(examples) if pay else None
    return {
        "file": str(path),
        "image_root": str(root),
        **figures(examples, explanations),
        "bad_images": len(image_problems),
        "problem_count": len(errors),
        "problems": [str(error) for error in errors[:max_problems]],
        "warnings": [
            *warnings(examples, explanations),
            *film_looks.film_warnings(looks),
            *repair_warnings,
            *(reward_warnings(earned) if earned else ()),
        ],
        **({"rewards": earned} if earned else {}),
    }


def _read_rows(
    path: Path, root: Path, limit: int | None
) -> tuple[list[tuple[str, Example]], list[InputError], list[str]]:
    """The valid examples with their locations, the errors of other rows, and warnings about repairs."""
    located: list[tuple[str, Example]] = []
    errors: list[InputError] = []
    repairs = Repairs()
    for file in annotation_files(path) if path.is_dir() else [path]:
        for location, example in examples_or_errors(file, root, limit=limit, repairs=repairs):
            if isinstance(example, InputError):
                errors.append(example)
            else:
                located.append((location, example))
    return located, errors, repairs.sentences()


def _measure_films(
    located: Sequence[tuple[str, Example]], root: Path
) -> tuple[dict[str, FilmLook], list[InputError]]:
    """The look of each sound film by reference, and the errors of the others."""
    looks: dict[str, FilmLook] = {}

    def measure(ref: str, film: Image) -> None:
        looks[ref] = film_looks.measure_look(film)

    return looks, list(image_errors(located, root, on_film=measure))


def figures(examples: Sequence[Example], explanations: Sequence[prompts.Parsed | None]) -> dict[str, Any]:
    """Counts over valid rows, without ids and texts of reports."""
    return {
        "rows": len(examples),
        "patients": len({example.subject_id for example in examples if example.subject_id}),
        "rows_without_patient": sum(not example.subject_id for example in examples),
        "images": len({ref for example in examples for ref in example.images}),
        "kinds": _count_values(example.kind for example in examples),
        "question_types": _count_values(example.question_type or "none" for example in examples),
        "answer_types": _count_values(example.answer_type or "none" for example in examples),
        "splits": _count_values(example.split or "none" for example in examples),
        "films_per_question": _count_values(str(len(example.images)) for example in examples),
        "explanations": _count_values(map(_status_of, explanations)),
        "with_graph": sum(example.graph is not None for example in examples),
        "with_scene": sum(example.scene is not None for example in examples),
        "majority": publish.majorities(examples),
    }


def _count_values(values: Any) -> dict[str, int]:
    return dict(Counter(map(publish.shown_name, values)).most_common(MAX_NAMES))


def _parse_explanations(examples: Sequence[Example]) -> list[prompts.Parsed | None]:
    """The explanation of each row, parsed like a completion; None where there is none."""
    return [prompts.parse(example.explanation) if example.explanation else None for example in examples]


def _status_of(parsed: prompts.Parsed | None) -> str:
    return parsed.status.value if parsed else "none"


def _contradicts(example: Example, parsed: prompts.Parsed | None) -> bool:
    """Whether the explanation ends in another answer than the row's: it would earn no reward itself."""
    if parsed is None or parsed.answer is None:
        return False
    return answers.score(parsed.answer, example.answer) < 1


def warnings(examples: Sequence[Example], explanations: Sequence[prompts.Parsed | None]) -> list[str]:
    """Sentences about what does not stop a run, but is probably a mistake."""
    statuses = Counter(map(_status_of, explanations))
    sentences = [
        f"{counted(count, 'explanation')} malformed ({status}): SFT would teach that form"
        for status, count in sorted(statuses.items())
        if status not in ("ok", "none")
    ]
    contradictions = sum(map(_contradicts, examples, explanations))
    without_pair = sum(example.kind == "compare" and len(example.images) != 2 for example in examples)
    splits_of_patient: dict[str, set[str]] = defaultdict(set)
    for example in examples:
        if example.subject_id:
            splits_of_patient[example.subject_id].add(example.split)
    leaks = sum(len(splits) > 1 for splits in splits_of_patient.values())
    for count, words in (
        (statuses["none"], "rows have no explanation: SFT and the graph reward need one"),
        (contradictions, "explanations end in another answer than their row"),
        (without_pair, "compare questions do not have two films"),
        (leaks, "patients are in more than one split"),
    ):
        if count:
            sentences.append(f"{count} {words}")
    return sentences


def reward_warnings(earned: dict[str, Any]) -> list[str]:
    """Sentences about rows whose reference earns too little or garbage something, or that have no score."""
    sentences = []
    for key, words in (
        ("below", "their own explanation earns less than it could"),
        ("above", "garbage earns something"),
    ):
        if ids := earned[key]:
            id_examples = ", ".join(map(publish.shown_name, ids[:3]))
            sentences.append(
                f"{len(ids)} of {counted(earned['rows'], 'row')}: {words} (first: {id_examples})"
            )
    for name, count in sorted(earned["unscorable"].items()):
        sentences.append(f"cannot be scored by {name}: {count} of {counted(earned['rows'], 'row')}")
    return sentences


def terminal_lines(figures: dict[str, Any]) -> dict[str, Any]:
    """The figures of `check` for people: one short value for each line, in the order of the figures.

    Counts of graphs and scenes are left out where there are none. Problems and warnings are sentences, and
    not among the lines.
    """
    bad_images, without = figures["bad_images"], figures["rows_without_patient"]
    lines = {
        "file": figures["file"],
        "films are in": figures["image_root"],
        "rows": count_text(figures["rows"]),
        "patients": count_text(figures["patients"])
        + (f", and {counted(without, 'row')} without a patient" if without else ""),
        "films": count_text(figures["images"])
        + (f", of which {count_text(bad_images)} cannot be used" if bad_images else ", all can be read"),
    }
    for name, key in (("rows with a graph", "with_graph"), ("rows with a scene", "with_scene")):
        lines |= {name: count_text(figures[key])} if figures[key] else {}
    lines["problems"] = count_text(figures["problem_count"]) if figures["problem_count"] else "none"
    counts = list(figures["question_types"].items())
    named = [f"{name} {count_text(count)}" for name, count in counts[:MAX_NAMES_IN_LINE]]
    if len(counts) > MAX_NAMES_IN_LINE:
        named.append(f"{len(counts) - MAX_NAMES_IN_LINE} more (see --json)")
    if named:
        lines["question types"] = ", ".join(named)
        accuracy = figures["majority"]["all"]["accuracy"]
        lines["right without looking"] = (
            f"{figure_text(accuracy)} of the rows, by the most frequent answer of each question type"
        )
    if "rewards" in figures:
        lines["rewards"] = _rewards_line(figures["rewards"])
    return lines


def _rewards_line(earned: dict[str, Any]) -> str:
    """What references and garbage earn, and how many rows earn too little or too much."""
    gold = "nothing that can be scored" if earned["gold"] is None else figure_text(earned["gold"])
    below, above = (count_text(len(earned[key])) if earned[key] else "no row" for key in ("below", "above"))
    return (
        f"gold earns {gold} and garbage {figure_text(earned['garbage'])}, means of "
        f"{counted(earned['rows'], 'row')}; gold earns too little in {below}, garbage something in {above}"
    )
