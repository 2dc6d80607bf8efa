"""MIMIC-VQA-CoT in the original's layout: `annotations/{eval,uniform,hard_uniform,…}/*.json`, `images/`.

The annotations derive from MIMIC-CXR and need its licence; none of them are here. Rows hold question, answer
(text or list), explanation, and `image_ids` or `image`, or a chat in `messages`. The kind is in the file's
name (`test_compare_vqa.json`). The drawn films are written in the same layout.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from chexphi import prompts
from chexphi.data import cells, forms
from chexphi.data.importers import publish
from chexphi.data.read import check_limit, image_root_of
from chexphi.data.references import is_uri, with_suffix
from chexphi.data.rows import has_empty_answer, to_example
from chexphi.schema import Example, InputError, shown

logger = logging.getLogger(__name__)

EMPTY = "the answer is empty"
MISSING = "a film is missing"
"""Reasons why rows are left out."""
# files/p10/p10000032/s50414267/<film>: a patient and a study in a path of MIMIC-CXR.
_PATIENT = re.compile(r"(?:^|/)p(\d{8})(?:/|$)")
_STUDY = re.compile(r"(?:^|/)s(\d{8})(?:/|$)")


def annotation_files(src: Path, *, split: str | None = None) -> tuple[dict[str, Path], Path]:
    """Annotation files by name (`eval/test_basic_vqa`), and the image root.

    Args:
        src: The dataset's root, its `annotations`, a folder of it, or one file.
        split: A folder of `annotations`; others are left out.

    Raises:
        InputError: If `src` holds no annotations, or none of that split.
    """
    if src.is_file():
        return {_annotation_name(src, src.parent): src}, image_root_of(src)
    top = src / "annotations" if (src / "annotations").is_dir() else src
    annotation_paths = sorted(
        path for path in top.rglob("*") if path.suffix.lower() in forms.FORMS and path.is_file()
    )
    if not annotation_paths:
        raise InputError(
            f"{src} holds no annotations: give the folder with annotations/ and images/, or a file"
        )
    files = {_annotation_name(path, top): path for path in annotation_paths}
    splits = sorted({_split_of(name) for name in files})
    if split is not None and split not in splits:
        raise InputError(f"{src} has no split {shown(split)}: use one of {', '.join(filter(None, splits))}")
    return {name: path for name, path in files.items() if split in (None, _split_of(name))}, image_root_of(
        top
    )


def _annotation_name(path: Path, top: Path) -> str:
    """The file's path below `annotations`, without suffix: the same whichever folder the user gave."""
    folder_names = path.absolute().with_suffix("").parts
    if "annotations" in folder_names[:-1]:
        start = len(folder_names) - 1 - folder_names[::-1].index("annotations")
        return "/".join(folder_names[start + 1 :])
    return path.relative_to(top).with_suffix("").as_posix()


def _split_of(name: str) -> str:
    return name.rpartition("/")[0]


def _below_root(ref: str, root: Path) -> str:
    """The reference relative to the image root, also where it was written relative to a folder above it.

    `./data/MIMIC-VQA-CoT/images/p10/a.jpg` becomes `p10/a.jpg` if that is a film under the root.
    """
    if is_uri(ref) or os.path.isfile(os.path.join(root, with_suffix(ref, root))):
        return ref
    names = PurePosixPath(ref).parts
    starts = [index + 1 for index, name in enumerate(names) if name == "images"]
    candidates = ["/".join(names[start:]) for start in reversed(starts)]
    return next(
        (path for path in candidates if os.path.isfile(os.path.join(root, with_suffix(path, root)))), ref
    )


def _with_relative_images(raw: Mapping[str, Any], root: Path) -> dict[str, Any]:
    row = dict(raw)
    for field in cells.IMAGES:
        value = row.get(field)
        if isinstance(value, str):
            row[field] = _below_root(value, root)
        elif isinstance(value, list):
            row[field] = [_below_root(ref, root) if isinstance(ref, str) else ref for ref in value]
    return row


def _with_tags(explanation: str, answer: tuple[str, ...]) -> str:
    """The explanation with both tags. Text without tags is the reasoning; a missing answer is the row's."""
    if not explanation.strip():
        return ""
    parsed = prompts.parse(explanation)
    unanswered = parsed.status == prompts.ParseStatus.no_answer or parsed.answer == ""
    if unanswered and parsed.think is not None:
        return prompts.render(parsed.think, ", ".join(answer))
    reasoning = prompts.reference_reasoning(explanation) if parsed.think is None else ""
    return prompts.render(reasoning, ", ".join(answer)) if reasoning else explanation


