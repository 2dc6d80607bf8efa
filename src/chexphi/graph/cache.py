"""Parses of sentences on disk, shared by processes: one SQLite file. Standard library only."""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from chexphi.files import parse_json
from chexphi.graph.records import parse_of, plain
from chexphi.graph.types import Parse
from chexphi.schema import InputError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS parses (
    number INTEGER PRIMARY KEY AUTOINCREMENT, key BLOB NOT NULL UNIQUE, value TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS total (one INTEGER PRIMARY KEY CHECK (one = 1), bytes INTEGER NOT NULL);
INSERT OR IGNORE INTO total VALUES (1, 0);
CREATE TRIGGER IF NOT EXISTS added AFTER INSERT ON parses
BEGIN UPDATE total SET bytes = bytes + length(CAST(NEW.value AS BLOB)); END;
CREATE TRIGGER IF NOT EXISTS removed AFTER DELETE ON parses
BEGIN UPDATE total SET bytes = bytes - length(CAST(OLD.value AS BLOB)); END;
"""
_AT_ONCE = 500
"""Keys of one query."""


def dumps(parse: Parse) -> str:
    """One line of JSON, without the sentence itself: of a report only the entities' words are kept."""
    return json.dumps(plain(parse), separators=(",", ":"))


def loads(text: str, line: str) -> Parse:
    """The inverse of `dumps`, for the sentence `text`.

    Raises:
        InputError: If the entry is damaged.
    """
    try:
        return parse_of(text, parse_json(line, "an entry"))
    except (ValueError, AttributeError):
        raise InputError("the graph cache holds a damaged entry: remove its file, or name another") from None


class DiskCache:
    """Values by key, in a file that any number of processes and threads may use at once.

    SQLite in WAL mode: a process that is killed leaves whole entries or none. The oldest entries go when
    the values exceed `limit` bytes. The file must lie on a local disk.
    """

    def __init__(self, path: Path, *, limit: int = 1 << 30) -> None:
        self.path, self.limit = path, limit
        self._local = threading.local()
        with self._usable():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._open().close()

    def get(self, keys: Sequence[bytes]) -> dict[bytes, str]:
        """The values that are there."""
        found: dict[bytes, str] = {}
        for first in range(0, len(keys), _AT_ONCE):
            part = keys[first : first + _AT_ONCE]
            marks = ",".join("?" * len(part))
            query = f"SELECT key, value FROM parses WHERE key IN ({marks})"
            with self._usable():
                found |= dict(self._connection.execute(query, part))
        return found

    def put(self, values: Mapping[bytes, str]) -> None:
        """Add values, all or none; those of known keys stay as they are."""
        with self._usable(), self._connection as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT OR IGNORE INTO parses (key, value) VALUES (?, ?)", values.items())
            while self._bytes() > self.limit:  # a tenth at a time: not at every entry again
                connection.execute(
                    "DELETE FROM parses WHERE number IN (SELECT number FROM parses ORDER BY number "
                    "LIMIT (SELECT 1 + count(*) / 10 FROM parses))"
                )

    @contextmanager
    def _usable(self) -> Iterator[None]:
        """A file that is damaged, on a full disk or not the user's is one sentence."""
        try:
            yield
        except (OSError, sqlite3.DatabaseError) as error:
            raise InputError(
                f"graph cache {self.path} cannot be used ({error}): make room, or name another file"
            ) from None

    def _bytes(self) -> int:
        return int(self._connection.execute("SELECT bytes FROM total").fetchone()[0])

    @property
    def _connection(self) -> sqlite3.Connection:
        """One a thread, and its own in a forked process."""
        if getattr(self._local, "process", None) != os.getpid():
            self._local.process, self._local.connection = os.getpid(), self._open()
        return self._local.connection

    def _open(self) -> sqlite3.Connection:
        """One process at a time: switching to WAL, and mending after a kill, do not wait for their turn."""
        with Path(f"{self.path}.lock").open("a") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            connection = sqlite3.connect(self.path, timeout=60, isolation_level=None)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.executescript(_SCHEMA)
        return connection
