"""The texts that `chexphi kg` reads: reports, lines, and rows of JSON and tables.

A plain text file is one text, or with `one_per_line` a text a line; files that hold rows give a text each.
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
from chexphi.kg.engines import Row
from chexphi.kg.input_rows import Found, check_readable, rows_of
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
"""Where a row's text is looked for when no field is named; the first that it has, in any case of letters."""
IDS = ("doc_key", "study_id", "report_id", "uid")
"""Keys where there is no `id`, if every row of the file has one and no two the same."""
ENDINGS = (".txt", ".text")
"""Of the files that are read in a folder."""


@dataclass(frozen=True, slots=True)
class Texts:
    """What was read."""

    rows: list[Row]
    bad: int = 0
    """Rows, lines or files that were left out."""
    notes: tuple[str, ...] = ()
    """How each source was read, one sentence a source, without its text."""


def _reasoning(text: str, field: str, row: dict[str, Any]) -> str:
    """What is read of a row's text: of a generated one the reasoning, which its prompt may have opened."""
    opened_think = field in ("generated_text", "completion") and bool(row.get("opened_think"))
    return prompts.reference_reasoning(text, opened_think=opened_think)


def read_texts(
    sources: Sequence[str | Path],
    *,
    field: str | None = None,
    one_per_line: bool = False,
    skip_bad: bool = False,
    whole: bool = False,
) -> Texts:
    """Texts with their keys: a row's id, a file's name, or the number of a line or row.

    With several sources, keys that are numbers have the file's name before them.

    Args:
        sources: Files, folders of text files, or `-` for standard input.
        field: The field of a row that holds the text; None: the first of `FIELDS` that it has.
        one_per_line: A plain text file has a text a line.
        skip_bad: Leave out and count what has no text, instead of stopping.
        whole: Texts are kept as they are; else of a row with `<think>` the reasoning alone is read, because
            graphs compare reasoning with reasoning, and line ends are `\\n`.

    Raises:
        InputError: For a source that is not there or cannot be read, a bad row, a key that stands twice, or
            sources without texts.
    """
    reader = _Reader(field, one_per_line, skip_bad, whole, alone=len(sources) == 1)
    stems = Counter(Path(source).stem for source in sources)
    for source in map(str, sources):
        stem = Path(source).stem
        reader.read(source, stem if stems[stem] == 1 else Path(source).with_suffix("").as_posix())
    if not reader.rows:
        raise InputError(f"{sources[0]} has no text: give at least one")
    return Texts(list(reader.rows.items()), reader.bad, tuple(reader.notes))


