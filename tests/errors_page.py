"""The page `docs/errors.md`, made from the code: `python tests/errors_page.py` writes it again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from error_sites import REASONS, ROOT, Sentence, all_sentences
from error_texts import is_remark

PAGE = ROOT / "docs" / "errors.md"
INTRODUCTION = """\
# Errors

Bad input ends a command with one sentence after `error:`, exit code 2 and no traceback.
It says what is wrong, where, which value, and what to do. Nothing half-written is left.

This page has every such sentence. A name in braces is a value, such as `{path}`.
`{location}` is a file with its line or row. A remark in parentheses is not always there.
A line that begins with … is a part of a sentence.
To find yours, search for words that are no value, such as *holds no dataset file*.

Paths are below `src/chexphi/`. From Python the same sentence is a `chexphi.schema.InputError`.
"""


class Area(NamedTuple):
    """A section of the page."""

    title: str
    modules: tuple[str, ...]
    """How the paths of its modules begin."""
    note: str


AREAS = (
    Area(
        "Command line and settings",
        ("cli/", "config", "field_values.py", "ranges.py", "yaml_files.py"),
        "`chexphi VERB --help` lists the flags of a verb. A YAML file has the same names without dashes.",
    ),
    Area(
        "Files",
        ("files.py", "atomic.py"),
        "JSON is read strictly: a key that is there twice is refused, and so is `NaN`.",
    ),
    Area(
        "Data and films",
        ("data/importers/", "data/phantom/", "data/"),
        "[Your data](your_data.md) says what rows and films look like. `chexphi data check FILE` lists all "
        "that is wrong with a file, and not only the first.",
    ),
    Area(
        "Models",
        ("model_folder.py", "models/", "model_card/"),
        "[Models](models.md) says which folders can be read. Nothing is downloaded, and no pickle is opened.",
    ),
    Area(
        "Run folders and processes",
        ("runs/", "run_frames.py", "watch/", "demo/"),
        "A run's folder is locked while it is written. [Training](training.md) says how a run goes on.",
    ),
    Area(
        "Training",
        ("training/",),
        "What can be known before the first step is checked before it. [Training](training.md) explains the "
        "settings.",
    ),
    Area(
        "Rewards",
        ("rewards/", "reward_checks/", "integrations/"),
        "[Rewards](rewards.md) explains the settings, and [Integrations](integrations.md) ms-swift and veRL.",
    ),
    Area(
        "Graphs",
        ("graph/", "kg/"),
        "[Graphs](graphs.md) has the extractors and `chexphi kg`.",
    ),
    Area(
        "Mining, evaluation and report",
        ("mining/", "evaluation/", "report/", "run_frames.py"),
        "[Evaluation](evaluation.md) explains the figures, and [Formats](formats.md) the files.",
    ),
    Area(
        "Sweeps and memory plans",
        ("sweep/", "memory_plan/"),
        "[Sweeps](sweeps.md) explains a sweep's file, and [Performance](performance.md) `chexphi plan`.",
    ),
)  # fmt: skip
STOPPED = Area(
    "Training that stopped",
    ("",),
    "These end a command with exit code 1. The last checkpoint is kept, and `--resume auto` goes on from it. "
    "From Python they are a `NotFiniteError` or a `RewardError`.",
)


ELSEWHERE = Area("Elsewhere", ("",), "These are of modules that have no section yet.")


def sections() -> list[tuple[Area, list[Sentence]]]:
    """Each area that has sentences, with them."""
    found: dict[Area, list[Sentence]] = {area: [] for area in (*AREAS, ELSEWHERE, STOPPED)}
    for sentence in filter(Sentence.says_something, all_sentences()):
        stopped = sentence.kind in ("RewardError", "NotFiniteError")
        areas = (STOPPED,) if stopped else (*AREAS, ELSEWHERE)
        found[next(area for area in areas if sentence.file.startswith(area.modules))].append(sentence)
    return [(area, sentences) for area, sentences in found.items() if sentences]


def lines_of(sentences: list[Sentence]) -> Iterator[str]:
    """A list for each module: each sentence, and below it the texts that some of its values can be."""
    for file in dict.fromkeys(sentence.file for sentence in sentences):
        yield f"\n`{file}`:\n"
        of_file = [sentence for sentence in sentences if sentence.file == file]
        for text, kind in dict.fromkeys((sentence.text, sentence.kind) for sentence in of_file):
            yield f"- {'… ' if kind in REASONS else ''}{code(text.readable())}"
            for value, texts in text.listed():
                if is_remark(dict(text.choices)[value]):
                    continue  # the sentence has it
                yield f"  - {code(value)}: {', '.join(code(text) if text else 'nothing' for text in texts)}"


def code(text: str) -> str:
    """A text as Markdown shows it letter by letter."""
    edge = " " if "`" in (text[:1], text[-1:]) else ""
    return f"``{edge}{text}{edge}``"


def page() -> str:
    """The whole page."""
    lines = [INTRODUCTION]
    for area, sentences in sections():
        lines += [f"\n## {area.title}\n", area.note, *lines_of(sentences)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
