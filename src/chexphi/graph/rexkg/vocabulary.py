"""Words as pieces of a tokenizer, and the ids of the markers around subject and object."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from chexphi.graph.rexkg.options import Markers
from chexphi.graph.types import LABELS
from chexphi.schema import InputError

logger = logging.getLogger(__name__)

Marks = tuple[int, int, int, int]
"""Ids of subject start, object start, subject end, object end: the order of markers at the same word."""
_MARKER_NAMES = ("SUBJ_START", "SUBJ_END", "OBJ_START", "OBJ_END")
_MAX_CACHED_WORDS = 100_000


@dataclass(frozen=True, slots=True)
class Pieces:
    """The pieces of a sentence, without [CLS] and [SEP]."""

    flat: tuple[int, ...]
    starts: tuple[int, ...]
    """Where each word starts in `flat`, and at the end the length of `flat`."""

    def __len__(self) -> int:
        """How many words the sentence has."""
        return len(self.starts) - 1

    def count(self, start: int, end: int) -> int:
        """How many pieces the words [start, end) have."""
        return self.starts[end] - self.starts[start]


class Vocabulary:
    """A tokenizer that splits each distinct word once."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._ids_of_word: dict[str, tuple[int, ...]] = {}
        self.cls: int = tokenizer.cls_token_id
        self.sep: int = tokenizer.sep_token_id
        self.pad: int = tokenizer.pad_token_id
        self.unk: int = tokenizer.unk_token_id

    def learn(self, words: Iterable[str]) -> None:
        """Split the new ones among the words into pieces, all in one call of the tokenizer."""
        if len(self._ids_of_word) > _MAX_CACHED_WORDS:
            self._ids_of_word.clear()
        new_words = [word for word in dict.fromkeys(words) if word not in self._ids_of_word]
        if new_words:
            ids = self._tokenizer(new_words, add_special_tokens=False)["input_ids"]
            self._ids_of_word.update(zip(new_words, map(tuple, ids), strict=True))

    def has_pieces(self, word: str) -> bool:
        """False for a word that has only control or zero-width characters. `learn` the word first."""
        return bool(self._ids_of_word[word])

    def pieces(self, words: Sequence[str], max_pieces: int | None = None) -> Pieces:
        """The pieces of words that were learned before, at most `max_pieces` per word."""
        ids_by_word = [self._ids_of_word[word][:max_pieces] for word in words]
        starts = (0, *accumulate(map(len, ids_by_word)))
        return Pieces(tuple(piece for word_ids in ids_by_word for piece in word_ids), starts)

    def id(self, piece: str) -> int | None:
        """The id of a piece; None if the tokenizer does not know the piece."""
        piece_id = self._tokenizer.convert_tokens_to_ids(piece)
        return None if piece_id is None or piece_id == self.unk else piece_id


def marker_ids(
    vocabulary: Vocabulary, markers: Markers, special_tokens: Mapping[str, str] | None
) -> dict[tuple[str, str], Marks]:
    """The ids of the four markers of every pair of labels.

    With `unk` the markers are `<subj_start=anatomy>` and the like. A marker that the tokenizer does not know
    becomes [UNK], and its label is lost, as in the original. With `unused` they are the pieces `[unusedN]`.
    The `special_tokens.json` of the training numbers them. Without that file they have PURE's order: four
    markers without a label, then four per label.
    """
    names = _typed_markers()
    if markers == "unk":
        id_of_marker = {name: vocabulary.id(f"<{name}>".lower()) for name in names}
        ids = {
            name: vocabulary.unk if marker_id is None else marker_id
            for name, marker_id in id_of_marker.items()
        }
        if unknown := sum(marker_id is None for marker_id in id_of_marker.values()):
            logger.warning(
                "The tokenizer does not know %d of the %d relation markers: they become %s, and the relation "
                "model does not see the labels.",
                unknown,
                len(names),
                "[UNK]",
            )
    else:
        pieces = special_tokens or unused_markers()
        ids = {name: _unused_marker_id(vocabulary, name, pieces) for name in names}
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


def _typed_markers() -> list[str]:
    return [f"{name}={label}" for label in LABELS for name in _MARKER_NAMES]


def unused_markers() -> dict[str, str]:
    """Marker -> `[unusedN]` in PURE's order; the form of `special_tokens.json`."""
    return {
        name: f"[unused{number}]" for number, name in enumerate((*_MARKER_NAMES, *_typed_markers()), start=1)
    }


def _unused_marker_id(vocabulary: Vocabulary, name: str, pieces: Mapping[str, str]) -> int:
    marker_id = vocabulary.id(pieces[name]) if name in pieces else None
    if marker_id is None:
        raise InputError(
            f"the relation tokenizer has no piece for the marker {name} ({pieces.get(name, 'not listed')}): "
            "use markers='unk'"
        )
    return marker_id
