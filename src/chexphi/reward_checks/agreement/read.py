"""Reads judgements of texts. What a file is, its content says and not its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from chexphi.files import json_lines, parse_json, similar_names
from chexphi.reward_checks.agreement import radjudge, radpref, rating_table
from chexphi.reward_checks.agreement.judgements import Judgements
from chexphi.schema import InputError

MAX_TEXTS = 3000
"""Every text is compared with every other one."""
_BOM = b"\xef\xbb\xbf"
_FORMS = "RadPref, RadJudge, or CSV with reference, candidate, rating"


def read_judgements(path: Path) -> Judgements:
    """The judgements in a file, or in a published folder of RadPref or RadJudge.

    Args:
        path: RadPref or RadJudge as JSON lines or as they are published, or a CSV of ratings.

    Raises:
        InputError: If the path is none of these, for the first row that is not as it should be, and without
            two texts that are rated differently.
    """
    judgements = _read(_file_in(path))
    for rated in judgements.rated:
        if len(rated.texts) > MAX_TEXTS:
            raise InputError(
                f"{path} has {len(rated.texts):,} rated texts, and each is compared with every other one: "
                f"give at most {MAX_TEXTS:,}"
            )
        if len({text.mean_rating for text in rated.texts}) < 2:
            raise InputError(
                f"{path} has no two texts with different ratings: there is nothing to agree with"
            )
    return judgements


def _file_in(path: Path) -> Path:
    if path.is_dir():
        names = (radpref.PUBLISHED, "test_cases.py")
        if published := next((path / name for name in names if (path / name).is_file()), None):
            return published
        raise InputError(f"{path} has neither {names[0]} nor {names[1]}: name a file, or a published folder")
    if not path.is_file():
        raise InputError(f"{path} does not exist{similar_names(path)}: give {_FORMS}")
    return path


def _read(path: Path) -> Judgements:
    content = path.read_bytes().removeprefix(_BOM)
    start = content.lstrip()[:1]
    if not start:
        raise InputError(f"{path} is empty: give {_FORMS}")
    if start in (b"{", b"["):
        return _read_json(path, content, is_array=start == b"[")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{path} is not text in UTF-8: give {_FORMS}") from None
    if radjudge.LIST_NAME in text:
        categories = enumerate(radjudge.list_in_python(text, str(path)), 1)
        return radjudge.read_published([(f"{path}, category {n}", category) for n, category in categories])
    return rating_table.read_table(text, str(path))


def _read_json(path: Path, content: bytes, *, is_array: bool) -> Judgements:
    rows: list[tuple[str, Any]]
    if is_array:
        rows = [(f"{path}, entry {n}", row) for n, row in enumerate(parse_json(content, str(path)), 1)]
    else:
        rows = list(json_lines(path, skip_blank=True))
    if not rows:
        raise InputError(f"{path} has no rows: give {_FORMS}")
    first_row = rows[0][1] if isinstance(rows[0][1], dict) else {}
    if "ground_truth_report" in first_row:
        return radpref.read_published(rows, path)
    if "tests" in first_row:
        return radjudge.read_published(rows)
    if "expected" in first_row:
        return radjudge.read_rows(rows)
    if "candidates" in first_row:
        return radpref.read_rows(rows)
    raise InputError(f"{rows[0][0]} is not a row of RadPref or RadJudge: give {_FORMS}")
