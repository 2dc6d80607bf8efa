"""The page of errors is that of the code, and what reads the code's sentences reads them right."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from error_sites import ROOT, Source, all_sentences, texts_of
from error_texts import Text
from errors_page import PAGE, page
from raised_errors import NOT_HERE, RaisedErrors, choices_of, name_here

from chexphi import files
from chexphi.schema import InputError


def test_the_page_of_errors_is_that_of_the_code() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "`make format` writes docs/errors.md again"


def test_what_no_test_raises_is_in_the_code() -> None:
    assert NOT_HERE.keys() <= {name_here(one) for sentence in all_sentences() for one in choices_of(sentence)}
    assert len(NOT_HERE) <= 2  # may only shrink


WITHOUT_REMEDY = {
    "{verb}: --config needs a file name",
    "image {ref} {reason}",  # the reason has it
    "the original's graphs need compat='original'",
}
"""Sentences that need no remedy after a colon. It may only shrink."""


def test_every_sentence_says_what_to_do() -> None:
    """After a colon; parts of sentences have theirs in the whole one."""
    lines = [line[3:] for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("- `")]
    sentences = {line.strip("` ") for line in lines}
    assert {one for one in sentences if not re.search(r": \{?\w", one)} == WITHOUT_REMEDY


CODE = """
ADVICE, LIMIT = "do not", 1
LIMIT = 36
HINT = "repair it"

def reason(film):
    if film.bad:
        return "is bad"
    return f"has {film.pages} pages" if film.pages else None

def similar(path):
    if path.exists():
        return ""
    return f" ({path.parent} has {path.name})"

def problem(path, rows, films):
    if films:
        {0}
    name = str(path)
    why = "is empty" if not rows else f"has {{len(rows)}} rows"
    raise InputError({1})
"""


def texts(expression: str, before: str = "pass") -> list[Text]:
    """What an expression can be at the end of a function."""
    module = Source(
        CODE.replace("{0}", before).replace("{1}", expression).replace("{{", "{").replace("}}", "}")
    )
    ((call, *_, function),) = module.calls
    return texts_of(call.args[0], function, module)


@pytest.mark.parametrize(
    ("expression", "template", "choices"),
    [
        ("'plain'", "plain", {}),
        ("f'{path} is missing: {HINT}'", "{path} is missing: repair it", {}),
        ("f'{path.name} has over {LIMIT} rows'", "{name} has over {36} rows", {}),
        ("f'{shown(path)} in {sorted(rows)[0]!r}'", "{path} in {rows}", {}),
        ("f'{type(rows).__name__}, {len(rows):,}'", "{type}, {rows}", {}),
        ("f'{path} {why}: ' + HINT", "{path} {why}: repair it", {"{why}": ("is empty", "has {rows} rows")}),
        (
            "f'{path} is missing{similar(path)}: give one'",
            "{path} is missing{similar}: give one",
            {"{similar}": (" ({parent} has {name})", "")},
        ),
        ("f'film {reason(films)}'", "film {reason}", {"{reason}": ("is bad", "has {pages} pages")}),
        ("f\"{len(rows)} row{'' if rows else 's'}\"", "{rows} row{/s}", {"{/s}": ("", "s")}),
        ("f'{name} is odd'", "{name} is odd", {}),
    ],
)
def test_a_sentence_is_read(expression: str, template: str, choices: dict[str, tuple[str, ...]]) -> None:
    assert texts(expression) == [Text(template, tuple(choices.items()))]


def test_a_message_of_another_place_is_each_of_its_texts() -> None:
    assert [text.template for text in texts("reason(films)")] == ["is bad", "has {pages} pages"]
    assert [text.template for text in texts("why")] == ["is empty", "has {rows} rows"]
    assert [text.template for text in texts("path or 'nothing'")] == ["{path}", "nothing"]


TEXT = Text("{path} {why}(s): fix it.", (("{why}", ("is empty", "has {rows} rows", "{error}")),))


@pytest.mark.parametrize(
    ("message", "taken"),
    [
        ("a.json is empty(s): fix it.", {("{why}", "is empty")}),
        ("a\nb has 3 rows(s): fix it.", {("{why}", "has {rows} rows")}),
        ("a.json was eaten(s): fix it.", {("{why}", "{error}")}),
        ("a.json is empty(s): fix it", None),
        ("a.json is empty: fix it.", None),
    ],
)
def test_a_message_is_told_from_another(message: str, taken: set[tuple[str, str]] | None) -> None:
    assert TEXT.choices_of(message) == taken


def test_what_a_page_shows_of_a_text() -> None:
    text = Text(
        "{rows} row{/s} of {36}, {GPU/CPU core}",
        (("{/s}", ("", "s")), ("{GPU/CPU core}", ("GPU", "CPU core"))),
    )
    assert text.readable() == "{rows} row(s) of 36, GPU/CPU core"
    assert text.listed() == ()
    remark = Text("{path} is missing{similar}", (("{similar}", (" ({parent} has {name})", "")),))
    assert remark.readable() == "{path} is missing ({parent} has {name})"
    assert remark.flat() == ["{path} is missing ({parent} has {name})", "{path} is missing"]
    assert remark.choices_of("a.json is missing") == {("{similar}", "")}
    assert TEXT.listed() == (("{why}", ("is empty", "has {rows} rows")),)


def test_an_error_is_noted_where_it_is_made(request: pytest.FixtureRequest) -> None:
    (plugin,) = (one for one in request.config.pluginmanager.get_plugins() if isinstance(one, RaisedErrors))
    with pytest.raises(InputError, match="not JSON that can be read"):
        files.parse_json("[NaN]", "rows.json")
    said = {one[:2] + one[4:] for one in plugin.said}
    assert {("files.py", "parse_json", "", ""), ("files.py", "_constant", "", "")} <= said


def test_what_nobody_raised_is_complained_about(pytestconfig: pytest.Config) -> None:
    plugin = RaisedErrors(pytestconfig)
    assert any("files.py, read_object: {path} is not a JSON object" in line for line in plugin.complaints())
    plugin.said = {one for sentence in all_sentences() for one in choices_of(sentence)}
    plugin.said -= {one for one in plugin.said if name_here(one) in NOT_HERE}
    assert plugin.complaints() == []
    plugin.add("files.py", 1, "what no line says")
    assert plugin.complaints() == ["tests/error_sites.py does not know the message of files.py, line 1"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of one test that raises no error, with this one's plugin and the same kinds of tests."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "pytest.ini").write_text(
        "[pytest]\ntestpaths = tests\naddopts = -p no:cacheprovider -m 'not slow'\nmarkers = slow\n"
    )
    (folder / "tests").mkdir()
    (folder / "tests" / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text())
    (folder / "tests" / "test_one.py").write_text("def test_one(): pass\n")
    return folder


@pytest.mark.parametrize(
    ("words", "code", "is_listed"),
    [
        ("--unraised=whole -n 1", 1, True),
        ("--unraised=whole tests/test_one.py", 0, False),
        ("--unraised=whole -k one", 0, False),
        ("--unraised=any -k one", 0, True),
    ],
)
def test_a_whole_run_alone_fails_for_what_nobody_raised(
    words: str, code: int, is_listed: bool, project: Path
) -> None:
    paths = os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *words.split()],
        cwd=project, env={**os.environ, "PYTHONPATH": paths, "PYTEST_ADDOPTS": ""}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    line = "no test raises: files.py, read_object: {path} is not a JSON object: copy it again"
    assert (line in done.stdout.splitlines()) == is_listed
