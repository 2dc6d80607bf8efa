"""`RexkgExtractor`: entities and relations of texts by the two networks, loaded once, batched over a call."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal, get_args

import torch

from chexphi import compat as compats
from chexphi.compat import Compat, canonical, is_original
from chexphi.graph.lexicon.context import context_of
from chexphi.graph.lexicon.spans import Span
from chexphi.graph.rexkg import checkpoint, seed
from chexphi.graph.rexkg.approximate import approximate_rows
from chexphi.graph.rexkg.batch import DOUBTFUL, Planner, judged
from chexphi.graph.rexkg.models import EntityModel, RelationModel
from chexphi.graph.rexkg.rows import (
    MOST_PAIRS,
    MOST_PIECES,
    RELATED,
    Entity,
    entity_windows,
    longest_word,
    pair_rows,
)
from chexphi.graph.rexkg.text import seed_sentences
from chexphi.graph.rexkg.vocabulary import Markers, Vocabulary, marker_ids
from chexphi.graph.text import by_sentences
from chexphi.graph.tokens import tokenize
from chexphi.graph.types import LABELS, RELATION_TYPES, Graph, Mention, Parse
from chexphi.schema import InputError

logger = logging.getLogger(__name__)

Relations = Literal["exact", "approximate", "mixed"]
Pairs = Literal["all", "scheme"]
Words = tuple[str, ...]

AHEAD = 0.7
"""Mixed: a pair whose best label is not by so much more probable than the next is read again, alone."""
_SURROGATES = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Found:
    """What stands in one sentence."""

    entities: tuple[Entity, ...]
    """In order of first, then last word; they may overlap."""
    edges: tuple[tuple[int, str, int], ...]
    """(subject, type, object): positions in `entities`, in that order."""


class RexkgExtractor:
    """The published ReXKG models; satisfies `chexphi.graph.types.Extractor`.

    Args:
        folder: Checkpoint in the published layout: `run_entity/`, `run_relation/` and the folder of the
            relation model's tokenizer.
        compat: `original` cuts texts and limits as the original does, so that graphs are the same, faults
            included; the default has none of these cuts.
        markers: `unk` writes the original's typed markers, which are [UNK] where the tokenizer does not know
            them; `unused` writes `[unusedN]`. None: `unused` where the checkpoint has `special_tokens.json`.
        relations: `exact` reads a pair in a row of its own; `approximate` all pairs of a sentence at once,
            for a relation model that was trained to be read so; `mixed` the doubtful ones of them again.
        pairs: `all`, or only those whose labels the scheme has a relation for (`rows.RELATED`).
        device: The GPU of this rank where there is one, else the CPU.
        dtype: fp32 where None; `bfloat16` halves memory and moves near ties.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        compat: Compat = "default",
        markers: Markers | None = None,
        relations: Relations = "exact",
        pairs: Pairs = "all",
        device: str | torch.device | None = None,
        dtype: str | torch.dtype | None = None,
    ) -> None:
        self.compat = canonical(compat)
        _check("compat", self.compat, compats.CHOICES)
        _check("markers", markers or "unk", get_args(Markers))
        _check("relations", relations, get_args(Relations))
        _check("pairs", pairs, get_args(Pairs))
        if is_original(compat) and (relations, pairs) != ("exact", "all"):
            raise InputError(
                "compat='original' reads each pair by itself: leave relations='exact', pairs='all'"
            )
        self._folder, self._options = Path(folder), f"{markers}-{relations}-{pairs}-{dtype}"
        parts = checkpoint.load(folder, device=device, dtype=dtype)
        self._entity, self._relation = parts.entity, parts.relation
        self._words = Vocabulary(parts.entity_tokenizer)
        self._relation_words = Vocabulary(parts.relation_tokenizer)
        markers = markers or ("unused" if parts.special_tokens else "unk")
        marks = marker_ids(self._relation_words, markers, parts.special_tokens)
        if pairs == "scheme":
            marks = {labels: ids for labels, ids in marks.items() if labels in RELATED}
        limits = [_limit(model, compat) for model in (self._entity, self._relation)]
        self._warned = False
        self._longest = None if is_original(compat) else longest_word(min(limits))
        self._entity_rows: Planner = seed.seed_entity_rows
        self._pair_rows: Planner = partial(seed.seed_pair_rows, marks=marks)
        self._many_rows: Planner | None = None
        self._ahead = AHEAD if relations == "mixed" else 0.0
        if not is_original(compat):
            self._entity_rows = partial(entity_windows, limit=limits[0])
            self._pair_rows = partial(pair_rows, marks=marks, limit=limits[1])
            if relations != "exact":
                self._many_rows = partial(approximate_rows, marks=marks, limit=limits[1])

    @cached_property
    def version(self) -> str:
        """A hash of the weights, and the options."""
        return f"rexkg-{checkpoint.digest(self._folder)}-{self._options}"

    def parse(self, texts: Sequence[str]) -> list[Parse]:
        """Mentions with their places and the relations between them, one parse a text, in order."""
        return by_sentences(texts, self.parse_sentences)

    def parse_sentences(self, texts: Sequence[str]) -> list[Parse]:
        """One parse a sentence, in order: for the resident service, which cuts and caches them."""
        if is_original(self.compat):
            raise InputError("compat='original' keeps no places: use extract or extract_seed")
        cut = [self._words_of(_whole(text)) for text in texts]
        found = self._find([words for words, _ in cut])
        return [
            _parse(text, words, places, found[words])
            for text, (words, places) in zip(texts, cut, strict=True)
        ]

    def extract(self, texts: Sequence[str]) -> list[Graph]:
        """One graph a text, in order. In `compat="original"` a text's last label is its only one."""
        if is_original(self.compat):
            return [seed.to_graph(row) for row in self.extract_seed(texts)]
        return [parse.graph for parse in self.parse(texts)]

    def extract_seed(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        """The original's graphs: `doc_key`, `sentences`, `entities`, `relations`; one a text, order kept."""
        parts = self.sentences_seed(texts)
        return [seed.merge(str(at), text, parts[at]) for at, text in enumerate(texts)]

    def sentences_seed(self, texts: Sequence[str]) -> list[list[dict[str, Any]]]:
        """The step before: the sentences of each text, with `predicted_ner` and `predicted_relations`."""
        if not is_original(self.compat):
            raise InputError("the original's graphs need compat='original'")
        for at, text in enumerate(texts):
            if _whole(text) != text:
                raise InputError(f"text {at} holds half of a surrogate pair: decode it again")
        cut = [seed_sentences(text) for text in texts]
        found = self._find([words for parts in cut for _, words in parts])
        return [
            [
                seed.sentence_dict(f"{at}_{number}", words, found[words].entities, found[words].edges)
                for number, words in parts
            ]
            for at, parts in enumerate(cut)
        ]

    def _words_of(self, sentence: str) -> tuple[Words, list[tuple[int, int]]]:
        """Words of a sentence, and their characters in it; words without a piece are left out."""
        tokens = tokenize(sentence)
        self._words.learn(token.text for token in tokens)
        kept = [token for token in tokens if self._words.has_pieces(token.text)]
        return tuple(token.text for token in kept), [(token.start, token.end) for token in kept]

    def _find(self, cut: Iterable[Words]) -> dict[Words, Found]:
        """Entities and relations of sentences, each distinct one once."""
        distinct = list(dict.fromkeys(cut))
        entities: list[list[Entity]] = [[] for _ in distinct]
        for at, (first, last), label in judged(
            self._entity, self._words, distinct, self._entity_rows, longest=self._longest
        ):
            entities[at].append((first, last, LABELS[label - 1]))
        self._warn_of_cut(max(map(len, entities), default=0))
        edges: list[list[tuple[int, str, int]]] = [[] for _ in distinct]
        for at, (head, tail), label in self._relations(distinct, entities):
            edges[at].append((head, RELATION_TYPES[label - 1], tail))
        return {
            words: Found(tuple(spans), tuple(sorted(pairs, key=lambda edge: (edge[0], edge[2]))))
            for words, spans, pairs in zip(distinct, entities, edges, strict=True)
        }

    def _relations(
        self, distinct: Sequence[Words], entities: Sequence[Sequence[Entity]]
    ) -> Iterator[tuple[int, tuple[int, int], int]]:
        """(sentence, pair, label), each pair once; in mixed mode the doubtful ones after a second reading."""
        read = partial(judged, self._relation, self._relation_words, longest=self._longest)
        asked = [cut if len(spans) > 1 else () for cut, spans in zip(distinct, entities, strict=True)]
        if self._many_rows is None:
            yield from read(asked, self._pair_rows, entities)
            return
        doubtful: list[list[tuple[int, int]]] = [[] for _ in distinct]
        for at, pair, label in read(asked, self._many_rows, entities, ahead=self._ahead):
            if label == DOUBTFUL:
                doubtful[at].append(pair)
            else:
                yield at, pair, label
        again = [cut if pairs else () for cut, pairs in zip(distinct, doubtful, strict=True)]
        yield from read(again, self._pair_rows, entities, doubtful)

    def _warn_of_cut(self, most: int) -> None:
        if not is_original(self.compat) and not self._warned and most * (most - 1) > MOST_PAIRS:
            self._warned = True
            logger.warning(
                "A sentence has %d entities: relations are looked for between near ones only.", most
            )


def _check(name: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise InputError(f"unknown {name} {value!r}: use {' or '.join(known)}")


def _limit(model: EntityModel | RelationModel, compat: str) -> int:
    """Pieces of a row without [CLS] and [SEP]."""
    positions = model.bert.config.max_position_embeddings
    if is_original(compat) and positions < seed.ENTITY_LIMIT:
        raise InputError(
            f"compat='original' reads {seed.ENTITY_LIMIT} pieces at once and the checkpoint has {positions} "
            "positions: use compat='default'"
        )
    return min(MOST_PIECES, positions) - 2


def _whole(text: str) -> str:
    """The text with halves of surrogate pairs, which no tokenizer takes, as U+FFFD; places stay."""
    return _SURROGATES.sub("\ufffd", text)


def _parse(text: str, words: Words, places: Sequence[tuple[int, int]], found: Found) -> Parse:
    spans = [Span(" ".join(words[a : b + 1]), label, a, b + 1) for a, b, label in found.entities]
    said = context_of(words, spans)  # doubt has no label of its own
    mentions = []
    for at, span in enumerate(spans):
        start, end = places[span.start][0], places[span.end - 1][1]
        denied = span.label.endswith("notpresent") or (span.label == "concept" and at in said.denied)
        mentions.append(Mention(span.text, span.label, start, end, at in said.uncertain, denied))
    return Parse(text, tuple(mentions), frozenset(found.edges))
