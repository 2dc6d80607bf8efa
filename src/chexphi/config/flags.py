"""The flags of dataclass fields, read with argparse: `--key value` for each field, by its type.

A field of true or false takes `--key`, `--key false` and `--no_key`. A list takes several words, commas, or
the flag again. A mapping is JSON. Where a field can be a text, the word stays as it is.
"""

from __future__ import annotations

import argparse
import enum
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, NoReturn

from chexphi.field_values import Field, listed, members
from chexphi.files import parse_json
from chexphi.schema import InputError, shown

MAX_MESSAGE = 400
"""Characters of a library's message that ours shows."""
TRUE = ("yes", "true", "t", "y", "1", "on")
FALSE = ("no", "false", "f", "n", "0", "off")


def cut(message: str) -> str:
    """A library's message as one line of at most `MAX_MESSAGE` characters."""
    text = " ".join(message.split())
    return text if len(text) <= MAX_MESSAGE else f"{text[:MAX_MESSAGE]}…"


def read_flags(flags: Sequence[str], fields: Iterable[Field], verb: str) -> dict[str, Any]:
    """The values that a command line gives, by field.

    Args:
        flags: Words as `normalize_flags` spells them.
        fields: The known fields.
        verb: For the message.

    Raises:
        InputError: For a word that is no flag's, or a value that its field cannot have.
    """
    parser = _Parser(prog=verb, add_help=False, allow_abbrev=False, argument_default=argparse.SUPPRESS)
    for field in fields:
        if "group" in field.metadata:  # of a library's config
            parser.library_flags.append(f"--{field.name}")
        own = {key: field.metadata[key] for key in ("nargs", "const") if key in field.metadata}
        parser.add_argument(f"--{field.name}", **(_keywords(field.hint) | own))
        if is_switch(field.hint):
            parser.add_argument(f"--no_{field.name}", dest=field.name, action="store_false")
    return vars(parser.parse_args(flags))


class _Parser(argparse.ArgumentParser):
    def __init__(self, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.library_flags: list[str] = []

    def error(self, message: str) -> NoReturn:
        sentence = cut(message).removeprefix("argument ")
        page = "--help-all" if sentence.split(":")[0] in self.library_flags else "--help"
        raise InputError(f"{self.prog}: {sentence} (see `chexphi {self.prog} {page}`)")


def is_switch(hint: Any) -> bool:
    """Whether a field of this type is true or false; it may have other values as well."""
    return bool in members(hint)


def is_negation(name: str, fields: Mapping[str, Field]) -> bool:
    """Whether a name is `no_` before that of a field that is true or false."""
    return name.startswith("no_") and name[3:] in fields and is_switch(fields[name[3:]].hint)


def choices_of(field: Field) -> list[str]:
    """The texts that a field can have if it has a fixed list of them, else none."""
    if "choices" in field.metadata:
        return [str(choice) for choice in field.metadata["choices"]]
    kinds = members(field.hint)
    enums = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, enum.Enum)]
    if enums:
        return [member.value for member in enums[0]]
    return _literals(kinds) if kinds and all(typing.get_origin(kind) is Literal for kind in kinds) else []


def _literals(kinds: Sequence[Any]) -> list[Any]:
    return [value for kind in kinds if typing.get_origin(kind) is Literal for value in typing.get_args(kind)]


def _keywords(hint: Any) -> dict[str, Any]:
    """Arguments of `add_argument` for a field of this type."""
    kinds = members(hint)
    lists = [kind for kind in kinds if typing.get_origin(kind) is list]
    if bool in kinds:
        return {"type": _switch([*_literals(kinds)], takes_text=str in kinds), "nargs": "?", "const": True}
    if lists and str in kinds:
        return {"nargs": "+", "action": _TextOrList}
    if lists:
        return {"type": _each(typing.get_args(lists[0])[0]), "nargs": "+", "action": _List}
    if str in kinds or not kinds:
        return {"type": str}
    if any((typing.get_origin(kind) or kind) is dict for kind in kinds):
        return {"type": _mapping}
    return {"type": _number(kinds[0]) if kinds[0] in (int, float) else str}


class _List(argparse.Action):
    """Adds the values of a flag to those of the same flag before it."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: Any = None) -> None:
        earlier = getattr(namespace, self.dest, [])
        setattr(namespace, self.dest, [*earlier, *(value for word_values in values for value in word_values)])


class _TextOrList(argparse.Action):
    """One word is a text, several are a list."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: Any = None) -> None:
        setattr(namespace, self.dest, values[0] if len(values) == 1 else values)


def _switch(words: Sequence[Any], *, takes_text: bool) -> Callable[[str], Any]:
    """Reads true or false, and `words`; any other text too if the field takes one."""

    def switch(word: str) -> Any:
        if word in words:
            return words[words.index(word)]
        if word.lower() in TRUE + FALSE:
            return word.lower() in TRUE
        if takes_text:
            return word
        others = f", or {', '.join(words)}" if words else ""
        raise argparse.ArgumentTypeError(f"{shown(word)} is not a switch: write true or false{others}")

    return switch


def _number(kind: Any) -> Callable[[str], Any]:
    """Reads a number; a whole one if the field has no other."""

    def number(word: str) -> Any:
        try:
            return kind(word)
        except ValueError:
            name = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"{shown(word)} is not {name}") from None

    return number


def _each(kind: Any) -> Callable[[str], list[Any]]:
    """Reads the values of one word of a list."""

    def each(word: str) -> list[Any]:
        try:
            return [kind(text) if kind in (int, float) else text for text in listed(word)]
        except ValueError:
            raise argparse.ArgumentTypeError(f"{shown(word)} is not a list of numbers") from None

    return each


def _mapping(word: str) -> dict[str, Any]:
    try:
        value = parse_json(word, "it")
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f"{shown(word)} is not a mapping: write JSON, as '{{\"key\": 1}}'")
    return value
