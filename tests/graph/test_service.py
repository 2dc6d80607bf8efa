"""The resident extractor: every sentence once, in memory and on disk, from many threads and processes."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chexphi import GraphReward, score
from chexphi.graph.cache import DiskCache, dumps, loads
from chexphi.graph.lexicon.extractor import LexiconExtractor
from chexphi.graph.service import Service
from chexphi.schema import InputError

SENTENCES = [
    "There is a small left pleural effusion.",
    "No pneumothorax is seen.",
    "The heart is enlarged, possibly with edema.",
    "A nodule lies in the right upper lobe.",
    "Lungs are clear.",
]
TEXTS = st.lists(
    st.lists(st.sampled_from(SENTENCES) | st.text(max_size=12), max_size=4).map(" ".join), max_size=5
)


HEADINGS = ["INDICATION:", "HISTORY: cough.", "FINDINGS:", "\n\nIMPRESSION:\n", "Is there edema? No.", "- "]


@given(st.lists(st.sampled_from(SENTENCES + HEADINGS) | st.text(max_size=12), max_size=7).map(" ".join))
def test_a_graph_is_that_of_the_parse_with_its_sections(text: str) -> None:
    """Sides and doubt too, which `==` leaves out."""
    extractor = LexiconExtractor()
    for reader in (extractor, Service(extractor)):
        (graph,), (parse,) = reader.extract([text]), reader.parse([text])
        assert graph.to_dict() == parse.graph.to_dict()


@given(TEXTS)
def test_the_same_as_without_it(texts: list[str]) -> None:
    service = Service(LexiconExtractor(), memory=2)
    for _ in range(2):
        assert service.parse(texts) == LexiconExtractor().parse(texts)
    assert service.extract(texts) == LexiconExtractor().extract(texts)


def test_a_group_costs_only_its_distinct_sentences() -> None:
    service = Service(LexiconExtractor())
    group = [" ".join(SENTENCES[:n]) for n in (1, 2, 3, 3, 3)]
    service.parse(group)
    assert service.parsed == 3
    service.parse([*group, SENTENCES[3]])
    assert service.parsed == 4


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda service: pickle.loads(pickle.dumps(service))])
def test_it_goes_to_other_processes(tmp_path: Path, duplicate: Callable[[Any], Any]) -> None:
    """As a part of a reward or a score, too: its lock and its connections stay."""
    cache = DiskCache(tmp_path / "graphs.sqlite", limit=1 << 20)
    service = Service(LexiconExtractor(), memory=3, disk=cache)
    service.parse(SENTENCES)
    other = duplicate(service)
    assert (other.memory, other.disk.path, other.disk.limit) == (3, cache.path, 1 << 20)
    assert other.parse(SENTENCES) == service.parse(SENTENCES)
    assert other.parsed == 0  # they are on the disk

    text = f"<think>{' '.join(SENTENCES)}</think><answer>yes</answer>"
    for reward in (GraphReward(), GraphReward(service)):
        assert duplicate(reward)([text], solution=[text]) == [1.0]
    assert dataclasses.asdict(score(text, text))["total"] == 2  # what a data frame of scores asks for


def test_what_one_process_parsed_another_reads(tmp_path: Path) -> None:
    first = Service(LexiconExtractor(), disk=DiskCache(tmp_path / "graphs.sqlite"))
    second = Service(LexiconExtractor(), disk=DiskCache(tmp_path / "graphs.sqlite"))
    assert first.parse(SENTENCES) == second.parse(SENTENCES) == LexiconExtractor().parse(SENTENCES)
    assert (first.parsed, second.parsed) == (5, 0)


def test_other_rules_read_nothing_of_these(tmp_path: Path) -> None:
    class Other(LexiconExtractor):
        version = "other"

    Service(LexiconExtractor(), disk=DiskCache(tmp_path / "graphs.sqlite")).parse(SENTENCES)
    other = Service(Other(), disk=DiskCache(tmp_path / "graphs.sqlite"))
    other.parse(SENTENCES)
    assert other.parsed == 5


@given(st.sampled_from(SENTENCES) | st.text(max_size=40))
def test_a_parse_survives_the_disk(text: str) -> None:
    for parse in LexiconExtractor().parse_sentences([text]):
        assert loads(text, dumps(parse)) == parse


def test_the_oldest_entries_go_first(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path / "graphs.sqlite", limit=1000)
    for number in range(100):
        cache.put({f"key {number}".encode(): "x" * 50})
    left = [n for n in range(100) if cache.get([f"key {n}".encode()])]
    assert 0 < len(left) <= 20
    assert left == list(range(100 - len(left), 100))


def test_many_threads_share_one_service(tmp_path: Path) -> None:
    service = Service(LexiconExtractor(), memory=1, disk=DiskCache(tmp_path / "graphs.sqlite"))
    jobs = [random.Random(n).sample(SENTENCES, 3) for n in range(40)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(service.parse, jobs))
    assert found == [LexiconExtractor().parse(job) for job in jobs]
    assert service.parsed == len(SENTENCES)


WRITER = """
import sys
from pathlib import Path
from chexphi.graph.cache import DiskCache
cache = DiskCache(Path(sys.argv[1]), limit=200_000)
number = int(sys.argv[2])
print("ready", flush=True)
while True:
    number += 1
    cache.put({f"{number}-{part}".encode(): f"{number}-{part} " * 40 for part in range(20)})
"""


def test_killed_writers_leave_no_broken_entry(tmp_path: Path) -> None:
    """Two processes write at once and are killed at random; what is read is what was written, whole."""
    path, rng, read = tmp_path / "graphs.sqlite", random.Random(0), 0
    for round_ in range(4):
        command = [sys.executable, "-c", WRITER, str(path)]
        writers = [
            subprocess.Popen([*command, str((2 * round_ + n) * 10**6)], stdout=subprocess.PIPE)
            for n in (0, 1)
        ]
        for writer in writers:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"ready\n"
        for writer in writers:
            time.sleep(rng.uniform(0.02, 0.2))
            writer.send_signal(signal.SIGKILL)
            writer.communicate()
        with closing(sqlite3.connect(path)) as connection:
            rows = connection.execute("SELECT key, value FROM parses").fetchall()
            (total,) = connection.execute("SELECT bytes FROM total").fetchone()
        assert all(value == f"{key.decode()} " * 40 for key, value in rows)
        assert total == sum(len(value) for _, value in rows)
        numbers = Counter(key.decode().partition("-")[0] for key, _ in rows)
        assert sum(count != 20 for count in numbers.values()) <= 1  # whole transactions; the oldest is going
        read += len(rows)
    assert read


def test_a_file_that_is_no_cache_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no database, but long enough to be looked at " * 50)
    with pytest.raises(InputError, match=r"notes\.txt cannot be used"):
        DiskCache(tmp_path / "notes.txt")


def test_an_entry_of_the_cache_that_is_damaged_is_one_sentence() -> None:
    with pytest.raises(
        InputError, match="the graph cache holds a damaged entry: remove its file, or name another"
    ):
        loads("Clear lungs.", '{"mentions": 3}')
