"""JSONL files of a run: written row by row, so that a killed run loses at most a line, and read again."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from chexphi import atomic
from chexphi.files import LINE_ADVICE, json_lines
from chexphi.runs import processes, run_folder
from chexphi.schema import InputError

GO_ON = "make room, then go on with --resume"


def own_log(path: Path) -> Path:
    """Where this process writes a run's log: the main process into the file, the others nowhere."""
    return path if processes.is_main() else Path(os.devnull)


class JsonLines:
    """An append-only JSONL file whose every line is flushed; a torn last line is cut on opening."""

    def __init__(self, path: Path) -> None:
        self.path = path
        drop_torn_line(path)
        # half of a surrogate pair does not exist in UTF-8: it becomes its JSON escape
        self._file = path.open("a", encoding="utf-8", errors="backslashreplace")

    def write(self, *rows: Mapping[str, Any]) -> None:
        with atomic.writing(self.path, remedy=GO_ON):
            try:
                self._file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
                self._file.flush()
            except OSError:
                # without this the rest is written when Python frees the file, perhaps into a resumed run
                self.close()
                raise

    def close(self) -> None:
        with contextlib.suppress(OSError):  # for lines that `write` could not write
            self._file.close()


def drop_torn_line(path: Path) -> None:
    """Remove an incomplete last line, which a killed process leaves."""
    if not path.exists():
        return
    content = path.read_bytes()
    if content and not content.endswith(b"\n"):
        os.truncate(path, content.rfind(b"\n") + 1)  # writing the file again could lose it on a full disk


def rows_with_location(
    path: Path, *, nan: bool = False, growing: bool = False, skip_blank: bool = False
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The location (file and line, for messages) and the row of each line; arguments as `files.json_lines`.

    Raises:
        InputError: If a line is not a JSON object; the message has its number.
    """
    for location, row in json_lines(path, nan=nan, growing=growing, skip_blank=skip_blank):
        if not isinstance(row, dict):
            raise InputError(f"{location} is not a JSON object: {LINE_ADVICE}")
        yield location, row


def read(path: Path, *, nan: bool = False, growing: bool = False) -> Iterator[dict[str, Any]]:
    """The rows of a JSONL file without their locations; arguments and errors as `rows_with_location`."""
    return (row for _, row in rows_with_location(path, nan=nan, growing=growing))


def join_parts(path: Path, ids: Sequence[str] = ()) -> None:
    """Make one JSONL file of what several processes wrote, in the order of these ids if there are any.

    All processes have to call this. What an interrupted run left is joined too.
    """
    processes.barrier()  # now all have written
    with processes.fail_together():
        if processes.is_main():
            JsonLines(path).close()
            for part_path in processes.parts_of(path):
                drop_torn_line(part_path)
                _append(path, part_path.read_bytes())
                part_path.unlink()
            if ids:
                put_in_order(path, ids)


def _append(path: Path, content: bytes) -> None:
    """Add lines to a file: all of them or none."""
    old_size = path.stat().st_size if path.exists() else 0
    try:
        with atomic.writing(path, remedy=GO_ON), path.open("ab") as file:
            file.write(content)
    except InputError:
        with contextlib.suppress(OSError):
            os.truncate(path, old_size)
        raise


def line_count(path: Path) -> int:
    """Lines of a file that are whole."""
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))


def put_in_order(path: Path, ids: Sequence[str]) -> None:
    """Sort the rows of a JSONL file by the order of these ids; rows with another id come first."""
    index = {name: number for number, name in enumerate(ids)}
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    order = [index.get(row["id"], -1) for row in read(path)]
    if order != sorted(order):
        pairs = sorted(zip(order, lines, strict=True), key=lambda pair: pair[0])
        run_folder.atomic_write(path, "".join(f"{line}\n" for _, line in pairs))


def cut_back(path: Path, size: int) -> None:
    """Shorten a log to the size that it had at a checkpoint: a resumed run writes the later lines again.

    Raises:
        InputError: If the file is shorter than that.
    """
    size_now = path.stat().st_size if path.exists() else 0
    if size_now < size:
        raise InputError(
            f"{path} has {size_now:,} bytes and the checkpoint counts on {size:,}: put the whole file back, "
            "or choose another --out"
        )
    if size_now > size:
        os.truncate(path, size)
