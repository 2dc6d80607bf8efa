"""Small files of a user's folder, read or refused in one sentence. Standard library only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

from chexphi.schema import InputError, key_shown, shown

_BOM = b"\xef\xbb\xbf"


class _RefusedError(ValueError):
    """What JSON allows, or Python's reader does, and no file of ours may hold."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys are there once: of two values the library would keep the last, and say nothing."""
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    seen: set[str] = set()
    number, twice = next(
        (number, key)
        for number, (key, _) in enumerate(pairs, 1)
        if key in seen or seen.add(key)  # type: ignore[func-returns-value]
    )
    name = found.get("id")
    row = f" in the row with id {shown(name)}" if isinstance(name, str | int) and twice != "id" else ""
    raise _RefusedError(f"{key_shown(twice, number)} is there twice{row}")


def _constant(word: str) -> NoReturn:
    raise _RefusedError(f"{word} is not a number of JSON")


_STRICT = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_constant)
_WITH_NAN = json.JSONDecoder(object_pairs_hook=_once)


def parse_json(text: str | bytes, where: str, *, advice: str = "repair it", nan: bool = False) -> Any:
    """The value of a JSON text: the one reader of JSON that somebody else may have written.

    Args:
        text: The text, or its bytes in UTF-8, with or without a byte order mark.
        where: What the text is, for the message: a file, or a file and a line.
        advice: What the user can do about it, for the message.
        nan: Whether `NaN` and `Infinity` are read as numbers, as in logs of a run that diverged.

    Raises:
        InputError: If the text is not UTF-8 or not JSON, names a key twice in an object, or holds `NaN`, a
            number of thousands of digits or brackets nested by the thousand.
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
    raise InputError(f"{where} is not JSON that can be read ({reason}): {advice}")


def read_json(path: Path, *, advice: str = "copy it again", nan: bool = False) -> Any:
    """The JSON value in a file; arguments as `parse_json`.

    Raises:
        InputError: As `parse_json`, or if the file cannot be read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): check the path") from None
    return parse_json(content, str(path), advice=advice, nan=nan)


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        InputError: If the file holds something else.
    """
    found = read_json(path)
    if not isinstance(found, dict):
        raise InputError(f"{path} is not a JSON object: copy it again")
    return found
