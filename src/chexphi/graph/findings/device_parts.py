"""Words for a part of a device that its sentence names: `a pacemaker, its leads`. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chexphi.graph.findings.links import Links
from chexphi.graph.findings.ontology import Ontology
from chexphi.graph.findings.records import Finding
from chexphi.graph.findings.statements import Statements
from chexphi.graph.types import Parse

_IMPLANTED = frozenset({"devices_present", "procedures"})
_REMNANTS = "postsurgical_change"
"""The concept above all that operations leave behind."""
_DEVICES = frozenset({"devices_present", "devices_notpresent"})


def parts_of_devices(
    by_mention: Mapping[int, Sequence[Finding]],
    parse: Parse,
    links: Links,
    statements: Statements,
    ontology: Ontology,
) -> set[int]:
    """Mentions that only say `wires`, `leads` or `tube` of a device that their sentence names.

    The same for what an operation leaves behind, right after the operation: `CABG clips`.

    Args:
        by_mention: The findings of each mention.
        parse: The text.
        links: Of the parse.
        statements: Of the text.
        ontology: Knows which concepts name a whole group.
    """
    family_indices, named_statements, parts = [], set(), set[int]()
    for index, mention_findings in by_mention.items():
        mention = parse.mentions[index]
        is_after_operation = index and parse.mentions[index - 1].label == "procedures"
        if is_after_operation and _is_left_by_operation(index, by_mention, links, ontology):
            parts.add(index)
        elif ontology.is_family(mention_findings[0].concept):
            family_indices += [index] if mention.label in _DEVICES else []
        elif mention.label in _IMPLANTED:
            named_statements.add(statements.number(mention.start))
    for index in family_indices:
        mention = parse.mentions[index]
        if mention.label == "devices_notpresent":
            is_part = any(index in links.sites.get(at, ()) for at in by_mention)
        else:
            is_part = statements.number(mention.start) in named_statements
        if is_part:
            parts.add(index)
    return parts


def _is_left_by_operation(
    index: int, by_mention: Mapping[int, Sequence[Finding]], links: Links, ontology: Ontology
) -> bool:
    operation = by_mention.get(index - 1)
    if operation is None:
        return False
    above = ontology.ancestors.get(by_mention[index][0].concept, {})
    is_remnant = _REMNANTS in above and _REMNANTS in ontology.ancestors.get(operation[0].concept, {})
    return is_remnant and index in links.sites.get(index - 1, ())
