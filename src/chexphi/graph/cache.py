"""A cache of parsed sentences on disk that processes share: one SQLite file. Standard library only."""

from __future__ import annotations

import fcntl
import functools
import json
import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chexphi.files import parse_json
from chexphi.graph.records import parse_fields, parse_from_fields
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
_KEYS_PER_QUERY = 500
"""SQLite limits how many keys a query may have."""


def dumps(parse: Parse) -> str:
    """One line of JSON without the sentence: only the words of the entities are written to disk."""
    return json.dumps(parse_fields(parse), separators=(",", ":"))


def loads(text: str, entry: str) -> Parse:
    """The inverse of `dumps`, for the sentence `text`.

    Raises:
        InputError: If the entry is damaged.
    """
    try:
        return parse_from_fields(text, parse_json(entry, "an entry"))
    except (ValueError, AttributeError):
        raise InputError("the graph cache holds a damaged entry: remove its file, or name another") from None


class DiskCache:
    """Values by key, in a file that any number of processes and threads may use at once.

    SQLite runs in WAL mode: a process that is killed leaves whole entries or none. The oldest entries are
    deleted when the values exceed `limit` bytes. The file must be on a local disk.
    """

    def __init__(self, path: Path, *, limit: int = 1 << 30) -> None:
        self.path, self.limit = path, limit
        self._local = threading.local()
        with self._explain_errors():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._open().close()

    def __reduce__(self) -> tuple[Any, ...]:
        """For pickle and copies: the same file, with connections of its own."""
        return functools.partial(DiskCache, limit=self.limit), (self.path,)

    def get(self, keys: Sequence[bytes]) -> dict[bytes, str]:
        """The values of those keys that the file has."""
        values: dict[bytes, str] = {}
        for start in range(0, len(keys), _KEYS_PER_QUERY):
            chunk = keys[start : start + _KEYS_PER_QUERY]
            marks = ",".join("?" * len(chunk))
            query = f"SELECT key, value FROM parses WHERE key IN ({marks})"
            with self._explain_errors():
                values |= dict(self._connection.execute(query, chunk))
        return values

    def put(self, values: Mapping[bytes, str]) -> None:
        """Add all values or none; a key that the file has keeps its value."""
        with self._explain_errors(), self._connection as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT OR IGNORE INTO parses (key, value) VALUES (?, ?)", values.items())
            while self._bytes() > self.limit:  # a tenth at once, so that not every new entry deletes
                connection.execute(
                    "DELETE FROM parses WHERE number IN (SELECT number FROM parses ORDER BY number "
                    "LIMIT (SELECT 1 + count(*) / 10 FROM parses))"
                )

    @contextmanager
    def _explain_errors(self) -> Iterator[None]:
        """Turns the errors of a damaged file, a full disk or missing rights into one sentence."""
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
        """One connection per thread; a forked process opens its own."""
        if getattr(self._local, "process", None) != os.getpid():
            self._local.process, self._local.connection = os.getpid(), self._open()
        return self._local.connection

    def _open(self) -> sqlite3.Connection:
        """Opens under a lock, because SQLite's switch to WAL and its repair after a kill do not wait."""
        with Path(f"{self.path}.lock").open("a") as lock_file:
            fcntl.flock(lock_file, fcntl.LOCK_EX)
            connection = sqlite3.connect(self.path, timeout=60, isolation_level=None)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.executescript(_SCHEMA)
        return connection
