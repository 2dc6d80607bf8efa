"""Rows of Parquet files: read batch by batch, every value looked at, damage named by row and column."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from chexphi.schema import InputError, shown


def pyarrow() -> Any:
    """The library, with its Parquet part.

    Raises:
        InputError: If it is not installed.
    """
    try:
        import pyarrow.parquet
    except ImportError:
        raise InputError("Parquet files need pyarrow: install it with pip install 'chexphi[train]'") from None
    return pyarrow


def read(source: Path | bytes, name: str, *, plain: bool = False) -> Iterator[tuple[int, dict[str, Any]]]:
    """The number of each row, and the row.

    Args:
        source: The file, or its content.
        name: What messages call it.
        plain: Leave out columns of lists, records and bytes.

    Raises:
        InputError: If it is not Parquet, is damaged, has two columns of one name, or holds a value that is
            not of its column's type, such as text that is not UTF-8; row and column are named.
    """
    library = pyarrow()
    where = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        with library.parquet.ParquetFile(where, page_checksum_verification=True) as file:
            columns = _columns(file.schema_arrow, name, library.types, plain=plain)
            number = 0
            for batch in file.iter_batches(columns=columns):
                for row in _rows(batch, name, number):
                    number += 1
                    yield number, row
    except InputError:
        raise
    except (library.ArrowException, OSError, ValueError, LookupError, OverflowError):
        raise InputError(f"{name} is not a Parquet file that can be read: write it again") from None


def _columns(schema: Any, name: str, kinds: Any, *, plain: bool) -> Sequence[str] | None:
    """The columns to read, None for all: of two of one name the library would give the last."""
    twice = next((column for column, count in Counter(schema.names).items() if count > 1), None)
    if twice is not None:
        raise InputError(f"{name} has the column {shown(twice)} twice: rename one")
    if not plain:
        return None
    return [
        column.name
        for column in schema
        if not (kinds.is_nested(column.type) or kinds.is_binary(column.type))  # films, as a rule
    ]


def _rows(batch: Any, name: str, before: int) -> list[dict[str, Any]]:
    try:
        rows: list[dict[str, Any]] = batch.to_pylist()
    except (ValueError, OverflowError, LookupError):  # not UTF-8, a time that no calendar has
        raise _damaged(batch, name, before) from None
    return rows


def _damaged(batch: Any, name: str, before: int) -> InputError:
    """The sentence about the first value that cannot be read."""
    for place in range(batch.num_rows):
        for column in batch.schema.names:
            try:
                batch.column(column)[place].as_py()
            except UnicodeDecodeError:
                reason = "text that is not UTF-8"
            except (ValueError, OverflowError, LookupError):
                reason = f"a value that is not a {batch.schema.field(column).type}"
            else:
                continue
            return InputError(
                f"{name}, row {before + place + 1}: column {shown(column)} holds {reason}: correct it"
                " where it comes from, and write the file again"
            )
    return InputError(f"{name} is not a Parquet file that can be read: write it again")
