"""The wording of the phantom's questions, by question type and split.

{np} is a finding with its article, {n} without it, {pp} a location with a space before it, or nothing.
Every word of a validation or test frame is also in a train frame (a test checks it).
"""

from __future__ import annotations

from chexphi.data.phantom.frames import Frames

CAPTION: Frames = {
    "train": (
        "Describe this film.",
        "Describe the film.",
        "What does this film show?",
        "Write a report on this image.",
        "Report all findings on this film.",
    ),
    "valid": ("Describe this image.", "Report all findings on this image."),
    "test": ("What does this image show?", "Write a report on this film."),
}
# (semantic type, question type) -> frames
QUESTIONS: dict[tuple[str, str], Frames] = {
    ("verify", "presence"): {
        "train": (
            "Is there {np}{pp}?",
            "Does the film show {np}{pp}?",
            "Do you see {np}{pp}?",
            "Is {np} seen{pp}?",
            "Can {np} be seen{pp} on this image?",
            "Does this image show {np}{pp}?",
        ),
        "valid": ("Does this film show {np}{pp}?", "Can you see {np}{pp}?"),
        "test": ("Does the image show {np}{pp}?", "Do you see {np}{pp} on this film?"),
    },
    ("choose", "side"): {
        "train": (
            "Is the {n} on the left or on the right?",
            "On which side is the {n}, left or right?",
            "Is the {n} on the right or on the left?",
            "Left or right: where is the {n}?",
        ),
        "valid": ("Is the {n} left or right?", "Where is the {n}, on the left or on the right?"),
        "test": ("Which side is the {n} on, left or right?", "Where is the {n}, left or right?"),
    },
    ("choose", "size"): {
        "train": (
            "Is the heart enlarged or normal in size?",
            "Is the heart normal or enlarged?",
            "Is the size of the heart normal or enlarged?",
            "Normal or enlarged: how is the heart?",
        ),
        "valid": ("Is the heart normal in size or enlarged?", "How is the heart, normal or enlarged?"),
        "test": ("Is the heart enlarged or normal?", "How is the size of the heart, normal or enlarged?"),
    },
    ("choose", "zone"): {
        "train": (
            "Is the {n} in the upper, mid or lower zone?",
            "In which zone is the {n}, upper, mid or lower?",
            "Upper, mid or lower: in which zone is the {n}?",
        ),
        "valid": ("Which zone is the {n} in, upper, mid or lower?",),
        "test": ("Where is the {n}, in the upper, mid or lower zone?",),
    },
    ("query", "location"): {
        "train": (
            "Where is the {n}?",
            "In which lung zone is the {n}?",
            "Where do you see the {n}?",
            "In which lung zone does the film show the {n}?",
        ),
        "valid": ("In which lung zone do you see the {n}?", "Where does the film show the {n}?"),
        "test": ("Which lung zone is the {n} in?", "Where can the {n} be seen?"),
    },
    ("query", "findings"): {
        "train": (
            "Which findings are present?",
            "Which findings does the film show?",
            "Which findings can be seen on this image?",
            "Name the findings on this film.",
        ),
        "valid": ("Which findings do you see?", "Name the findings on this image."),
        "test": ("Which findings does this image show?", "Which findings can you see on this film?"),
    },
    ("query", "devices"): {
        "train": (
            "Which devices are present?",
            "Which devices does the film show?",
            "Which devices can be seen on this image?",
            "Name the devices on this film.",
        ),
        "valid": ("Which devices do you see?", "Name the devices on this image."),
        "test": ("Which devices does this image show?", "Which devices can you see on this film?"),
    },
    ("verify", "region"): {
        "train": (
            "Does the marked region contain {np}?",
            "Is there {np} in the marked region?",
            "Is there {np} in the box?",
            "Does the box contain {np}?",
            "Does the box show {np}?",
        ),
        "valid": ("Do you see {np} in the box?", "Does the marked region show {np}?"),
        "test": ("Is {np} seen in the box?", "Can {np} be seen in the marked region?"),
    },
    ("query", "region"): {
        "train": (
            "Which lung or pleural finding does the marked region show?",
            "Which lung or pleural finding is in the box?",
            "What does the box show in the lung or pleural space?",
            "Name the lung or pleural finding in the box.",
        ),
        "valid": (
            "Which lung or pleural finding does the box show?",
            "Name the lung or pleural finding in the marked region.",
        ),
        "test": (
            "Which lung or pleural finding is in the marked region?",
            "What does the marked region show in the lung or pleural space?",
        ),
    },
    ("verify", "new"): {
        "train": (
            "Is there a new {n}?",
            "Does the current film show a new {n}?",
            "Is a new {n} seen since the prior film?",
            "Compared with the prior film, is there a new {n}?",
        ),
        "valid": ("Is there a new {n} since the prior film?", "Do you see a new {n}?"),
        "test": ("Is there a new {n} compared with the prior film?", "Does this film show a new {n}?"),
    },
    ("verify", "resolved"): {
        "train": (
            "Has the {n} resolved?",
            "Has the {n} resolved since the prior film?",
            "Compared with the prior film, has the {n} resolved?",
        ),
        "valid": ("Has the {n} resolved compared with the prior film?",),
        "test": ("Since the prior film, has the {n} resolved?",),
    },
    ("query", "change"): {
        "train": (
            "How has the {n} changed?",
            "How has the {n} changed since the prior film?",
            "Compared with the prior film, how has the {n} changed?",
        ),
        "valid": ("Since the prior film, how has the {n} changed?",),
        "test": ("How has the {n} changed compared with the prior film?",),
    },
    ("choose", "change"): {
        "train": (
            "Is the {n} new, resolved or unchanged?",
            "Is the {n} unchanged, new or resolved since the prior film?",
            "New, resolved or unchanged: how is the {n}?",
        ),
        "valid": ("Is the {n} new, unchanged or resolved?",),
        "test": ("Is the {n} new, resolved or unchanged since the prior film?",),
    },
    ("query", "new"): {
        "train": (
            "What is new since the prior film?",
            "What is new on the current film?",
            "Which findings are new?",
            "Compared with the prior film, what is new?",
        ),
        "valid": ("Which findings are new since the prior film?",),
        "test": ("What is new compared with the prior film?",),
    },
    ("query", "resolved"): {
        "train": (
            "What has resolved since the prior film?",
            "Which findings have resolved?",
            "Compared with the prior film, what has resolved?",
        ),
        "valid": ("Which findings have resolved since the prior film?",),
        "test": ("What has resolved compared with the prior film?",),
    },
}
OPEN_QUESTIONS = frozenset({"location", "findings", "devices", "region", "new", "resolved"})
"""Query questions whose answers are not among a few given choices."""