def _id_from_paths(images: tuple[str, ...], pattern: re.Pattern[str]) -> str:
    """The patient or study of the last film, read from its path; empty if no path has one."""
    ids = [match[1] for ref in images if not is_uri(ref) and (match := pattern.search(ref))]
    return ids[-1] if ids else ""


def read_file(
    name: str,
    path: Path,
    root: Path,
    *,
    limit: int | None = None,
    empty_answer: str = "refuse",
    left_out: Counter[str] | None = None,
) -> Iterator[Example]:
    """The rows of one annotation file; ids are `<name>/<id of the row, or its number>`, made unique.

    Args:
        name: What the ids begin with.
        path: The file.
        root: Image root.
        limit: Read the first rows only.
        empty_answer: See `convert.convert`.
        left_out: Counts the rows that are left out, by reason.

    Raises:
        InputError: For a row that is not a valid example.
    """
    id_counts: Counter[str] = Counter()
    repairs = cells.Repairs()
    for number, (location, raw) in enumerate(forms.raw_rows(path), 1):
        if limit is not None and number > limit:
            break
        row = _with_relative_images(raw, root) if isinstance(raw, Mapping) else raw
        if empty_answer != "refuse" and isinstance(row, Mapping) and has_empty_answer(row):
            if empty_answer == "skip":
                if left_out is not None:
                    left_out[EMPTY] += 1
                continue
            row = {**row, "answer": "none"}
        example = to_example(row, location=location, default_id=str(number), stem=path.stem, root=root)
        repairs.note(row, location)
        id_counts[example.id] += 1
        suffix = f"#{id_counts[example.id]}" if id_counts[example.id] > 1 else ""
        yield dataclasses.replace(
            example,
            id=f"{name}/{example.id}{suffix}",
            explanation=_with_tags(example.explanation, example.answer),
            subject_id=example.subject_id or _id_from_paths(example.images, _PATIENT),
            study_id=example.study_id or _id_from_paths(example.images, _STUDY),
            split=example.split or _split_of(name),
        )
    for sentence in repairs.sentences():
        logger.warning(sentence)


def convert(
    src: Path,
    out: Path,
    *,
    image_root: Path | None = None,
    limit: int | None = None,
    seed: int = 0,
    split: str | None = None,
    empty_answer: str = "refuse",
    missing_films: str = "refuse",
) -> dict[str, Any]:
    """Write the annotations in our form.

    Args:
        src: The dataset's root, a folder of it, or one file.
        out: A file that ends in .json, .jsonl or .parquet (for all rows; their `split` is the folder they
            came from), or a folder (one file for each annotation file, in the same folders).
        image_root: Folder of the films; by default `images` near the annotations.
        limit: Read the first rows of each file only.
        seed: Unused; every importer takes one.
        split: Read this folder of `annotations` only (`eval`, `uniform`, …).
        empty_answer: See `convert.convert`.
        missing_films: See `convert.convert`.

    Returns:
        See `publish.publish` and `convert.convert`; also `without_patient`, the number of rows whose patient
        is neither in the row nor in the path of its film.

    Raises:
        InputError: For a row that is not a valid example, or a film that is missing or damaged.
    """
    check_limit(limit)
    if not src.exists():
        raise InputError(f"{src} does not exist: give the folder with annotations/ and images/, or a file")
    annotations, root = annotation_files(src, split=split)
    root = root if image_root is None else image_root_of(src, image_root)
    left_out: Counter[str] = Counter()
    options: dict[str, Any] = {"limit": limit, "empty_answer": empty_answer, "left_out": left_out}
    examples_by_file = {
        name: list(read_file(name, path, root, **options)) for name, path in annotations.items()
    }
    rows_read = sum(map(len, examples_by_file.values())) + left_out.total()
    if missing_films == "skip":
        examples_with_films = {
            name: publish.without_missing_films(examples, root) for name, examples in examples_by_file.items()
        }
        left_out[MISSING] = sum(
            len(examples) - len(examples_with_films[name]) for name, examples in examples_by_file.items()
        )
        examples_by_file = examples_with_films
    if out.suffix.lower() in forms.FORMS:
        files = {out: [example for examples in examples_by_file.values() for example in examples]}
    else:
        files = {out / f"{name}.json": examples for name, examples in examples_by_file.items() if examples}
    summary = publish.publish(files, root)
    missing = sum(not example.subject_id for examples in files.values() for example in examples)
    return {**summary, "without_patient": missing, "rows_read": rows_read, "left_out": dict(+left_out)}
