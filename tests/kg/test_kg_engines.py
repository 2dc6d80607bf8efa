"""Extraction on a Ray cluster: the same lines as in one process, whatever happens to a worker."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

from chexphi.cli import app
from chexphi.kg import engines, extract
from chexphi.schema import InputError

ray = pytest.importorskip("ray", reason="needs the extra `ray`")

ROWS = [
    (f"t{n}", f"Case {n}. Possible nodule in the right upper lobe, no \ud800 effusion.") for n in range(300)
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def test_a_cluster_writes_what_one_process_writes(cluster: None, tmp_path: Path) -> None:
    local, remote = tmp_path / "local.jsonl", tmp_path / "ray.jsonl"
    extract.extract(ROWS, local, extractor="lexicon", options={})
    content = local.read_bytes()
    remote.write_bytes(content[: content.index(b"\n") + 30])  # killed within the second line
    counts = extract.extract(
        ROWS, remote, extractor="lexicon", options={}, engine="ray", workers=2, resume=True
    )
    assert counts == {"texts": 300, "new": 299}
    assert remote.read_bytes() == content
    counts = extract.extract(ROWS, remote, extractor="lexicon", options={}, engine="ray", resume=True)
    assert counts["new"] == 0
    assert ray.is_initialized(), "a cluster that was there before is left alone"


def test_what_a_machine_refuses_is_said_in_its_words(cluster: None, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"folder {Path.cwd()}/nowhere does not exist.* \(on "):
        extract.extract(ROWS, tmp_path / "kg.jsonl", extractor="rexkg:nowhere", options={}, engine="ray")
    assert not (tmp_path / "kg.jsonl").exists()


def words_of(process: psutil.Process) -> str:
    """Its command line; none of one that has just ended."""
    try:
        return str(process.cmdline())
    except psutil.Error:
        return ""


@pytest.mark.faults
def test_a_killed_worker_loses_nothing(cluster: None, tmp_path: Path) -> None:
    chunks = engines.on_ray(ROWS * 20, "lexicon", {}, workers=1)
    found = next(chunks)
    own = psutil.Process().children(recursive=True)
    victims = [process for process in own if "MapWorker" in words_of(process)]
    for process in victims:
        process.kill()
    found += [line for chunk in chunks for line in chunk]
    assert victims
    assert [line["doc_key"] for line in found] == [key for key, _ in ROWS * 20]


def test_what_ray_says_of_a_killed_worker_is_not_the_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray prints it in this process, and when it gets round to it: here at a time that is known."""

    def talking(rows: list[engines.Row], *_: object) -> Iterator[engines.Lines]:
        print("(raylet) A worker died or was killed")  # noqa: T201
        yield from engines.in_processes(rows, "lexicon", {}, 1)

    monkeypatch.setattr(engines, "on_ray", talking)
    texts = tmp_path / "texts.txt"
    texts.write_text("Possible nodule in the right upper lobe, no effusion.\n" * 3)
    words = ["kg", "extract", str(texts), "--one-per-line", "--out", str(tmp_path / "kg.jsonl")]
    done = CliRunner().invoke(app, [*words, "--engine", "ray", "--json"])
    assert json.loads(done.stdout)["texts"] == 3, done.output
    assert "(raylet)" in done.stderr


def test_an_unknown_engine_stops_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="engine is 'spark': use local or ray"):
        extract.extract(ROWS, tmp_path / "kg.jsonl", extractor="lexicon", options={}, engine="spark")
    assert not (tmp_path / "kg.jsonl").exists()
