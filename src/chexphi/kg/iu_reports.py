"""Scores an extractor against the human codes of the IU chest X-ray reports.

The reports are those of Demner-Fushman et al., JAMIA 2016. There are three questions: which of 14 findings
are present, where each finding lies, and on which side. The MeSH codes of the reports
(`Opacity/lung/base/bilateral`) answer all three. If the folder has NegBio's `findings14_gold.csv` beside the
published `ecgen-radiology`, that file answers the first question.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import yaml

from chexphi.graph.match import Counts
from chexphi.graph.types import Extractor, Parse
from chexphi.kg.audit import figures
from chexphi.kg.findings import FINDINGS, Status, findings
from chexphi.schema import InputError

SECTIONS = ("FINDINGS", "IMPRESSION")
"""Sections that say what a radiologist saw. The indication only says what was asked."""
GOLD = "findings14_gold.csv"
_BOTH_SIDES = frozenset({"left", "right"})
_SIDES = {"left": frozenset({"left"}), "right": frozenset({"right"}), "bilateral": _BOTH_SIDES}

Pair = tuple[str, str]
"""(finding, anatomy), by their names in the codes"""


@dataclass(frozen=True, slots=True)
class Report:
    """One report with its human codes."""

    key: str
    """Number of the report."""
    text: str
    present: frozenset[str]
    """The present ones of the 14 findings."""
    codes: tuple[tuple[str, ...], ...]
    """Each code: its heading, then its qualifiers."""


def _report_files(folder: Path) -> list[Path]:
    """The reports of the published folder, or of the folder above it."""
    inside = folder / "ecgen-radiology"
    return sorted((inside if inside.is_dir() else folder).glob("*.xml"))


def is_iu(folder: Path) -> bool:
    """Whether the folder has IU reports."""
    return folder.is_dir() and bool(_report_files(folder))


def read_reports(folder: Path) -> list[Report]:
    """The reports that have codes, in the order of the names of their files.

    If the folder has `findings14_gold.csv`, the reports that it lists.

    Raises:
        InputError: If a report or the table cannot be read, or no report has codes.
    """
    reports = [_read_report(path) for path in _report_files(folder)]
    if (folder / GOLD).is_file():
        gold = _read_gold(folder / GOLD)
        reports_and_rows = [(report, gold[report.key]) for report in reports if report.key in gold]
        reports = [
            replace(report, present=frozenset(name for name in FINDINGS if row[name] == "1"))
            for report, row in reports_and_rows
        ]
    else:
        reports = [report for report in reports if report.text.strip() and _has_codes(report.codes)]
    if not reports:
        raise InputError(f"{folder} holds no IU report with MeSH codes: give the published ecgen-radiology")
    return reports


def _read_gold(path: Path) -> dict[str, dict[str, str]]:
    """The rows of `findings14_gold.csv` by the number of their report."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file)
            lacking = [name for name in ("filename", *FINDINGS) if name not in (table.fieldnames or ())]
            rows = list(table)
    except (OSError, UnicodeDecodeError, csv.Error):
        raise InputError(f"{path} cannot be read as a table: fetch it again") from None
    if lacking:
        raise InputError(f"{path} has no column {lacking[0]}: fetch it again")
    return {row["filename"].removeprefix("CXR"): row for row in rows}


def _has_codes(codes: Sequence[Sequence[str]]) -> bool:
    """Whether a person coded the report. `No Indexing` means that nobody did."""
    return any(code[0] not in ("", "No Indexing") for code in codes)


def _present_findings(codes: Sequence[Sequence[str]]) -> frozenset[str]:
    """Those of the 14 findings that a code names."""
    code_paths = ["/".join(code).lower() for code in codes]
    return frozenset(
        name
        for name in FINDINGS
        if any(_code_patterns()["presence"][name.lower()].fullmatch(code) for code in code_paths)
    )


def _read_report(path: Path) -> Report:
    try:
        root = ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, OSError, ValueError, LookupError) as error:
        raise InputError(f"{path} is not XML that can be read ({error}): fetch the report again") from None
    section_texts = [
        section.text or "" for section in root.iter("AbstractText") if section.get("Label") in SECTIONS
    ]
    codes = [tuple(word.strip() for word in (code.text or "").split("/")) for code in root.iter("major")]
    return Report(
        path.stem.removeprefix("CXR"), "\n\n".join(section_texts), _present_findings(codes), tuple(codes)
    )


