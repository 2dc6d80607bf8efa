"""A card on the disk: the parts that we write again, and the text of the user around them, which stays."""

from __future__ import annotations

import re
from pathlib import Path

NAME = "README.md"
BEGIN, END = "<!-- chexphi card: begin -->", "<!-- chexphi card: end -->"
"""Around all that we write below the settings."""
FIGURES_BEGIN, FIGURES_END = "<!-- chexphi figures: begin -->", "<!-- chexphi figures: end -->"
"""Around the figures, inside of the card."""


def read(folder: Path) -> str:
    """The card of a folder; empty if it has none that can be read."""
    try:
        return (folder / NAME).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def is_ours(page: str) -> bool:
    """Whether a card has the marks of one that we wrote."""
    return _between(BEGIN, END).search(page) is not None


def split(page: str) -> tuple[str, str]:
    """The settings (YAML) of a card and the text below them.

    >>> split("---\\na: 1\\n---\\ntext")
    ('a: 1\\n', 'text')
    """
    match = re.match(r"---\n(.*?)^---[ \t]*\n?", page, re.S | re.M)
    return (match[1], page[match.end() :]) if match else ("", page)


def replace_card(text: str, card: str) -> str:
    """The text of an earlier card of ours with its marked part replaced."""
    return _between(BEGIN, END).sub(lambda _: card, text, count=1)


def figures_of(page: str) -> str:
    """The marked figures of a card; empty if it has none."""
    match = _between(FIGURES_BEGIN, FIGURES_END).search(page)
    return match[0] if match else ""


def replace_figures(page: str, figures: str) -> str:
    """A card with its marked figures replaced."""
    return _between(FIGURES_BEGIN, FIGURES_END).sub(lambda _: figures, page, count=1)


def _between(begin: str, end: str) -> re.Pattern[str]:
    return re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.S)
