"""Patients' texts and identifiers stay in the documented records, and nothing asks for the network.

A dataset whose every field carries a mark of its own goes through all stages, and through runs that fail.
What they say and every file that they write is searched for the marks.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from damaged_data import damage, readings
from guarded_runs import carry_out
from PIL import Image, ImageDraw
from terminal_lines import foreign

MARKS = ("question", "reasoning", "answer", "subject", "study", "sentence")
MARK = re.compile(f"zq({'|'.join(MARKS)})".encode(), re.IGNORECASE)
RECORDS = (
    "data/*", "damaged/*", "mine.py",  # what went in
    "*/completions.jsonl", "*/predictions.jsonl", "*/scored.jsonl", "*/kg.jsonl",
    "subset.json", "rows.parquet", "report.html", "watch/commands.json", "no/*", "no.parquet", "no.jsonl",
    "said/ask.out",  # the reply to a question, which is what was asked for
)  # fmt: skip
"""What holds patients' texts, as docs/formats.md says."""
FINDINGS = "The heart is enlarged. A small left pleural effusion is seen. "
TRAIN = (
    "--model model --lora_rank 4 --lora_alpha 8 --max_steps 2 --learning_rate 1e-3 --logging_steps 1 "
    "--per_device_train_batch_size 4 --disable_tqdm false --log_level debug"
)
GRPO = f"grpo --data data/rows.json {TRAIN} --num_generations 2 --max_completion_length 6"
GRAPH_ALONE = "--rewards external_kg_jac"
REWARDS = '''
import json
import time
from pathlib import Path


def text(completions, solution, **columns):
    raise ValueError(f"cannot score {completions} against {solution} of {columns}")


def deep(completions, solution, **columns):
    return [json.loads(reference)["score"] for reference in solution]


def whole_rows(completions, **columns):
    return [str(columns)] * len(completions)


def seldom(completions, id, **columns):
    """No value for every second row of the data."""
    return [None if int(name.split("-")[1]) % 2 else 0.1 * len(completions[i][0]["content"])
            for i, name in enumerate(id)]


def never(completions, **columns):
    return [None] * len(completions)


def endless(completions, trainer_state, **columns):
    """Does not come in the second step, the first time."""
    if trainer_state.global_step and not Path("begun").exists():
        Path("begun").touch()
        time.sleep(600)
    return [0.1 * i for i in range(len(completions))]
'''


