"""A sample of `make test-fuzz`, and that it sees what it should."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fuzz.accepted_texts import parts_of
from fuzz.kinds import KINDS
from fuzz.run import Plan, report, run

TESTS = Path(__file__).resolve().parents[1]
SAMPLE = {
    "data files": 60,
    "films": 30,
    "texts": 100,
    "settings": 30,
    "folders": 6,
    "predictions": 30,
    "ontologies": 30,
}
"""Inputs of each kind: the first ones of a whole run."""


SLOW = ("settings", "folders")
"""Kinds whose stages and models take long to load."""


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=pytest.mark.slow if kind in SLOW else ()) for kind in KINDS]
)
def test_a_sample_ends_as_it_should(kind: str, tmp_path: Path) -> None:
    plan = Plan("0", {kind: SAMPLE[kind]}, tmp_path)
    tallies = run(plan, processes=1)
    assert not tallies[kind].failures, "\n".join(report(plan, tallies))
    assert tallies[kind].accepted + tallies[kind].refused == SAMPLE[kind]
    assert tallies[kind].accepted
    if kind != "texts":  # any text has a score
        assert tallies[kind].refused


SUBJECTS = """
import logging, multiprocessing, os, pickle, socket, subprocess, sys, time
from pathlib import Path
from chexphi.schema import InputError
from fuzz.trial import Subject, Trials, WrongError, RefusedError

def refuse(error): raise error
def said(word): os.write(2, word)
def linger(folder):
    with __import__("contextlib").suppress(OSError): subprocess.Popen(["true"])
def wrong(one, result): raise WrongError("other")
class Slow:
    def __init__(self): self.end = time.process_time() + 2.2
    def __call__(self, one):
        while time.process_time() < self.end: pass
        return 1
TRIED = {
    "good": lambda f: 1,
    "refused": lambda f: refuse(InputError("data.json is empty: write a row")),
    "own file read": lambda f: (f / "own.txt").read_text(),
    "crash": lambda f: [][1],
    "crash in a library": lambda f: int("x"),
    "several lines": lambda f: refuse(InputError("one\\ntwo")),
    "long": lambda f: refuse(InputError("x" * 1001)),
    "long in the check": lambda f: refuse(RefusedError("short", "x" * 1001)),
    "long warning": lambda f: logging.getLogger("chexphi.data").warning("x" * 1001) or 1,
    "no word": lambda f: refuse(InputError("")),
    "network": lambda f: socket.socket().connect(("127.0.0.1", 9)),
    "name look-up": lambda f: socket.getaddrinfo("localhost", 80),
    "process": lambda f: subprocess.run(["true"]),
    "process, error hidden": lambda f: linger(f) or 1,
    "shell": lambda f: os.system("true"),
    "fork": lambda f: os.fork() or os._exit(0),
    "write outside": lambda f: (f.parent / "new.txt").write_text("x"),
    "folder outside": lambda f: (f.parent / "new").mkdir(),
    "removed outside": lambda f: (f.parent / "other.txt").unlink(),
    "renamed outside": lambda f: (f / "own.txt").rename(f.parent / "new.txt"),
    "read outside": lambda f: (f.parent / "other.txt").read_text(),
    "passwords": lambda f: open("/etc/passwd").read(),
    "file left": lambda f: (f / "new.txt").write_text("x"),
    "code": lambda f: exec(compile("1", str(f / "own.py"), "exec")) or 1,
    "pickle": lambda f: pickle.loads(pickle.dumps(Path)),
    "printed": lambda f: said(b"x") or 1,
    "slow": Slow(),
    "memory": lambda f: len(bytearray(1100 << 20)),
    "socket left": lambda f: KEPT.append(socket.socket()) or 1,
    "wrong": lambda f: 1,
}
KEPT = []
root = Path(sys.argv[1])
noise = (root / "printed.txt").open("a+")
os.dup2(noise.fileno(), 2)
area = root / "area"
(area / "one").mkdir(parents=True)
(area / "one" / "own.txt").write_text("x")
(area / "other.txt").write_text("x")
trials, found = Trials(noise), {}
for name, use in TRIED.items():
    judge = wrong if name == "wrong" else lambda one, result: None
    outcome = trials.attempt(Subject(use, judge), area / "one", area / "one", area)
    (area / "one" / "new.txt").unlink(missing_ok=True)
    found[name] = [outcome.accepted, *outcome.faults]
