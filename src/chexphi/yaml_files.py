"""YAML that a user wrote: mappings, lists, texts, and numbers and words as in JSON.

`.5`, `1.` and `+1`, which mean the same to all readers of YAML, are numbers too.

Only PyYAML's parser runs. Its constructors, which read `010` as 8, `1:30` as 90 and `no` as false, do not
run. So tags have no effect, and aliases cannot multiply the content.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from chexphi.schema import InputError, shown

MAX_BYTES = 50_000
"""Of a file: PyYAML reads that many in about a second; our largest file of settings has 3,000."""
MAX_DEPTH = 32
"""Of nested mappings and lists."""
INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
FLOAT = re.compile(r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_WORDS: dict[str, Any] = {"": None, "~": None, ".nan": float("nan")}
_WORDS |= {".inf": float("inf"), "-.inf": float("-inf")}
_WORDS |= dict.fromkeys(("null", "Null", "NULL"), None)
_WORDS |= dict.fromkeys(("true", "True", "TRUE"), True) | dict.fromkeys(("false", "False", "FALSE"), False)
_BOOLEAN_ELSEWHERE = re.compile(r"yes|no|on|off", re.IGNORECASE)
"""Words that are texts to us, and booleans to other readers of YAML."""
_LINE_ENDS = re.compile("[\x85\u2028\u2029]")
"""Of Unicode: PyYAML writes them within other texts in a form that it reads back as a space."""


def read_yaml(path: Path, *, description: str = "config file") -> dict[str, Any]:
    """The mapping in a YAML file.

    Args:
        path: The file.
        description: What the file is, for the message.

    Raises:
        InputError: If it cannot be read, is refused by `parse_yaml`, or does not hold a mapping.
    """
    source = f"{description} {path}"
    try:
        if not path.is_file():
            raise InputError(f"{source} is not a file: check the path")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"{source} cannot be read ({error.strerror}): check the path") from None
    values = parse_yaml(content, source)
    if not isinstance(values, dict):
        raise InputError(f"{source} does not hold a mapping: write one `key: value` a line")
    return values


def parse_yaml(content: str | bytes, source: str) -> Any:
    """The value of a YAML text.

    Args:
        content: The text, or its bytes in UTF-8.
        source: Where the text is from, for the message.

    Raises:
        InputError: If it is too large, not UTF-8, not YAML or nested too deeply; if it has several documents,
            a tag, an alias, a key that is not a text or is repeated, or an integer with thousands of digits;
            or if there is, below the first level, a word such as `yes`, which other readers take for true.
    """
    if len(content) > MAX_BYTES:
        raise InputError(f"{source} has more than {MAX_BYTES:,} bytes: settings are smaller, check the path")
    try:
        text = content.decode("utf-8-sig") if isinstance(content, bytes) else content
    except UnicodeDecodeError:
        raise InputError(f"{source} is not UTF-8: save it in that encoding") from None
    try:
        return _Reader(text, source).read()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" at line {mark.line + 1}" if mark else ""
        reason = " (it has a control character)" if isinstance(error, yaml.reader.ReaderError) else ""
        raise InputError(f"{source} is not valid YAML{line}{reason}: correct it") from None


def dump_yaml(values: dict[str, Any]) -> str:
    """Values as YAML from which `read_yaml` reads the same values."""
    return yaml.dump(values, Dumper=_Dumper, sort_keys=True, allow_unicode=True)


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_text(self, data: str) -> yaml.ScalarNode:
        needs_quotes = INTEGER.fullmatch(data) or FLOAT.fullmatch(data) or _BOOLEAN_ELSEWHERE.fullmatch(data)
        style = '"' if _LINE_ENDS.search(data) else "'" if needs_quotes else None
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=style)


_Dumper.add_representer(str, _Dumper.represent_text)


class _Reader:
    """Builds plain values from the events of PyYAML's parser."""

    def __init__(self, text: str, source: str) -> None:
        self._loader = yaml.SafeLoader(text)
        self._source = source

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
                subject = f"the key {shown(key)}, which" if scalar else "a key that"
                raise self._refusal(f"{subject} is not a text", "put it in quotes", event)
            if key in values:
                raise self._refusal(f"the key {shown(key)} a second time", "keep one of the two", event)
            values[key] = self._value(depth + 1)
        self._loader.get_event()
        return values

    def _scalar(self, event: yaml.ScalarEvent, depth: int) -> Any:
        text = event.value
        if text in _WORDS:
            return _WORDS[text]
        if depth > 1 and _BOOLEAN_ELSEWHERE.fullmatch(text):
            raise self._refusal(f"the word {text}", "write true or false, or put it in quotes", event)
        try:
            return int(text) if INTEGER.fullmatch(text) else float(text) if FLOAT.fullmatch(text) else text
        except ValueError:  # Python's own limit on the digits of an integer
            raise self._refusal("a number of too many digits", "correct it", event) from None

    def _refusal(self, fault: str, advice: str, event: yaml.Event) -> InputError:
        mark: Any = event.start_mark  # every event of a text has one
        return InputError(f"{self._source} has {fault} at line {mark.line + 1}: {advice}")
