"""The text of an answer: without its letter, and without words that say nothing. Standard library only."""

from __future__ import annotations

import re

_OPTION = re.compile(r"(?:^|(?<=[\s?:,;]))\(?([A-Ha-h])[).:]\s*(?=\S)")
_LETTER = re.compile(r"\W*(?:(?:option|choice|answer)\s+)?\(?([A-Ha-h])\)?\W*", re.IGNORECASE)
_LETTER_BEFORE = re.compile(r"\s*(?:(?:option|choice)\s+)?\(?[A-Ha-h][).:]\s*(?=\w)", re.IGNORECASE)
_LEAD = re.compile(
    r"\W*(?:(?:the |my )?(?:(?:final|correct|right|best) )*(?:answer|option|choice) (?:is|would be|:)"
    r"|(?:i|we) (?:think|believe|see|choose|suspect)(?: that)?|(?:most )?(?:probably|likely)|maybe|possibly"
    r"|(?:it|this|that|they|these|there)(?:'s| is| are| was| were| looks?| appears?| seems?)(?: to be)?"
    r"|(?:located|found|situated|seen) (?=in|on|at)|of (?=normal))\b\W*",
    re.IGNORECASE,
)
_YES_OR_NO = re.compile(
    r"\W*(yes|no)\b(?P<rest>\W*$|\s*[,.:;!-].*|\s+(?:there|it|the|they|this|that|i)\b.*)",
    re.IGNORECASE | re.DOTALL,
)


def options_of(question: str) -> dict[str, str]:
    """The options of a question by their letters, in small letters; empty without at least two in order.

    >>> options_of("What is seen? A) Effusion B) Nodule")
    {'a': 'Effusion', 'b': 'Nodule'}
    """
    marks = list(_OPTION.finditer(question))
    letters = [mark[1].lower() for mark in marks]
    if len(marks) < 2 or letters != [chr(ord("a") + at) for at in range(len(marks))]:
        return {}
    ends = [mark.start() for mark in marks[1:]] + [len(question)]
    return {
        mark[1].lower(): question[mark.end() : end].strip(" ,;.?\n")
        for mark, end in zip(marks, ends, strict=True)
    }


def without_options(question: str) -> str:
    """The question before its options."""
    marks = list(_OPTION.finditer(question))
    return question[: marks[0].start()].strip() if len(marks) > 1 else question


def answer_text(question: str, answer: str) -> str:
    """What an answer says, without words around it; the text of an option where it is a letter.

    >>> answer_text("What is seen? A) Effusion B) Nodule", "The answer is B.")
    'Nodule'
    """
    text = answer.strip()
    while (lead := _LEAD.match(text)) and lead.end() < len(text):
        text = text[lead.end() :]
    options = options_of(question)
    if options:
        if letter := _LETTER.fullmatch(text):
            return options.get(letter[1].lower(), text)
        text = _LETTER_BEFORE.sub("", text, count=1) if _LETTER_BEFORE.match(text) else text
    return text.strip(" .!\"'")


def yes_or_no(text: str) -> tuple[str, str] | None:
    """(`yes` or `no`, what the answer says beside it), or None for another answer.

    >>> yes_or_no("Yes, a small one."), yes_or_no("no effusion")
    (('yes', 'a small one'), None)
    """
    start = _YES_OR_NO.fullmatch(text)
    return (start[1].lower(), start["rest"].strip(" ,.:;!-")) if start else None
