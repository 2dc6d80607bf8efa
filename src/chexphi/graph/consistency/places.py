"""Structures in which findings and the tips of devices lie, beside sides and zones of the lung."""

from __future__ import annotations

import re

from chexphi.graph.findings.records import Qualities

_STRUCTURES = {
    "svc": r"svc|(?:superior )?vena cava|superior caval",
    "atrium": r"atri(?:um|al)|cavoatrial",
    "ventricle": r"ventric(?:le|ular)",
    "bronchus": r"bronch(?:us|i|ial)|mainstem",
    "trachea": r"trachea(?:l)?|above the carina|mid-?trachea",
    "stomach": r"stomach|gastric|below the (?:left )?(?:hemi)?diaphragm|fundus",
    "esophagus": r"o?esophag(?:us|eal)",
    "mediastinum": r"(?:para)?mediastin(?:um|al)",
    "hilum": r"hil(?:um|ar|a)|suprahilar|infrahilar",
    "aorta": r"aort(?:a|ic)",
    "clavicle": r"clavicle|clavicular",
    "spine": r"spine|spinal|vertebra\w*",
    "rib": r"ribs?",
    "sternum": r"sternum|sternal",
    "shoulder": r"shoulder|humer(?:us|al)|scapula",
    "subclavian": r"subclavian",
    "jugular": r"jugular",
    "neck": r"neck",
}
_STRUCTURE = re.compile(
    r"\b(?:" + "|".join(f"(?P<{name}>{words})" for name, words in _STRUCTURES.items()) + r")\b", re.IGNORECASE
)
_ENTRIES = re.compile(
    r"\b(?:jugular|subclavian) (?:vein |venous )?(?=(?:central |venous )*(?:line|catheter))", re.I
)
"""A line is named by where it enters, and asked for by where it ends."""
_NO_ZONE = re.compile(r"\bcentral (?=(?:venous )?(?:line|catheter))|\bsuperior (?=vena|caval)", re.IGNORECASE)


def structures_in(text: str) -> frozenset[str]:
    """The structures that a text names.

    >>> sorted(structures_in("4 cm above the carina")), sorted(structures_in("right jugular line in the SVC"))
    (['trachea'], ['svc'])
    """
    return frozenset(match.lastgroup or "" for match in _STRUCTURE.finditer(_ENTRIES.sub("", text)))


def without_names_like_zones(text: str) -> str:
    """A text without the words of a name that read like zones: `central line`, `superior vena cava`."""
    return _NO_ZONE.sub("", text)


def overlap(claimed_places: frozenset[str], target_places: frozenset[str]) -> bool | None:
    """True: all that is asked is named; False: nothing of it; None: a part of it, or no place at all."""
    if not claimed_places or (claimed_places & target_places and not target_places <= claimed_places):
        return None
    return target_places <= claimed_places


def location_of(qualities: Qualities) -> Qualities:
    """Side and zone alone."""
    return Qualities(sides=qualities.sides, zones=qualities.zones)
