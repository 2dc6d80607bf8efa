"""Finds which of the 14 findings of NIH ChestX-ray a text names, from its parse. Standard library only."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Set
from enum import StrEnum

from chexphi.graph.types import Mention, Parse


class Status(StrEnum):
    """What a text says about a finding."""

    present = "present"
    uncertain = "uncertain"
    absent = "absent"


_WORDS = {
    "Atelectasis": r"atelecta",
    "Cardiomegaly": r"cardiomegaly",
    "Effusion": r"effusion",
    "Infiltration": r"infiltrat",
    "Mass": r"\bmass(es)?\b",
    "Nodule": r"\bnodules?\b",
    "Pneumonia": r"pneumonia",
    "Pneumothorax": r"\bpneumothora",
    "Consolidation": r"consolidat",
    "Edema": r"o?edema",
    "Emphysema": r"emphysem",
    "Fibrosis": r"\bfibro(sis|tic)",
    "Pleural_Thickening": r"(?!)",
    "Hernia": r"hernia",
}
"""Patterns of words that alone name a finding (names by Wang et al., CVPR 2017)."""
_WORDS_WITH_PLACE = {
    "Atelectasis": (r"\bcollapse", r"lung|lobe|segment|base"),
    "Cardiomegaly": (r"enlarge", r"^(heart|cardiac|cardiac silhouette|cardiomediastinal)$"),
    "Effusion": (r"fluid", r"pleura|fissur|costophrenic"),
    "Pleural_Thickening": (r"thicken", r"pleura|fissur|apical"),
}
"""Findings that are named by a general word and its place: (word, place)."""
_QUALITIES = {
    "Cardiomegaly": (r"enlarged|borderline", r"^(heart|cardiac|cardiac silhouette)$"),
    "Nodule": (r"nodular", r"opacit|densit|lesion"),
}
"""Findings that are named by a quality of something: (quality, what has it)."""
_EXCLUDING_WORDS = {
    "Effusion": r"pericardi",
    "Fibrosis": r"cystic",
    "Emphysema": r"subcutaneous|soft tissue|chest wall|neck|mediastin",
    "Edema": r"soft tissue|subcutaneous",
}
"""If a related mention has one of these words, it is another disease."""
FINDINGS = tuple(_WORDS)


def findings(parse: Parse) -> dict[str, Status]:
    """The findings that a text names, with their status. Present overrides uncertain, uncertain absent."""
    status_of_finding: dict[str, Status] = {}
    order = list(Status)
    for name, mention in _mentions_of_findings(parse):
        status = _status(mention)
        status_of_finding[name] = min(status_of_finding.get(name, status), status, key=order.index)
    return status_of_finding


def _status(mention: Mention) -> Status:
    if mention.uncertain:
        return Status.uncertain
    return Status.absent if mention.denied or mention.label.endswith("notpresent") else Status.present


def _mentions_of_findings(parse: Parse) -> Iterator[tuple[str, Mention]]:
    linked, modified = _links(parse)
    for index, mention in enumerate(parse.mentions):
        if mention.label.startswith("disorder"):
            linked_mentions = (parse.mentions[position] for position in sorted(linked[index] - {index}))
            linked_text = " ".join(linked_mention.text for linked_mention in linked_mentions)
            for name, words in _WORDS.items():
                excluded = re.search(_EXCLUDING_WORDS.get(name, r"(?!)"), linked_text)
                if re.search(words, mention.text) and not excluded:
                    yield name, mention
    for head, kind, tail in parse.edges:
        rules = {"located_at": _WORDS_WITH_PLACE, "modify": _QUALITIES}.get(kind, {})
        for name, (head_words, tail_words) in rules.items():
            tail_text = _tail_text(parse, tail, modified)
            if re.search(head_words, parse.mentions[head].text) and re.search(tail_words, tail_text):
                yield name, parse.mentions[head]


def _links(parse: Parse) -> tuple[Mapping[int, Set[int]], Mapping[int, int]]:
    """The mentions that each mention is related to, and the mention that each quality modifies."""
    linked: defaultdict[int, set[int]] = defaultdict(set)
    modified: dict[int, int] = {}
    for head, kind, tail in parse.edges:
        linked[head].add(tail)
        linked[tail].add(head)
        if kind == "modify":
            modified.setdefault(head, tail)
    return linked, modified


def _tail_text(parse: Parse, tail: int, modified: Mapping[int, int]) -> str:
    """The text of a relation's tail. If that is an attribute (`borderline in size`), the text of its noun."""
    is_quality = parse.mentions[tail].label == "concept"
    return parse.mentions[modified.get(tail, tail) if is_quality else tail].text
