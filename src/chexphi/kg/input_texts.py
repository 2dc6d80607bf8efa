"""The texts that `chexphi kg` reads: reports, lines, and rows of JSON and tables.

A plain text file is one text, or with `one_per_line` one text per line. In a file with rows, each row is a
text.
"""

from __future__ import annotations

import codecs
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chexphi import prompts
from chexphi.data import cells
from chexphi.files import similar_names
from chexphi.kg.engines import Row
from chexphi.kg.input_rows import SourceRow, check_readable, key_field, rows_of
from chexphi.number_text import counted
from chexphi.schema import InputError, is_text, shown, type_shown

FIELDS = (
    "text",
    "generated_text",
    "report",
    "report_text",
    "findings",
    "explanation",
    "reasoning",
    "sentence",
    "impression",
)
"""Fields for the text of a row if none is named: the first one that the row has, in upper or lower case."""
ENDINGS = (".txt", ".text")
"""Files of a folder with these endings are read."""


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts of all sources."""

    rows: list[Row]
    bad_rows: int = 0
    """Rows, lines or files that were left out."""
    notes: tuple[str, ...] = ()
    """How each source was read: one sentence per source, without its text."""


def _reasoning(text: str, field: str, row: dict[str, Any]) -> str:
    """The reasoning of a row's text. In a generated text, the prompt may already have opened `<think>`."""
    opened_think = field in ("generated_text", "completion") and bool(row.get("opened_think"))
    return prompts.reference_reasoning(text, opened_think=opened_think)


def read_texts(
    sources: Sequence[str | Path],
    *,
    field: str | None = None,
    one_per_line: bool = False,
    skip_bad: bool = False,
    verbatim: bool = False,
) -> Texts:
    """Texts with their keys. A key is the id of a row, the name of a file, or the number of a line or row.

    With several sources, the file's name comes before keys that are numbers.

    Args:
        sources: Files, folders of text files, or `-` for standard input.
        field: The field of a row that has the text; None: the first of `FIELDS` that the row has.
        one_per_line: A plain text file has one text per line.
        skip_bad: Leave out and count rows without a text, instead of stopping.
        verbatim: Keep texts as they are. Else line ends become `\\n`, and only the reasoning of a row with
            `<think>` is read, because graphs compare reasoning with reasoning.

    Raises:
        InputError: If a source is missing or cannot be read, a row is bad, two texts have the same key, or
            there are no texts.
    """
    reader = _TextReader(field, one_per_line, skip_bad, verbatim, single_source=len(sources) == 1)
    stems = Counter(Path(source).stem for source in sources)
    for source in map(str, sources):
        stem = Path(source).stem
        reader.read(source, stem if stems[stem] == 1 else Path(source).with_suffix("").as_posix())
    if not reader.rows:
        raise InputError(f"{sources[0]} has no text: give at least one")
    return Texts(list(reader.rows.items()), reader.bad_rows, tuple(reader.notes))


