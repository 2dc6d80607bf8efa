"""An extractor against the human codes of the IU chest X-ray reports (Demner-Fushman et al., JAMIA 2016).

Three questions: which of 14 findings are present, which finding lies where, and on which side. The reports'
own MeSH codes (`Opacity/lung/base/bilateral`) answer all three; where NegBio's standard `findings14_gold.csv`
lies beside the published folder `ecgen-radiology`, it answers the first.
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
"""What a radiologist saw; the indication only says what was asked."""
GOLD = "findings14_gold.csv"
_BOTH = frozenset({"left", "right"})
_SIDES = {"left": frozenset({"left"}), "right": frozenset({"right"}), "bilateral": _BOTH}

Pair = tuple[str, str]
"""(finding, anatomy), by their names in the codes"""


@dataclass(frozen=True, slots=True)
class Report:
    key: str
    """Its number."""
    text: str
    present: frozenset[str]
    """Of the 14 findings."""
    codes: tuple[tuple[str, ...], ...]
    """Heading and qualifiers."""


def _files(folder: Path) -> list[Path]:
    """The reports of the published folder, or of the folder above it."""
    inside = folder / "ecgen-radiology"
    return sorted((inside if inside.is_dir() else folder).glob("*.xml"))


def is_iu(folder: Path) -> bool:
    """The folder holds the IU reports."""
    return folder.is_dir() and bool(_files(folder))


def read_reports(folder: Path) -> list[Report]:
    """The reports that have codes, in the order of their files' names.

    With `findings14_gold.csv` in the folder, those that it names.

    Raises:
        InputError: If a report or the table cannot be read, or no report has codes.
    """
    reports = [_report(path) for path in _files(folder)]
    if (folder / GOLD).is_file():
        gold = _gold(folder / GOLD)
        named = [(report, gold[report.key]) for report in reports if report.key in gold]
        reports = [
            replace(report, present=frozenset(name for name in FINDINGS if row[name] == "1"))
            for report, row in named
        ]
    else:
        reports = [report for report in reports if report.text.strip() and _coded(report.codes)]
    if not reports:
        raise InputError(f"{folder} holds no IU report with MeSH codes: give the published ecgen-radiology")
    return reports


def _gold(path: Path) -> dict[str, dict[str, str]]:
    """The rows of the table by the number of their report."""
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


def _coded(codes: Sequence[Sequence[str]]) -> bool:
    """Whether a person coded the report; `No Indexing` says that nobody did."""
    return any(code[0] not in ("", "No Indexing") for code in codes)


def _present(codes: Sequence[Sequence[str]]) -> frozenset[str]:
    """Of the 14 findings, those that a code says."""
    whole = ["/".join(code).lower() for code in codes]
    return frozenset(
        name for name in FINDINGS if any(_codes()["presence"][name.lower()].fullmatch(code) for code in whole)
    )


def _report(path: Path) -> Report:
    try:
        root = ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, OSError, ValueError, LookupError) as error:
        raise InputError(f"{path} is not XML that can be read ({error}): fetch the report again") from None
    parts = [part.text or "" for part in root.iter("AbstractText") if part.get("Label") in SECTIONS]
    codes = [tuple(word.strip() for word in (code.text or "").split("/")) for code in root.iter("major")]
    return Report(path.stem.removeprefix("CXR"), "\n\n".join(parts), _present(codes), tuple(codes))


def evaluate(extractor: Extractor, reports: Sequence[Report]) -> dict[str, Any]:
    """Figures on all reports: `presence` (micro and by finding), `pairs` and `laterality`."""
    presence = {name: Counts() for name in FINDINGS}
    found, placed, sided = Counts(), Counts(), Counts()
    for report, parse in zip(reports, extractor.parse([report.text for report in reports]), strict=True):
        said = {name for name, status in findings(parse).items() if status is Status.present}
        for name in FINDINGS:
            presence[name] += Counts.of(said & {name}, report.present & {name})
        for code in report.codes:
            for pair in _pairs(code):
                hits = list(_hits(parse, pair))
                found += Counts(tp=bool(hits), fn=not hits)
            sided += _laterality(parse, code)
        placed += _placed(parse, report.codes)
    return {
        "n": len(reports),
        "presence": figures(sum(presence.values(), start=Counts())),
        "pairs": {"recall": found.recall, "precision": placed.precision, "n": found.tp + found.fn},
        "laterality": {"right": sided.recall, "n": sided.tp + sided.fn},
        "by_finding": {name: figures(counts) for name, counts in presence.items() if not counts.empty},
    }


@cache
def _codes() -> dict[str, dict[str, re.Pattern[str]]]:
    text = resources.files("chexphi.kg").joinpath("iu_codes.yaml").read_text(encoding="utf-8")
    return {
        part: {name.lower(): re.compile(words, re.IGNORECASE) for name, words in rows.items()}
        for part, rows in yaml.safe_load(text).items()
    }


def _pairs(code: Sequence[str]) -> Iterator[Pair]:
    """`Opacity/lung/base`: opacity in the lung, in the base; `Aorta/tortuous`: tortuous aorta."""
    names = [name.lower() for name in code]
    known, places = _codes()["findings"], _codes()["anatomy"]
    if names[0] in known:
        yield from ((names[0], name) for name in names[1:] if name in places)
    elif names[0] in places:
        yield from ((name, names[0]) for name in names[1:] if name in known)


def _hits(parse: Parse, pair: Pair) -> Iterator[tuple[int, int]]:
    """Mentions that a relation joins as the pair says; a place has what qualifies it with it (`lower`)."""
    words, place = _codes()["findings"][pair[0]], _codes()["anatomy"][pair[1]]
    for head, kind, tail in parse.edges:
        if (
            kind == "suggestive_of"
            or parse.mentions[head].denied
            or not words.search(parse.mentions[head].text)
        ):
            continue
        if any(place.search(parse.mentions[part].text) for part in (tail, *_linked(parse, tail))):
            yield head, tail


def _linked(parse: Parse, index: int) -> list[int]:
    """What a mention qualifies, lies in, or is qualified by."""
    return [tail for head, _, tail in parse.edges if head == index] + [
        head for head, kind, tail in parse.edges if tail == index and kind == "modify"
    ]


def _laterality(parse: Parse, code: Sequence[str]) -> Counts:
    """Where code and graph name a side of the same pair: does one mention have the coded side?"""
    wanted = next((_SIDES[name] for name in code if name in _SIDES), None)
    named = [_sides(parse, hit) for pair in _pairs(code) for hit in _hits(parse, pair)]
    named = [sides for sides in named if sides]
    if wanted is None or not named:
        return Counts()
    right = wanted in named or frozenset().union(*named) == wanted
    return Counts(tp=right, fn=not right)


def _sides(parse: Parse, hit: tuple[int, int]) -> frozenset[str]:
    words = {
        word
        for head, kind, tail in parse.edges
        if kind == "modify" and tail in hit
        for word in re.split(r"[ -]", parse.mentions[head].text)
    }
    if words & {"bilateral", "bilaterally", "both"} or any(
        re.search(r"\bbi(bas|ap)", parse.mentions[index].text) for index in hit
    ):
        return _BOTH
    return frozenset(words & _BOTH)


def _placed(parse: Parse, codes: Sequence[Sequence[str]]) -> Counts:
    """Of the places our graph gives to a coded finding, those that a code of it names."""
    known, places = _codes()["findings"], _codes()["anatomy"]
    coded = [code for code in codes if code[0].lower() in known]
    counts = Counts()
    for head, kind, tail in parse.edges:
        finding, where = parse.mentions[head], parse.mentions[tail].text
        of = [code for code in coded if known[code[0].lower()].search(finding.text)]
        if (
            kind != "located_at"
            or finding.denied
            or not of
            or not any(p.search(where) for p in places.values())
        ):
            continue
        named = [name.lower() for code in of for name in code[1:] if name.lower() in places]
        if named:
            right = any(places[name].search(where) for name in named)
            counts += Counts(tp=right, fp=not right)
    return counts
