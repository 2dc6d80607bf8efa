"""Every verb that writes, on a disk that takes no more: one sentence, exit code 2, nothing half-written."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import original_checkpoint
import psutil
import pytest
import synthetic_predictions
import yaml

from chexphi.cli import main
from chexphi.data.phantom import build as phantom
from chexphi.models import tiny
from chexphi.models.checkpoint.importing import convert
from chexphi.pipeline import Runner, Stage
from chexphi.schema import InputError
from small_disks import file_size, mounted, tree

TEXTS = ["Is there an effusion?", "<think>The left lung is clear.</think><answer>no</answer>"]


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
    original_checkpoint.write(folder / "original", tiny.train_tokenizer(TEXTS, vocab_size=400))
    convert(folder / "original", folder / "native")
    names = {"DATA": data, "POOL": pool, "SCORED": folder / "scored.jsonl", "RUN": run}
    return {key: str(path) for key, path in names.items()} | {
        "ORIGINAL": str(folder / "original"),
        "NATIVE": str(folder / "native"),
    }


@pytest.fixture
def chexphi(
    inputs: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., tuple[int, str]]:
    """chexphi("verb --out out", limit) -> exit code and what standard error has; in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(command: str, limit: int) -> tuple[int, str]:
        words = [inputs.get(word, word) for word in command.split()]
        monkeypatch.setattr(sys, "argv", ["chexphi", *words])
        with pytest.raises(SystemExit) as ended, file_size(limit):
            main()
        return int(ended.value.code or 0), capsys.readouterr().err

    return run


VERBS = [
    ("data phantom --out out --train 4 --pool 4 --valid 4 --test 4", 2000, "out"),
    ("data phantom --out out --train 4 --pool 4 --valid 4 --test 4 --workers 2", 2000, "out"),
    ("data import mimic-vqa-cot DATA --out out", 5000, "out/pool/train.json"),  # the others are smaller
    ("data import mimic-vqa-cot DATA --out new/out.json", 5000, "out.json"),
    ("data import mimic-vqa-cot DATA --out out.jsonl", 5000, "out.jsonl"),
    ("data import mimic-vqa-cot DATA --out out.parquet", 3000, "out.parquet"),
    ("mine select SCORED POOL --number 8 --out out.json", 500, "out.json"),
    ("verl-rows POOL --out new/out.parquet --image-root DATA/images", 2000, "out.parquet"),
    ("report RUN --out new/out.html", 5000, "out.html"),
    ("rewards probe POOL --rewards format --limit 4 --out out", 100, "out/config.yaml"),
    ("checkpoint import ORIGINAL out", 50, "out/conversion.json"),
    ("checkpoint export NATIVE out", 50, "out/conversion.json"),
    ("checkpoint merge NATIVE out", 5000, "out"),
    ("demo --quick --out out", 100, "out/config.yaml"),
    ("study --quick --out out", 100, "out/config.yaml"),
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
    assert psutil.Process().children(recursive=True) == [] or "phantom" in command  # its pool's tracker


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
    path.parent.mkdir(parents=True)
    path.write_text("earlier")
    before = tree(tmp_path)
    if "report" not in words:
        code, said = chexphi(command, 1 << 30)
        assert code == 2
        assert "--overwrite" in said
        command += " --overwrite"
    assert chexphi(command, limit)[0] == 2
    assert tree(tmp_path) == before
    assert chexphi(command, 1 << 30)[0] == 0
    assert tree(tmp_path) != before


def test_weights_leave_what_the_same_command_goes_on_from(
    chexphi: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    for verb in ("import ORIGINAL", "export NATIVE"):
        command = f"checkpoint {verb} {verb.split()[0]}"
        code, said = chexphi(command, 5000)
        assert (code, "give the same command again" in said) == (2, True), said
        assert [path.name for path in (tmp_path / verb.split()[0]).iterdir()] == ["conversion.json"]
        assert chexphi(command, 1 << 30)[0] == 0


def test_a_graph_cache_and_a_log_that_cannot_grow(
    chexphi: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    texts = "kg extract POOL --field explanation --one-per-line --out"
    code, said = chexphi(f"{texts} kg.jsonl", 20)
    assert (code, "kg.jsonl cannot be written (File too large): make room" in said) == (2, True), said
    code, said = chexphi(f"{texts} other.jsonl --cache cache.sqlite", 40_000)
    assert (code, "graph cache " in said, "Traceback" in said) == (2, True, False), said
    assert chexphi(f"{texts} kg.jsonl --resume", 1 << 30)[0] == 0


def test_films_that_cannot_be_drawn_leave_a_run_that_goes_on(
    chexphi: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    code, said = chexphi("demo --quick --out out", 3000)  # enough for its settings
    assert code == 2
    assert "out/data cannot be written (File too large)" in said
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "config.yaml",
        "manifest.json",
        "run.lock",
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
    assert psutil.Process().children(recursive=True) == []


def test_an_error_ends_the_stages_that_run(tmp_path: Path) -> None:
    stage = Stage("sft", ("sft",), {"model": "nowhere", "data": "nowhere.json"}, "model", "m.jsonl", 1)
    runner = Runner(tmp_path, workers=1)
    with ThreadPoolExecutor(1) as pool:
        with pytest.raises(InputError, match="of another seed"), runner:
            running = pool.submit(runner.run, stage)
            while not psutil.Process().children() and not running.done():
                pass
            raise InputError("of another seed")
        assert isinstance(running.exception(), SystemExit)  # stopped, before it could say what is wrong
    assert psutil.Process().children() == []


def test_a_merge_needs_room_and_says_so_before(inputs: dict[str, str], tmp_path: Path) -> None:
    from chexphi.models.checkpoint.exporting import export
    from chexphi.models.checkpoint.merging import merge

    with mounted(tmp_path / "small", "size=1m") as small:
        for convert_ in (merge, export):
            with pytest.raises(InputError, match=r"out needs 0\.1 GB and its disk has 0\.0 GB: make room"):
                convert_(Path(inputs["NATIVE"]), small / "out")
        with pytest.raises(InputError, match=r"out needs 0\.1 GB and its disk has 0\.0 GB: make room"):
            convert(Path(inputs["ORIGINAL"]), small / "out")
        assert tree(small) == {}


def test_what_is_read_is_not_written(
    chexphi: Callable[..., tuple[int, str]], inputs: dict[str, str], tmp_path: Path
) -> None:
    pool = Path(shutil.copy(inputs["POOL"], tmp_path / "pool.json"))
    before = pool.read_bytes()
    code, said = chexphi("mine select SCORED pool.json --number 2 --out pool.json --overwrite", 1 << 30)
    assert (code, "holds what is read from" in said) == (2, True)
    code, said = chexphi("report RUN --out pool.json", 1 << 30)
    assert (code, "not an HTML page" in said) == (2, True)
    assert pool.read_bytes() == before
    for form in ("table.csv", "rows.ndjson"):
        code, said = chexphi(f"data import mimic-vqa-cot DATA --out {form}", 1 << 30)
        assert (code, "has an unknown form" in said) == (2, True)
    assert yaml.safe_load(before) and [path.name for path in tmp_path.iterdir()] == ["pool.json"]
