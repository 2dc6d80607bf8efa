"""The line that installs an extra is the right one for how the package was installed, and can be typed."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from typing import Any

import pytest

import chexphi
from chexphi import installation

ROOT = Path(__file__).resolve().parents[1]
HOME = Path("/home/me")
NOTED: list[tuple[dict[str, Any] | None, str]] = [
    (None, "'chexphi[train]'"),
    ({"url": "file:///home/me/my%20code/chexphi", "dir_info": {}}, "'/home/me/my code/chexphi[train]'"),
    ({"url": "file:///home/me", "dir_info": {}}, "'.[train]'"),
    (
        {"url": "file:///home/me/chexphi-0.2.0-py3-none-any.whl", "archive_info": {}},
        "'/home/me/chexphi-0.2.0-py3-none-any.whl[train]'",
    ),
    (
        {"url": "https://example.org/chexphi-0.2.0.tar.gz", "archive_info": {}},
        "'chexphi[train] @ https://example.org/chexphi-0.2.0.tar.gz'",
    ),
    (
        {"url": "https://example.org/c.git", "vcs_info": {"vcs": "git", "commit_id": "0be756c"}},
        "'chexphi[train] @ git+https://example.org/c.git@0be756c'",
    ),
    (
        {"url": "file:///r", "vcs_info": {"vcs": "git", "commit_id": "0be756c"}, "subdirectory": "code"},
        "'chexphi[train] @ git+file://localhost/r@0be756c#subdirectory=code'",
    ),
]


@pytest.mark.parametrize(("url", "words"), NOTED)
def test_the_words_after_pip_install(url: dict[str, Any] | None, words: str) -> None:
    assert installation.source("train", None, url, HOME) == words


def test_a_missing_library_is_named_without_an_import() -> None:
    installation.require("json", "rich")
    with pytest.raises(ModuleNotFoundError) as raised:
        installation.require("json", "no_such_library")
    assert raised.value.name == "no_such_library"


def test_a_checkout_comes_before_what_pip_noted() -> None:
    url = {"url": "file:///elsewhere", "dir_info": {"editable": True}}
    assert installation.source("train,report", HOME, url, HOME) == "-e '.[train,report]'"
    assert installation.source("train", HOME / "chexphi", url, HOME) == "-e '/home/me/chexphi[train]'"


def test_these_tests_run_in_a_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert installation.checkout() == ROOT
    assert installation.install_line("train") == "pip install -e '.[train]'"
    assert re.fullmatch(r"chexphi [\d.]+( \(git revision [0-9a-f]{12}\))?", installation.version_line())


def test_no_page_or_message_installs_by_the_name_alone() -> None:
    """On an index it may be somebody else's."""
    folders = ("src", "docs", "examples", "configs", "bench", ".ci")
    paths = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    paths += [path for name in folders for path in (ROOT / name).rglob("*") if path.is_file()]
    kinds = (".py", ".md", ".yaml", ".ipynb", ".html", ".j2", ".txt")
    wrong = [
        path.relative_to(ROOT).as_posix()
        for path in paths
        if path.suffix in kinds
        and not {"_build", "chexphi.egg-info"} & {*path.parts}
        and re.search(r"install [^\n`/]*\bchexphi(?!/)", path.read_text(encoding="utf-8"))
    ]
    assert wrong == []


def run(*words: object, cwd: Path) -> str:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, cwd=cwd, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the build needs, as a git repository: a build writes beside its sources."""
    folder = tmp_path_factory.mktemp("project") / "a copy"
    leave_out = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(ROOT / "src", folder / "src", ignore=leave_out)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    git = ("git", "-c", "user.name=me", "-c", "user.email=me@example.org")
    for words in (("init", "-q"), ("add", "."), ("commit", "-q", "-m", "a copy")):
        run(*git, *words, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def pip(tmp_path_factory: pytest.TempPathFactory) -> tuple[object, ...]:
    """`pip install` in an environment of its own: nothing but pip, and the setuptools of this one."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    site = next(folder.glob("lib/python*/site-packages"))
    for old in (*site.glob("setuptools*"), *site.glob("pkg_resources")):
        shutil.rmtree(old)
    for path in Path(sysconfig.get_paths()["purelib"]).glob("setuptools*"):
        (site / path.name).symlink_to(path)
    quiet = ("--quiet", "--disable-pip-version-check", "--no-deps", "--no-build-isolation")
    return (folder / "bin" / "python", "-m", "pip", "install", *quiet)


@pytest.mark.slow
def test_real_installs_give_lines_that_pip_takes(
    project: Path, pip: tuple[object, ...], tmp_path: Path
) -> None:
    """From a wheel, a folder, a checkout, a repository and an index; nothing comes from the network."""
    python = pip[0]
    run(
        *(python, "-m", "pip", "wheel", *pip[4:], "--no-index", "--wheel-dir", tmp_path, project),
        cwd=tmp_path,
    )
    (wheel,) = tmp_path.glob("*.whl")
    page = tmp_path / "simple" / "chexphi" / "index.html"
    page.parent.mkdir(parents=True)
    page.write_text(f'<a href="../../{wheel.name}">{wheel.name}</a>')
    index = f"file://{tmp_path}/simple"
    commit = run("git", "rev-parse", "HEAD", cwd=project)
    repository = f"git+file://{str(project).replace(' ', '%20')}"
    installs: list[tuple[list[object], str]] = [
        (["--no-index", wheel], f"'{wheel}[report]'"),
        (["--no-index", project], f"'{project}[report]'"),
        (["--no-index", "-e", project], f"-e '{project}[report]'"),
        (
            ["--no-index", repository],
            f"'chexphi[report] @ {repository.replace('///', '//localhost/')}@{commit}'",
        ),
        (["-i", index, "chexphi"], "'chexphi[report]'"),
    ]
    code = "from chexphi.installation import install_line; print(install_line('report'))"
    for words, expected in installs:
        run(*pip, "--force-reinstall", *words, cwd=tmp_path)
        line = run(python, "-I", "-c", code, cwd=tmp_path)
        assert line == f"pip install {expected}"
        source = ["-i", index] if "-i" in words else ["--no-index"]
        run(*pip, "--dry-run", "--force-reinstall", *source, *shlex.split(line)[2:], cwd=tmp_path)
        inside = run(python, "-I", "-c", "import chexphi; print(chexphi.__file__)", cwd=tmp_path)
        assert inside != chexphi.__file__


def test_version_is_printed_by_both_flags() -> None:
    for flag in ("--version", "-V"):
        assert run(sys.executable, "-m", "chexphi", flag, cwd=ROOT) == installation.version_line()
