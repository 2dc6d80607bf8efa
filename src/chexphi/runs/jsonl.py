"""JSONL files of a run: written row by row, so that a kill loses no more than a line, and read again."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from chexphi import atomic
from chexphi.files import parse_json
from chexphi.runs import processes, run_folder
from chexphi.schema import InputError

GO_ON = "make room, then go on with --resume"


def own_log(path: Path) -> Path:
    """Where this process writes a run's log: the main one into it, the others nowhere."""
    return path if processes.is_main() else Path(os.devnull)


class JsonLines:
    """An append-only JSONL file whose every line is flushed; a torn last line is cut on opening."""

    def __init__(self, path: Path) -> None:
        self.path = path
        repair(path)
        # half of a surrogate pair, which UTF-8 has not, becomes its JSON escape
        self._file = path.open("a", encoding="utf-8", errors="backslashreplace")

    def write(self, *rows: Mapping[str, Any]) -> None:
        with atomic.writing(self.path, remedy=GO_ON):
            try:
                self._file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
                self._file.flush()
            except OSError:
                self.close()  # else the rest is written once the file is forgotten, into a resumed run
                raise

    def close(self) -> None:
        with contextlib.suppress(OSError):  # of lines that `write` failed on
            self._file.close()


def repair(path: Path) -> None:
    """Cut a last line that a kill left without its end."""
    if not path.exists():
        return
    content = path.read_bytes()
    if content and not content.endswith(b"\n"):
        os.truncate(path, content.rfind(b"\n") + 1)  # written again it would be lost on a full disk


ADVICE = "repair or remove the line"


def read(path: Path, *, growing: bool = False, nan: bool = False) -> Iterator[dict[str, Any]]:
    """The rows of a JSONL file.

    Args:
        path: The file.
        growing: Leave out a last line whose end is not yet written.
        nan: Whether NaN and Infinity are numbers, as in the logs of a run that diverged.

    Raises:
        InputError: If a line is not a JSON object; its number is named.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            where = f"{path}, line {number}"
            try:
                row = parse_json(line, where, advice=ADVICE, nan=nan)
            except InputError:
                if growing and not line.endswith(b"\n"):
                    return
                raise
            if not isinstance(row, dict):
                raise InputError(f"{where} is not a JSON object: {ADVICE}")
            yield row


def join_parts(path: Path, ids: Sequence[str] = ()) -> None:
    """Make one JSONL file of what several processes wrote, in the order of these ids if there are any.

    All processes have to come here; parts that an interrupted run left are joined too.
    """
    with processes.agreed():
        pass  # all have written
    with processes.agreed():
        if processes.is_main():
            JsonLines(path).close()
            for part in processes.parts_of(path):
                repair(part)
                _append(path, part.read_bytes())
                part.unlink()
            if ids:
                put_in_order(path, ids)


def _append(path: Path, content: bytes) -> None:
    """Add lines to a file, all or none."""
    before = path.stat().st_size if path.exists() else 0
    try:
        with atomic.writing(path, remedy=GO_ON), path.open("ab") as file:
            file.write(content)
    except InputError:
        with contextlib.suppress(OSError):
            os.truncate(path, before)
        raise


def put_in_order(path: Path, ids: Sequence[str]) -> None:
    """Bring the rows of a JSONL file into the order of their ids; those of no known id come first."""
    place = {name: number for number, name in enumerate(ids)}
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    order = [place.get(row["id"], -1) for row in read(path)]
    if order != sorted(order):
        pairs = sorted(zip(order, lines, strict=True), key=lambda pair: pair[0])
        run_folder.atomic_write(path, "".join(f"{line}\n" for _, line in pairs))


def cut_back(path: Path, size: int) -> None:
    """Shorten a log to what it was at a checkpoint: a resumed run writes the rest again.

    Raises:
        InputError: If it is shorter than that.
    """
    there = path.stat().st_size if path.exists() else 0
    if there < size:
        raise InputError(
            f"{path} has {there:,} bytes and the checkpoint counts on {size:,}: put the whole file back, or "
            "choose another --out"
        )
    if there > size:
        os.truncate(path, size)
