"""Sections that ask or tell why: where they start and end."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chexphi.graph.sections import unclaimed_sections


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("INDICATION: Edema.\n\nFINDINGS: Mass.", ["INDICATION: Edema."]),
        ("INDICATION: Edema. FINDINGS: Mass.", ["INDICATION: Edema. "]),
        ("Clinical history:\nEdema.\nFindings:\nMass.", ["Clinical history:\nEdema."]),
        ("REASON FOR EXAM - edema\nIMPRESSION: mass", ["REASON FOR EXAM - edema"]),
        ("**Question:** edema?\nThe heart is large.", ["**Question:** edema?"]),
        ("Options:\nA) edema\nB) mass\nThe heart is large.", ["Options:\nA) edema\nB) mass"]),
        ("<think>History: edema.</think>", ["History: edema."]),
        ("The history: none. Edema.", []),
        ("FINDINGS: Edema.", []),
        ("Which is seen? (A) Edema (B) Mass\nThe heart is large.", ["(A) Edema (B) Mass"]),
    ],
)
def test_where_a_section_stands(text: str, expected: list[str]) -> None:
    found = unclaimed_sections(text.removeprefix("<think>"))
    assert [text.removeprefix("<think>")[start:end] for start, end, _ in found] == expected


@given(
    st.lists(st.sampled_from(["hx: a", "reason:", "\n", "\n\n", "Findings:", "question: b", "</think>", " "]))
)
def test_sections_under_headings_are_apart_and_in_order(parts: list[str]) -> None:
    text = "".join(parts)
    found = unclaimed_sections(text)
    assert all(0 <= start <= end <= len(text) for start, end, _ in found)
    assert all(first[1] <= second[0] for first, second in pairwise(found))
