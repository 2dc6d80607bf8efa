"""A parser written from docs/formats.md alone reads what real stages wrote: no field more, and none less."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pandas
import pyarrow.parquet
import pytest
from judgement_rows import radjudge_rows, radpref_rows, write_lines
from typer.testing import CliRunner

import chexphi as package
from chexphi.cli import app
from chexphi.data.phantom import build as phantom
from chexphi.data.read import read_examples, write_examples
from chexphi.demo.demo import STAGES, DemoRecipe
from chexphi.demo.runner import open_loop
from chexphi.evaluation import evaluate
from chexphi.mining import score
from chexphi.schema import Example
from chexphi.training import grpo, sft

PAGE = Path(__file__).parents[1] / "docs" / "formats.md"
Table = dict[str, tuple[str, str]]
Rows = list[dict[str, Any]]


def read_tables(text: str) -> dict[str, Table]:
    """Heading -> field -> (type, where), of every table whose first column is `field`."""
    found: dict[str, Table] = {}
    for section in text.split("\n## ")[1:]:
        heading, _, body = section.partition("\n")
        lines = [line for line in body.splitlines() if line.startswith("|")]
        if lines and lines[0].startswith("| field | type | where |"):
            cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:]]
            found[heading] = {name.strip("`"): (kind, where) for name, kind, where, _ in cells}
            assert len(found[heading]) == len(cells), f"{heading} names a field twice"
    return found


TABLES = read_tables(PAGE.read_text(encoding="utf-8"))
SIMPLE: dict[str, Callable[[Any], bool]] = {
    "text": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "object": lambda value: isinstance(value, dict),
    "null": lambda value: value is None,
}


def fits(value: Any, kind: str) -> bool:
    """Whether a value is of a type as the page writes it."""
    if kind.startswith("list of "):
        return isinstance(value, list) and all(fits(item, kind[8:]) for item in value)
    if kind.startswith("map of "):
        return isinstance(value, dict) and all(fits(item, kind[7:]) for item in value.values())
    if kind.startswith("row of "):
        kinds = kind[7:].split(", ")
        return isinstance(value, list) and len(value) == len(kinds) and all(map(fits, value, kinds))
    first, either, rest = kind.partition(" or ")
    if either:
        return fits(value, first) or fits(value, rest)
    if kind.startswith("`"):
        return isinstance(value, dict) and problems([value], kind.strip("`")) == []
    return SIMPLE[kind](value)


def field_of(key: str, table: Table) -> str | None:
    """The field that a key is: itself, or a pattern with `NAME` in it."""
    if key in table:
        return key
    patterns = ((name, re.escape(name).replace("NAME", ".+")) for name in table if "NAME" in name)
    return next((name for name, pattern in patterns if re.fullmatch(pattern, key)), None)


def problems(rows: Iterable[dict[str, Any]], heading: str) -> list[str]:
    """What of the rows the page does not say, or says otherwise."""
    table, found = TABLES[heading], []
    for row in rows:
        named = {key: field_of(key, table) for key in row}
        found += [f"{heading}: {key} is not documented" for key, name in named.items() if name is None]
        found += [
            f"{heading}: {key} is {row[key]!r}, no {table[name][0]}"
            for key, name in named.items()
            if name is not None and not fits(row[key], table[name][0])
        ]
        always = {name for name, (_, where) in table.items() if where == "always"}
        found += [f"{heading}: a row without {name}" for name in sorted(always - set(named.values()))]
    return list(dict.fromkeys(found))


def lines(path: Path) -> Rows:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


def rows_to_score(sampled: Rows, examples: dict[str, Example]) -> Rows:
    """Completions of a run as `rewards score` reads them, every other one as a chat."""
    return [
        {
            "id": line["id"],
            "completion": line["completion"]
            if i % 2
            else [{"role": "assistant", "content": line["completion"]}],
            "solution": examples[line["id"]].explanation,
            "answer": list(examples[line["id"]].answer),
            "group": f"{line['step']}/{line['id']}",
            "token_ids": line["token_ids"],
            "opened_think": line["opened_think"],
        }
        for i, line in enumerate(sampled)
    ]


def make_files(folder: Path, model: Path, swept: Path) -> dict[str, Rows]:
    """Every stage that writes a documented file, once or twice in miniature: the rows under their heading."""
    phantom.build(folder / "d", counts=phantom.Sizes(sight=4, sft=8, pool=12, valid=4, test=10), seed=1)
    pool, valid = (folder / "d" / "annotations" / name for name in ("pool/train.json", "valid/valid.json"))

    def run(stage: Any, name: str, *flags: str) -> Path:
        argv = ["--model", str(model), "--data", str(pool), "--out", str(folder / name), *flags]
        settings = stage.parse(argv)
        stage.main(*settings) if isinstance(settings, tuple) else stage.main(settings)
        return folder / name

    small = [
        "--per_device_train_batch_size=4",
        "--save_strategy=no",
        "--disable_tqdm=true",
        "--trainable=all",
    ]
    groups = [*small, "--num_generations=2", "--max_completion_length=6", "--dynamic_sample=true"]
    short = run(grpo, "short", *groups, "--max_steps=5", "--beta=0.1", "--max_resample_times=1",
                "--combine=product", "--loss_type=cispo", "--pools", str(valid))  # fmt: skip
    spread = run(grpo, "spread", *groups, "--max_steps=2", "--soft_overlong_share=1",
                 "--rewards", "external_kg_jac", "soft_overlong")  # fmt: skip
    without_graph = {**json.loads(pool.read_text())[0], "id": "without", "explanation": "As asked."}
    more = pool.with_name("more.json")
    more.write_text(json.dumps([*json.loads(pool.read_text()), without_graph]))
    alone = run(grpo, "alone", *groups, "--max_steps=1", "--rewards", "external_kg_jac", "--data", str(more))
    imitated = run(sft, "sft", *small, "--max_steps=1", "--logging_steps=1")
    told = run(evaluate, "evaluate", "--max_new_tokens=4", "--tokens", "--answer_samples=1")
    plain = run(evaluate, "plain", "--max_new_tokens=4", "--limit=3", "--controls=flip")
    mined = run(score, "mine", "--max_new_tokens=4", "--samples=2")
    graded = run(
        score, "graded", "--max_new_tokens=4", "--samples=2", "--measure=jaccard", "--data", str(more)
    )
    asked = {"id": "asked", "explanation": "Is there an effusion? The heart is enlarged."}
    reasonings = [*lines(told / "predictions.jsonl"), asked]
    (folder / "reasonings.jsonl").write_text("".join(json.dumps(row) + "\n" for row in reasonings))
    chexphi(
        "kg", "extract", folder / "reasonings.jsonl", "--field", "explanation", "--out", folder / "kg.jsonl"
    )
    sampled = [line for line in lines(short / "completions.jsonl") if line["kept"] or line["step"] == 1]
    known = {example.id: example for example in (*read_examples(pool), *read_examples(valid))}
    scorable = rows_to_score(sampled, known)
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in scorable))
    scored = json.loads(chexphi("rewards", "score", folder / "rows.jsonl", "--json"))
    probed = folder / "probe"
    chexphi("rewards", "probe", pool, "--rewards", "external_kg_jac", "--out", probed)
    judged = [write_lines(folder / "radpref.jsonl", radpref_rows())]
    judged.append(write_lines(folder / "radjudge.jsonl", radjudge_rows()))
    agreed = [json.loads(chexphi("rewards", "agree", file, "--json")) for file in judged]
    recipe = DemoRecipe(out=str(folder / "loop"))  # begun, not run
    loop = open_loop(recipe, "demo", seed=0, stages=STAGES).root
    trained = (short, spread, imitated)
    return {
        "examples": json.loads(pool.read_text()),
        "completions.jsonl": lines(short / "completions.jsonl") + lines(spread / "completions.jsonl"),
        "metrics.jsonl": [row for out in trained for row in lines(out / "metrics.jsonl")],
        "diagnostics.jsonl": lines(short / "diagnostics.jsonl"),
        "never_spread.json": json.loads((short / "never_spread.json").read_text()),
        "predictions.jsonl": [
            row
            for folder in (told, plain, plain / "controls/flip")
            for row in lines(folder / "predictions.jsonl")
        ],
        "scored.jsonl": lines(mined / "scored.jsonl") + lines(graded / "scored.jsonl"),
        "kg.jsonl": lines(folder / "kg.jsonl"),
        "manifest.json": [
            json.loads((out / "manifest.json").read_text())
            for out in (*trained, alone, told, mined, graded, probed, swept, loop)
        ],
        "rows of rewards score": scorable,
        "rewards score": [scored],
        "complete.json": [json.loads(path.read_text()) for path in folder.rglob("complete.json")],
        "probe.json": [json.loads((probed / "probe.json").read_text())],
        "rewards agree": agreed,
        "summary.json of sweep": [json.loads((swept / "summary.json").read_text())],
    }


def chexphi(*words: object) -> str:
    done = CliRunner().invoke(app, list(map(str, words)))
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("formats")


@pytest.fixture(scope="module")
def written(tiny_model_dir: Path, swept: Path, folder: Path) -> dict[str, Rows]:
    return make_files(folder, tiny_model_dir, swept)


FRAMES = {
    "predictions": (("evaluate", "plain", "plain/controls/flip"), ("graph_f1",)),
    "completions": (("short", "spread"), ()),
    "metrics": (("short", "spread", "sft"), ()),
    "scored": (("mine", "graded"), ("accuracy",)),
}
"""Frame -> the runs that write its file, and its columns that the file does not have."""


@pytest.mark.parametrize("name", FRAMES)
def test_a_frame_has_every_value_of_its_file(written: dict[str, Rows], folder: Path, name: str) -> None:
    """Each value stands where the page says: `extra` beside the others, a reward in a column of its own."""
    runs, added_columns = FRAMES[name]
    frames = [getattr(package.load(folder / run), name) for run in runs]
    rows = [row for frame in frames for row in frame.to_dict("records")]
    assert len(rows) == len(written[f"{name}.jsonl"])
    for row, line in zip(rows, written[f"{name}.jsonl"], strict=True):
        rewards = {f"rewards/{key}": value for key, value in line.get("rewards", {}).items()}
        values = {**line, **line.get("extra", {}), **rewards}
        values = {key: values[key] for key in values.keys() - {"schema", "extra", "rewards"}}
        assert values.keys() <= row.keys()
        for key, value in values.items():
            frame_value = list(row[key]) if isinstance(row[key], tuple) else row[key]
            assert pandas.isna(frame_value) if value is None else frame_value == value, key
        missing = {key for key in row.keys() - values.keys() if not is_missing(row[key])}
        assert missing <= {*added_columns, "extra"}
        assert not row.get("extra")


def is_missing(value: Any) -> bool:
    """None, NaN or NA; or the empty `answer_probabilities` of a row without them."""
    return not isinstance(value, list | tuple | dict) and bool(pandas.isna(value))


WHOLE = [
    "examples", "completions.jsonl", "metrics.jsonl", "diagnostics.jsonl", "never_spread.json",
    "predictions.jsonl", "scored.jsonl", "kg.jsonl", "manifest.json", "rows of rewards score",
    "rewards score", "probe.json", "rewards agree", "complete.json", "summary.json of sweep",
]  # fmt: skip


def inner(rows: Rows, heading: str) -> dict[str, Rows]:
    """The objects inside of rows, and inside of those, that have a table of their own."""
    found: dict[str, Rows] = {}
    for name, (kind, _) in TABLES[heading].items():
        for table in re.findall("`([^`]+)`", kind):
            values = [row[name] for row in rows if row.get(name) is not None]
            if kind.startswith("map of"):
                values = [item for value in values for item in value.values()]
            flat = [item for value in values for item in (value if isinstance(value, list) else [value])]
            found.setdefault(table, []).extend(item for item in flat if item is not None)
    for table, part in list(found.items()):
        for inner_table, inner_rows in inner(part, table).items():
            found.setdefault(inner_table, []).extend(inner_rows)
    return found


@pytest.mark.parametrize("heading", WHOLE)
def test_the_page_says_what_a_file_holds(written: dict[str, Rows], heading: str) -> None:
    rows = written[heading]
    assert rows
    assert problems(rows, heading) == []
    for name, part in {heading: rows, **inner(rows, heading)}.items():
        seen = {field_of(key, TABLES[name]) for row in part for key in row}
        assert TABLES[name].keys() - seen == set(), f"{name}: documented, and in no file"


def test_every_table_is_compared() -> None:
    used = {name for heading in WHOLE for name in (heading, *inner([], heading))}
    assert used == TABLES.keys()


def test_examples_in_all_forms_are_the_same(tmp_path: Path) -> None:
    phantom.build(tmp_path / "d", counts=phantom.Sizes(sight=2, sft=4, pool=4, valid=4, test=10), seed=2)
    examples = read_examples(tmp_path / "d" / "annotations" / "pool" / "train.json")
    for suffix in ("json", "jsonl", "parquet"):
        write_examples(tmp_path / f"pool.{suffix}", examples)
    array = json.loads((tmp_path / "pool.json").read_text())
    assert lines(tmp_path / "pool.jsonl") == array
    table = pyarrow.parquet.read_table(tmp_path / "pool.parquet").to_pylist()
    assert all(row.keys() == TABLES["examples"].keys() - {"image_ids"} for row in table)
    for row in table:
        row |= {key: json.loads(row[key]) for key in ("scene", "graph")}
    assert [{k: v for k, v in row.items() if v is not None} for row in table] == array


@pytest.mark.parametrize(
    ("value", "kind", "right"),
    [
        (1, "number", True), (True, "number", False), (1.5, "integer", False), ("a", "text", True),
        ([["a", "b"]], "list of row of text, text", True), ([["a"]], "list of row of text, text", False),
        ({"a": None, "b": 1}, "map of number or null", True), ({"a": "x"}, "map of number or null", False),
        ("a", "text or list of text", True), (["a"], "text or list of text", True),
        ([1], "text or list of text", False), (None, "`graph` or null", True), ({}, "`graph` or null", False),
    ],
)  # fmt: skip
def test_types_mean_what_the_page_says(value: Any, kind: str, right: bool) -> None:
    assert fits(value, kind) == right
