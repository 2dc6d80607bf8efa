"""The wording that only region and comparison questions need; see `frames`."""

from __future__ import annotations

from chexphi.data.phantom.frames import Frames

# {place} is the zone under the box, {list} noun phrases joined by `and`, {be} the verb `is` or `are`.
IN_BOX: Frames = {
    "train": (
        "the box covers {place}, where {list} {be} seen",
        "the box lies over {place}, which shows {list}",
        "the box marks {place}, which contains {list}",
        "the box covers {place}, where I see {list}",
        "the box marks {place}, where there {be} {list}",
    ),
    "valid": (
        "the box lies over {place}, where {list} {be} seen",
        "the box covers {place}, which shows {list}",
    ),
    "test": (
        "the box marks {place}, where {list} {be} noted",
        "the box lies over {place}, where I see {list}",
    ),
}
NOT_IN_BOX: Frames = {
    "train": (
        "the box covers {place}, where no {n} is seen",
        "the box lies over {place}, which shows no {n}",
        "the box marks {place}, which contains no {n}",
        "the box covers {place}, where I see no {n}",
        "the box marks {place}, where there is no {n}",
    ),
    "valid": (
        "the box lies over {place}, where no {n} is seen",
        "the box covers {place}, which shows no {n}",
    ),
    "test": ("the box marks {place}, where no {n} is noted", "the box lies over {place}, where I see no {n}"),
}
CLEAR_BOX: Frames = {
    "train": (
        "the box covers {place}, which is clear",
        "the box lies over {place}, which appears clear",
        "the box marks {place}, which is clear on this image",
        "{place} in the box is clear",
    ),
    "valid": ("the box marks {place}, which appears clear", "{place} in the box appears clear"),
    "test": ("the box covers {place}, which appears clear", "the box lies over {place}, which is clear"),
}
# {full} is the finding with article and location, {the} the same with the article `the`.
CHANGED_FINDING: dict[str, Frames] = {
    "new": {
        "train": (
            "{full} is new since the prior film",
            "compared with the prior film, {the} is new",
            "{the} is new compared with the prior film",
            "since the prior film, {full} is new",
        ),
        "valid": ("compared with the prior film, {full} is new",),
        "test": ("{the} is new since the prior film",),
    },
    "unchanged": {
        "train": (
            "{the} is unchanged since the prior film",
            "compared with the prior film, {the} is unchanged",
            "{the} appears unchanged since the prior film",
            "since the prior film, {the} is unchanged",
        ),
        "valid": ("compared with the prior film, {the} appears unchanged",),
        "test": ("{the} is unchanged compared with the prior film",),
    },
    "resolved": {
        "train": (
            "{the} has resolved since the prior film",
            "since the prior film, {the} has resolved",
            "{the} seen on the prior film has resolved",
            "compared with the prior film, {the} has resolved",
        ),
        "valid": ("{the} noted on the prior film has resolved",),
        "test": ("{the} has resolved compared with the prior film",),
    },
}
NOTHING_CHANGED: dict[str, Frames] = {
    "new": {
        "train": (
            "no finding is new since the prior film",
            "no finding on this image is new since the prior film",
            "compared with the prior film, no finding is new",
        ),
        "valid": ("since the prior film, no finding is new",),
        "test": ("no finding is new compared with the prior film",),
    },
    "resolved": {
        "train": (
            "no finding has resolved since the prior film",
            "since the prior film, no finding has resolved",
            "compared with the prior film, no finding has resolved",
        ),
        "valid": ("no finding seen on the prior film has resolved",),
        "test": ("no finding has resolved compared with the prior film",),
    },
}
