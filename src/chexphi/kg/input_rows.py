"""Rows of the files that `chexphi kg` reads: JSON lines, a JSON array, CSV, TSV and Parquet.

If its content is clear, the content decides what a file is. So JSON or a table that is called `.txt` is not
read as a report. Messages never print a row.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from chexphi.data import parquet
from chexphi.files import parse_json
from chexphi.number_text import counted
from chexphi.schema import InputError, shown

SourceRow = tuple[str, dict[str, Any] | str]
"""The location of a row (`line 3`, `row 2`), and the row, or what is wrong with it."""

_KIND_OF_START = {
    b"%PDF": "a PDF",
    b"PK\x03\x04": "a zipped file, such as a Word document or an Excel sheet",
    b"\xd0\xcf\x11\xe0": "an old Word document or Excel sheet",
    b"{\\rtf": "rich text",
    b"<?xml": "XML",
    b"<!DOCTYPE": "HTML",
    b"<html": "HTML",
    b"\x1f\x8b": "a compressed file",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
_KIND_OF_ENDING = {
    **dict.fromkeys((".docx", ".doc", ".odt"), "a Word document"),
    **dict.fromkeys((".xlsx", ".xls", ".ods"), "an Excel sheet"),
    ".pdf": "a PDF",
    ".rtf": "rich text",
    **dict.fromkeys((".xml", ".html", ".htm", ".yaml", ".yml"), "a file with marks of its own"),
}
IDS = ("doc_key", "study_id", "report_id", "uid")
"""Fields for the keys of rows without `id`. Every row of the file must have the field, each another value."""
_PARQUET = b"PAR1"
_LINES = (".jsonl", ".ndjson")
_TABLES = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
_JSON_START = re.compile(r"[\[{]\s*[\"'{\[]")
"""How JSON with rows begins. A report hardly begins like this."""
_NAME = re.compile(r"[^\W\d][\w-]{0,30}")
"""What a column's name looks like. Other cells may belong to a report, and are not printed."""


def check_readable(name: str, content: bytes, ending: str) -> None:
    """Refuse a file without plain text or rows.

    Raises:
        InputError: The message says what the file is, and how to save it.
    """
    if content.startswith(_PARQUET):
        return
    if not content.strip():
        raise InputError(f"{name} is empty: give a file with text")
    kind = next((kind for magic, kind in _KIND_OF_START.items() if content.lstrip().startswith(magic)), None)
    kind = kind or _KIND_OF_ENDING.get(ending) or ("binary" if b"\0" in content else None)
    if kind:
        raise InputError(f"{name} is {kind}: save it as plain text (UTF-8), as JSON lines or as CSV")


def rows_of(
    name: str, content: bytes, ending: str, text_fields: Sequence[str]
) -> tuple[str, Iterator[SourceRow]] | None:
    """The kind of a file and its rows, or None if it is plain text.

    Args:
        name: Name of the file, for messages.
        content: The whole file, without its byte order mark.
        ending: Ending of the file's name, in lower case; "" for standard input.
        text_fields: Names in lower case. A table must have one of them as a column.

    Raises:
        InputError: If JSON is broken or has no rows, or a table has none of the columns.
    """
    if content.startswith(_PARQUET) or ending == ".parquet":
        return "Parquet", _parquet_rows(name, content)
    if content.lstrip()[:1] in (b"{", b"[") or ending == ".json":
        json_rows = _json_rows(name, content, ending, text_fields)
        if json_rows is not None:
            return json_rows
    if ending in _LINES:
        return "JSON lines", _json_lines(content)
    delimiter = _delimiter(content, ending, text_fields)
    if delimiter is None:
        return None
    return "table", _table_rows(name, _decode(name, content), delimiter, text_fields)


def _json_rows(
    name: str, content: bytes, ending: str, text_fields: Sequence[str]
) -> tuple[str, Iterator[SourceRow]] | None:
    if ending in _LINES and content.lstrip().startswith(b"{"):
        return "JSON lines", _json_lines(content)
    text = ", or name it .txt if it is a text" if ending == ".json" else ""
    try:
        content_value = parse_json(content, name, advice=f"repair it{text}", nan=True)
    except InputError:
        if ending in _LINES or _is_object(content.lstrip().partition(b"\n")[0]):
            return "JSON lines", _json_lines(content)
        if ending != ".json" and not _JSON_START.match(content.lstrip()[:80].decode("latin-1")):
            return None
        _decode(name, content)
        raise
    if isinstance(content_value, list):
        return "JSON", ((f"row {at}", _json_item(item)) for at, item in enumerate(content_value, 1))
    if isinstance(content_value, dict) and any(
        str(key).strip().lower() in text_fields for key in content_value
    ):
        return "JSON", iter([("row 1", content_value)])
    kind = f"object without {_joined_by_or(text_fields)}" if isinstance(content_value, dict) else "value"
    raise InputError(f"{name} holds one JSON {kind}: give an array of objects, or one object per line")


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(parse_json(line, "", nan=True), dict)
    except InputError:
        return False


