"""The pairs of `labelled_pairs.txt`: what a reasoning says of an answer as two radiologists read it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

VERDICTS = ("entails", "silent", "contradicts")


@dataclass(frozen=True, slots=True)
class Pair:
    """One line of the table."""

    kind: str
    """The heading above the line: what is asked."""
    question: str
    answer: str
    reasoning: str
    label: str
    """`entails`, `silent` or `contradicts`."""

    @property
    def half(self) -> str:
        """`seen`: rules were written with it in view; `kept`: it was only counted. By a hash of its texts."""
        text = f"{self.question}|{self.answer}|{self.reasoning}"
        return "seen" if hashlib.sha256(text.encode()).digest()[0] % 2 else "kept"


def read_pairs(name: str = "labelled_pairs.txt") -> tuple[Pair, ...]:
    """Every pair of a file, in its order."""
    pairs, kind = [], ""
    for line in (Path(__file__).parent / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            kind = line[3:]
        elif line and not line.startswith("#"):
            question, answer, reasoning, label = line.split(" | ")
            pairs.append(Pair(kind, question, answer, reasoning, label))
    return tuple(pairs)
