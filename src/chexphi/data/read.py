"""Read and write datasets of `Example` rows: JSON array, JSON lines or Parquet, by suffix.

Aliases (`image`, `image_ids`, `messages`, `solution`) are read; our own names are written; unknown keys are
ignored. Every problem is an `InputError` of one sentence that names file, row and remedy.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image

from chexphi.data import forms
from chexphi.data.cells import Repairs
from chexphi.data.forms import FORMS
from chexphi.data.images import check_image, load_image
from chexphi.data.rows import name_row, to_example
from chexphi.files import similar_names
from chexphi.schema import Example, InputError, shown

logger = logging.getLogger(__name__)


def image_root_of(path: Path, image_root: str | os.PathLike[str] | None = None) -> Path:
    """The folder that references are relative to.

    Args:
        path: A dataset file, or a folder of them.
        image_root: The user's choice; by default the folder `images` beside the file or one or two levels
            above it, else the file's own folder.

    Raises:
        InputError: If the folder the user named does not exist.
    """
    if image_root is not None:
        if not Path(image_root).is_dir():
            raise InputError(
                f"image root {image_root} is not a folder: give the folder that holds the images"
            )
        return Path(image_root)
    folder = path if path.is_dir() else path.parent
    folders = (folder, *folder.absolute().parents[:2])
    return next((start / "images" for start in folders if (start / "images").is_dir()), folder)


def check_limit(limit: int | None, unit: str = "rows") -> None:
    """Refuse a limit that would leave nothing to read.

    Raises:
        InputError: If `limit` is below 1.
    """
    if limit is not None and limit < 1:
        raise InputError(f"limit {limit} leaves no {unit}: give at least 1")


def examples_or_errors(
    path: Path, root: Path, *, limit: int | None = None, repairs: Repairs | None = None
) -> Iterator[tuple[str, Example | InputError]]:
    """Each row of a file with its location, as an example or as an error; duplicate ids are errors.

    Args:
        path: The file.
        root: Image root.
        limit: Read the first rows only.
        repairs: Counts rows whose values were repaired.

    Raises:
        InputError: If the file itself cannot be read, or `limit` is below 1.
    """
    check_limit(limit)
    locations: dict[str, str] = {}
    for number, (location, raw) in enumerate(forms.raw_rows(path), 1):
        if limit is not None and number > limit:
            return
        try:
            example = to_example(
                raw, location=location, default_id=f"{path.stem}-{number}", stem=path.stem, root=root
            )
        except InputError as error:
            yield location, error
            continue
        if repairs is not None:
            repairs.note(raw, location)
        first_location = locations.setdefault(example.id, location)
        if first_location is location:
            yield name_row(location, {"id": example.id}), example
            continue
        duplicate = f"{location}: duplicate id {shown(example.id)}, first used in {first_location}"
        yield location, InputError(f"{duplicate}: make ids unique")


def image_errors(
    located: Sequence[tuple[str, Example]],
    root: Path,
    *,
    on_film: Callable[[str, Image.Image], None] | None = None,
) -> Iterator[InputError]:
    """Errors of the examples' films, in their order, each film once, checked on several threads.

    Args:
        located: Examples with their locations for messages.
        root: Image root.
        on_film: Called with the reference and the decoded image of each sound film. Without it not every
            pixel is decoded (see `check_image`).
    """
    first_location = {ref: location for location, example in reversed(located) for ref in example.images}
    refs = list(dict.fromkeys(ref for _, example in located for ref in example.images))

    def problem(ref: str) -> InputError | None:
        try:
            if on_film is None:
                check_image(ref, root, thorough=False)
            else:
                on_film(ref, load_image(ref, root))
        except InputError as error:
            return InputError(f"{first_location[ref]}: {error}")
        return None

    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        yield from filter(None, pool.map(problem, refs))


def read_examples(
    path: str | os.PathLike[str],
    *,
    image_root: str | os.PathLike[str] | None = None,
    limit: int | None = None,
    check_images: bool = True,
) -> list[Example]:
    """Read and validate a dataset.

    >>> examples = read_examples("data/annotations/pool/train.json")  # doctest: +SKIP
    >>> examples[0].question  # doctest: +SKIP
    'Is there an opacity in the right lung?'

    Args:
        path: A `.json` array, `.jsonl` or `.parquet` file.
        image_root: Folder of the images; see `image_root_of` for the default.
        limit: Read the first rows only.
        check_images: Check that every film can be opened (`check_image`, not thorough).

    Raises:
        InputError: For the first problem: file missing, empty or broken; a row without question, answer
            or image; a duplicate id; an unknown kind; a film missing, damaged or outside the root.
    """
    path = Path(path)
    root = image_root_of(path, image_root)
    located: list[tuple[str, Example]] = []
    repairs = Repairs()
    for location, example in examples_or_errors(path, root, limit=limit, repairs=repairs):
        if isinstance(example, InputError):
            raise example
        located.append((location, example))
    if not located:
        raise InputError(f"dataset {path} is empty: give a file with at least one row")
    for sentence in repairs.sentences():
        logger.warning(sentence)
    if check_images:
        for error in image_errors(located, root):
            raise error
    return [example for _, example in located]


def annotation_files(folder: Path) -> list[Path]:
    """The dataset files in a folder, sorted by name; subfolders are not searched.

    Raises:
        InputError: If there are none.
    """
    if not folder.is_dir():
        raise InputError(
            f"annotation folder {folder} does not exist{similar_names(folder)}: give a folder of dataset "
            "files"
        )
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in FORMS and file.is_file())
    if not files:
        raise InputError(
            f"{folder} holds no dataset file: give the folder that holds the {', '.join(FORMS)} files"
        )
    return files


def read_folder(
    folder: Path | str,
    *,
    image_root: Path | str | None = None,
    limit: int | None = None,
    check_images: bool = True,
) -> dict[str, list[Example]]:
    """Read every dataset file of a folder, by file stem; `limit` holds for each file.

    Raises:
        InputError: As `read_examples`, or if the folder holds no dataset.
    """
    root = image_root_of(Path(folder), image_root)
    files = annotation_files(Path(folder))
    return {
        file.stem: read_examples(file, image_root=root, limit=limit, check_images=check_images)
        for file in files
    }


def write_examples(path: str | os.PathLike[str], examples: Sequence[Example]) -> None:
    """Write a dataset, completely or not at all; the suffix gives the form, folders are made as needed.

    Raises:
        InputError: If the suffix is unknown, or Parquet is wanted without pyarrow.
    """
    forms.write_rows(Path(path), [example.to_dict() for example in examples])
