"""An explanation as tables of plain text, for terminals."""

from __future__ import annotations

import io
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from chexphi.graph.types import LABEL_WORDS
from chexphi.number_text import figure_text
from chexphi.rewards.explain.items import Item, Span
from chexphi.rewards.explain.reasons import Reason
from chexphi.schema import visible

COLUMNS = ("verdict", "what", "in the completion", "in the reference")
WIDTH = 100
"""Characters of a line."""


def table(reasons: Sequence[Reason], items: Sequence[Item]) -> str:
    """The parts of the reward with their reasons, then everything that is compared, with its places."""
    reward_table = Table("reward", "value", "why", box=box.SIMPLE_HEAD, pad_edge=False)
    for reason in reasons:
        reward_table.add_row(reason.reward, figure_text(reason.value), Text(visible(reason.why)))
    findings = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for number, name in enumerate(COLUMNS):
        findings.add_column(name, no_wrap=not number)
    for item in items:
        findings.add_row(*(Text(visible(cell)) for cell in cells(item)))
    out = io.StringIO()
    console = Console(file=out, width=WIDTH, color_system=None, force_terminal=False)
    console.print(reward_table, *[findings] * bool(items))
    lines = (line.rstrip() for line in out.getvalue().splitlines())
    return "\n".join(lines).strip("\n").replace("\n\n\n", "\n\n")


def cells(item: Item) -> tuple[str, str, str, str]:
    """Verdict, words and label, and the places in both texts."""
    verdict = f"{item.verdict}, contradicted" if item.contradicted else item.verdict
    description = f"{item.name} ({LABEL_WORDS[item.label]})" if item.kind == "entity" else item.name
    description += f": {item.note}" if item.note else ""
    return verdict, description, span_texts(item, item.in_completion), span_texts(item, item.in_reference)


def span_texts(item: Item, item_spans: Sequence[Span]) -> str:
    """The words with their characters in the text, as `effusion 12-20`; of a relation only the characters."""
    ranges = [f"{span.start}-{span.end}" for span in item_spans]
    if item.kind == "relation":
        return "; ".join(f"{head} to {tail}" for head, tail in zip(ranges[::2], ranges[1::2], strict=True))
    words = (" ".join(span.text.split()) for span in item_spans)
    return "; ".join(f"{text} {span}" for text, span in zip(words, ranges, strict=True))
