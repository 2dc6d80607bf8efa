"""Rows in files: JSON array, JSON lines and Parquet, chosen by suffix. `rows.py` gives rows their meaning."""

from __future__ import annotations

import codecs
import contextlib
import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from chexphi import atomic
from chexphi.data import foreign_forms, parquet
from chexphi.files import json_lines, parse_json, similar_names
from chexphi.schema import Example, InputError, key_shown

FORMS = (".json", ".jsonl", ".parquet")
_PARQUET_JSON = ("scene", "graph")
_PARQUET_LISTS = ("images", "answer")


def _read_text(path: Path) -> str:
    try:
        content = path.read_bytes().removeprefix(codecs.BOM_UTF8)
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InputError(f"{path}, line {line} is not UTF-8 text: save it as UTF-8") from None
    except OSError as error:
        raise _not_readable(path, error) from None


def _not_readable(path: Path, error: OSError) -> InputError:
    return InputError(f"{path} cannot be read ({error.strerror}): check its permissions")


def _json_rows(path: Path) -> Iterator[tuple[str, Any]]:
    text = _read_text(path)
    lines = text.lstrip()[:1] == "{"
    repair = "name it .jsonl if it holds one object a line" if lines else "repair it"
    rows = parse_json(text, str(path), advice=repair, nan=True)  # NaN: an empty cell
    if not isinstance(rows, list):
        values = rows if isinstance(rows, dict) else {}
        arrays = [
            key_shown(key, number)
            for number, (key, value) in enumerate(values.items(), 1)
            if isinstance(value, list)
        ]
        advice = "write the rows as [{…}, {…}], or as lines of a .jsonl file"
        if arrays:
            advice = f"{arrays[0]} does, save its value in a file of its own"
        elif values and all(isinstance(value, dict) for value in values.values()):
            advice = "write the rows as [{…}, {…}], with pandas by to_json(orient='records')"
        raise InputError(f"{path} does not hold a JSON array: {advice}")
    for number, row in enumerate(rows, 1):
        yield f"{path}, row {number}", row


def _jsonl_rows(path: Path) -> Iterator[tuple[str, Any]]:
    try:
        yield from json_lines(path, nan=True, skip_blank=True)  # NaN: an empty cell
    except OSError as error:
        raise _not_readable(path, error) from None


def _parquet_rows(path: Path) -> Iterator[tuple[str, Any]]:
    for number, row in parquet.read(path, str(path)):
        yield f"{path}, row {number}", row


def _columns(path: Path) -> list[str]:
    """The first line of a table; empty if the file is not a table."""
    if path.suffix.lower() not in (".csv", ".tsv"):
        return []
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            return next(csv.reader(file, delimiter="\t" if path.suffix.lower() == ".tsv" else ","), [])
    except (OSError, csv.Error):
        return []


def raw_rows(path: Path) -> Iterator[tuple[str, Any]]:
    """Each row of a file as stored, with its location for messages.

    Raises:
        InputError: If the file is missing, of an unknown form or broken.
    """
    if not path.is_file():
        problem = "is a folder" if path.is_dir() else f"does not exist{similar_names(path)}"
        raise InputError(f"dataset {path} {problem}: give a file that ends in {', '.join(FORMS)}")
    if path.suffix.lower() not in FORMS:
        advice_for_table = foreign_forms.table_hint(_columns(path))
        advice = advice_for_table or f"give a file that ends in {', '.join(FORMS)}"
        raise InputError(f"dataset {path} has an unknown form: {advice}")
    return {".json": _json_rows, ".jsonl": _jsonl_rows, ".parquet": _parquet_rows}[path.suffix.lower()](path)


def check_form(path: Path) -> None:
    """Refuse a name without the ending of a form that rows are written in.

    Raises:
        InputError: If the ending is unknown, or if it is Parquet's and pyarrow is not installed.
    """
    if path.suffix.lower() not in FORMS:
        raise InputError(f"output {path} has an unknown form: end its name in {', '.join(FORMS)}")
    if path.suffix.lower() == ".parquet":
        parquet.pyarrow()


def write_files(files: Mapping[Path, Sequence[Mapping[str, Any]]]) -> None:
    """Write rows into files, all of them or none; a JSON array has a row in each line.

    Raises:
        InputError: As `check_form`, or if a file cannot be written.
    """
    for path in files:
        check_form(path)
    with contextlib.ExitStack() as stack:  # the files get their names once the last one is written
        for path, rows in files.items():
            _write_rows(stack.enter_context(atomic.whole_file(path)), path.suffix.lower(), rows)


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write one file, completely or not at all."""
    write_files({path: rows})


def _write_rows(path: Path, suffix: str, rows: Sequence[Mapping[str, Any]]) -> None:
    if suffix == ".parquet":
        _write_parquet(path, rows)
        return
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    text = (
        "[\n" + ",\n".join(lines) + "\n]\n" if suffix == ".json" else "".join(line + "\n" for line in lines)
    )
    path.write_text(text, encoding="utf-8")


def _write_parquet(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    pyarrow = parquet.pyarrow()
    string, string_list = pyarrow.string(), pyarrow.list_(pyarrow.string())
    columns = [
        (field.name, string_list if field.name in _PARQUET_LISTS else string) for field in fields(Example)
    ]
    flat_rows = [
        {
            key: json.dumps(value, ensure_ascii=False) if key in _PARQUET_JSON else value
            for key, value in row.items()
        }
        for row in rows
    ]
    pyarrow.parquet.write_table(
        pyarrow.Table.from_pylist(flat_rows, schema=pyarrow.schema(columns)), path, write_page_checksum=True
    )
