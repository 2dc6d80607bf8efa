"""Questions about drawn films: what is asked, and in which words."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from chexphi.data.phantom import facts
from chexphi.data.phantom.frames import Wording
from chexphi.data.phantom.question_frames import CAPTION, OPEN_QUESTIONS, QUESTIONS
from chexphi.data.phantom.scene import Scene
from chexphi.data.phantom.targets import FAMILIES, NO_TARGET, Target
from chexphi.schema import InputError, Kind


@dataclass(frozen=True, slots=True)
class Question:
    """A question about one film (basic, region) or two (compare)."""

    kind: Kind
    semantic_type: str
    """verify, choose or query."""
    question_type: str
    """presence, side, size, zone, location, findings, devices, region, new, resolved, change; report
    for a caption."""
    answer_type: str
    """closed or open."""
    text: str
    target: Target = NO_TARGET

    @property
    def box(self) -> tuple[str, str] | None:
        """(side, zone) of the box on the film, for region questions."""
        return (self.target.side, self.target.zone) if self.kind == "region" else None


def ask(rng: random.Random, scenes: Sequence[Scene], kind: Kind, wording: Wording) -> Question:
    """Draw a question that these films allow.

    Args:
        rng: Draws every choice.
        scenes: One film, or the prior and the current one for `compare`.
        kind: basic, region or compare.
        wording: Which frames to draw the words from.

    Raises:
        InputError: If the number of films does not fit the kind.
    """
    film_count = 2 if kind == "compare" else 1
    if len(scenes) != film_count:
        raise InputError(f"a {kind} question needs {film_count} film(s), not {len(scenes)}: give as many")
    families = FAMILIES[kind]
    while True:
        (semantic, about), builder = rng.choices(
            [(key, builder) for key, builder, _ in families], [weight for *_, weight in families]
        )[0]
        target = builder(rng, scenes)
        if target is not None:
            open_ended = semantic == "query" and about in OPEN_QUESTIONS
            frame = rng.choice(QUESTIONS[semantic, about][wording])
            answer_type = "open" if open_ended else "closed"
            return Question(kind, semantic, about, answer_type, _fill(frame, about, target), target)


def ask_caption(rng: random.Random, wording: Wording) -> Question:
    """The request for a complete report."""
    return Question("basic", "query", "report", "open", rng.choice(CAPTION[wording]))


def _fill(frame: str, about: str, target: Target) -> str:
    if not target.finding:
        return frame
    side = "" if about == "region" else target.side
    phrase = facts.absent(target.finding, side)
    if phrase.location and about != "presence":
        phrase = facts.absent(target.finding)
    location_words = f" {phrase.location}" if phrase.location else ""
    return frame.format(np=phrase.short, n=phrase.noun, pp=location_words)
