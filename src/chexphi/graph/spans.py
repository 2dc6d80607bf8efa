"""Labelled spans by the terms of the lexicon. Standard library only."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources


TERM_FILES = {
    "anatomy": "anatomy",
    "concept": "concept",
    "disorder": "disorder_present",
    "devices": "devices_present",
    "procedures": "procedures",
}
"""File in `terms/` -> label."""
FINDINGS = frozenset({"disorder_present", "devices_present", "procedures"})
"""Labels of what lies somewhere: everything but qualifiers and places."""

_UNITS = frozenset({"mm", "cm", "millimeter", "millimeters", "centimeter", "centimeters"})
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


@dataclass(frozen=True, slots=True)
class Span:
    """Neighbouring words of one label."""

    text: str
    label: str
    start: int
    """First word."""
    end: int
    """One past the last word."""

    @property
    def words(self) -> list[str]:
        return self.text.split()


def label(tokens: list[str]) -> list[Span]:
    """Longest match of the terms at every word; neighbours of one label become one span."""
    table = _terms()
    spans: list[Span] = []
    at = 0
    while at < len(tokens):
        name, length = _match(table, tokens, at)
        if not length:
            at += 1
            continue
        start = at
        if spans and spans[-1].end == at and spans[-1].label == name:
            start = spans.pop().start
        at += length
        spans.append(Span(" ".join(tokens[start:at]), name, start, at))
    return spans


def _match(
    table: dict[str, list[tuple[tuple[str, ...], str]]], tokens: list[str], at: int
) -> tuple[str, int]:
    for words, name in table.get(tokens[at], ()):
        if tuple(tokens[at : at + len(words)]) == words:
            return name, len(words)
    if tokens[at][0].isdigit():
        return "size", _measure(tokens, at)
    return "", 0


def _measure(tokens: list[str], at: int) -> int:
    """Words of a measurement that starts here (`4 x 5 cm`), or 0."""
    end = at
    while end < len(tokens) and (_NUMBER.fullmatch(tokens[end]) or tokens[end] in ("x", "by", "-")):
        end += 1
    return end - at + 1 if end < len(tokens) and tokens[end] in _UNITS else 0


@cache
def _terms() -> dict[str, list[tuple[tuple[str, ...], str]]]:
    """First word -> its phrases with their labels, longest first."""
    table: dict[str, dict[tuple[str, ...], str]] = {}
    for file, name in TERM_FILES.items():
        text = resources.files("chexphi.graph").joinpath("terms", f"{file}.txt").read_text(encoding="utf-8")
        for line in text.splitlines():
            if line and not line.startswith("#"):
                for words in _forms(tuple(line.split()), plural=name != "concept"):
                    table.setdefault(words[0], {}).setdefault(words, name)
    return {
        first: sorted(phrases.items(), key=lambda item: -len(item[0])) for first, phrases in table.items()
    }


def _forms(words: tuple[str, ...], *, plural: bool) -> Iterable[tuple[str, ...]]:
    yield words
    last = words[-1]
    if plural or last in ("size", "volume", "change", "position", "component"):
        many = (
            last[:-1] + "ies"
            if re.search(r"[^aeiou]y$", last)
            else last + ("es" if last.endswith("x") else "s")
        )
        yield (*words[:-1], many)
