"""How fast two whole reports are compared by the measure `clinical`, on the cases of RadPref.

No text is read twice: the
candidates of a case are compared in passes of their own, and what texts gave is forgotten before each pass.
Tables of single words stay, as in a process that runs. One core; the best of several passes.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

from chexphi.graph import text
from chexphi.graph.clinical.compare import compare
from chexphi.graph.findings.ontology import default_ontology
from chexphi.graph.findings.read import findings
from chexphi.graph.lexicon import extractor as lexicon

DATA = Path(os.environ.get("CHEXPHI_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
PASSES = 7
BAR = 1000


def seconds(pairs: Sequence[tuple[str, str]]) -> float:
    """Of the processor, to read and compare all pairs of (candidate, reference)."""
    ontology, reader = default_ontology(), lexicon.LexiconExtractor()
    lexicon._parse.cache_clear()
    text.sentence_spans.cache_clear()
    ontology._found.clear()
    ontology.vocabulary._qualities.clear()
    start = time.process_time()
    for pair in pairs:
        candidate, reference = (findings(parse, ontology) for parse in reader.parse(pair))
        compare(candidate, reference, ontology)
    return time.process_time() - start


def main() -> None:
    file = DATA / "radiologists" / "radpref_dev.jsonl"
    if not file.is_file():
        print(f"skipped: {file} does not exist; CHEXPHI_DATA names the folder of real data")
        return
    cases = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    passes = [
        [(case["candidates"][number]["report"], case["reference"]) for case in cases] for number in (0, 1)
    ]
    least = sum(min(seconds(pairs) for _ in range(PASSES)) for pairs in passes)
    print(f"{sum(map(len, passes)) / least:,.0f} pairs a second (bar: {BAR:,})")


if __name__ == "__main__":
    main()
