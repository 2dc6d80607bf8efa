"""A table of phrases that finds the longest one at a position. Standard library only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Generic, TypeVar

Value = TypeVar("Value")
_END = ""
"""The key under which a node has its value. It cannot be mistaken for a word, because no word is empty."""


class Trie(Generic[Value]):
    """Values by phrases. If a phrase is given twice, its first value counts."""

    def __init__(self, phrases: Iterable[tuple[Sequence[str], Value]]) -> None:
        self._root: dict[str, Any] = {}
        for words, value in phrases:
            node = self._root
            for word in words:
                node = node.setdefault(word, {})
            node.setdefault(_END, value)

    def only_value(self, word: str) -> Value | None:
        """The value of a word that starts no longer phrase."""
        node = self._root.get(word)
        return node[_END] if node is not None and len(node) == 1 and _END in node else None

    def starts(self, word: str) -> bool:
        """Whether a phrase starts with the word."""
        return word in self._root

    def longest(self, tokens: Sequence[str], at: int) -> tuple[Value | None, int]:
        """The value of the longest phrase that starts at `at`, and one past its last word."""
        node, value, end = self._root, None, at
        for index in range(at, len(tokens)):
            following = node.get(tokens[index])
            if following is None:
                break
            node = following
            if _END in node:
                value, end = node[_END], index + 1
        return value, end
