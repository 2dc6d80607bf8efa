"""The text of `--help` of a verb with a recipe: our fields, and with `--help-all` TRL's, by group."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import MISSING
from dataclasses import Field as DataclassField
from typing import Any

from chexphi.field_values import Field, described_fields

MAX_SENTENCE = 110
"""Characters of TRL's help of a field: its first sentence, cut."""
ORIGINAL = (
    "The original is the public code of CheXPO-v2; docs/seed_map.md says where its files and flags are here."
)


def help_text(recipe: type, prog: str, other_flags: Mapping[str, str], trl: str = "") -> str:
    """The short help: our own fields by group, the flags that are no fields, and how to see TRL's.

    Args:
        recipe: Our dataclass.
        prog: The verb.
        other_flags: Flags of the verb that are not fields, each with what it does.
        trl: Name of TRL's config whose fields are accepted too, if there is one.
    """
    lines = [f"usage: {prog} [--config FILE.yaml]... [--key value]...", ""]
    doc = (recipe.__doc__ or "").strip().splitlines()
    lines += [doc[0] if doc else ""]
    for heading, fields in _groups(recipe).items():
        lines += ["", f"{heading}:"]
        lines += [_line(field, field.metadata.get("help", ""), field.default) for field in fields]
    lines += ["", "Other flags:"]
    lines += [f"  {flags}: {text}" for flags, text in other_flags.items()]
    if trl:
        lines += ["", f"Every setting of TRL's {trl} is accepted too: `{prog} --help-all` lists them."]
    if any("the original" in line for line in lines):
        lines += ["", ORIGINAL]
    return "\n".join(lines)


def _groups(recipe: type) -> dict[str, list[Field]]:
    """The fields by heading."""
    groups: dict[str, list[Field]] = {}
    for field in described_fields([recipe]).values():
        groups.setdefault(heading_of(recipe, field.name), []).append(field)
    return groups


def heading_of(recipe: type, name: str) -> str:
    """The heading of the outermost dataclass that has a field."""
    owner = next(kind for kind in reversed(recipe.__mro__) if name in inspect.get_annotations(kind))
    return getattr(owner, "HEADING", "Settings")


def library_help(kinds: Sequence[type], defaults: Mapping[str, Any], notes: Mapping[str, str]) -> str:
    """The fields of TRL's configs, one a line, by group.

    Args:
        kinds: Outlines of the configs; a field of several is listed once.
        defaults: Our values for some of them.
        notes: What is said of some of them in place of the library's help.
    """
    lines: list[str] = []
    fields = described_fields(kinds).values()
    for group in dict.fromkeys(field.metadata["group"] for field in fields):
        lines += ["", f"{group}:"]
        lines += [
            f"  --{field.name}: {notes[field.name]}"
            if field.name in notes
            else _library_line(field, defaults)
            for field in fields
            if field.metadata["group"] == group
        ]
    return "\n".join(lines)


def _library_line(field: Field, defaults: Mapping[str, Any]) -> str:
    text = _first_sentence(field.metadata.get("help", ""))
    return _line(field, text, defaults.get(field.name, field.default))


def _line(field: Field, text: str, default: Any) -> str:
    required = field.metadata.get("required", default is MISSING)
    if required:
        note = f" (required, or --{required})" if isinstance(required, str) else " (required)"
    else:
        note = default_note(default)
    return f"  --{field.name}: {text}{note}"


def default_of(field: DataclassField[Any]) -> Any:
    """The default of a field of a dataclass that has one."""
    return field.default if field.default_factory is MISSING else field.default_factory()


def default_note(value: Any) -> str:
    """A default as a person says or types it, in brackets; nothing where it would say nothing.

    >>> default_note(True), default_note(["a", "b"]), default_note(None)
    (' (default on)', ' (default a b)', '')
    """
    if value in (None, "", [], "default"):
        return ""
    if isinstance(value, bool):
        return f" (default {'on' if value else 'off'})"
    return f" (default {' '.join(map(str, value)) if isinstance(value, list) else value})"


def _first_sentence(text: str) -> str:
    """The first sentence of a library's help, which doubles its percent signs.

    >>> _first_sentence("Saves memory at 20%% less speed. See the docs.")
    'Saves memory at 20% less speed.'
    """
    plain = " ".join(text.replace("%%", "%").split())
    end = plain.find(". ")
    sentence = plain if end < 0 else plain[: end + 1]
    return textwrap.shorten(sentence, MAX_SENTENCE, placeholder="…")
