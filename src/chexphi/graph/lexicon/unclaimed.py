"""What is named and not claimed: questions, conditions against the facts, headings. Standard library only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from chexphi.graph.cues import words as _words
from chexphi.graph.lexicon.clauses import BE
from chexphi.graph.lexicon.spans import Span

_ASKS = _words("is are was were am do does did has have had can could will would should may might")
_WH = _words("what where which who whose why how whether")
_LEAD = _words(
    "so and but now then ok okay well hmm wait question q first next second finally , : - * ( \" '"
)
_AFTER_ASKS = _words("there the a an this that these those it any either both you we i")
_MARKS = _words("? .")
_FACTS_AGAINST = _words("would could should might must")
_NO_CONDITION = _words(
    "not any present real so needed clinically indicated necessary warranted anything i we you one"
)
_HELPED = _words("better further best helpful recommend recommended suggest benefit advise like useful")
_SUBJECTS = (["there"], ["this"], ["it"], ["the"], ["a"], ["an"], ["that"])
_MEANT = (["a"], ["an"], ["air"], ["fluid"], ["blood"], ["when"], ["any"])
_CHANCES = _words("possibility concern consideration chance feature new")
_SEEK = _words(
    """look looking check checking search searching examine inspect inspecting scan survey review assess
    evaluate checked examined inspected reviewed"""
)
_LIKE = _words(
    "signs sign features findings causes cause symptoms manifestations appearance hallmark hallmarks"
)
_INCLUDE = _words("include includes including such")
_SOUGHT_END = _words(", ; . : and but")
_PARTS = _words("; .")


def asked(tokens: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Stretches (first word, one past the last) of questions and of conditions that are no facts."""
    start = 0
    for at in [index for index, word in enumerate(tokens) if word in _MARKS]:
        if tokens[at] == "?":
            begin = _question(tokens, start, at)
            if begin is not None:
                yield begin, at
        start = at + 1
    if start < len(tokens) and _inverted(tokens, _led(tokens, start)):
        yield start, len(tokens)
    if tokens:
        if tokens[0] in ("a", "an"):
            yield from _defined(tokens)
        yield from _conditions(tokens)
        yield from _explained(tokens)


def _led(tokens: Sequence[str], start: int) -> int:
    """The first word behind `so`, `question:` and the like."""
    while start < len(tokens) and (tokens[start] in _LEAD or tokens[start].isdigit()):
        start += 1
    return start


def _inverted(tokens: Sequence[str], at: int) -> bool:
    """`is there`, `does the`, `where is`, `how many`: a question without its mark."""
    first, second = (*tokens[at : at + 2], "", "")[:2]
    if first in _ASKS:
        return second in _AFTER_ASKS
    return first in _WH and (
        second in BE or second in ("does", "do", "many", "large", "much", "side", "kind")
    )


def _question(tokens: Sequence[str], start: int, end: int) -> int | None:
    """Where the question that ends with the mark at `end` begins; None for a finding with a mark of doubt."""
    first = _led(tokens, start)
    if first < end and (tokens[first] in _ASKS or tokens[first] in _WH):
        return start
    for at in range(end - 1, first, -1):
        if _inverted(tokens, at) and tokens[at - 1] in (",", ";", ":", "and", "but", "so", "or", "-"):
            return at
    return None


def _conditions(tokens: Sequence[str]) -> Iterator[tuple[int, int]]:
    """`If there were an effusion, the angle would be blunted`, `had there been one, …`."""
    if "if" not in tokens and tokens[0] not in ("had", "were", "should"):
        return
    for at, word in enumerate(tokens):
        opened = word == "if" and tokens[at + 1 : at + 2] and tokens[at + 1] not in _NO_CONDITION
        inverted = at == 0 and word in ("had", "were", "should") and tokens[1:2] in _SUBJECTS
        if not (opened or inverted):
            continue
        start = max((i + 1 for i in range(at) if tokens[i] in _PARTS), default=0)
        end = next(
            (i for i in range(at, len(tokens)) if tokens[i] in _PARTS or tokens[i] == "but"), len(tokens)
        )
        words = tokens[start:end]
        main = _FACTS_AGAINST.intersection(words)
        if (
            main
            and not _HELPED.intersection(words)
            and ("were" in words or "had" in words or "would" in main)
        ):
            yield start, end


def _defined(tokens: Sequence[str]) -> Iterator[tuple[int, int]]:
    """`A pneumothorax is air in the pleural space`: what a word means."""
    if "is" in tokens[:6]:
        at = tokens.index("is") + 1
        if tokens[at : at + 1] in _MEANT and not _CHANCES.intersection(tokens[at : at + 3]):
            yield 0, len(tokens)


def _explained(tokens: Sequence[str]) -> Iterator[tuple[int, int]]:
    """`Signs of an effusion include blunting`: what a finding is like, and not that it is there."""
    if _INCLUDE.isdisjoint(tokens):
        return
    for at, word in enumerate(tokens[:-1]):
        if word in _LIKE and tokens[at + 1] == "of" and not _INCLUDE.isdisjoint(tokens[at:]):
            yield at, len(tokens)
            return


def sought(tokens: Sequence[str]) -> Iterator[tuple[int, int]]:
    """`I check the lungs for edema`: what is looked for, up to the next comma, `and` or the end."""
    for at, word in enumerate(tokens):
        if word in _SEEK and "for" in tokens[at + 2 : at + 6]:
            first = tokens.index("for", at + 2) + 1
            ends = (i for i in range(first, len(tokens)) if tokens[i] in _SOUGHT_END)
            yield first, next(ends, len(tokens))


def heading(
    tokens: Sequence[str], spans: Sequence[Span], absent: frozenset[int], answered: set[int]
) -> Iterator[tuple[int, int]]:
    """The label of `Effusion: no pleural effusion is seen`: what follows says it again, or denies it."""
    if ":" not in tokens:
        return
    colon = tokens.index(":")
    label = [index for index, span in enumerate(spans) if span.end <= colon]
    end = next((i for i in range(colon, len(tokens)) if tokens[i] in (";", "|")), len(tokens))
    value = [index for index, span in enumerate(spans) if colon < span.start < end]
    named = {spans[index].words[-1] for index in label if spans[index].label.endswith("_present")}
    if not named or not value or not answered.isdisjoint(label) or not BE.isdisjoint(tokens[:colon]):
        return
    if spans[label[0]].start > 3 or not absent.isdisjoint(label):
        return
    findings = [index for index in value if spans[index].label.endswith("_present")]
    again = any(spans[index].words[-1] in named for index in findings)
    if again or not absent.isdisjoint(value) or (not findings and not BE.isdisjoint(tokens[colon:])):
        yield 0, colon
