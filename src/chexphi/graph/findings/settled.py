"""What the statements of a text say together of its findings. Standard library only."""

from __future__ import annotations

from collections.abc import Iterable

from chexphi.graph.findings.exceptions import with_exceptions, without_denials_in_doubt
from chexphi.graph.findings.former import without_former
from chexphi.graph.findings.records import Finding
from chexphi.graph.findings.vocabulary import Vocabulary


def settled(
    findings: Iterable[Finding], text: str, vocabulary: Vocabulary, *, with_former: bool
) -> tuple[Finding, ...]:
    """The findings of a text without what another of its statements, or another film, takes from them.

    Args:
        findings: As each statement by itself says them.
        text: All of it.
        vocabulary: Reads the words of places and of change.
        with_former: Keep those of a former film, too.
    """
    kept_findings = list(findings)
    if not kept_findings:
        return ()
    lowered = text.lower()  # looking for a plain word is many times faster than an expression
    if (
        "except" in lowered
        or "apart from" in lowered
        or "aside from" in lowered
        or "other than" in lowered
        or "save for" in lowered
    ):
        kept_findings = with_exceptions(kept_findings, text, vocabulary)
    if any(finding.present and not finding.certain for finding in kept_findings):
        kept_findings = without_denials_in_doubt(kept_findings, text)
    if not with_former and (
        "prior" in lowered or "previous" in lowered or "former" in lowered or "earlier" in lowered
    ):
        kept_findings = without_former(kept_findings, text, vocabulary)
    return tuple(kept_findings)
