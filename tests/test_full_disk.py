"""Every verb that writes, on a disk that takes no more: one sentence, exit code 2, nothing half-written."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import synthetic_predictions
from small_disks import ENOUGH, tree

from chexphi.data.phantom import build as phantom
from chexphi.demo.runner import Runner
from chexphi.demo.stages import Stage
from chexphi.schema import InputError


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the verbs read, by the name that `VERBS` has for it."""
    folder = tmp_path_factory.mktemp("inputs")
    data, run = folder / "data", folder / "run"
    phantom.build(data, counts=phantom.Sizes(sight=4, sft=8, pool=8, valid=4, test=10))
    pool = data / "annotations" / "pool" / "train.json"
    rows = json.loads(pool.read_text())
    scored = [{"id": row["id"], "question_type": row["question_type"], "correct": [0, 1]} for row in rows]
    (folder / "scored.jsonl").write_text("".join(json.dumps(row) + "\n" for row in scored))
    run.mkdir()
    synthetic_predictions.write(run / "predictions.jsonl", synthetic_predictions.predictions(12))
    names = {
        "DATA": data,
        "POOL": pool,
        "SCORED": folder / "scored.jsonl",
        "RUN": run,
        "IMAGES": data / "images",
    }
    return {name: str(path) for name, path in names.items()}


@pytest.fixture
def chexphi(
    inputs: dict[str, str], limited: Callable[..., tuple[int, str]]
) -> Callable[..., tuple[int, str]]:
    """chexphi("verb DATA --out out", limit) -> exit code and what standard error has; in an empty folder."""

    def run(command: str, limit: int = ENOUGH) -> tuple[int, str]:
        return limited([inputs.get(word, word) for word in command.split()], limit)

    return run


def stages() -> list[psutil.Process]:
    """Processes of this one in which a verb runs."""
    return [child for child in psutil.Process().children(recursive=True) if "chexphi" in child.cmdline()]


VERBS = [
    ("data phantom --out out --train 4 --pool 4 --valid 4 --test 4", 2000, "out"),
    ("data phantom --out out --train 4 --pool 4 --valid 4 --test 4 --workers 2", 2000, "out"),
    ("data import mimic-vqa-cot DATA --out out", 5000, "out/eval/test_basic_vqa.json"),
    ("data import mimic-vqa-cot DATA --out new/out.json", 5000, "out.json"),
    ("data import mimic-vqa-cot DATA --out out.jsonl", 5000, "out.jsonl"),
    ("data import mimic-vqa-cot DATA --out out.parquet", 3000, "out.parquet"),
    ("mine select SCORED POOL --number 8 --out out.json", 500, "out.json"),
    ("verl-rows POOL --out new/out.parquet --image-root IMAGES", 2000, "out.parquet"),
    ("report RUN --out new/out.html", 5000, "out.html"),
    ("rewards probe POOL --rewards format --limit 4 --out out", 100, "out/config.yaml"),
    ("demo --quick --out out", 100, "out/README.md"),
    ("study --quick --out out", 50, "out/config.yaml"),
]


@pytest.mark.parametrize(("command", "limit", "file"), VERBS)
def test_a_full_disk_is_one_sentence_and_leaves_nothing(
    chexphi: Callable[..., tuple[int, str]], tmp_path: Path, command: str, limit: int, file: str
) -> None:
    code, said = chexphi(command, limit)
    lines = [line for line in said.splitlines() if line.startswith("error:")]
    assert code == 2, said
    assert len(lines) == 1, said
    assert f"{file} cannot be written (File too large): make room" in lines[0]
    assert "Traceback" not in said
    assert tree(tmp_path) == {}
    assert stages() == []