def _json_item(item: Any) -> dict[str, Any] | str:
    if isinstance(item, str):
        return {"text": item}
    return item if isinstance(item, dict) else "not a JSON object; repair the row"


def _json_lines(content: bytes) -> Iterator[SourceRow]:
    for number, line in enumerate(content.split(b"\n"), 1):
        if line.strip():
            yield f"line {number}", _json_line(line)


def _json_line(line: bytes) -> dict[str, Any] | str:
    try:
        line.decode()
        row = parse_json(line, "the line", advice="repair it", nan=True)
    except UnicodeDecodeError:
        return "not UTF-8; save it as UTF-8"
    except InputError as error:
        return str(error).replace(": ", "; ")
    return row if isinstance(row, dict) else "not a JSON object; repair the line"


def _decode(name: str, content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InputError(f"{name}, line {line}: not UTF-8; save it as UTF-8") from None


def _delimiter(content: bytes, ending: str, text_fields: Sequence[str]) -> str | None:
    """What separates the cells of a table; None if it is not a table."""
    header = re.split(rb"[\r\n]", content.lstrip()[:10_000], maxsplit=1)[0].decode("utf-8", "replace")
    for delimiter in ",;\t|":
        names = _header_names(header, delimiter)
        is_table = ending in _TABLES or (len(names) > 1 and all(map(_NAME.fullmatch, names)))
        if is_table and any(name.lower() in text_fields for name in names):
            return delimiter
    return _TABLES.get(ending)


def _header_names(line: str, delimiter: str) -> list[str]:
    cells = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])
    return [cell.strip() for cell in cells]


def _table_rows(name: str, text: str, delimiter: str, text_fields: Sequence[str]) -> Iterator[SourceRow]:
    csv.field_size_limit(2**31 - 1)
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True
    )
    names: list[str] = []
    line = 1
    try:
        for cells in reader:
            if any(map(str.strip, cells)):
                if names:
                    yield f"line {line}", _table_row(names, cells)
                else:
                    names = [cell.strip() for cell in cells]
                    _check_names(name, names, text_fields)
            line = reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"{name}, line {line}: not valid CSV ({error}): repair the row's quotes") from None


def _check_names(name: str, names: list[str], text_fields: Sequence[str]) -> None:
    lower_names = [column.lower() for column in names]
    columns = ", ".join(names) if all(map(_NAME.fullmatch, names)) else "not printed: they may be a text"
    if not any(column in text_fields for column in lower_names):
        raise InputError(
            f"{name} has no column {_joined_by_or(text_fields)}: name the one with the text with --field "
            f"(its columns: {columns})"
        )
    twice = next((column for column, count in Counter(lower_names).items() if column and count > 1), None)
    if twice:
        raise InputError(f"{name} has the column {shown(twice)} twice: rename one")


def _joined_by_or(text_fields: Sequence[str]) -> str:
    return ", ".join(text_fields[:-1]) + " or " * (len(text_fields) > 1) + text_fields[-1]


def _table_row(names: list[str], cells: list[str]) -> dict[str, Any] | str:
    if len(cells) != len(names):
        counts = f"{counted(len(cells), 'cell')} under {counted(len(names), 'column')}"
        return f"{counts}; put texts with separators in quotes"
    return {name: cell if cell.strip() else None for name, cell in zip(names, cells, strict=True)}


def _parquet_rows(name: str, content: bytes) -> Iterator[SourceRow]:
    return ((f"row {number}", row) for number, row in parquet.read(content, name, flat_only=True))


def key_field(rows: Sequence[dict[str, Any]]) -> str | None:
    """The field that has the keys of the rows, spelled as in the rows; None if there is none."""
    names = {name.strip().lower(): name for row in rows for name in row}
    if "id" in names:
        return names["id"]
    for name in (names[key] for key in IDS if key in names):
        keys = [row.get(name) for row in rows]
        if None not in keys and len(set(map(str, keys))) == len(keys):
            return name
    return None
