"""The lexicon extractor against its bars: labelled sentences, human codes, speed. One table."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import random
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from chexphi.data.phantom.language import caption
from chexphi.data.phantom.scene import sample_build, sample_scene
from chexphi.graph.lexicon.extractor import LexiconExtractor
from chexphi.kg import iu_reports
from chexphi.kg.annotated import evaluate, read_annotated

DATA = Path(os.environ.get("CHEXPHI_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")


def drawn_text(number: int) -> str:
    """A text of `number` different sentences in the drawn films' language."""
    rng, found = random.Random(0), {}
    while len(found) < number:
        think = caption(rng, sample_scene(rng, sample_build(rng)), "train")[1].think
        found |= dict.fromkeys(f"{part} ({len(found)})." for part in think.rstrip(".").split(". "))
    return " ".join(list(found)[:number])


def seconds_for(text: str) -> float:
    """CPU seconds of one extraction; no sentence was seen before."""
    start = time.process_time()
    LexiconExtractor().extract([text])
    return time.process_time() - start


def labelled(table: Table) -> None:
    scores = evaluate(LexiconExtractor(), read_annotated(DATA / "entities" / "dev.jsonl"))
    for name, counts, bar in (
        ("typed spans", scores.typed, 0.86),
        ("untyped spans", scores.untyped, 0.88),
        ("tokens", scores.tokens, 0.90),
    ):
        table.add_row(f"entities/dev, {name}, F1", f"{counts.f1:.4f}", f">= {bar}")
    scores = evaluate(LexiconExtractor(), read_annotated(DATA / "relations" / "dev.jsonl"))
    table.add_row("relations/dev, typed spans, F1", f"{scores.typed.f1:.4f}", ">= 0.88")
    table.add_row("relations/dev, relations, F1", f"{scores.relations.f1:.4f}", ">= 0.78")
    found = iu_reports.evaluate(LexiconExtractor(), iu_reports.read_reports(DATA / "iu_reports"))
    table.add_row("iu_reports, presence, micro F1", f"{found['presence']['f1']:.4f}", ">= 0.93")
    table.add_row("iu_reports, finding-anatomy, recall", f"{found['pairs']['recall']:.4f}", ">= 0.75")
    table.add_row(
        "iu_reports, finding-anatomy, precision", f"{found['pairs']['precision']:.4f}", "as measured"
    )
    table.add_row("iu_reports, laterality", f"{found['laterality']['right']:.4f}", ">= 0.97")


def main() -> None:
    table = Table("what", "figure", "bar", title="lexicon extractor")
    if DATA.is_dir():
        labelled(table)
    seconds_for(drawn_text(50))  # reads the terms
    one, ten = drawn_text(2000), drawn_text(20_000)
    short, long = seconds_for(one), seconds_for(ten)
    table.add_row("speed, sentences/s, nothing cached", f"{2000 / short:,.0f}", ">= 2,000")
    table.add_row("10 x the text", f"{long / short * len(one) * 10 / len(ten):.1f} x the time", "10 x")
    script = (
        "import sys, time; t = time.perf_counter(); import chexphi.rewards; print(time.perf_counter() - t)"
    )
    script += "; assert 'torch' not in sys.modules"
    runs = [subprocess.run([sys.executable, "-c", script], check=True, capture_output=True) for _ in range(5)]
    table.add_row("import chexphi.rewards, s", f"{min(float(run.stdout) for run in runs):.2f}", "<= 0.3")
    Console().print(table)


if __name__ == "__main__":
    main()
