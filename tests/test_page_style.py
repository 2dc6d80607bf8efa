"""Pages that a newcomer reads once: a short README, short paragraphs, short sentences.

How sentences are counted: code blocks, tables, headings, pictures and comments are left out. What is left is
cut into paragraphs and items of lists, and these at `.`, `?` and `!` before a space or the end. A word has a
letter or a digit in it; code in backticks is one word, and a link counts by its text. Cells of tables are
counted apart, by the same rule. The maps (`seed_map`, `paper_map`) are tables of facts and `log` is history:
they are left out.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LEFT_OUT = {"log", "seed_map", "paper_map", "contributing", "changelog"}
"""The last two include files at the top."""
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
    *sorted(path for path in (ROOT / "docs").glob("*.md") if path.stem not in LEFT_OUT),
]
LONGEST = 30
"""Words of the sentence at the 90th percentile."""


def plain(text: str) -> str:
    """A page without its code blocks, comments and pictures; code and links as one word each."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.S | re.M)
    text = re.sub(r"<!--.*?-->|!\[[^\]]*\]\([^)]*\)", "", text, flags=re.S)
    text = re.sub(r"`[^`\n]+`", "CODE", text)
    return re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)


def paragraphs(text: str) -> list[str]:
    """Paragraphs and items of lists, in the order of the page."""
    kept = [line for line in plain(text).splitlines() if not line.startswith(("|", "#"))]
    blocks = re.split(r"\n\s*\n|\n(?=\s*(?:[-*]|\d+\.) )", "\n".join(kept))
    return [" ".join(block.split()) for block in blocks if block.strip()]


def cells(text: str) -> list[str]:
    rows = [
        line for line in plain(text).splitlines() if line.startswith("|") and not re.match(r"[|\s:-]+$", line)
    ]
    return [cell.strip() for row in rows for cell in re.split(r"(?<!\\)\|", row)[1:-1]]


def words(text: str) -> int:
    return sum(bool(re.search(r"\w", word)) for word in text.split())


def sentence_lengths(blocks: list[str]) -> list[int]:
    parts = [part for block in blocks for part in re.split(r"(?<=[.?!])[)*\"”]*\s", block)]
    return sorted(count for count in map(words, parts) if count)


def percentile_90(lengths: list[int]) -> int:
    """The smallest length that at least 90 % of the sentences do not exceed."""
    return lengths[math.ceil(0.9 * len(lengths)) - 1] if lengths else 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_nine_of_ten_sentences_are_short(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert percentile_90(sentence_lengths(paragraphs(text))) <= LONGEST
    assert percentile_90(sentence_lengths(cells(text))) <= LONGEST


def test_the_readme_is_one_short_page() -> None:
    readme = ROOT / "README.md"
    assert readme.stat().st_size <= 10_000
    assert max(map(words, paragraphs(readme.read_text(encoding="utf-8")))) <= 80


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_has_headings_to_scan(page: Path) -> None:
    """One title, and no stretch of 600 words of running text without a heading."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)
    assert len(re.findall(r"^# ", text, re.M)) == 1
    for section in re.split(r"^#+ .*$", text, flags=re.M):
        assert sum(map(words, paragraphs(section))) <= 600


def test_sentences_are_counted_as_the_docstring_says() -> None:
    text = "# A title\n\nOne `a b` two. [Three four](x.md) five?\n- six\n- seven: 8, 9\n\n| a b. c |\n|---|\n"
    assert paragraphs(text) == ["One CODE two. Three four five?", "- six", "- seven: 8, 9"]
    assert sentence_lengths(paragraphs(text)) == [1, 3, 3, 3]
    assert sentence_lengths(cells(text)) == [1, 2]
    assert [percentile_90(list(range(1, n + 1))) for n in (0, 1, 9, 10, 11, 20)] == [0, 1, 9, 9, 10, 18]
