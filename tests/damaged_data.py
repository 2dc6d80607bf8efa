"""Data files that are damaged in one cell, in one row or as a whole, and the commands that read them.

What a text would be has a mark in it (`zq...`), so that a message that quotes it can be found.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

CELLS: dict[str, list[Any]] = {
    "id": ["row-1", "", ["zqquestion"], {"zqquestion": 1}, None],
    "images": [["missing.png"], [["zqquestion"]], ["../above.png"]],  # a film's name is named
    "question": [["zqquestion"], {"zqquestion": 1}, None, "zqquestion " * 9999, "zqquestion\ud800"],
    "answer": [{"zqanswer": 1}, [["zqanswer"]], [{"zqanswer": 1}], None, 7],
    "explanation": [["zqreasoning"], {"zqreasoning": 1}, "zqreasoning", "<think>zqreasoning", 7],
    "subject_id": [["zqsubject"], {"zqsubject": 1}, True],
    "study_id": [["zqstudy"], {"zqstudy": 1}],
    "graph": ["zqreasoning", {"zqreasoning": 1}, {"entities": "zqreasoning"}, [["zqreasoning"]]],
    "scene": ["zqreasoning", {"zqreasoning": 1}, ["zqreasoning"], [{"zqreasoning": [1]}]],
    "kind": [["zqquestion"], {"zqquestion": 1}],
    "messages": ["zqquestion", [{"role": "user", "content": {"zqquestion": 1}}]],
    "solution": [{"zqreasoning": 1}],
    "zqquestion": ["zqquestion"],
}
"""Values of one cell that are wrong, or odd, in a row that is right otherwise."""


def damage(folder: Path, good: list[dict[str, Any]]) -> None:
    """Files that cannot be read as they should: by a cell, by a row, and by their form."""
    folder.mkdir()
    files = {
        f"cell {place} {number}.json": json.dumps([*good[:2], good[2] | {name: value}, good[3]])
        for place, (name, values) in enumerate(CELLS.items())
        for number, value in enumerate(values)
    }
    lines = "".join(json.dumps(one) + "\n" for one in good)
    files |= {
        "twice.json": json.dumps([*good, good[1]]),
        "key twice.jsonl": lines + '{"id": "a", "question": "zqquestion", "question": "zqquestion b"}\n',
        "nan.jsonl": lines.replace('"zqsubject2"', "NaN"),
        "cut.jsonl": lines[: len(lines) - 40],
        "cut.json": json.dumps(good)[:-40],
        "no object.json": json.dumps(["zqquestion", "zqreasoning"]),
        "words.json": "zqquestion zqreasoning",
        "words.jsonl": "zqquestion\nzqreasoning\n",
        "columns.json": json.dumps({"rows": good}),
    }
    for name, text in files.items():
        (folder / name).write_text(text)


READERS = (
    "sft --model model --data '{}' --max_steps 1 --max_length 9 --out no",
    "evaluate --model nowhere --data '{}' --out no",
    "mine score --model nowhere --data '{}' --out no",
    "rewards probe '{}' --rewards format",
    "verl-rows '{}' --out no.parquet",
    "rewards score '{}'",
    "rewards agree '{}'",
    "kg extract '{}' --out no.jsonl --overwrite",
    "kg audit '{}' '{}'",
    "compare '{}' '{}'",
    "mine select '{}' '{}' --out no.json",
    "data import mimic-vqa-cot '{}' --out no",
)


def readings(folder: Path) -> dict[str, str]:
    """`data check` of every damaged file, and one of the other readers, by turns."""
    commands: dict[str, str] = {}
    for number, file in enumerate(sorted((folder / "damaged").iterdir())):
        for turn, words in enumerate(["data check '{}'", READERS[number % len(READERS)]]):
            commands[f"reading {number} {turn}"] = words.replace("{}", f"damaged/{file.name}")
    return commands
