"""One resident extractor a process: every distinct sentence is parsed once. Standard library only."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Protocol

from chexphi.graph.cache import DiskCache, dumps, loads
from chexphi.graph.text import by_sentences, graphs_by_sentences
from chexphi.graph.types import Graph, Parse


class SentenceExtractor(Protocol):
    """An extractor whose sentences do not depend on each other."""

    @property
    def version(self) -> str:
        """Changes whenever a parse may: rules, weights or options."""
        ...

    def parse_sentences(self, texts: Sequence[str]) -> list[Parse]:
        """One parse a sentence, in order."""
        ...


class Service:
    """Graphs of texts through a resident extractor; satisfies `chexphi.graph.types.Extractor`.

    Sentences are parsed once, however often texts repeat them: the last `memory` are kept here, and all of
    them in `disk`, if given. Any number of threads may call it; the extractor is called by one at a time.
    """

    def __init__(
        self, extractor: SentenceExtractor, *, memory: int = 100_000, disk: DiskCache | None = None
    ) -> None:
        self.extractor, self.memory, self.disk = extractor, memory, disk
        self.parsed = 0
        """Sentences that the extractor had to parse."""
        self._kept: OrderedDict[str, Parse] = OrderedDict()
        self._lock = threading.Lock()

    def extract(self, texts: Sequence[str]) -> list[Graph]:
        """One graph a text, in order."""
        return graphs_by_sentences(texts, self._parse_sentences)

    def parse(self, texts: Sequence[str]) -> list[Parse]:
        """One parse a text, in order."""
        return by_sentences(texts, self._parse_sentences)

    def _parse_sentences(self, texts: Sequence[str]) -> list[Parse]:
        with self._lock:
            parses = self._lookup(list(dict.fromkeys(texts)))
        return [parses[text] for text in texts]

    def _lookup(self, wanted: Sequence[str]) -> dict[str, Parse]:
        found = {text: self._kept[text] for text in wanted if text in self._kept}
        missing = [text for text in wanted if text not in found]
        if self.disk and missing:
            keys = {self._key(text): text for text in missing}
            found |= {keys[key]: loads(keys[key], line) for key, line in self.disk.get(list(keys)).items()}
            missing = [text for text in missing if text not in found]
        if missing:
            new = dict(zip(missing, self.extractor.parse_sentences(missing), strict=True))
            self.parsed += len(new)
            if self.disk:
                self.disk.put({self._key(text): dumps(parse) for text, parse in new.items()})
            found |= new
        self._keep(found)
        return found

    def _keep(self, parses: Mapping[str, Parse]) -> None:
        for text, parse in parses.items():
            self._kept[text] = parse
            self._kept.move_to_end(text)
        while len(self._kept) > self.memory:
            self._kept.popitem(last=False)

    def _key(self, text: str) -> bytes:
        return hashlib.sha256(f"{self.extractor.version}\0{text}".encode(errors="surrogatepass")).digest()
