"""Which of the 14 findings of NIH ChestX-ray a text names, read off its parse. Standard library only."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Set
from enum import StrEnum

from chexphi.graph.types import Mention, Parse


class Status(StrEnum):
    """What a text says of a finding."""

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
"""Of the finding's own words (Wang et al., CVPR 2017, for the names)."""
_PLACED = {
    "Atelectasis": (r"\bcollapse", r"lung|lobe|segment|base"),
    "Cardiomegaly": (r"enlarge", r"^(heart|cardiac|cardiac silhouette|cardiomediastinal)$"),
    "Effusion": (r"fluid", r"pleura|fissur|costophrenic"),
    "Pleural_Thickening": (r"thicken", r"pleura|fissur|apical"),
}
"""Findings named by a general word and its place."""
_QUALIFIED = {
    "Cardiomegaly": (r"enlarged|borderline", r"^(heart|cardiac|cardiac silhouette)$"),
    "Nodule": (r"nodular", r"opacit|densit|lesion"),
}
"""Findings named by a quality of something."""
_NOT = {
    "Effusion": r"pericardi",
    "Fibrosis": r"cystic",
    "Emphysema": r"subcutaneous|soft tissue|chest wall|neck|mediastin",
    "Edema": r"soft tissue|subcutaneous",
}
"""Next to these words it is another disease."""
FINDINGS = tuple(_WORDS)


def findings(parse: Parse) -> dict[str, Status]:
    """Findings that are named, with what is said of them; present outweighs uncertain, that absent."""
    said: dict[str, Status] = {}
    order = list(Status)
    for name, mention in _named(parse):
        status = _status(mention)
        said[name] = min(said.get(name, status), status, key=order.index)
    return said


def _status(mention: Mention) -> Status:
    if mention.denied or mention.label.endswith("notpresent"):
        return Status.absent
    return Status.uncertain if mention.uncertain else Status.present


def _named(parse: Parse) -> Iterator[tuple[str, Mention]]:
    linked, modified = _links(parse)
    for index, mention in enumerate(parse.mentions):
        if mention.label.startswith("disorder"):
            near = " ".join(parse.mentions[other].text for other in sorted(linked[index] - {index}))
            for name, words in _WORDS.items():
                if re.search(words, mention.text) and not re.search(_NOT.get(name, r"(?!)"), near):
                    yield name, mention
    for head, kind, tail in parse.edges:
        rules = {"located_at": _PLACED, "modify": _QUALIFIED}.get(kind, {})
        for name, (words, of) in rules.items():
            if re.search(words, parse.mentions[head].text) and re.search(of, _end(parse, tail, modified)):
                yield name, parse.mentions[head]


def _links(parse: Parse) -> tuple[Mapping[int, Set[int]], Mapping[int, int]]:
    """Every mention that a mention is linked with, and what a quality is one of."""
    linked: defaultdict[int, set[int]] = defaultdict(set)
    modified: dict[int, int] = {}
    for head, kind, tail in parse.edges:
        linked[head].add(tail)
        linked[tail].add(head)
        if kind == "modify":
            modified.setdefault(head, tail)
    return linked, modified


def _end(parse: Parse, tail: int, modified: Mapping[int, int]) -> str:
    """The text of a tail; of an attribute (`borderline in size`) that of what it belongs to."""
    own = parse.mentions[tail].label == "concept"
    return parse.mentions[modified.get(tail, tail) if own else tail].text
