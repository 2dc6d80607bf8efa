"""Texts as a policy, a server or a careless export may write them, drawn from a seed."""

from __future__ import annotations

import random
from collections.abc import Iterator

SENTENCES = (
    "There is a small left pleural effusion.", "No pneumothorax is seen.", "The heart is enlarged.",
    "An opacity in the right lower lobe suggests pneumonia.", "Pneumothorax: none.", "Is there edema? No.",
    "INDICATION: r/o effusion.", "The left lung is clear, without effusion or nodule.",
    "ET tube 4.5 cm above the carina.", "If there were an effusion, the angle would be blunted.",
    "Possible atelectasis; cannot exclude a nodule.",
)  # fmt: skip
ANSWERS = ("yes", "no", "left, right", "5 mm", "A) effusion", "LLL", "1,000", "\\boxed{yes}", "")
PIECES = (
    "<think>", "</think>", "<answer>", "</answer>", "<THINK >", "< /answer>", "<|end|>", "<|im_end|>",
    "<eos>", "<", ">", "<b>", "</p>", "\n", "\n\n", "\n- ", "\n1. ", "\t", "  ", "\u00a0", "\u200b", "\u2028",
    "\0", "\ud800", "\ufb01", "\u0130", "\u0301", "\u00bd", "\U0001fac1", "\u0661", "**", "_", '"', "\u201c",
    "(", ")", "[", "{", "|", "...", "?", "?!", ";", ":", ", ", "-", "->", "<=", "\u00b1", "%", "no ", "not ",
    "or ", "and ", "L ", "b/l ", "1.5 x 2 cm ", "e.g. ", "dr. ", "n't ", "Question: ", "A) ", "(a) ", "NaN",
    "None", "\\a{", "$", "#", "effusion", "999999999",
)  # fmt: skip
LONGEST = 4_000
"""Characters of a text, about a thousand tokens."""


def mutated_texts(rng: random.Random, count: int) -> Iterator[str]:
    """So many texts: completions with and without their form, changed in up to six places.

    They hold NUL and lone surrogates, so that not all of them can be written to a file as UTF-8.
    """
    for _ in range(count):
        text = _completion(rng)
        for _ in range(rng.randint(0, 6)):
            text = rng.choice((_put, _put, _cut, _doubled, _run, _shuffled, _case))(rng, text)
        yield text[:LONGEST]


def _completion(rng: random.Random) -> str:
    think = rng.choice((" ", "\n", "; ", " ")).join(rng.choices(SENTENCES, k=rng.randint(0, 6)))
    form = rng.choice(
        ("<think>{}</think><answer>{}</answer>",) * 4 + ("<answer>{1}</answer><think>{0}</think>", "{}")
    )
    return form.format(think, rng.choice(ANSWERS))


def _place(rng: random.Random, text: str) -> int:
    return rng.randint(0, len(text))


def _put(rng: random.Random, text: str) -> str:
    at = _place(rng, text)
    return text[:at] + rng.choice(PIECES) + text[at:]


def _cut(rng: random.Random, text: str) -> str:
    first, last = sorted((_place(rng, text), _place(rng, text)))
    return text[:first] + text[min(last, first + 80) :]


def _doubled(rng: random.Random, text: str) -> str:
    first, last = sorted((_place(rng, text), _place(rng, text)))
    return text[:last] + text[first:last] * rng.randint(1, 3) + text[last:]


def _run(rng: random.Random, text: str) -> str:
    at, unit = _place(rng, text), "".join(rng.choices(PIECES, k=rng.randint(1, 2)))
    return text[:at] + unit * rng.choice((3, 30, 300, 3_000)) + text[at:]


def _shuffled(rng: random.Random, text: str) -> str:
    words = text.split(" ")
    rng.shuffle(words)
    return " ".join(words)


def _case(rng: random.Random, text: str) -> str:
    return rng.choice((str.upper, str.lower, str.swapcase, str.title))(text)