import json
print(json.dumps(found))
"""
FAULTS = {
    "crash": "IndexError at <string>",
    "crash in a library": "ValueError at <string>",
    "several lines": "a message of several lines",
    "long": "a message of 1001 characters",
    "long in the check": "a message of 1001 characters",
    "long warning": "a message of 1001 characters",
    "no word": "an error without a word",
    "network": "tried: socket.connect",
    "name look-up": "tried: socket.getaddrinfo",
    "process": "tried: subprocess.Popen",
    "process, error hidden": "tried: subprocess.Popen",
    "shell": "tried: os.system",
    "fork": "tried: os.fork",
    "write outside": "tried: open for writing",
    "folder outside": "tried: os.mkdir",
    "removed outside": "tried: os.remove",
    "renamed outside": "tried: os.rename",
    "read outside": "tried: open outside its folder",
    "passwords": "tried: open outside its folder",
    "file left": "left the file new.txt",
    "code": "tried: code of the folder was run",
    "pickle": "tried: a pickle was read",
    "printed": "printed: 'x'",
    "slow": "s of CPU time",
    "memory": "GiB of memory",
    "socket left": "left 1 sockets open",
    "wrong": "silently wrong: other",
}
"""What must be said of each."""


def test_every_kind_of_fault_is_seen(tmp_path: Path) -> None:
    path = os.pathsep.join(filter(None, [str(TESTS), os.environ.get("PYTHONPATH", "")]))
    done = subprocess.run(
        [sys.executable, "-c", SUBJECTS, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert done.returncode == 0, (tmp_path / "printed.txt").read_text()
    found = json.loads(done.stdout)
    assert {name for name, (_, *faults) in found.items() if faults} == set(FAULTS)
    for name, words in FAULTS.items():
        assert any(words in fault for fault in found[name][1:]), (name, found[name])
    assert [found[name][0] for name in ("good", "refused")] == [True, False]
    assert (tmp_path / "area" / "other.txt").read_text() == "x"


def test_a_process_that_dies_is_a_failure_and_the_next_batch_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A generator that ends its own process in batch 1 stands for a library that does."""
    package = tmp_path / "generators" / "fuzz"
    package.mkdir(parents=True)
    (package / "films.py").write_text(
        "import io, os\nfrom PIL import Image\ndrawn = []\n"
        "def mutated_films(rng, count):\n    drawn.append(1)\n"
        "    if len(drawn) == 2 and not os.path.exists(MARK):\n        open(MARK, 'w').close()\n"
        "        os.abort()\n    data = io.BytesIO()\n    Image.new('L', (4, 4)).save(data, 'PNG')\n"
        f"    yield from [data.getvalue()] * count\nMARK = {str(tmp_path / 'mark')!r}\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(package.parent), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setattr("fuzz.run.HERE", str(package.parent) + os.pathsep + str(TESTS))
    (tmp_path / "run").mkdir()
    tally = run(Plan("0", {"films": 150}, tmp_path / "run"), processes=1)["films"]
    assert tally.accepted == 100
    assert ["the process ended with -6" in fault for _, fault in tally.failures] == [True]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("<think>a</think><answer>b</answer>", ("a", "b")),
        ("x < / Answer ><ANSWER> b </answer>\n< think\t> a </ think><|end|>", None),
        ("<ANSWER> b </answer>\n< think\t> a </ think><|end|>", ("a", "b")),
        ("<think></think><answer>b</answer>", None),
        (" <think> </think><think>a</think><answer>b</answer>", ("a", "b")),
        ("<think>a<think></think><answer>b</answer>", None),
        ("<think>a</think><answer>b</answer><answer>", None),
        ("<thinker>a</think><answer>b</answer>", None),
        ("<<think>a</think>< <answer>b</answer>", ("a", "b")),
    ],
)
def test_the_second_reader_of_tags(text: str, parts: tuple[str, str] | None) -> None:
    assert parts_of(text) == parts