def row(number: int, *, scorable: bool = True, **changes: Any) -> dict[str, Any]:
    """An example with a mark in each field that is a patient's."""
    think = f"{FINDINGS if scorable else ''}zqreasoning {number}."
    return {
        "id": f"row-{number}",
        "images": [f"film{number % 3}.png"],
        "question": f"Is there an effusion? zqquestion {number}",
        "answer": [f"yes zqanswer {number}"],
        "explanation": f"<think>{think}</think><answer>yes zqanswer {number}</answer>",
        "subject_id": f"zqsubject{number}",
        "study_id": f"zqstudy{number}",
        "question_type": "presence",
        **changes,
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tiny_model_dir: Path) -> Path:
    """A user's working folder: a model, marked data, a module of rewards, settings of a sweep."""
    folder = tmp_path_factory.mktemp("marked")
    (folder / "model").symlink_to(tiny_model_dir)
    (folder / "data").mkdir()
    for number in range(3):
        film = Image.new("L", (96, 96), 40)
        ImageDraw.Draw(film).ellipse((20 + 9 * number, 20, 70, 70), fill=200)
        film.save(folder / "data" / f"film{number}.png")
    rows = [row(number, scorable=number % 3 != 2) for number in range(12)]
    (folder / "data" / "rows.json").write_text(json.dumps(rows))
    (folder / "data" / "unscorable.json").write_text(json.dumps([row(n, scorable=False) for n in range(4)]))
    pairs = [{"id": r["id"], "completion": r["explanation"], "solution": r["explanation"]} for r in rows]
    (folder / "data" / "pairs.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    texts = [{"doc_key": r["id"], "sentence": f"{FINDINGS}zqsentence"} for r in rows]
    (folder / "data" / "texts.jsonl").write_text("".join(json.dumps(text) + "\n" for text in texts))
    (folder / "mine.py").write_text(REWARDS)
    damage(folder / "damaged", [row(number, images=[]) for number in range(4)])
    sweep = {
        "model": "model", "data": "data/rows.json", "grid": {"learning_rate": [1e-3]}, "retries": 0,
        "settings": {"trainable": "all", "max_steps": 1, "per_device_train_batch_size": 4,
                     "num_generations": 2, "max_completion_length": 6, "save_strategy": "no"},
    }  # fmt: skip
    (folder / "sweep.yaml").write_text(yaml.safe_dump(sweep))
    return folder


STAGES = {
    "phantom": "data phantom --out drawn --train 4 --pool 4 --valid 4 --test 10",
    "check": "data check data/rows.json --rewards external_r1v_acc",
    "sft": f"sft --data data/rows.json {TRAIN} --save_steps 1 --out sft",
    "score": "mine score --model sft/model --data data/rows.json --samples 2 --max_new_tokens 6 --out mined",
    "select": "mine select mined data/rows.json --out subset.json --number 4",
    "grpo": f"{GRPO} --save_steps 1 --dynamic_sample true --beta 0.1 --out grpo",
    "graph alone": f"{GRPO} {GRAPH_ALONE} --out alone",
    "evaluate": "evaluate --model sft/model --data data/rows.json --max_new_tokens 6 --out first",
    "again": "evaluate --model grpo/model --data data/rows.json --max_new_tokens 6 --out second",
    "compare": "compare first second",
    "report": "report first second grpo --out report.html",
    "ask": "ask grpo/model data/film0.png 'Is there an effusion? zqquestion'",
    "rewards": "rewards score data/pairs.jsonl --json",
    "probe": "rewards probe data/rows.json --rewards external_kg_jac --out probed",
    "extract": "kg extract data/texts.jsonl --out graphs/kg.jsonl",
    "audit": "kg audit graphs/kg.jsonl graphs/kg.jsonl --worst 3",
    "verl": "verl-rows data/rows.json --out rows.parquet",
    "export": "checkpoint export model exported",
    "import": "checkpoint import exported imported",
    "merge": "checkpoint merge grpo/model merged",
    "inspect": "checkpoint inspect exported",
    "plan": "plan --stage grpo --model model",
    "sweep": "sweep --config sweep.yaml --out swept",
    "watch": "watch grpo --once",
    "watch sweep": "watch swept --json",
}


@pytest.fixture(scope="module")
def stages(folder: Path) -> dict[str, int]:
    """The exit codes of all stages."""
    return carry_out(folder, STAGES)


def said(folder: Path, name: str) -> str:
    return "".join((folder / "said" / f"{name}.{kind}").read_text() for kind in ("out", "err"))


def leaks(folder: Path) -> Iterator[str]:
    """Each file outside of the records that has a mark, with the place."""
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.is_symlink():
            continue
        name = path.relative_to(folder)
        if found := MARK.search(path.name.encode()):
            yield f"{name}: in its name"
        if any(name.match(pattern) or Path(name.parts[0]).match(pattern) for pattern in RECORDS):
            continue
        content = path.read_bytes()
        if found := MARK.search(content):
            yield f"{name}: …{content[max(0, found.start() - 150) : found.end() + 50]!r}"


def test_every_stage_ends_well(folder: Path, stages: dict[str, int]) -> None:
    failed = {name: said(folder, name)[-1500:] for name, code in stages.items() if code}
    assert failed == {}


def test_no_stage_asks_for_the_network(folder: Path, stages: dict[str, int]) -> None:
    attempts = folder / "attempts.txt"
    assert not attempts.exists(), attempts.read_text()


def test_no_stage_lets_a_text_out(folder: Path, stages: dict[str, int]) -> None:
    assert list(leaks(folder)) == []


def test_a_run_that_has_ended_can_be_watched(folder: Path, stages: dict[str, int]) -> None:
    picture, sweep = said(folder, "watch"), json.loads(said(folder, "watch sweep"))
    assert re.search(r"grpo ended +grpo", picture)
    assert all(name in picture for name in ("2/2 steps", "loss", "answer", "graph F1", "tokens/s"))
    assert (sweep["activity"], sweep["done"], sweep["total"]) == ("ended", 1, 1)
    assert sweep["stages"][0]["figures"].keys() >= {"loss", "reward", "length"}


def test_no_library_writes_to_the_terminal(folder: Path, stages: dict[str, int]) -> None:
    lines = {name: foreign((folder / "said" / f"{name}.err").read_text()) for name in STAGES}
    assert {name: found for name, found in lines.items() if found} == {}
    assert "py.warnings" in (folder / "sft" / "train.log").read_text()  # PEFT's, of a tied lm_head


def test_the_path_of_a_missing_film_stays_on_the_terminal(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "model").symlink_to(folder / "model")
    (tmp_path / "data").mkdir()
    film = "zqsubject7/zqstudy8/film.png"
    (tmp_path / "data" / "rows.json").write_text(json.dumps([row(0, images=[film])]))
    commands = {
        "check": "data check data/rows.json",
        "evaluate": STAGES["evaluate"].replace("sft/model", "model"),
        "sft": f"sft --data data/rows.json {TRAIN} --out sft",
    }
    assert carry_out(tmp_path, commands) == dict.fromkeys(commands, 2)
    assert all(film in (tmp_path / "said" / f"{name}.err").read_text() for name in commands)
    assert [leak for leak in leaks(tmp_path) if not leak.startswith("said/")] == []


RUNS = {
    "text": f"{GRPO} --rewards mine:text --out text",
    "deep": f"{GRPO} --rewards mine:deep external_kg_jac --combine product --out deep",
    "whole rows": f"{GRPO} --rewards mine:whole_rows --out whole",
    "seldom": f"{GRPO} --rewards mine:seldom --dynamic_sample true --out seldom",
    "never": f"{GRPO} --rewards mine:never --out never",
    "refused": f"{GRPO} {GRAPH_ALONE} --unscorable refuse --out refused",
    "all": f"{GRPO} {GRAPH_ALONE} --data data/unscorable.json --out all",
    "unknown": f"{GRPO} --out unknown --learning_rat 1",
    "upload": f"{GRPO} --push_to_hub true --out upload",
    "print": f"{GRPO} --log_completions true --out print",
    "long": f"sft --data data/rows.json {TRAIN} --max_length 9 --out long",
    "killed": f"{GRPO} --rewards mine:endless --save_steps 1 --out killed",
    "resumed": f"{GRPO} --rewards mine:endless --save_steps 1 --out killed --resume auto",
    "cut": f"{STAGES['grpo']} --resume true",
}
EXPECTED = {
    "text": 1, "deep": 1, "whole rows": 2, "seldom": 0, "never": 0, "refused": 2, "all": 2, "unknown": 2,
    "upload": 2, "print": 2, "long": 2, "killed": -9, "resumed": 0, "cut": 0,
}  # fmt: skip


@pytest.mark.faults
def test_runs_that_fail_say_no_word_of_the_data(folder: Path, stages: dict[str, int]) -> None:
    weights = folder / "grpo" / "checkpoint-2" / "adapter_model.safetensors"
    os.truncate(weights, weights.stat().st_size // 2)
    shutil.rmtree(folder / "grpo" / "model")
    codes = carry_out(folder, RUNS, kill={"killed": "begun"})
    assert codes == EXPECTED, {
        name: said(folder, name)[-900:] for name in codes if codes[name] != EXPECTED[name]
    }
    assert "checkpoint-2 is skipped" in said(folder, "cut")
    assert list(leaks(folder)) == []
    assert not (folder / "attempts.txt").exists()


@pytest.mark.slow
def test_data_that_cannot_be_read_is_not_quoted(folder: Path, stages: dict[str, int]) -> None:
    commands = readings(folder)
    codes = carry_out(folder, commands)
    assert [commands[name] for name in codes if "Traceback" in said(folder, name)] == []
    assert list(leaks(folder)) == []
