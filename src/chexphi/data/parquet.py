"""Rows of Parquet files: read batch by batch, every value checked; errors name row and column."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from chexphi.installation import install_line
from chexphi.schema import InputError, shown


def pyarrow() -> Any:
    """The library, with its Parquet part.

    Raises:
        InputError: If it is not installed.
    """
    try:
        import pyarrow.parquet
    except ImportError:
        raise InputError(f"Parquet files need pyarrow: {install_line('train')}") from None
    return pyarrow


def read(source: Path | bytes, name: str, *, flat_only: bool = False) -> Iterator[tuple[int, dict[str, Any]]]:
    """The number of each row, and the row.

    Args:
        source: The file, or its content.
        name: The file's name in messages.
        flat_only: Leave out columns of lists, records and bytes.

    Raises:
        InputError: If it is not Parquet, is damaged, has two columns of one name, or holds a value that is
            not of its column's type, such as text that is not UTF-8. The message names row and column.
    """
    library = pyarrow()
    opened_source = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        with library.parquet.ParquetFile(opened_source, page_checksum_verification=True) as file:
            columns = _columns(file.schema_arrow, name, library.types, flat_only=flat_only)
            row_count = 0
            for batch in file.iter_batches(columns=columns):
                for row in _rows(batch, name, row_count):
                    row_count += 1
                    yield row_count, row
    except InputError:
        raise
    except (library.ArrowException, OSError, ValueError, LookupError, OverflowError):
        raise InputError(f"{name} is not a Parquet file that can be read: write it again") from None


def _columns(schema: Any, name: str, kinds: Any, *, flat_only: bool) -> Sequence[str] | None:
    """The columns to read, None for all. Two of one name are refused: pyarrow would give only the last."""
    twice = next((column for column, count in Counter(schema.names).items() if count > 1), None)
    if twice is not None:
        raise InputError(f"{name} has the column {shown(twice)} twice: rename one")
    if not flat_only:
        return None
    return [
        column.name
        for column in schema
        if not (kinds.is_nested(column.type) or kinds.is_binary(column.type))  # films, as a rule
    ]


def _rows(batch: Any, name: str, rows_before: int) -> list[dict[str, Any]]:
    try:
        rows: list[dict[str, Any]] = batch.to_pylist()
    except (ValueError, OverflowError, LookupError):  # not UTF-8, an impossible time
        if error := _damage_error(batch, name, rows_before):
            raise error from None
        raise
    return rows


def _damage_error(batch: Any, name: str, rows_before: int) -> InputError | None:
    """The error about the first value that cannot be read; None if each can be read alone."""
    for index in range(batch.num_rows):
        for column in batch.schema.names:
            try:
                batch.column(column)[index].as_py()
            except UnicodeDecodeError:
                reason = "text that is not UTF-8"
            except (ValueError, OverflowError, LookupError):
                reason = f"a value that is not a {batch.schema.field(column).type}"
            else:
                continue
            return InputError(
                f"{name}, row {rows_before + index + 1}: column {shown(column)} holds {reason}: correct it"
                " where it comes from, and write the file again"
            )
    return None
