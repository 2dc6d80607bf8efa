"""One extractor per process that parses every distinct sentence once. Standard library only."""

from __future__ import annotations

import functools
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from chexphi.graph.cache import DiskCache, dumps, loads
from chexphi.graph.text import by_sentences, graphs_by_sentences
from chexphi.graph.types import Graph, Parse


class SentenceExtractor(Protocol):
    """An extractor whose sentences do not depend on each other."""

    @property
    def version(self) -> str:
        """A new value whenever rules, weights or options change, so that old parses are not used again."""
        ...

    def parse_sentences(self, texts: Sequence[str]) -> list[Parse]:
        """One parse per sentence, in order."""
        ...


class Service:
    """Graphs of texts through an extractor that stays loaded; satisfies `chexphi.graph.types.Extractor`.

    A sentence is parsed once, however often texts repeat it. The last `memory` sentences stay in memory, and
    all of them in `disk`, if it is given. Any number of threads may call it. One thread at a time calls the
    extractor.
    """

    def __init__(
        self, extractor: SentenceExtractor, *, memory: int = 100_000, disk: DiskCache | None = None
    ) -> None:
        self.extractor, self.memory, self.disk = extractor, memory, disk
        self.parsed = 0
        """Sentences that the extractor had to parse."""
        self._parse_of_sentence: OrderedDict[str, Parse] = OrderedDict()
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        """For pickle and copies: another process reads its sentences again, and has a lock of its own."""
        return functools.partial(Service, memory=self.memory, disk=self.disk), (self.extractor,)

    def extract(self, texts: Sequence[str]) -> list[Graph]:
        """One graph per text, in order."""
        return graphs_by_sentences(texts, self._parse_sentences)

    def parse(self, texts: Sequence[str]) -> list[Parse]:
        """One parse per text, in order."""
        return by_sentences(texts, self._parse_sentences)

    def _parse_sentences(self, sentences: Sequence[str]) -> list[Parse]:
        with self._lock:
            parses = self._parses_of(list(dict.fromkeys(sentences)))
        return [parses[sentence] for sentence in sentences]

    def _parses_of(self, sentences: Sequence[str]) -> dict[str, Parse]:
        parses = {
            sentence: self._parse_of_sentence[sentence]
            for sentence in sentences
            if sentence in self._parse_of_sentence
        }
        missing = [sentence for sentence in sentences if sentence not in parses]
        if self.disk and missing:
            keys = {self._key(sentence): sentence for sentence in missing}
            parses |= {keys[key]: loads(keys[key], line) for key, line in self.disk.get(list(keys)).items()}
            missing = [sentence for sentence in missing if sentence not in parses]
        if missing:
            new_parses = dict(zip(missing, self.extractor.parse_sentences(missing), strict=True))
            self.parsed += len(new_parses)
            if self.disk:
                self.disk.put({self._key(sentence): dumps(parse) for sentence, parse in new_parses.items()})
            parses |= new_parses
        self._remember(parses)
        return parses

    def _remember(self, parses: Mapping[str, Parse]) -> None:
        for sentence, parse in parses.items():
            self._parse_of_sentence[sentence] = parse
            self._parse_of_sentence.move_to_end(sentence)
        while len(self._parse_of_sentence) > self.memory:
            self._parse_of_sentence.popitem(last=False)

    def _key(self, sentence: str) -> bytes:
        return hashlib.sha256(f"{self.extractor.version}\0{sentence}".encode(errors="surrogatepass")).digest()
