"""The wording of the phantom's explanations: frames for train, validation and test.

A frame fixes the words around a statement, never an entity: all frames of one table give the same graph.
Every word of a validation or test frame is also in a train frame (a test checks it).
"""

from __future__ import annotations

from typing import Literal

Wording = Literal["train", "valid", "test"]
WORDINGS: tuple[Wording, ...] = ("train", "valid", "test")
Frames = dict[Wording, tuple[str, ...]]

# {np} is a noun phrase with its article, {pp} its location with a space before it, or nothing.
PRESENT: Frames = {
    "train": (
        "there is {np}{pp}",
        "{np} is seen{pp}",
        "{np}{pp} is seen",
        "{np} is noted{pp}",
        "the image shows {np}{pp}",
        "I see {np}{pp}",
        "on this image there is {np}{pp}",
        "I note {np}{pp} on this image",
    ),
    "valid": ("this image shows {np}{pp}", "{np}{pp} is noted on this image"),
    "test": ("I note {np}{pp}", "on this image I see {np}{pp}"),
}
# After a sentence that already named a finding as present.
ALSO: Frames = {
    "train": (
        "there is also {np}{pp}",
        "{np} is also seen{pp}",
        "{np}{pp} is also noted",
        "the image also shows {np}{pp}",
        "I also see {np}{pp}",
        "in addition, there is {np}{pp}",
    ),
    "valid": ("{np} is also noted{pp}", "in addition, I see {np}{pp}"),
    "test": ("I also note {np}{pp}", "in addition, the image shows {np}{pp}"),
}
# Only for findings in a lung zone; {place} is `the right upper lung zone`.
ZONE_FIRST: Frames = {
    "train": (
        "{place} shows {np}",
        "in {place} there is {np}",
        "in {place}, {np} is seen",
        "{place} contains {np}",
    ),
    "valid": ("in {place}, I see {np}", "in {place} the image shows {np}"),
    "test": ("in {place}, {np} is noted", "in {place} I note {np}"),
}
# Two findings; {a} and {b} are noun phrases with their locations.
PAIR: Frames = {
    "train": (
        "there is {a} and {b}",
        "{a} and {b} are seen",
        "the image shows {a} and {b}",
        "I see {a} and {b}",
        "{a} and {b} are noted on this image",
    ),
    "valid": ("I note {a} and {b}", "this image shows {a} and {b}"),
    "test": ("on this image there is {a} and {b}", "{a} and {b} are noted"),
}
ALSO_PAIR: Frames = {
    "train": (
        "there is also {a} and {b}",
        "{a} and {b} are also seen",
        "the image also shows {a} and {b}",
        "I also see {a} and {b}",
        "in addition, there is {a} and {b}",
    ),
    "valid": ("{a} and {b} are also noted", "in addition, I see {a} and {b}"),
    "test": ("I also note {a} and {b}", "in addition, the image shows {a} and {b}"),
}
# {n} is a noun without article, {np} with it; {pp} is its location with a space before it, or nothing.
ABSENT: Frames = {
    "train": (
        "there is no {n}{pp}",
        "no {n} is seen{pp}",
        "I see no {n}{pp}",
        "I do not see {np}{pp}",
        "the image shows no {n}{pp}",
        "there is no evidence of {n}{pp}",
        "no {n} is noted{pp} on this image",
    ),
    "valid": ("I see no evidence of {n}{pp}", "this image shows no {n}{pp}"),
    "test": ("no {n} is noted{pp}", "on this image there is no {n}{pp}"),
}
# {list} is two or more nouns joined by commas and `or`; {a} and {b} are the first and the second of two.
ABSENT_LIST: Frames = {
    "train": (
        "there is no {list}",
        "no {list} is seen",
        "I see no {list}",
        "the image shows no {list}",
        "there is no evidence of {list}",
        "no {list} is noted on this image",
    ),
    "valid": ("I see no evidence of {list}", "this image shows no {list}"),
    "test": ("no {list} is noted", "on this image there is no {list}"),
}
ABSENT_PAIR: Frames = {
    "train": (
        *ABSENT_LIST["train"],
        "neither {a} nor {b} is seen",
        "I see neither {a} nor {b}",
        "there is no {a} and no {b}",
    ),
    "valid": (*ABSENT_LIST["valid"], "there is neither {a} nor {b}", "I see no {a} and no {b}"),
    "test": (*ABSENT_LIST["test"], "neither {a} nor {b} is noted", "the image shows no {a} and no {b}"),
}
NORMAL_HEART: Frames = {
    "train": (
        "the heart is normal in size",
        "the heart size is normal",
        "the size of the heart is normal",
        "the heart appears normal in size",
        "on this image the heart is normal in size",
    ),
    "valid": ("the heart size appears normal", "on this image the size of the heart is normal"),
    "test": ("the size of the heart appears normal", "on this image the heart size is normal"),
}
CLEAR_LUNGS: Frames = {
    "train": ("the lungs are clear", "the lungs appear clear", "on this image the lungs are clear"),
    "valid": ("the lungs appear clear on this image",),
    "test": ("the lungs are clear on this image", "on this image the lungs appear clear"),
}
# {heart} is a frame of NORMAL_HEART.
NO_CARDIOMEGALY: Frames = {
    "train": (
        "{heart}, so there is no cardiomegaly",
        "{heart}, and no cardiomegaly is seen",
        "{heart}, and there is no cardiomegaly",
        "{heart}, and I see no cardiomegaly",
    ),
    "valid": ("{heart}, so no cardiomegaly is seen", "{heart}, and there is no evidence of cardiomegaly"),
    "test": ("{heart}, so I see no cardiomegaly", "{heart}, so there is no evidence of cardiomegaly"),
}
# {subject} is the anatomy; the sign is what is seen there.
SIGN: dict[str, Frames] = {
    "blunted": {
        "train": (
            "{subject} is blunted",
            "{subject} appears blunted",
            "on this image {subject} is blunted",
            "I see that {subject} is blunted",
        ),
        "valid": ("on this image {subject} appears blunted",),
        "test": ("I note that {subject} is blunted",),
    },
    "a lucency": {
        "train": (
            "a lucency is seen at {subject}",
            "there is a lucency at {subject}",
            "I see a lucency at {subject}",
            "the image shows a lucency at {subject}",
        ),
        "valid": ("this image shows a lucency at {subject}",),
        "test": ("a lucency is noted at {subject}",),
    },
    "enlarged": {
        "train": (
            "{subject} is enlarged",
            "{subject} appears enlarged",
            "on this image {subject} is enlarged",
            "I see that {subject} is enlarged",
        ),
        "valid": ("on this image {subject} appears enlarged",),
        "test": ("I note that {subject} is enlarged",),
    },
}
# {sign} is a frame of SIGN, {np} the conclusion.
INFER: Frames = {
    "train": (
        "{sign}, suggesting {np}",
        "{sign}, which suggests {np}",
        "{sign}, and this suggests {np}",
        "{sign}, consistent with {np}",
        "{sign}, so there is {np}",
        "{sign}, which is compatible with {np}",
        "{sign}, in keeping with {np}",
    ),
    "valid": ("{sign}, which is in keeping with {np}", "{sign}, and this is compatible with {np}"),
    "test": ("{sign}, which is consistent with {np}", "{sign}, and this is in keeping with {np}"),
}
