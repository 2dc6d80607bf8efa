"""Words as pieces, and the ids of the relation markers."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Literal

from chexphi.graph.types import LABELS
from chexphi.schema import InputError

logger = logging.getLogger(__name__)

Markers = Literal["unk", "unused"]
Marks = tuple[int, int, int, int]
"""Ids of subject start, object start, subject end, object end: the order at one and the same word."""
_NAMES = ("SUBJ_START", "SUBJ_END", "OBJ_START", "OBJ_END")
_KEPT_WORDS = 100_000


@dataclass(frozen=True, slots=True)
class Pieces:
    """The pieces of a sentence, without [CLS] and [SEP]."""

    flat: tuple[int, ...]
    starts: tuple[int, ...]
    """Where each word starts in `flat`, and at the end its length."""

    def __len__(self) -> int:
        """Words."""
        return len(self.starts) - 1

    def count(self, first: int, end: int) -> int:
        """Pieces of the words from `first` up to, not including, `end`."""
        return self.starts[end] - self.starts[first]


class Vocabulary:
    """A tokenizer that cuts each distinct word once."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._known: dict[str, tuple[int, ...]] = {}
        self.cls: int = tokenizer.cls_token_id
        self.sep: int = tokenizer.sep_token_id
        self.pad: int = tokenizer.pad_token_id
        self.unk: int = tokenizer.unk_token_id

    def learn(self, words: Iterable[str]) -> None:
        """Cut the words that are new, all in one call."""
        if len(self._known) > _KEPT_WORDS:
            self._known.clear()
        new = [word for word in dict.fromkeys(words) if word not in self._known]
        if new:
            ids = self._tokenizer(new, add_special_tokens=False)["input_ids"]
            self._known.update(zip(new, map(tuple, ids), strict=True))

    def has_pieces(self, word: str) -> bool:
        """False for a word of control or zero-width characters alone; `learn` it first."""
        return bool(self._known[word])

    def pieces(self, words: Sequence[str], most: int | None = None) -> Pieces:
        """The pieces of words learned before, at most so many a word."""
        cut = [self._known[word][:most] for word in words]
        starts = (0, *accumulate(map(len, cut)))
        return Pieces(tuple(piece for word in cut for piece in word), starts)

    def id(self, piece: str) -> int | None:
        """None for a piece that the tokenizer does not know."""
        found = self._tokenizer.convert_tokens_to_ids(piece)
        return None if found is None or found == self.unk else found


def marker_ids(
    vocabulary: Vocabulary, markers: Markers, special_tokens: Mapping[str, str] | None
) -> dict[tuple[str, str], Marks]:
    """The four markers of every pair of labels.

    `unk`: `<subj_start=anatomy>` and the like, each of which is [UNK] where the tokenizer does not know it,
    so that the types are lost, as in the original. `unused`: the pieces `[unusedN]`, numbered by the
    `special_tokens.json` of the training or, without it, in PURE's order of markers: four without a label,
    then four a label.
    """
    names = _typed()
    if markers == "unk":
        typed = {name: vocabulary.id(f"<{name}>".lower()) for name in names}
        ids = {name: vocabulary.unk if found is None else found for name, found in typed.items()}
        if unknown := sum(found is None for found in typed.values()):
            logger.warning(
                "The tokenizer does not know %d of the %d relation markers: they become %s, and the relation "
                "model does not see the labels.",
                unknown,
                len(names),
                "[UNK]",
            )
    else:
        pieces = special_tokens or unused_markers()
        ids = {name: _unused(vocabulary, name, pieces) for name in names}
    return {
        (head, tail): (
            ids[f"SUBJ_START={head}"],
            ids[f"OBJ_START={tail}"],
            ids[f"SUBJ_END={head}"],
            ids[f"OBJ_END={tail}"],
        )
        for head in LABELS
        for tail in LABELS
    }


def _typed() -> list[str]:
    return [f"{name}={label}" for label in LABELS for name in _NAMES]


def unused_markers() -> dict[str, str]:
    """Marker -> `[unusedN]` in PURE's order; the form of `special_tokens.json`."""
    return {name: f"[unused{number}]" for number, name in enumerate((*_NAMES, *_typed()), start=1)}


def _unused(vocabulary: Vocabulary, name: str, pieces: Mapping[str, str]) -> int:
    found = vocabulary.id(pieces[name]) if name in pieces else None
    if found is None:
        raise InputError(
            f"the relation tokenizer has no piece for the marker {name} ({pieces.get(name, 'not listed')}): "
            "use markers='unk'"
        )
    return found
