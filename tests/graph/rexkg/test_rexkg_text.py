"""Sentences and words as the original cuts them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chexphi.graph.rexkg.text import seed_sentences


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Heart big. No mass.", ["0 heart big", "1 no mass"]),
        ("Heart big\nNo mass", ["0 heart bigno mass"]),  # line ends vanish
        ("Heart big.\r\nNo\tmass", ["0 heart big", "1 no mass"]),
        ("Any mass? No mass! So: none", ["0 any mass ? no mass ! so : none"]),
        ('Up-to-date, (left/right); "new" [old]', ['0 up-to-date , ( left / right ) ; "new" [old]']),
        ("Mass of 2.5 cm.", ["0 mass of 2 . 5 cm"]),
        ("Mass of 2.5 x 3.5 cm.", ["0 mass of 2 . 5 x 3", "1 5 cm"]),  # the glued part is not looked at again
        ("v1.2.3 here", ["0 v1 . 2", "1 3 here"]),
        ("Mass of 2. 5 cm away", ["0 mass of 2", "1 5 cm away"]),  # a space between
        ("Mass of 2.\n5 cm away", ["0 mass of 2 . 5 cm away"]),  # the line end is gone before
        ("٣.٤ cm", ["0 ٣ . ٤ cm"]),  # digits of any script
        (".5 cm seen. 5. cm", ["1 5 cm seen"]),
        ("Mass. Old mass...new mass", ["1 old mass", "4 new mass"]),  # dropped ones are counted
        ("1. Old mass. 2. New mass", ["1 old mass", "3 new mass"]),
        (
            "<think>Big heart.</think><answer>no</answer>",
            ["0 <think>big heart", "1 < / think><answer>no< / answer>"],
        ),
        ("Mass.", []),
        ("", []),
        ("...", []),
        ("?!", ["0 ? !"]),
        ("\u200b \u200b.", ["0 \u200b \u200b"]),
    ],
)
def test_table(text: str, expected: list[str]) -> None:
    assert [f"{number} {' '.join(words)}" for number, words in seed_sentences(text)] == expected


def walk(text: str) -> list[tuple[int, tuple[str, ...]]]:
    """The same, character by character: at most one point between digits is kept a sentence."""
    text = text.replace("\n", "")
    parts, glued = [""], False
    for at, sign in enumerate(text):
        if sign != ".":
            parts[-1] += sign
            continue
        decimal = 0 < at < len(text) - 1 and text[at - 1].isdecimal() and text[at + 1].isdecimal()
        if decimal and not glued:
            parts[-1] += "."
            glued = True
        else:
            parts.append("")
            glued = False
    cut = [tuple("".join(f" {s} " if s in "/,:.!?()" else s for s in part).lower().split()) for part in parts]
    return [(number, words) for number, words in enumerate(cut) if len(words) > 1]


@given(st.text(alphabet="a1.2 .\n,-T", max_size=40) | st.text(max_size=40))
def test_against_a_walk_over_the_characters(text: str) -> None:
    assert seed_sentences(text) == walk(text)
