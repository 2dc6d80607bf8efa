"""What an error's message can be: a template such as `{path} does not exist: check the path`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

VALUE = re.compile(r"\{[^{}]+\}")
"""A value, by its name."""
NUMBER = re.compile(r"\{([\d._]+)\}")
"""A constant of the code: the page shows the number itself, and another one matches it, too."""
Choices = tuple[tuple[str, tuple[str, ...]], ...]
"""Values, each with its texts; the last of them are those without a word of their own."""


class Text(NamedTuple):
    """A template, with the texts that some of its values can be: those that the code itself has."""

    template: str
    choices: Choices = ()

    def flat(self) -> list[str]:
        """The template once for each combination of its choices; what may be missing stays a value."""
        texts = [self.template]
        for value, alternatives in self.choices:
            if "" in alternatives and not is_remark(alternatives):
                continue
            texts = [text.replace(value, alternative) for text in texts for alternative in alternatives]
        return texts

    def readable(self) -> str:
        """The template with `(s)` for a plural's ending, `a/b` for one of two words, and every remark."""
        text = self.template
        for value, alternatives in self.choices:
            if "/" in value:
                text = text.replace(
                    value, f"({''.join(alternatives)})" if "" in alternatives else value[1:-1]
                )
            if is_remark(alternatives):
                text = text.replace(value, "".join(alternatives))
        return NUMBER.sub(r"\1", text)

    def listed(self) -> Choices:
        """The values whose texts are worth naming, and those texts."""
        return tuple(
            (value, tuple(filter(has_words, texts))) for value, texts in self.choices if "/" not in value
        )

    def choices_of(self, message: str) -> set[tuple[str, str]] | None:
        """The value and text of each choice that a message took; None if it is another sentence."""
        alternatives, groups, names = dict(self.choices), [], []
        for piece in re.split(f"({VALUE.pattern})", self.template):
            if piece in alternatives:
                names += [(piece, text) for text in alternatives[piece]]
                groups.append(
                    "|".join(f"({pattern_of(text)})" for text in alternatives[piece]).join(("(?:", ")"))
                )
            else:
                groups.append(pattern_of(piece))
        found = re.fullmatch("".join(groups), message, re.S)
        return found and {
            name for name, group in zip(names, found.groups(), strict=True) if group is not None
        }

    def is_in(self, message: str) -> bool:
        """Whether a message has every word of this text in it."""
        return any(all(piece in message for piece in VALUE.split(text)) for text in self.flat())


def is_remark(alternatives: Iterable[str]) -> bool:
    """Whether a value is a remark in parentheses, or nothing."""
    texts = set(alternatives)
    return len(texts) == 2 and "" in texts and max(texts).startswith(" (")


def has_words(template: str) -> bool:
    """Whether a template says anything besides its values."""
    return re.search(r"[^\W\d_]", VALUE.sub("", template)) is not None


def pattern_of(template: str) -> str:
    """A regular expression for a template: any text for each value."""
    return ".*?".join(map(re.escape, VALUE.split(template)))