@pytest.mark.parametrize(
    ("command", "limit"),
    [
        (command, limit)
        for command, limit, file in VERBS
        if command.split()[0] in ("data", "mine", "verl-rows")
    ]
    + [("report RUN --out out.html", 5000)],
)
def test_an_earlier_result_is_untouched(
    chexphi: Callable[..., tuple[int, str]], tmp_path: Path, command: str, limit: int
) -> None:
    words = command.split()
    out = tmp_path / words[words.index("--out") + 1]
    path = out if out.suffix else out / "annotations" / "pool" / "train.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("earlier")
    before = tree(tmp_path)
    if "report" not in words:
        code, said = chexphi(command)
        assert code == 2
        assert "--overwrite" in said
        command += " --overwrite"
    assert chexphi(command, limit)[0] == 2
    assert tree(tmp_path) == before
    code, said = chexphi(command)
    assert code == 0, said
    assert tree(tmp_path) != before


def test_a_graph_cache_and_a_log_that_cannot_grow(
    chexphi: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    lines = [f"There is a left effusion of {number} mm and no nodule.\n" for number in range(400)]
    (tmp_path / "texts.txt").write_text("".join(lines))
    extract = "kg extract texts.txt --one-per-line --out"
    code, said = chexphi(f"{extract} kg.jsonl", 20_000)
    assert (code, "kg.jsonl cannot be written (File too large): make room" in said) == (2, True), said
    code, said = chexphi(f"{extract} other.jsonl --cache cache.sqlite", 60_000)
    assert (code, "cache.sqlite cannot be used" in said, "Traceback" in said) == (
        2,
        True,
        False,
    ), said
    assert chexphi(f"{extract} kg.jsonl --resume")[0] == 0
    assert chexphi(f"{extract} other.jsonl --cache cache.sqlite --overwrite")[0] == 0
    assert (tmp_path / "kg.jsonl").read_bytes() == (tmp_path / "other.jsonl").read_bytes()


def test_films_that_cannot_be_drawn_leave_a_run_that_goes_on(
    chexphi: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    code, said = chexphi("demo --quick --out out", 3000)  # enough for its settings
    assert code == 2
    assert "out/data cannot be written (File too large)" in said
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "README.md",
        "config.yaml",
        "manifest.json",
        "run.lock",
        "train.log",
    }


def test_a_sweep_that_cannot_write_leaves_no_run(
    chexphi: Callable[..., tuple[int, str]], tmp_path: Path, write_sweep: Callable[..., Path]
) -> None:
    grid = {"learning_rate": [1e-3], "policy": ["hard_uniform"], "size": [6]}
    write_sweep(tmp_path, grid)
    before = tree(tmp_path)
    code, said = chexphi("sweep --config sweep.yaml --out out", 300)
    assert (code, "cannot be written (File too large)" in said, "Traceback" in said) == (2, True, False), said
    assert tree(tmp_path) == before
    assert stages() == []


def test_an_error_ends_the_stages_that_run(tmp_path: Path) -> None:
    stage = Stage("sft", ("sft",), {"model": "nowhere", "data": "nowhere.json"}, "model", "m.jsonl", 1)
    runner = Runner(tmp_path, workers=1)
    with ThreadPoolExecutor(1) as pool:

        def fail_beside_it() -> None:
            with runner:
                running.append(pool.submit(runner.run, stage))
                while not stages() and not running[0].done():
                    time.sleep(0.01)
                raise InputError("of another seed")

        running: list[Future[Path]] = []
        with pytest.raises(InputError, match="of another seed"):
            fail_beside_it()
        assert isinstance(running[0].exception(), SystemExit)  # stopped, before it could say what is wrong
    assert stages() == []


def test_what_is_read_is_not_written(
    chexphi: Callable[..., tuple[int, str]], inputs: dict[str, str], tmp_path: Path
) -> None:
    pool = Path(shutil.copy(inputs["POOL"], tmp_path / "pool.json"))
    before = pool.read_bytes()
    code, said = chexphi("mine select SCORED pool.json --number 2 --out pool.json --overwrite")
    assert (code, "holds the source" in said) == (2, True)
    code, said = chexphi("report RUN --out pool.json")
    assert (code, "not an HTML page" in said) == (2, True)
    assert pool.read_bytes() == before
    for form in ("table.csv", "rows.ndjson"):
        code, said = chexphi(f"data import mimic-vqa-cot DATA --out {form}")
        assert (code, "has an unknown form" in said) == (2, True)
    assert [path.name for path in tmp_path.iterdir()] == ["pool.json"]