class _Reader:
    """Reads one source after the other; the keys are unique over all of them."""

    def __init__(
        self, field: str | None, one_per_line: bool, skip_bad: bool, whole: bool, *, alone: bool
    ) -> None:
        self.field, self.one_per_line, self.skip_bad = field, one_per_line, skip_bad
        self.whole, self.alone = whole, alone
        self.rows: dict[str, str] = {}
        self.bad = 0
        self.notes: list[str] = []

    def read(self, source: str, key: str) -> None:
        path = Path(source)
        if source == "-":
            self._content("standard input", sys.stdin.buffer.read(), "", "1")
        elif path.is_dir():
            self._folder(path)
        elif path.is_file():
            self._content(source, path.read_bytes(), path.suffix.lower(), key)
        else:
            raise InputError(
                f"{source} is no file: name files of texts, a folder of them, or - for standard input"
            )

    def _folder(self, folder: Path) -> None:
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        texts = [path for path in files if path.suffix.lower() in ENDINGS]
        if not texts:
            raise InputError(f"{folder} has no file that ends in {' or '.join(ENDINGS)}: name files of texts")
        self.alone = False
        for path in texts:
            key = path.relative_to(folder).with_suffix("").as_posix()
            self._content(str(path), path.read_bytes(), path.suffix.lower(), key, noted=False)
        left = len(files) - len(texts)
        others = f"; {left} files of other endings are not read" if left else ""
        self.notes.append(f"{folder}: {len(texts)} files, {self._text_form('one text each')}{others}")

    def _content(self, name: str, content: bytes, ending: str, key: str, *, noted: bool = True) -> None:
        content = content.removeprefix(codecs.BOM_UTF8)
        try:
            check_readable(name, content, ending)
        except InputError:
            if not self.skip_bad or content.strip():
                raise
            self.bad += 1
            return
        wanted = (self.field.lower(),) if self.field else FIELDS
        found = rows_of(name, content, ending, wanted)
        if found is not None:
            self._rows(name, *found, prefix="" if self.alone else f"{key}:", noted=noted)
        elif self.field:
            raise InputError(f"{name} is plain text and has no field {shown(self.field)}: leave --field out")
        else:
            self._text(name, content, key)
            if noted:
                self.notes.append(f"{name}: read as {self._text_form('one text')}")

    def _text_form(self, whole: str) -> str:
        return "one text a line" if self.one_per_line else f"{whole} (with --one-per-line: a text a line)"

    def _text(self, name: str, content: bytes, key: str) -> None:
        lines = enumerate(content.split(b"\n"), 1) if self.one_per_line else [(0, content)]
        for number, part in lines:
            where = f"{name}, line {number}" if number else name
            try:
                text = part.decode()
            except UnicodeDecodeError as error:
                line = number or part[: error.start].count(b"\n") + 1
                self._leave_out(f"{name}, line {line}", "not UTF-8; save it as UTF-8")
                continue
            if text.strip():
                own = str(number) if self.alone else f"{key}:{number}"
                self._add(where, own if number else key, text if self.whole else _plain(text))

    def _rows(self, name: str, kind: str, found: Iterator[Found], *, prefix: str, noted: bool) -> None:
        good: list[tuple[str, dict[str, Any], str]] = []
        fields: Counter[str] = Counter()
        for where, row in found:
            problem, text = row, None
            if isinstance(row, dict):
                field = self._field_of(row)
                text = row.get(field)
                problem = f"no text in field {shown(field)}; name another with --field"
                fields[field] += 1
            if isinstance(row, dict) and not isinstance(row.get("opened_think", False), bool | None):
                self._leave_out(f"{name}, {where}", "opened_think is neither true nor false; correct it")
            elif isinstance(row, dict) and is_text(text):
                good.append((where, row, text if self.whole else _reasoning(text, field, row)))
            else:
                self._leave_out(f"{name}, {where}", str(problem))
        key_field = _key_field([row for _, row, _ in good])
        for where, row, text in good:
            number = where.partition(" ")[2]
            key = row.get(key_field) if key_field else None
            if cells.is_missing("id", key) or key == "":
                key = f"{prefix}{number}"
            elif not is_text(key) and (isinstance(key, bool) or not isinstance(key, int)):
                key = self._whole(f"{name}, {where}", key_field, key)
            if key is not None:
                self._add(f"{name}, {where}", str(key), text)
        if silent := sum(not text.strip() for *_, text in good):
            self.notes.append(f"{name}: {silent} rows have no reasoning that can be read, so no graph")
        if noted:
            names = ", ".join(shown(one) for one, _ in fields.most_common(3))
            keys = f"keys from {shown(key_field)}" if key_field else "keys are the rows' numbers"
            self.notes.append(f"{name}: {kind}, rows: {len(good)}, text from {names}, {keys}")

    def _field_of(self, row: dict[str, Any]) -> str:
        wanted = (self.field,) if self.field else FIELDS
        names = {name.strip().lower(): name for name in row}
        return next((names[one.lower()] for one in wanted if one.lower() in names), wanted[0])

    def _whole(self, where: str, field: str | None, key: Any) -> int | None:
        """A key that is a whole number with a decimal point; of another one the row is left out."""
        if isinstance(key, float) and key.is_integer() and abs(key) < 2**53:
            return int(key)
        self._leave_out(
            where, f"field {shown(field)} is {type_shown(key)}, and a key is a text or a whole number"
        )
        return None

    def _leave_out(self, where: str, problem: str) -> None:
        if not self.skip_bad:
            raise InputError(f"{where}: {problem}, or use --skip-bad")
        self.bad += 1

    def _add(self, where: str, key: str, text: str) -> None:
        if key in self.rows:
            raise InputError(f"{where}: id {shown(key)} is there twice: make the ids unique")
        self.rows[key] = text


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


def _key_field(rows: Sequence[dict[str, Any]]) -> str | None:
    """The field that names the rows, as they write it."""
    names = {name.strip().lower(): name for row in rows for name in row}
    if "id" in names:
        return names["id"]
    for name in (names[one] for one in IDS if one in names):
        keys = [row.get(name) for row in rows]
        if None not in keys and len(set(map(str, keys))) == len(keys):
            return name
    return None
