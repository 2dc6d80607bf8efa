"""`RexkgExtractor`: entities and relations of texts by two networks, which are loaded once."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch

from chexphi.compat import Compat, canonical, is_original
from chexphi.graph.rexkg import checkpoint, options, seed
from chexphi.graph.rexkg.approximate import approximate_rows
from chexphi.graph.rexkg.batch import DOUBTFUL, RowPlanner, predict
from chexphi.graph.rexkg.models import EntityModel, RelationModel
from chexphi.graph.rexkg.options import Markers, Pairs, Relations
from chexphi.graph.rexkg.rows import (
    MAX_PAIRS,
    MAX_PIECES,
    RELATED,
    Entity,
    entity_windows,
    max_word_pieces,
    pair_rows,
)
from chexphi.graph.rexkg.sentence_graph import SentenceGraph, Words, to_parse
from chexphi.graph.rexkg.text import seed_sentences
from chexphi.graph.rexkg.vocabulary import Vocabulary, marker_ids
from chexphi.graph.text import by_sentences
from chexphi.graph.tokens import tokenize
from chexphi.graph.types import LABELS, RELATION_TYPES, Graph, Parse
from chexphi.schema import InputError

logger = logging.getLogger(__name__)

MIN_MARGIN = 0.7
"""In mixed mode, a pair is read again alone if its best label leads the next one by a smaller margin."""
_SURROGATES = re.compile("[\ud800-\udfff]")


class RexkgExtractor:
    """The published ReXKG models; satisfies `chexphi.graph.types.Extractor`.

    Args:
        folder: Checkpoint in the published layout: `run_entity/`, `run_relation/` and the folder of the
            relation model's tokenizer.
        compat: `original` splits and cuts texts as the original does, so that the graphs are the same, faults
            included. The default does not cut texts.
        markers: `unk` writes the typed markers of the original, which become [UNK] if the tokenizer does not
            know them. `unused` writes `[unusedN]`. None: `unused` if the checkpoint has
            `special_tokens.json`.
        relations: `exact` reads each pair in its own row. `approximate` reads all pairs of a sentence at
            once; the relation model must be trained for that. `mixed` then reads the doubtful pairs again,
            alone.
        pairs: `all`, or `scheme`: those whose labels can have a relation in the scheme (`rows.RELATED`).
        device: None: the GPU of this rank if there is one, else the CPU.
        dtype: None: fp32. `bfloat16` halves the memory and may change labels that are nearly tied.
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
        options.check(compat=compat, markers=markers, relations=relations, pairs=pairs)
        self._folder, self._options = Path(folder), f"{markers}-{relations}-{pairs}-{dtype}"
        networks = checkpoint.load(folder, device=device, dtype=dtype)
        self._entity, self._relation = networks.entity, networks.relation
        self._words = Vocabulary(networks.entity_tokenizer)
        self._relation_words = Vocabulary(networks.relation_tokenizer)
        markers = markers or ("unused" if networks.special_tokens else "unk")
        marker_table = marker_ids(self._relation_words, markers, networks.special_tokens)
        if pairs == "scheme":
            marker_table = {labels: ids for labels, ids in marker_table.items() if labels in RELATED}
        limits = [_limit(model, compat) for model in (self._entity, self._relation)]
        self._warned = False
        self._max_word_pieces = None if is_original(compat) else max_word_pieces(min(limits))
        self._entity_rows: RowPlanner = seed.seed_entity_rows
        self._pair_rows: RowPlanner = partial(seed.seed_pair_rows, marks=marker_table)
        self._approximate_rows: RowPlanner | None = None
        self._min_margin = MIN_MARGIN if relations == "mixed" else 0.0
        if not is_original(compat):
            self._entity_rows = partial(entity_windows, limit=limits[0])
            self._pair_rows = partial(pair_rows, marks=marker_table, limit=limits[1])
            if relations != "exact":
                self._approximate_rows = partial(approximate_rows, marks=marker_table, limit=limits[1])

    @cached_property
    def version(self) -> str:
        """A hash of the weights, with the options."""
        return f"rexkg-{checkpoint.digest(self._folder)}-{self._options}"

    def parse(self, texts: Sequence[str]) -> list[Parse]:
        """One parse per text, in order: mentions with positions, and the relations between them."""
        return by_sentences(texts, self.parse_sentences)

    def parse_sentences(self, texts: Sequence[str]) -> list[Parse]:
        """One parse per sentence, in order; `chexphi.graph.service.Service` calls this."""
        if is_original(self.compat):
            raise InputError("compat='original' keeps no positions: use extract or extract_seed")
        words_by_text = [self._words_of(_without_surrogates(text)) for text in texts]
        graph_of_words = self._graphs_of_sentences([words for words, _ in words_by_text])
        return [
            to_parse(text, words, word_spans, graph_of_words[words])
            for text, (words, word_spans) in zip(texts, words_by_text, strict=True)
        ]

    def extract(self, texts: Sequence[str]) -> list[Graph]:
        """One graph per text, in order. In `compat="original"` an entity has only the last of its labels."""
        if is_original(self.compat):
            return [seed.to_graph(row) for row in self.extract_seed(texts)]
        return [parse.graph for parse in self.parse(texts)]

    def extract_seed(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        """The graphs of the original, one per text, with `doc_key`, `sentences`, `entities`, `relations`."""
        sentences_by_text = self.sentences_seed(texts)
        return [seed.merge(str(number), text, sentences_by_text[number]) for number, text in enumerate(texts)]

    def sentences_seed(self, texts: Sequence[str]) -> list[list[dict[str, Any]]]:
        """The sentences of each text with `predicted_ner` and `predicted_relations`, not merged yet."""
        if not is_original(self.compat):
            raise InputError("the original's graphs need compat='original'")
        for number, text in enumerate(texts):
            if _without_surrogates(text) != text:
                raise InputError(f"text {number} holds half of a surrogate pair: decode it again")
        sentences_by_text = [seed_sentences(text) for text in texts]
        graphs = self._graphs_of_sentences(
            [words for sentences in sentences_by_text for _, words in sentences]
        )
        return [
            [
                seed.sentence_dict(f"{number}_{position}", words, graphs[words].entities, graphs[words].edges)
                for position, words in sentences
            ]
            for number, sentences in enumerate(sentences_by_text)
        ]

    def _words_of(self, sentence: str) -> tuple[Words, list[tuple[int, int]]]:
        """The words of a sentence and their characters in it. Words without a piece are left out."""
        tokens = tokenize(sentence)
        self._words.learn(token.text for token in tokens)
        tokens = [token for token in tokens if self._words.has_pieces(token.text)]
        return tuple(token.text for token in tokens), [(token.start, token.end) for token in tokens]

    def _graphs_of_sentences(self, sentences: Iterable[Words]) -> dict[Words, SentenceGraph]:
        """The graphs of sentences by their words; equal sentences are read once."""
        distinct_sentences = list(dict.fromkeys(sentences))
        entities: list[list[Entity]] = [[] for _ in distinct_sentences]
        predict_spans = partial(predict, self._entity, self._words, max_word_pieces=self._max_word_pieces)
        for sentence, (first_word, last_word), label in predict_spans(distinct_sentences, self._entity_rows):
            entities[sentence].append((first_word, last_word, LABELS[label - 1]))
        self._warn_of_skipped_pairs(max(map(len, entities), default=0))
        edges: list[list[tuple[int, str, int]]] = [[] for _ in distinct_sentences]
        for sentence, (head, tail), label in self._predict_relations(distinct_sentences, entities):
            edges[sentence].append((head, RELATION_TYPES[label - 1], tail))
        return {
            words: SentenceGraph(tuple(spans), tuple(sorted(pairs, key=lambda edge: (edge[0], edge[2]))))
            for words, spans, pairs in zip(distinct_sentences, entities, edges, strict=True)
        }

    def _predict_relations(
        self, distinct_sentences: Sequence[Words], entities: Sequence[Sequence[Entity]]
    ) -> Iterator[tuple[int, tuple[int, int], int]]:
        """(sentence, pair, label) of each pair with a relation. Mixed mode reads doubtful pairs twice."""
        predict_pairs = partial(
            predict, self._relation, self._relation_words, max_word_pieces=self._max_word_pieces
        )
        sentences_with_pairs = [
            words if len(spans) > 1 else () for words, spans in zip(distinct_sentences, entities, strict=True)
        ]
        if self._approximate_rows is None:
            yield from predict_pairs(sentences_with_pairs, self._pair_rows, entities)
            return
        doubtful: list[list[tuple[int, int]]] = [[] for _ in distinct_sentences]
        for sentence, pair, label in predict_pairs(
            sentences_with_pairs, self._approximate_rows, entities, min_margin=self._min_margin
        ):
            if label == DOUBTFUL:
                doubtful[sentence].append(pair)
            else:
                yield sentence, pair, label
        doubtful_sentences = [
            words if pairs else () for words, pairs in zip(distinct_sentences, doubtful, strict=True)
        ]
        yield from predict_pairs(doubtful_sentences, self._pair_rows, entities, doubtful)

    def _warn_of_skipped_pairs(self, entity_count: int) -> None:
        if (
            not is_original(self.compat)
            and not self._warned
            and entity_count * (entity_count - 1) > MAX_PAIRS
        ):
            self._warned = True
            logger.warning(
                "A sentence has %d entities: relations are only searched between near ones.", entity_count
            )


def _limit(model: EntityModel | RelationModel, compat: str) -> int:
    """How many pieces a row may have, without [CLS] and [SEP]."""
    positions = model.bert.config.max_position_embeddings
    if is_original(compat) and positions < seed.ENTITY_LIMIT:
        raise InputError(
            f"compat='original' reads {seed.ENTITY_LIMIT} pieces at once and the checkpoint has {positions} "
            "positions: use compat='default'"
        )
    return min(MAX_PIECES, positions) - 2


def _without_surrogates(text: str) -> str:
    """The text with U+FFFD for halves of surrogate pairs, which tokenizers refuse. Positions stay valid."""
    return _SURROGATES.sub("\ufffd", text)