def evaluate(extractor: Extractor, reports: Sequence[Report]) -> dict[str, Any]:
    """Figures over all reports: `presence` (micro and by finding), `pairs` and `laterality`."""
    presence = {name: Counts() for name in FINDINGS}
    pair_counts, placement_counts, side_counts = Counts(), Counts(), Counts()
    for report, parse in zip(reports, extractor.parse([report.text for report in reports]), strict=True):
        present_findings = {name for name, status in findings(parse).items() if status is Status.present}
        for name in FINDINGS:
            presence[name] += Counts.of(present_findings & {name}, report.present & {name})
        for code in report.codes:
            for pair in _pairs_of_code(code):
                edges = list(_matching_edges(parse, pair))
                pair_counts += Counts(tp=bool(edges), fn=not edges)
            side_counts += _side_counts(parse, code)
        placement_counts += _placement_counts(parse, report.codes)
    return {
        "n": len(reports),
        "presence": figures(sum(presence.values(), start=Counts())),
        "pairs": {
            "recall": pair_counts.recall,
            "precision": placement_counts.precision,
            "n": pair_counts.tp + pair_counts.fn,
        },
        "laterality": {"right": side_counts.recall, "n": side_counts.tp + side_counts.fn},
        "by_finding": {name: figures(counts) for name, counts in presence.items() if not counts.empty},
    }


@cache
def _code_patterns() -> dict[str, dict[str, re.Pattern[str]]]:
    text = resources.files("chexphi.kg").joinpath("iu_codes.yaml").read_text(encoding="utf-8")
    return {
        group: {name.lower(): re.compile(words, re.IGNORECASE) for name, words in rows.items()}
        for group, rows in yaml.safe_load(text).items()
    }


def _pairs_of_code(code: Sequence[str]) -> Iterator[Pair]:
    """(finding, anatomy) pairs of a code. `Opacity/lung/base`: opacity in the lung and in the base;
    `Aorta/tortuous`: tortuous aorta."""
    names = [name.lower() for name in code]
    finding_patterns, anatomy_patterns = _code_patterns()["findings"], _code_patterns()["anatomy"]
    if names[0] in finding_patterns:
        yield from ((names[0], name) for name in names[1:] if name in anatomy_patterns)
    elif names[0] in anatomy_patterns:
        yield from ((name, names[0]) for name in names[1:] if name in finding_patterns)


def _matching_edges(parse: Parse, pair: Pair) -> Iterator[tuple[int, int]]:
    """(head, tail) of the relations between the finding and the anatomy of a pair, or what qualifies it."""
    finding_pattern, anatomy_pattern = (
        _code_patterns()["findings"][pair[0]],
        _code_patterns()["anatomy"][pair[1]],
    )
    for head, kind, tail in parse.edges:
        if (
            kind == "suggestive_of"
            or parse.mentions[head].denied
            or not finding_pattern.search(parse.mentions[head].text)
        ):
            continue
        if any(anatomy_pattern.search(parse.mentions[index].text) for index in (tail, *_linked(parse, tail))):
            yield head, tail


def _linked(parse: Parse, index: int) -> list[int]:
    """The mentions that a mention qualifies, lies in, or is qualified by."""
    return [tail for head, _, tail in parse.edges if head == index] + [
        head for head, kind, tail in parse.edges if tail == index and kind == "modify"
    ]


def _side_counts(parse: Parse, code: Sequence[str]) -> Counts:
    """If a code and the graph both name a side of a pair: whether a mention has the side of the code."""
    coded_side = next((_SIDES[name] for name in code if name in _SIDES), None)
    graph_sides = [
        _sides_of_edge(parse, edge) for pair in _pairs_of_code(code) for edge in _matching_edges(parse, pair)
    ]
    graph_sides = [sides for sides in graph_sides if sides]
    if coded_side is None or not graph_sides:
        return Counts()
    is_correct = coded_side in graph_sides or frozenset().union(*graph_sides) == coded_side
    return Counts(tp=is_correct, fn=not is_correct)


def _sides_of_edge(parse: Parse, edge: tuple[int, int]) -> frozenset[str]:
    words = {
        word
        for head, kind, tail in parse.edges
        if kind == "modify" and tail in edge
        for word in re.split(r"[ -]", parse.mentions[head].text)
    }
    names_both = any(re.search(r"\bbi(bas|ap)", parse.mentions[index].text) for index in edge)
    if names_both or words & {"bilateral", "bilaterally", "both"}:
        return _BOTH_SIDES
    return frozenset(words & _BOTH_SIDES)


def _placement_counts(parse: Parse, codes: Sequence[Sequence[str]]) -> Counts:
    """Of the regions that the graph gives to a coded finding, how many a code of the finding names."""
    finding_patterns, anatomy_patterns = _code_patterns()["findings"], _code_patterns()["anatomy"]
    coded = [code for code in codes if code[0].lower() in finding_patterns]
    counts = Counts()
    for head, kind, tail in parse.edges:
        finding, region_text = parse.mentions[head], parse.mentions[tail].text
        finding_codes = [code for code in coded if finding_patterns[code[0].lower()].search(finding.text)]
        if (
            kind != "located_at"
            or finding.denied
            or not finding_codes
            or not any(pattern.search(region_text) for pattern in anatomy_patterns.values())
        ):
            continue
        coded_regions = [
            name.lower() for code in finding_codes for name in code[1:] if name.lower() in anatomy_patterns
        ]
        if coded_regions:
            is_correct = any(anatomy_patterns[name].search(region_text) for name in coded_regions)
            counts += Counts(tp=is_correct, fp=not is_correct)
    return counts
