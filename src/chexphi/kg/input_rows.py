"""Rows of the files that `chexphi kg` reads: JSON lines, a JSON array, CSV, TSV and Parquet.

A file is known by its content where that is plain, so that JSON or a table called `.txt` is not read as a
report. Nothing of a row is printed.
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
from chexphi.schema import InputError, shown

Found = tuple[str, dict[str, Any] | str]
"""Where it stands (`line 3`, `row 2`), and the row, or what is wrong with it."""

_MAGIC = {
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
_ENDINGS = {
    **dict.fromkeys((".docx", ".doc", ".odt"), "a Word document"),
    **dict.fromkeys((".xlsx", ".xls", ".ods"), "an Excel sheet"),
    ".pdf": "a PDF",
    ".rtf": "rich text",
    **dict.fromkeys((".xml", ".html", ".htm", ".yaml", ".yml"), "a file with marks of its own"),
}
_PARQUET = b"PAR1"
_LINES = (".jsonl", ".ndjson")
_TABLES = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
_BROKEN = re.compile(r"[\[{]\s*[\"'{\[]")
"""How JSON begins that holds rows, and hardly a report."""
_NAME = re.compile(r"[^\W\d][\w-]{0,30}")
"""A column's name; other cells may be of a report, which is not to be printed."""


def check_readable(name: str, content: bytes, ending: str) -> None:
    """Refuse what holds no plain text or rows.

    Raises:
        InputError: It says what the file is and what to make of it.
    """
    if content.startswith(_PARQUET):
        return
    if not content.strip():
        raise InputError(f"{name} is empty: give a file with text")
    kind = next((kind for magic, kind in _MAGIC.items() if content.lstrip().startswith(magic)), None)
    kind = kind or _ENDINGS.get(ending) or ("binary" if b"\0" in content else None)
    if kind:
        raise InputError(f"{name} is {kind}: save it as plain text (UTF-8), as JSON lines or as CSV")


def rows_of(
    name: str, content: bytes, ending: str, wanted: Sequence[str]
) -> tuple[str, Iterator[Found]] | None:
    """The kind of a file and its rows, or None where it is plain text.

    Args:
        name: For messages.
        content: The whole file, without its byte order mark.
        ending: Of the file's name, in lower case; "" for standard input.
        wanted: Names in lower case, of which a table has one as a column.

    Raises:
        InputError: For JSON that is broken or holds no rows, and a table without such a column.
    """
    if content.startswith(_PARQUET) or ending == ".parquet":
        return "Parquet", _parquet(name, content)
    if content.lstrip()[:1] in (b"{", b"[") or ending == ".json":
        found = _json(name, content, ending, wanted)
        if found is not None:
            return found
    if ending in _LINES:
        return "JSON lines", _lines(content)
    delimiter = _delimiter(content, ending, wanted)
    if delimiter is None:
        return None
    return "table", _table(name, _decoded(name, content), delimiter, wanted)


def _json(
    name: str, content: bytes, ending: str, wanted: Sequence[str]
) -> tuple[str, Iterator[Found]] | None:
    if ending in _LINES and content.lstrip().startswith(b"{"):
        return "JSON lines", _lines(content)
    text = ", or name it .txt if it is a text" if ending == ".json" else ""
    try:
        found = parse_json(content, name, advice=f"repair it{text}", nan=True)
    except InputError:
        if ending in _LINES or _is_object(content.lstrip().partition(b"\n")[0]):
            return "JSON lines", _lines(content)
        if ending != ".json" and not _BROKEN.match(content.lstrip()[:80].decode("latin-1")):
            return None
        _decoded(name, content)
        raise
    if isinstance(found, list):
        return "JSON", ((f"row {at}", _item(item)) for at, item in enumerate(found, 1))
    if isinstance(found, dict) and any(str(one).strip().lower() in wanted for one in found):
        return "JSON", iter([("row 1", found)])
    kind = f"object without {_or(wanted)}" if isinstance(found, dict) else "value"
    raise InputError(f"{name} holds one JSON {kind}: give an array of objects, or an object a line")


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(parse_json(line, "", nan=True), dict)
    except InputError:
        return False


def _item(item: Any) -> dict[str, Any] | str:
    if isinstance(item, str):
        return {"text": item}
    return item if isinstance(item, dict) else "not a JSON object; repair the row"


def _lines(content: bytes) -> Iterator[Found]:
    for number, line in enumerate(content.split(b"\n"), 1):
        if line.strip():
            yield f"line {number}", _line(line)


def _line(line: bytes) -> dict[str, Any] | str:
    try:
        line.decode()
        row = parse_json(line, "the line", advice="repair it", nan=True)
    except UnicodeDecodeError:
        return "not UTF-8; save it as UTF-8"
    except InputError as error:
        return str(error).replace(": ", "; ")
    return row if isinstance(row, dict) else "not a JSON object; repair the line"


def _decoded(name: str, content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InputError(f"{name}, line {line}: not UTF-8; save it as UTF-8") from None


def _delimiter(content: bytes, ending: str, wanted: Sequence[str]) -> str | None:
    """What separates the cells of a table; None: it is no table."""
    first = re.split(rb"[\r\n]", content.lstrip()[:10_000], maxsplit=1)[0].decode("utf-8", "replace")
    for delimiter in ",;\t|":
        names = _names(first, delimiter)
        sure = ending in _TABLES or (len(names) > 1 and all(map(_NAME.fullmatch, names)))
        if sure and any(name.lower() in wanted for name in names):
            return delimiter
    return _TABLES.get(ending)


def _names(line: str, delimiter: str) -> list[str]:
    cells = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])
    return [cell.strip() for cell in cells]


def _table(name: str, text: str, delimiter: str, wanted: Sequence[str]) -> Iterator[Found]:
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
                    yield f"line {line}", _cells(names, cells)
                else:
                    names = [cell.strip() for cell in cells]
                    _check_names(name, names, wanted)
            line = reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"{name}, line {line}: not valid CSV ({error}): repair the row's quotes") from None


def _check_names(name: str, names: list[str], wanted: Sequence[str]) -> None:
    lower = [one.lower() for one in names]
    known = ", ".join(names) if all(map(_NAME.fullmatch, names)) else "not printed: they may be a text"
    if not any(one in wanted for one in lower):
        raise InputError(
            f"{name} has no column {_or(wanted)}: name the one with the text with --field "
            f"(its columns: {known})"
        )
    twice = next((one for one, count in Counter(lower).items() if one and count > 1), None)
    if twice:
        raise InputError(f"{name} has the column {shown(twice)} twice: rename one")


def _or(wanted: Sequence[str]) -> str:
    return ", ".join(wanted[:-1]) + " or " * (len(wanted) > 1) + wanted[-1]


def _cells(names: list[str], cells: list[str]) -> dict[str, Any] | str:
    if len(cells) != len(names):
        return f"{len(cells)} cells under {len(names)} columns; put texts with separators in quotes"
    return {name: cell if cell.strip() else None for name, cell in zip(names, cells, strict=True)}


def _parquet(name: str, content: bytes) -> Iterator[Found]:
    return ((f"row {number}", row) for number, row in parquet.read(content, name, flat_only=True))
