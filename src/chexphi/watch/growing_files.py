"""Files that somebody else is writing: each whole line is read once, half a last line is left for later."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chexphi.files import parse_json
from chexphi.schema import InputError


@dataclass(slots=True)
class _LinesRead:
    """What was read of a file so far."""

    inode: int = -1
    size: int = 0
    """Bytes of the whole lines that were read."""
    values: list[Any] = field(default_factory=list)


class GrowingFiles:
    """Reads files line by line, again and again; a file that was replaced or cut back is read anew."""

    def __init__(self) -> None:
        self._files: dict[Path, _LinesRead] = {}

    def lines(self, path: Path, value_of: Callable[[bytes], Any]) -> list[Any]:
        """What `value_of` makes of each whole line, without the lines of which it makes None.

        A file that is missing has no lines.
        """
        lines_read = self._files.setdefault(path, _LinesRead())
        try:
            with path.open("rb") as file:
                status = os.fstat(file.fileno())
                if status.st_ino != lines_read.inode or status.st_size < lines_read.size:
                    lines_read.inode, lines_read.size, lines_read.values = status.st_ino, 0, []
                file.seek(lines_read.size)
                content = file.read()
        except OSError:
            self._files.pop(path)
            return []
        whole_lines = content[: content.rfind(b"\n") + 1]
        values = (value_of(line) for line in whole_lines.split(b"\n")[:-1])
        lines_read.values += [value for value in values if value is not None]
        lines_read.size += len(whole_lines)
        return lines_read.values

    def rows(self, path: Path, keep: Callable[[dict[str, Any]], Any]) -> list[Any]:
        """What `keep` makes of each JSON object of a JSONL file; a damaged line is passed over."""

        def value_of(line: bytes) -> Any:
            try:
                row = parse_json(line, str(path), nan=True)
            except InputError:
                return None
            return keep(row) if isinstance(row, dict) else None

        return self.lines(path, value_of)
