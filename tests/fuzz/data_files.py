"""Data files that are nearly right: a seeded mutator of good rows, as JSON, JSON lines and Parquet."""

from __future__ import annotations

import datetime
import decimal
import io
import json
import random
from collections.abc import Iterator
from typing import Any

from fuzz.json_mutations import dumped, mutated_text, mutated_value

from chexphi.data.phantom.scene import sample_build, sample_scene

SUFFIXES = (".json", ".jsonl", ".parquet")
GRAPH = {
    "entities": [["effusion", "disorder_present"], ["left", "concept"], ["pleural", "anatomy"]],
    "relations": [["effusion", "disorder_present", "located_at", "pleural", "anatomy"]],
    "uncertain": [],
    "sides": [["effusion", "disorder_present", "left"]],
}


def good_row(rng: random.Random, number: int) -> dict[str, Any]:
    """A row that is read, in one of the forms that are."""
    answer = rng.choice(("yes", "no"))
    explanation = f"<think>There is an effusion, {number}.</think><answer>{answer}</answer>"
    row: dict[str, Any] = {"id": rng.choice((f"r{number}", number)), "subject_id": str(number // 2)}
    films = rng.choice((["1.png"], ["1.png", "2.png"]))
    row |= rng.choice(({"images": films}, {"image": films[0]}, {"image_ids": [film[0] for film in films]}))
    if rng.random() < 0.3:
        turns = [{"role": "user", "content": "<image>Is it?"}, {"role": "assistant", "content": explanation}]
        return row | {"messages": turns}
    row |= {"question": f"Is there an effusion, {number}?", "answer": rng.choice((answer, [answer]))}
    row |= rng.choice(({"explanation": explanation}, {"solution": explanation}, {}))
    row |= rng.choice(({"kind": "region"}, {"question_type": "presence", "split": "train"}, {}))
    if rng.random() < 0.4:
        row |= {"graph": GRAPH, "scene": [sample_scene(rng, sample_build(rng)).to_dict()]}
    return row


def mutated_data_files(rng: random.Random, count: int) -> Iterator[tuple[str, bytes]]:
    """Suffix and content of `count` files; about one in eight is whole."""
    for _ in range(count):
        rows: list[Any] = [good_row(rng, number) for number in range(rng.randrange(1, 6))]
        suffix = rng.choice(SUFFIXES)
        for _ in range(rng.choice((0, 1, 1, 1, 2))):
            place = rng.randrange(len(rows))
            rows[place] = mutated_value(rng, rows[place])
        if suffix == ".parquet":
            yield suffix, _parquet(rng, rows)
            continue
        lines = [dumped(row) for row in rows]
        text = "\n".join(lines) if suffix == ".jsonl" else "[" + ",\n".join(lines) + "]"
        content = text.encode()
        yield suffix, mutated_text(rng, content) if rng.random() < 0.4 else content


def _parquet(rng: random.Random, rows: list[Any]) -> bytes:
    """Rows as Parquet, whose columns have one type each: values that do not fit become JSON text."""
    import pyarrow
    import pyarrow.parquet

    objects = [row for row in rows if isinstance(row, dict)] or [{"question": "q"}]
    fields = list(dict.fromkeys(name for row in objects for name in row))
    odd = rng.choice(fields) if fields and rng.random() < 0.5 else None
    columns, names = [], []
    for name in fields:
        values = [_one_type(name, row.get(name)) for row in objects]
        columns.append(_array(pyarrow, rng, values, odd=name == odd))
        names.append(name.encode("utf-8", "replace").decode())
    if names and rng.random() < 0.1:
        place = rng.randrange(len(names))
        names.append(names[place])
        columns.append(columns[place])
    try:
        content = _written(pyarrow, columns, names)
    except pyarrow.ArrowException:  # an object without keys, which Parquet has not
        texts = [_texts(pyarrow, [row.get(name) for row in objects]) for name in fields]
        content = _written(pyarrow, texts, [name.encode("utf-8", "replace").decode() for name in fields])
    if rng.random() < 0.15:
        return content[: rng.randrange(len(content))]
    if rng.random() < 0.15:
        place = rng.randrange(len(content))
        return content[:place] + bytes([content[place] ^ 1 << rng.randrange(8)]) + content[place + 1 :]
    return content


def _one_type(name: str, value: Any) -> Any:
    """Values that may have two types, in one of them."""
    if name == "id" and isinstance(value, int):
        return str(value)[:40]
    return [value] if name == "answer" and isinstance(value, str) else value


def _array(pyarrow: Any, rng: random.Random, values: list[Any], *, odd: bool) -> Any:
    """A column of values; an odd one is of another type, or of damaged text."""
    count, kind = len(values), rng.randrange(8) if odd else 7
    if kind == 0:
        offsets = b"".join((2 * n).to_bytes(4, "little") for n in range(count + 1))
        buffers = [None, pyarrow.py_buffer(offsets), pyarrow.py_buffer(b"a\xff" * count)]
        return pyarrow.Array.from_buffers(pyarrow.string(), count, buffers)
    others: dict[int, tuple[Any, Any]] = {
        1: (datetime.datetime(2020, 1, 1), pyarrow.timestamp("us")),
        2: (decimal.Decimal("12.50"), pyarrow.decimal128(10, 2)),
        3: (b"\x89PNG", pyarrow.binary()),
        4: ({"bytes": b"x", "path": "1.png"}, None),
        5: ([("a", "b")], pyarrow.map_(pyarrow.string(), pyarrow.string())),
        6: (float(rng.randrange(99)), pyarrow.float32()),
    }
    if kind in others:
        value, type_ = others[kind]
        return pyarrow.array([value if rng.random() < 0.9 else None for _ in values], type_)
    try:
        return pyarrow.array(values)
    except (pyarrow.ArrowException, ValueError, TypeError, OverflowError):
        return _texts(pyarrow, values)


def _texts(pyarrow: Any, values: list[Any]) -> Any:
    texts = [value if isinstance(value, str) else json.dumps(value) for value in values]
    return pyarrow.array([text.encode("utf-8", "replace").decode() for text in texts])


def _written(pyarrow: Any, columns: list[Any], names: list[str]) -> bytes:
    buffer = io.BytesIO()
    table = pyarrow.table(columns, names=names)
    pyarrow.parquet.write_table(table, buffer, write_page_checksum=True, compression=None)
    return buffer.getvalue()
