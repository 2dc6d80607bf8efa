"""An explanation as a piece of HTML for notebooks: no script, nothing from outside, every text escaped.

Colours are transparent over the notebook's own background, and letters keep its colour, so that light and
dark notebooks can both be read. Each verdict also has an underline of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from chexphi.graph.types import Parse
from chexphi.number_text import figure_text
from chexphi.prompts import ParseStatus
from chexphi.rewards.explain.as_text import COLUMNS, cells
from chexphi.rewards.explain.evidence import Evidence
from chexphi.rewards.explain.items import Item
from chexphi.rewards.explain.reasons import Reason
from chexphi.schema import visible

STYLE = """
.chexphi-score { font-size: 13px; line-height: 1.5; max-width: 70em; }
.chexphi-score .texts { display: flex; flex-wrap: wrap; gap: 1em; margin: .5em 0; }
.chexphi-score .texts > div { flex: 1 1 22em; border: 1px solid rgba(128,128,128,.45); padding: .5em .8em; }
.chexphi-score .text { white-space: pre-wrap; overflow-wrap: anywhere; unicode-bidi: isolate; }
.chexphi-score b { font-weight: 600; }
.chexphi-score table { border-collapse: collapse; margin: .5em 0; color: inherit; }
.chexphi-score td, .chexphi-score th { text-align: left; vertical-align: top; padding: .15em 1em .15em 0;
  white-space: pre-wrap; border-bottom: 1px solid rgba(128,128,128,.3); background: transparent; }
.chexphi-score mark { color: inherit; border-radius: 2px; padding: 0 .15em; }
.chexphi-score .matched { background: rgba(40,160,80,.28); border-bottom: 2px solid rgb(40,160,80); }
.chexphi-score .missed { background: rgba(215,145,0,.28); border-bottom: 2px dashed rgb(215,145,0); }
.chexphi-score .invented { background: rgba(70,120,230,.28); border-bottom: 2px dotted rgb(70,120,230); }
.chexphi-score .contradicted { background: rgba(220,50,60,.32); border-bottom: 3px double rgb(220,50,60); }
"""
LEGEND = ("matched", "missed", "invented", "contradicted")


def page(reasons: Sequence[Reason], items: Sequence[Item], evidence: Evidence) -> str:
    """The figures, both texts with their marks, and the comparison."""
    completion, reference = evidence.parses
    answer, gold = evidence.parsed.answer or "", ", ".join(evidence.gold or ())
    own_text = (
        _marked(completion, _classes(items, "in_completion"))
        if evidence.parsed.status is ParseStatus.ok
        else _text(evidence.completion)
    )
    reference_text = _marked(reference, _classes(items, "in_reference"))
    legend = " ".join(f'<mark class="{name}">{name}</mark>' for name in LEGEND)
    return (
        f'<div class="chexphi-score"><style>{STYLE}</style>'
        + _table(("reward", "value", "why"), [(r.reward, figure_text(r.value), r.why) for r in reasons])
        + f'<div class="texts">{_side("completion", own_text, answer)}'
        + f"{_side('reference', reference_text, gold)}</div>"
        + (f"<div>{legend}</div>" if items else "")
        + (_table(COLUMNS, map(cells, items)) if items else "")
        + "</div>"
    )


def _text(text: str) -> str:
    return escape(visible(text))


def _side(name: str, marked: str, answer: str) -> str:
    return f'<div><b>{name}</b><div class="text">{marked}</div><b>answer</b> {_text(answer) or "none"}</div>'


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["".join(f"<th>{cell}</th>" for cell in head)]
    lines += ["".join(f"<td>{_text(cell)}</td>" for cell in row) for row in rows]
    return f"<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


def _classes(items: Sequence[Item], side: str) -> Mapping[tuple[int, int], str]:
    """The class of each marked span of a text; a contradiction comes before other verdicts."""
    named_items = [item for item in items if item.kind != "relation"]
    named_items.sort(key=lambda item: item.contradicted)
    return {
        (span.start, span.end): "contradicted" if item.contradicted else item.verdict
        for item in named_items
        for span in getattr(item, side)
    }


def _marked(parse: Parse, class_of_span: Mapping[tuple[int, int], str]) -> str:
    """The text with a mark for each mention; of two that overlap only the first is marked."""
    pieces, position = [], 0
    for mention in sorted(parse.mentions, key=lambda mention: (mention.start, -mention.end)):
        name = class_of_span.get((mention.start, mention.end))
        if name and mention.start >= position:
            words = _text(parse.text[mention.start : mention.end])
            pieces += [_text(parse.text[position : mention.start]), f'<mark class="{name}">{words}</mark>']
            position = mention.end
    return "".join([*pieces, _text(parse.text[position:])])
