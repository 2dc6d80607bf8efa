"""The last step of every importer: check, write, link the images, and report what was written."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from chexphi import atomic
from chexphi.data.forms import FORMS, check_form, write_files
from chexphi.data.images import check_image
from chexphi.data.read import check_limit, image_errors, image_root_of
from chexphi.data.references import is_film
from chexphi.schema import Example, InputError, shown

OTHER_FORMS = (".csv", ".tsv", ".ndjson", ".txt", ".xlsx", ".arrow", ".gz")
"""Endings of tables that are not written; a name with one of them is hardly meant as a folder."""
MAX_LISTED = 10
"""Names that a message lists."""
MAX_NAME = 60
"""Longest name or label that figures show, in characters; our choice."""


def by_split(
    out: Path, examples: Sequence[Example], *, split: str | None = None
) -> dict[Path, list[Example]]:
    """Which file gets which example.

    Args:
        out: A file name (for all examples) or a folder (for a `<split>.json` each).
        examples: All examples, with their `split`.
        split: Keep this split only.

    Raises:
        InputError: If no example is of that split.
    """
    splits = sorted({example.split for example in examples})
    if split is not None and split not in splits:
        raise InputError(f"there is no split {shown(split)}: use one of {_listed(splits)}")
    examples_of_split = [example for example in examples if split in (None, example.split)]
    if out.suffix.lower() in FORMS:
        return {out: examples_of_split}
    files: dict[Path, list[Example]] = defaultdict(list)
    for example in examples_of_split:
        files[out / f"{example.split or 'all'}.json"].append(example)
    return dict(files)


def _listed(names: Sequence[str]) -> str:
    """Names as messages list them: the first few, long ones replaced."""
    return ", ".join(map(shown_name, names[:MAX_LISTED])) + ", …" * (len(names) > MAX_LISTED)


def first_of_each_split(examples: Sequence[Example], limit: int | None) -> list[Example]:
    """The first `limit` examples of each split.

    Raises:
        InputError: If `limit` is below 1.
    """
    check_limit(limit)
    counts: Counter[str] = Counter()
    limited_examples = []
    for example in examples:
        counts[example.split] += 1
        if limit is None or counts[example.split] <= limit:
            limited_examples.append(example)
    return limited_examples


def without_missing_films(examples: Sequence[Example], image_root: Path) -> list[Example]:
    """The examples whose films are all under the image root."""
    is_available = {ref: is_film(ref, image_root) for example in examples for ref in example.images}
    return [example for example in examples if all(is_available[ref] for ref in example.images)]


def _refuse_missing(located: Sequence[tuple[str, Example]], image_root: Path) -> None:
    first_location = {ref: location for location, example in reversed(located) for ref in example.images}
    missing = [ref for ref in first_location if not is_film(ref, image_root)]
    if missing:
        try:
            check_image(missing[0], image_root)
        except InputError as error:
            raise InputError(
                f"{first_location[missing[0]]}: {error};"
                f" {len(missing)} of {len(first_location)} films are missing, and --missing-films skip leaves"
                " their rows out"
            ) from None


def check_not_source(source: Path, out: Path) -> None:
    """Refuse to write to the files that are read: the source's rows would be lost.

    Raises:
        InputError: If the output is the source, or a folder that holds it.
    """
    source_path = source.resolve()
    out_path = out.resolve()
    inside = out.suffix.lower() not in FORMS and source_path.is_file() and out_path in source_path.parents
    if source_path == out_path or inside:
        raise InputError(f"{out} holds the source {source}: choose another --out")


def check_output(out: Path, *, overwrite: bool) -> None:
    """Refuse a file or folder that could not be written, before anything is read; nothing is changed.

    Raises:
        InputError: If it is not empty and may not be replaced, cannot be written, or has the ending of a
            table of another form.
    """
    if out.is_dir() and out.suffix.lower() not in FORMS:
        if any(out.iterdir()) and not overwrite:
            raise InputError(f"output {out} exists: replace it with --overwrite or choose another --out")
        atomic.check_place(out)
        return
    if out.suffix.lower() in FORMS:
        check_form(out)
    elif out.suffix.lower() in OTHER_FORMS or out.exists():
        raise InputError(
            f"output {out} has an unknown form: end its name in {', '.join(FORMS)}, or name a folder"
        )
    atomic.check_file(out, overwrite=overwrite)


def publish(files: Mapping[Path, Sequence[Example]], image_root: Path) -> dict[str, Any]:
    """Check every film, then write the files; nothing is written if a film is bad. No image is copied.

    A link `images` to the image root is made beside the files where there is none, so that no later command
    needs `--image_root`.

    Returns:
        `files` (name: rows), `rows`, `patients`, `images`, `image_root`, `image_root_needed` (True if
        the link could not be made: then give `--image_root`) and `majority` (see `majorities`).

    Raises:
        InputError: If there is nothing to write, for the first bad film, or if a file cannot be written.
    """
    located = [
        (f"example {shown(example.id)}", example) for examples in files.values() for example in examples
    ]
    if not located:
        raise InputError(f"nothing to import: {image_root} has no usable rows")
    _refuse_missing(located, image_root)
    for error in image_errors(located, image_root):
        raise error
    write_files({path: [example.to_dict() for example in rows] for path, rows in files.items()})
    examples = [example for _, example in located]
    return {
        "files": {str(path): len(rows) for path, rows in files.items()},
        "rows": len(examples),
        "patients": len({example.subject_id for example in examples}),
        "images": len({ref for example in examples for ref in example.images}),
        "image_root": str(image_root.resolve()),
        "image_root_needed": not _link(files, image_root),
        "majority": {str(path): majorities(rows) for path, rows in files.items()},
    }


def _link(files: Mapping[Path, Sequence[Example]], image_root: Path) -> bool:
    """Link `images` in the folder of the files where needed; returns whether the image root is found now."""
    folder = Path(os.path.commonpath([path.parent.absolute() for path in files]))
    link = folder / "images"
    target = image_root.resolve()
    if all(image_root_of(path).resolve() == target for path in files):
        return True
    if not os.path.lexists(link):
        try:
            link.symlink_to(target, target_is_directory=True)
        except OSError:
            return False
    return all(image_root_of(path).resolve() == target for path in files)


def majorities(
    examples: Sequence[Example], train: Sequence[Example] | None = None
) -> dict[str, dict[str, Any]]:
    """What a policy earns that gives each question type its most frequent answer and never looks at a film.

    Args:
        examples: The examples to answer.
        train: Where the most frequent answer is counted; by default `examples` themselves.

    Returns:
        For each question type, and for `all`: `rows`, `accuracy` and (types only) `answer`.
    """
    answers: dict[str, Counter[tuple[str, ...]]] = defaultdict(Counter)
    for example in examples if train is None else train:
        answers[example.question_type][_answer_key(example)] += 1
    majority = {name: min(counts, key=lambda key: (-counts[key], key)) for name, counts in answers.items()}
    groups: dict[str, list[bool]] = defaultdict(list)
    for example in examples:
        groups[example.question_type].append(_answer_key(example) == majority.get(example.question_type))
    right = [hit for hits in groups.values() for hit in hits]
    figures: dict[str, dict[str, Any]] = {
        "all": {"rows": len(right), "accuracy": sum(right) / max(1, len(right))}
    }
    for name, hits in sorted(groups.items()):
        answer = shown_name(", ".join(majority.get(name, ())))
        figures[shown_name(name)] = {"rows": len(hits), "accuracy": sum(hits) / len(hits), "answer": answer}
    return figures


def shown_name(text: str) -> str:
    """A name or a label as figures show it; a long one may be the text of a report and is not shown."""
    return text if len(text) <= MAX_NAME else f"a text of {len(text)} characters"


def _answer_key(example: Example) -> tuple[str, ...]:
    return tuple(sorted(answer.casefold() for answer in example.answer))
