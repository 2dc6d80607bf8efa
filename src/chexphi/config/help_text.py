"""The text of `--help` of a verb with a recipe: our fields, and with `--help-all` TRL's, by group."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from chexphi.field_values import Field, described_fields

MAX_SENTENCE = 110
"""Characters of TRL's help of a field: its first sentence, cut."""


def help_text(recipe: type, prog: str, trl: str = "") -> str:
    """The short help: our own fields, and how to see TRL's.

    Args:
        recipe: Our dataclass.
        prog: The verb.
        trl: Name of TRL's config whose fields are accepted too, if there is one.
    """
    lines = [f"usage: {prog} [--config FILE.yaml]... [--key value]...", ""]
    doc = (recipe.__doc__ or "").strip().splitlines()
    lines += [doc[0] if doc else "", ""]
    for field in described_fields([recipe]).values():
        lines.append(_line(field, field.metadata.get("help", ""), field.default))
    if trl:
        lines += ["", f"Every setting of TRL's {trl} is accepted too: `{prog} --help-all` lists them."]
    return "\n".join(lines)


def library_help(kinds: Sequence[type], defaults: Mapping[str, Any]) -> str:
    """The fields of TRL's configs, one a line, by group.

    Args:
        kinds: Outlines of the configs; a field of several is listed once.
        defaults: Our values for some of them.
    """
    lines: list[str] = []
    fields = described_fields(kinds).values()
    for group in dict.fromkeys(field.metadata["group"] for field in fields):
        lines += ["", f"{group}:"]
        lines += _lines_of_group((field for field in fields if field.metadata["group"] == group), defaults)
    return "\n".join(lines)


def _lines_of_group(fields: Iterable[Field], defaults: Mapping[str, Any]) -> list[str]:
    return [
        _line(field, _first_sentence(field.metadata.get("help", "")), defaults.get(field.name, field.default))
        for field in fields
    ]


def _line(field: Field, text: str, default: Any) -> str:
    has_default = default is not None and default != "" and default != []
    return f"  --{field.name}: {text}{f' (default {default})' if has_default else ''}"


def _first_sentence(text: str) -> str:
    """The first sentence of a library's help, which doubles its percent signs.

    >>> _first_sentence("Saves memory at 20%% less speed. See the docs.")
    'Saves memory at 20% less speed.'
    """
    plain = " ".join(text.replace("%%", "%").split())
    end = plain.find(". ")
    sentence = plain if end < 0 else plain[: end + 1]
    return textwrap.shorten(sentence, MAX_SENTENCE, placeholder="…")
