"""Small JSON files of a user, read or refused with a one-sentence message. Standard library only."""

from __future__ import annotations

import difflib
import itertools
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from chexphi.schema import InputError, key_shown, shown

MAX_NEIGHBOURS = 10_000
"""Files beside a missing one that its name is compared with."""
_BOM = b"\xef\xbb\xbf"


class _RefusedError(ValueError):
    """Content that JSON or Python's reader allows, and our files may not have."""


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object without repeated keys: Python's reader would keep the last value and say nothing."""
    values = dict(pairs)
    if len(values) == len(pairs):
        return values
    earlier_keys: set[str] = set()
    number, repeated = next(
        (number, key)
        for number, (key, _) in enumerate(pairs, 1)
        if key in earlier_keys or earlier_keys.add(key)  # type: ignore[func-returns-value]
    )
    name = values.get("id")
    row = f" in the row with id {shown(name)}" if isinstance(name, str | int) and repeated != "id" else ""
    raise _RefusedError(f"{key_shown(repeated, number)} is there twice{row}")


def _constant(word: str) -> NoReturn:
    raise _RefusedError(f"{word} is not a number of JSON")


_STRICT = json.JSONDecoder(object_pairs_hook=_unique_keys, parse_constant=_constant)
_WITH_NAN = json.JSONDecoder(object_pairs_hook=_unique_keys)


def parse_json(text: str | bytes, source: str, *, advice: str = "repair it", nan: bool = False) -> Any:
    """The value of a JSON text. All JSON that somebody else may have written is read here.

    Args:
        text: The text, or its bytes in UTF-8, with or without a byte order mark.
        source: Where the text is from, for the message: a file, or a file and a line.
        advice: What the user can do about it, for the message.
        nan: Whether `NaN` and `Infinity` are read as numbers, as in logs of a run that diverged.

    Raises:
        InputError: If the text is not UTF-8 or not JSON, or holds a repeated key, `NaN`, a number with
            thousands of digits, or thousands of nested brackets.
    """
    try:
        words = text.removeprefix(_BOM).decode("utf-8") if isinstance(text, bytes) else text
        return (_WITH_NAN if nan else _STRICT).decode(words)
    except json.JSONDecodeError as error:
        line = f" at line {error.lineno}" if error.lineno > 1 else ""
        reason = f"{error.msg}{line}"
    except UnicodeDecodeError:
        reason = "not UTF-8"
    except _RefusedError as error:
        reason = str(error)
    except ValueError:  # Python's own limit on the digits of an integer
        reason = "a number has too many digits"
    except RecursionError:
        reason = "its brackets are nested too deeply"
    raise InputError(f"{source} is not JSON that can be read ({reason}): {advice}")


LINE_ADVICE = "repair or remove the line"


def json_lines(
    path: Path,
    *,
    nan: bool = False,
    growing: bool = False,
    skip_blank: bool = False,
    advice: str = LINE_ADVICE,
) -> Iterator[tuple[str, Any]]:
    """The location (file and line, for messages) and the value of each line of a file of JSON lines.

    Args:
        path: The file.
        nan: As in `parse_json`.
        growing: Leave out a last line that its writer has not finished.
        skip_blank: Pass over lines of white space, which are refused otherwise.
        advice: As in `parse_json`.

    Raises:
        InputError: As `parse_json`; the line's number is named.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if skip_blank and not line.removeprefix(_BOM).strip():
                continue
            location = f"{path}, line {number}"
            try:
                value = parse_json(line, location, advice=advice, nan=nan)
            except InputError:
                if growing and not line.endswith(b"\n"):
                    return
                if number == 1 and line.removeprefix(_BOM).lstrip().startswith(b"["):
                    raise InputError(
                        f"{path} holds a JSON array, and a file of JSON lines is needed: name a file with "
                        "one object a line"
                    ) from None
                raise
            yield location, value


def read_json(path: Path, *, advice: str = "copy it again", nan: bool = False) -> Any:
    """The JSON value in a file.

    Args:
        path: The file.
        advice: What the user can do about a bad file, for the message.
        nan: Whether `NaN` and `Infinity` are read as numbers.

    Raises:
        InputError: If the file cannot be read, or its content is refused by `parse_json`.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): check the path") from None
    return parse_json(content, str(path), advice=advice, nan=nan)


def similar_names(path: Path | str) -> str:
    """What a missing path may have meant, to be put behind `does not exist`; empty if nothing is similar.

    It is empty, too, for a path that is there.

    Not for films: the names beside one may be of other patients.

    Args:
        path: A path that does not exist, or only its end.
    """
    missing = Path(path)
    if missing.exists():
        return ""
    while not missing.parent.exists():
        missing = missing.parent
    try:
        names = sorted(entry.name for entry in itertools.islice(os.scandir(missing.parent), MAX_NEIGHBOURS))
    except OSError:
        return ""
    similar = difflib.get_close_matches(missing.name, names, n=3)
    return f" ({missing.parent} has {', '.join(similar)})" if similar else ""


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        InputError: If the file holds something else.
    """
    value = read_json(path)
    if not isinstance(value, dict):
        raise InputError(f"{path} is not a JSON object: copy it again")
    return value
