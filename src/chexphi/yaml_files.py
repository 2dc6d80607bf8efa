"""YAML that a user wrote: mappings, lists, texts, and numbers and words as JSON has them.

`.5`, `1.` and `+1`, which have one meaning in all of YAML, are numbers too.

Only PyYAML's parser runs. Its constructors, which read `010` as 8, `1:30` as 90 and `no` as false, do not: so
no tag has an effect, and no alias multiplies.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from chexphi.schema import InputError, shown

MAX_BYTES = 50_000
"""Of a file: PyYAML reads that in about a second; the largest file of settings here has 3,000."""
MAX_DEPTH = 32
"""Of mappings and lists within each other."""
INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
FLOAT = re.compile(r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_WORDS: dict[str, Any] = {"": None, "~": None, ".nan": float("nan")}
_WORDS |= {".inf": float("inf"), "-.inf": float("-inf")}
_WORDS |= dict.fromkeys(("null", "Null", "NULL"), None)
_WORDS |= dict.fromkeys(("true", "True", "TRUE"), True) | dict.fromkeys(("false", "False", "FALSE"), False)
_EITHER = re.compile(r"yes|no|on|off", re.IGNORECASE)
"""Texts to us, booleans to other readers of YAML."""
_LINE_ENDS = re.compile("[\x85\u2028\u2029]")
"""Of Unicode: PyYAML writes them within other texts so that it reads a space."""


def read_yaml(path: Path, *, what: str = "config file") -> dict[str, Any]:
    """The mapping in a YAML file.

    Args:
        path: The file.
        what: What it is, for the message.

    Raises:
        InputError: If it cannot be read, or as `parse_yaml`, or holds something other than a mapping.
    """
    where = f"{what} {path}"
    try:
        if not path.is_file():
            raise InputError(f"{where} is not a file: check the path")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"{where} cannot be read ({error.strerror}): check the path") from None
    values = parse_yaml(content, where)
    if not isinstance(values, dict):
        raise InputError(f"{where} does not hold a mapping: write one `key: value` a line")
    return values


def parse_yaml(content: str | bytes, where: str) -> Any:
    """The value of a YAML text.

    Args:
        content: The text, or its bytes in UTF-8.
        where: What the text is, for the message.

    Raises:
        InputError: If it is too large, not UTF-8, not YAML, nested too deeply, has several documents, a tag,
            an alias, a key that is not a text or is there twice, an integer of thousands of digits, or below
            the first level a word such as `yes`, which other readers take for true.
    """
    if len(content) > MAX_BYTES:
        raise InputError(f"{where} has more than {MAX_BYTES:,} bytes: settings are smaller, check the path")
    try:
        text = content.decode("utf-8-sig") if isinstance(content, bytes) else content
    except UnicodeDecodeError:
        raise InputError(f"{where} is not UTF-8: save it in that encoding") from None
    try:
        return _Reader(text, where).read()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" at line {mark.line + 1}" if mark else ""
        reason = " (it has a control character)" if isinstance(error, yaml.reader.ReaderError) else ""
        raise InputError(f"{where} is not valid YAML{place}{reason}: correct it") from None


def dump_yaml(values: dict[str, Any]) -> str:
    """Values as YAML that `read_yaml` reads as they are."""
    return yaml.dump(values, Dumper=_Dumper, sort_keys=True, allow_unicode=True)


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_text(self, data: str) -> yaml.ScalarNode:
        plain = INTEGER.fullmatch(data) or FLOAT.fullmatch(data) or _EITHER.fullmatch(data)
        style = '"' if _LINE_ENDS.search(data) else "'" if plain else None
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=style)


_Dumper.add_representer(str, _Dumper.represent_text)


class _Reader:
    """Builds plain values from the events of PyYAML's parser."""

    def __init__(self, text: str, where: str) -> None:
        self._loader = yaml.SafeLoader(text)
        self._where = where

    def read(self) -> Any:
        self._loader.get_event()  # the stream begins
        if self._loader.check_event(yaml.StreamEndEvent):
            return None
        self._loader.get_event()  # the document begins
        value = self._value(0)
        self._loader.get_event()  # and ends
        if not self._loader.check_event(yaml.StreamEndEvent):
            raise self._refusal("a second document", "keep one of them", self._loader.peek_event())
        return value

    def _value(self, depth: int) -> Any:
        event = self._loader.get_event()
        if isinstance(event, yaml.AliasEvent):
            raise self._refusal(f"the alias {shown(f'*{event.anchor}')}", "write the value itself", event)
        if event.tag is not None:
            raise self._refusal(f"the tag {shown(event.tag)}", "leave it out", event)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, depth) if event.implicit[0] else event.value
        if depth == MAX_DEPTH:
            raise self._refusal(f"more than {MAX_DEPTH} levels", "settings are flat, check the file", event)
        return self._list(depth) if isinstance(event, yaml.SequenceStartEvent) else self._mapping(depth)

    def _list(self, depth: int) -> list[Any]:
        values = []
        while not self._loader.check_event(yaml.SequenceEndEvent):
            values.append(self._value(depth + 1))
        self._loader.get_event()
        return values

    def _mapping(self, depth: int) -> dict[str, Any]:
        values: dict[str, Any] = {}
        while not self._loader.check_event(yaml.MappingEndEvent):
            event = self._loader.peek_event()
            scalar = isinstance(event, yaml.ScalarEvent)
            key = self._value(1) if scalar else None  # at the first level a word is a text
            if not isinstance(key, str):
                what = f"the key {shown(key)}, which" if scalar else "a key that"
                raise self._refusal(f"{what} is not a text", "put it in quotes", event)
            if key in values:
                raise self._refusal(f"the key {shown(key)} a second time", "keep one of the two", event)
            values[key] = self._value(depth + 1)
        self._loader.get_event()
        return values

    def _scalar(self, event: yaml.ScalarEvent, depth: int) -> Any:
        text = event.value
        if text in _WORDS:
            return _WORDS[text]
        if depth > 1 and _EITHER.fullmatch(text):
            raise self._refusal(f"the word {text}", "write true or false, or put it in quotes", event)
        try:
            return int(text) if INTEGER.fullmatch(text) else float(text) if FLOAT.fullmatch(text) else text
        except ValueError:  # Python's own limit on the digits of an integer
            raise self._refusal("a number of too many digits", "correct it", event) from None

    def _refusal(self, what: str, advice: str, event: yaml.Event) -> InputError:
        place = f"at line {event.start_mark.line + 1}" if event.start_mark else "in it"
        return InputError(f"{self._where} has {what} {place}: {advice}")
