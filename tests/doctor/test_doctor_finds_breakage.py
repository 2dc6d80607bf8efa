"""`chexphi doctor`: verdicts, imports that fail in every way, and nothing personal in the output."""

from __future__ import annotations

import getpass
import importlib.metadata
import json
import re
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer

from chexphi.cli import app
from chexphi.cli.doctor import _verbs
from chexphi.doctor import examine, imports, machine, verbs
from chexphi.doctor.libraries import CORE, NOT_FOR_USERS, Library, from_requirements, libraries

ROOT = Path(__file__).resolve().parents[2]
BAD_MODULES = {
    "crashes": "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
    "leaves": "import os; os._exit(7)",
    "exits": "raise SystemExit(0)",
    "raises": "raise ImportError('libfoo.so is missing\\nmore')",
    "prints": "print('{}'); import sys; sys.stderr.write('noise')",
}


def test_a_bad_import_does_not_stop_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, code in BAD_MODULES.items():
        (tmp_path / f"{name}.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert imports.import_each(["json", *BAD_MODULES, "not_there", "csv"]) == {
        "json": {},
        "crashes": {"error": "its import crashed with signal SIGSEGV"},
        "leaves": {"error": "its import ended the process with code 7"},
        "exits": {"error": "SystemExit: 0"},
        "raises": {"error": "ImportError: libfoo.so is missing"},
        "prints": {},
        "not_there": {"error": "ModuleNotFoundError: No module named 'not_there'"},
        "csv": {},
    }


def test_an_import_that_never_ends_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sleeps.py").write_text("import time; time.sleep(600)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    outcomes = imports.import_each(["sleeps"], time_limit=5)
    assert outcomes == {"sleeps": {"error": "its import did not end within 5 s"}}


@pytest.mark.parametrize(
    ("installed", "bounds", "tested", "is_outside", "is_tested"),
    [
        ("2.14.1", ">=2.9", "2.14.1", False, True),
        ("2.14.1+cpu", ">=2.9", "2.14.1", False, True),
        ("2.8.0", ">=2.9", "2.14.1", True, False),
        ("1.17.0", ">=1.16,<1.17", "1.16.0", True, False),
        ("1.16.0rc1", ">=1.15,<1.17", "1.16.0", False, False),
        ("1.16.1", ">=1.16,<1.17", None, False, False),
        ("3", "", None, False, False),
        (None, ">=2.9", "2.14.1", False, False),
    ],
)
def test_versions(
    installed: str | None, bounds: str, tested: str | None, is_outside: bool, is_tested: bool
) -> None:
    library = Library("name", "train", bounds, installed, tested)
    assert (library.is_outside_bounds, library.is_tested) == (is_outside, is_tested)


def test_what_is_broken_is_a_sentence() -> None:
    every = [
        Library("pillow", CORE, ">=11", None, None),
        Library("torch", "train", ">=2.9", "2.14.1", None),
        Library("trl", "train", ">=1.16,<1.17", "1.17.0", None),
        Library("ray", "ray", ">=2", None, None),
        Library("numpy", CORE, ">=2", "2.4", None),
    ]
    outcomes = {"torch": {"error": "OSError: no libcuda"}, "trl": {}, "numpy": {}}
    assert examine.broken(every, outcomes) == [
        "pillow is not installed, and every verb needs it",
        "torch 2.14.1 cannot be imported: OSError: no libcuda",
        "trl 1.17.0 is not a version that chexphi works with: it needs >=1.16,<1.17",
    ]
    absent = verbs.missing(every)
    assert absent["--engine ray"] == {CORE: ["pillow"], "ray": ["ray"]}
    assert absent["report, rewards probe"]["report"] == []  # no library of that extra on this system
    assert examine.install_line(absent["report, rewards probe"]) is None


def test_every_extra_is_some_verbs_or_left_out() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert {extra for names in verbs.EXTRAS.values() for extra in names} == {*extras} - {*NOT_FOR_USERS}


def test_what_is_ready_is_told_in_short() -> None:
    rows = {name: {"missing": {}, "install": None} for name in verbs.EXTRAS}
    assert dict(_verbs(rows)) == {"ready": "; ".join(["every verb", *verbs.FEATURES])}
    rows["demo, study"] = {"missing": {"report": ["plotly"]}, "install": "pip install '.[report]'"}
    told = dict(_verbs(rows))
    assert told["ready"].startswith("data, kg, rewards score, ")
    assert told["to install"] == "demo, study:\npip install '.[report]'"


def test_every_verb_is_in_the_table() -> None:
    table = ", ".join(verbs.VERBS).split(", ")
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        inner = [f"{name} {verb}" for verb in getattr(command, "commands", {})]
        assert name in table or (inner and {*inner} <= {*table}), name


def test_the_wheels_metadata_gives_the_same_libraries_as_the_checkout() -> None:
    requirements = importlib.metadata.requires("chexphi") or ()
    other = [line for line in requirements if not line.startswith("packaging")]  # an older installation
    names = {(library.name, library.extra, library.bounds) for library in from_requirements(other, {})}
    ours = {(library.name, library.extra, library.bounds) for library in libraries()}
    assert ours - names <= {("packaging", CORE, ">=24")}
    assert names <= ours


def test_a_requirement_of_another_system_is_left_out() -> None:
    lines = [
        "here; extra == 'ray'",
        "there; sys_platform == 'none' and extra == 'ray'",
        "test; extra == 'dev'",
    ]
    assert [library.name for library in from_requirements(lines, {})] == ["here"]


def test_facts_of_linux_files() -> None:
    assert machine.cpu_name("processor: 0\nmodel name\t: A CPU @ 2 GHz: fast\n") == "A CPU @ 2 GHz: fast"
    assert machine.free_memory("MemTotal: 9 kB\nMemAvailable:  2000000 kB\n") == 2.048
    assert machine.free_memory("") is None
    assert (machine.memory_limit("max\n"), machine.memory_limit("4000000000\n")) == (None, 4.0)


def test_the_whole_verb_says_nothing_personal(tmp_path: Path) -> None:
    """In an environment whose torch is broken: exit code 1, and its name."""
    (tmp_path / "torch.py").write_text("raise RuntimeError('built for another machine')")
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(tmp_path), "--json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    findings = json.loads(done.stdout)
    assert any(
        re.match(r"torch \S+ cannot be imported: RuntimeError: built for", s) for s in findings["broken"]
    )
    assert findings["codecs"]["PNG"]
    for name in (socket.gethostname(), str(Path.cwd()), str(tmp_path), f"/home/{getpass.getuser()}"):
        assert name not in done.stdout
    assert len(done.stdout.splitlines()) > 50


CODE = """
import os, sys
os.environ["PYTHONPATH"] = os.pathsep.join([sys.argv.pop(1), os.environ.get("PYTHONPATH", "")])
sys.argv[1:1] = ["doctor"]
from chexphi.__main__ import main
main()
"""
