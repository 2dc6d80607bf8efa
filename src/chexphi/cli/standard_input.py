"""`-` in place of a file that a verb reads: standard input, as a file for those who read files."""

from __future__ import annotations

import atexit
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from chexphi import atomic
from chexphi.schema import InputError

NAME = "standard input"
SIGNAL_CODE = 128
"""What shells add to the number of the signal that ended a process."""
_BOM = b"\xef\xbb\xbf"
_files: list[Path] = []
"""The file that standard input was copied to, once it is read."""


def input_file(path: Path) -> Path:
    """The path itself; for `-` a file with what standard input holds, removed when this process ends.

    Its ending says what it holds: a JSON array, Parquet, or JSON lines.

    Raises:
        InputError: If standard input is closed, or was read already, or there is no room for the copy.
    """
    if str(path) != "-":
        return path
    if _files:
        raise InputError("- is given twice, and there is one standard input: name a file for one of them")
    if sys.stdin is None:
        raise InputError("- is given, and standard input is closed: name a file")
    for ending_signal in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(ending_signal) == signal.SIG_DFL:  # it would leave the file behind
            signal.signal(ending_signal, lambda number, _: sys.exit(SIGNAL_CODE + number))
    folder = Path(tempfile.mkdtemp(prefix="chexphi-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    content = sys.stdin.buffer.read()
    file = folder / f"standard_input{ending(content)}"
    with atomic.writing(f"the copy of standard input in {folder}"):
        file.write_bytes(content)
    _files.append(file)
    return file


def input_root(path: Path, image_root: Path | None) -> Path | None:
    """The user's image root; with `-` by default the one that a file in the working folder has."""
    from chexphi.data.read import image_root_of

    return image_root_of(Path("standard_input")) if str(path) == "-" and image_root is None else image_root


def ending(content: bytes) -> str:
    """The ending of the name of a file with this content.

    >>> ending(b' [{"id": 1}]'), ending(b'{"id": 1}'), ending(b"PAR1")
    ('.json', '.jsonl', '.parquet')
    """
    start = content[:1000].removeprefix(_BOM).lstrip()
    return ".json" if start.startswith(b"[") else ".parquet" if start.startswith(b"PAR1") else ".jsonl"


def named(message: str) -> str:
    """A message in which the temporary file is called standard input."""
    for file in _files:
        message = message.replace(str(file), NAME)
    return message
