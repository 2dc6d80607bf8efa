"""Ontologies: an accepted file has the concepts that tomllib finds, read and weighed as it says."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fuzz.ontologies import GOOD, toml
from fuzz.trial import WrongError

from chexphi.graph.clinical.compare import ClinicalMatch, compare
from chexphi.graph.findings.ontology import Ontology, default_ontology, load
from chexphi.graph.findings.own_file import as_read
from chexphi.graph.findings.read import findings
from chexphi.graph.findings.records import Finding
from chexphi.graph.lexicon.extractor import LexiconExtractor
from chexphi.graph.ontology_terms import added_terms

REPORT = (
    "A small left effusion, a wee ausguss and a wandering shadow. The heart is enlarged. No pneumothorax."
)
SILENCE = "The film is rotated."


@dataclass(frozen=True)
class Read:
    """What is made of a file: the ontology, a report read by it, and that report compared."""

    ontology: Ontology
    findings: tuple[Finding, ...]
    with_itself: ClinicalMatch
    with_silence: ClinicalMatch


def prepare(folder: Path) -> None:
    """Read a good file."""
    file = folder / "good.toml"
    file.write_text(toml(GOOD))
    default_ontology()
    judge(file, use(file))


def use(file: Path) -> Read:
    """Read a file, and a report with it."""
    ontology = load(file)
    of_report, of_silence = (
        findings(parse, ontology)
        for parse in LexiconExtractor(added_terms(ontology)).parse([REPORT, SILENCE])
    )
    return Read(
        ontology, of_report, compare(of_report, of_report, ontology), compare(of_silence, of_report, ontology)
    )


def judge(file: Path, read: Read) -> None:
    """Compare with what tomllib reads.

    Raises:
        WrongError: For the first difference.
    """
    tables: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    tables.pop("words", None)
    concepts = read.ontology.concepts
    for name, table in tables.items():
        phrases = {key: [as_read(phrase) for phrase in table.get(key, [])] for key in ("terms", "normal")}
        expected = phrases | {key: table.get(key, []) for key in ("under", "alike")}
        for key, values in expected.items():
            if list(getattr(concepts[name], key)) != values:
                raise WrongError(f"{key} of {name!r} is not what the file says")
        if concepts[name].significance != table.get("significance", "minor"):
            raise WrongError(f"significance of {name!r} is not what the file says")
        if not set(table.get("under", [])) <= set(read.ontology.ancestors[name]):
            raise WrongError(f"{name!r} is not under what the file says")
    lost = sorted(set(default_ontology().concepts) - set(concepts))
    if lost:
        raise WrongError(f"the concept {lost[0]} of the package is lost")
    if read.with_itself.reward != 1 or not 0 <= read.with_silence.reward < 1:
        raise WrongError(
            f"a report is worth {read.with_itself.reward} beside itself, silence {read.with_silence.reward}"
        )