class _TextReader:
    """Reads one source after another. Keys are unique over all sources."""

    def __init__(
        self, field: str | None, one_per_line: bool, skip_bad: bool, verbatim: bool, *, single_source: bool
    ) -> None:
        self.field, self.one_per_line, self.skip_bad = field, one_per_line, skip_bad
        self.verbatim, self.single_source = verbatim, single_source
        self.rows: dict[str, str] = {}
        self.bad_rows = 0
        self.notes: list[str] = []

    def read(self, source: str, key: str) -> None:
        path = Path(source)
        if source == "-":
            self._read_content("standard input", sys.stdin.buffer.read(), "", "1")
        elif path.is_dir():
            self._read_folder(path)
        elif path.is_file():
            self._read_content(source, path.read_bytes(), path.suffix.lower(), key)
        else:
            raise InputError(
                f"{source} is not a file{similar_names(path)}: name files of texts, a folder of them, or - "
                "for standard input"
            )

    def _read_folder(self, folder: Path) -> None:
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        texts = [path for path in files if path.suffix.lower() in ENDINGS]
        if not texts:
            raise InputError(f"{folder} has no file that ends in {' or '.join(ENDINGS)}: name files of texts")
        self.single_source = False
        for path in texts:
            key = path.relative_to(folder).with_suffix("").as_posix()
            self._read_content(str(path), path.read_bytes(), path.suffix.lower(), key, add_note=False)
        other_count = len(files) - len(texts)
        other_files = f"; not read for their ending: {counted(other_count, 'file')}" if other_count else ""
        self.notes.append(
            f"{folder}: {counted(len(texts), 'file')}, {self._text_form('one text each')}{other_files}"
        )

    def _read_content(
        self, name: str, content: bytes, ending: str, key: str, *, add_note: bool = True
    ) -> None:
        content = content.removeprefix(codecs.BOM_UTF8)
        try:
            check_readable(name, content, ending)
        except InputError:
            if not self.skip_bad or content.strip():
                raise
            self.bad_rows += 1
            return
        text_fields = (self.field.lower(),) if self.field else FIELDS
        source_rows = rows_of(name, content, ending, text_fields)
        if source_rows is not None:
            self._read_rows(
                name, *source_rows, prefix="" if self.single_source else f"{key}:", add_note=add_note
            )
        elif self.field:
            raise InputError(f"{name} is plain text and has no field {shown(self.field)}: leave --field out")
        else:
            self._read_plain_text(name, content, key)
            if add_note:
                self.notes.append(f"{name}: read as {self._text_form('one text')}")

    def _text_form(self, whole_file: str) -> str:
        return (
            "one text a line" if self.one_per_line else f"{whole_file} (with --one-per-line: a text a line)"
        )

    def _read_plain_text(self, name: str, content: bytes, key: str) -> None:
        lines = enumerate(content.split(b"\n"), 1) if self.one_per_line else [(0, content)]
        for number, line_bytes in lines:
            location = f"{name}, line {number}" if number else name
            try:
                text = line_bytes.decode()
            except UnicodeDecodeError as error:
                line = number or line_bytes[: error.start].count(b"\n") + 1
                self._leave_out(f"{name}, line {line}", "not UTF-8; save it as UTF-8")
                continue
            if text.strip():
                line_key = str(number) if self.single_source else f"{key}:{number}"
                self._add(
                    location, line_key if number else key, text if self.verbatim else _unix_line_ends(text)
                )

    def _read_rows(
        self, name: str, kind: str, source_rows: Iterator[SourceRow], *, prefix: str, add_note: bool
    ) -> None:
        text_rows, fields = self._text_rows(name, source_rows)
        key_field_name = key_field([row for _, row, _ in text_rows])
        for location, row, text in text_rows:
            key = row.get(key_field_name) if key_field_name else None
            if cells.is_missing("id", key) or key == "":
                key = f"{prefix}{location.partition(' ')[2]}"
            elif not is_text(key) and (isinstance(key, bool) or not isinstance(key, int)):
                key = self._integer_key(f"{name}, {location}", key_field_name, key)
            if key is not None:
                self._add(f"{name}, {location}", str(key), text)
        if silent := sum(not text.strip() for *_, text in text_rows):
            self.notes.append(
                f"{name}: no reasoning that can be read, so no graph, in {counted(silent, 'row')}"
            )
        if add_note:
            names = ", ".join(shown(field) for field, _ in fields.most_common(3))
            keys = f"keys from {shown(key_field_name)}" if key_field_name else "keys are the rows' numbers"
            self.notes.append(f"{name}: {kind}, rows: {len(text_rows)}, text from {names}, {keys}")

    def _text_rows(
        self, name: str, source_rows: Iterator[SourceRow]
    ) -> tuple[list[tuple[str, dict[str, Any], str]], Counter[str]]:
        """(location, row, text) of the rows that have a text, and how often each field was looked up."""
        text_rows: list[tuple[str, dict[str, Any], str]] = []
        fields: Counter[str] = Counter()
        for location, row in source_rows:
            if not isinstance(row, dict):
                self._leave_out(f"{name}, {location}", row)
                continue
            field = self._field_of(row)
            fields[field] += 1
            text = row.get(field)
            if not isinstance(row.get("opened_think", False), bool | None):
                self._leave_out(f"{name}, {location}", "opened_think is neither true nor false; correct it")
            elif is_text(text):
                text_rows.append((location, row, text if self.verbatim else _reasoning(text, field, row)))
            else:
                problem = f"no text in field {shown(field)}; name another with --field"
                self._leave_out(f"{name}, {location}", problem)
        return text_rows, fields

    def _field_of(self, row: dict[str, Any]) -> str:
        text_fields = (self.field,) if self.field else FIELDS
        names = {name.strip().lower(): name for name in row}
        return next((names[name.lower()] for name in text_fields if name.lower() in names), text_fields[0])

    def _integer_key(self, location: str, field: str | None, key: Any) -> int | None:
        """A key that is a whole number, written with a decimal point. Else the row is left out."""
        if isinstance(key, float) and key.is_integer() and abs(key) < 2**53:
            return int(key)
        self._leave_out(
            location, f"field {shown(field)} is {type_shown(key)}, and a key is a text or a whole number"
        )
        return None

    def _leave_out(self, location: str, problem: str) -> None:
        if not self.skip_bad:
            raise InputError(f"{location}: {problem}, or use --skip-bad")
        self.bad_rows += 1

    def _add(self, location: str, key: str, text: str) -> None:
        if key in self.rows:
            raise InputError(f"{location}: id {shown(key)} is there twice: make the ids unique")
        self.rows[key] = text


def _unix_line_ends(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()
