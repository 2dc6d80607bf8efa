"""Files and folders that are written whole or not at all, and that all of the package writes them so."""

from __future__ import annotations

import ast
import errno
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
import safetensors.torch
import tokenizers
import torch
from PIL import Image
from small_disks import few_rights, file_size, mounted, tree

from chexphi import atomic
from chexphi.schema import InputError

SOURCES = Path(atomic.__file__).parent
BIG = 300_000


def noise() -> Image.Image:
    return Image.frombytes("L", (500, 600), os.urandom(BIG))


def vocabulary() -> tokenizers.Tokenizer:
    return tokenizers.Tokenizer(tokenizers.models.WordLevel({str(n): n for n in range(BIG // 10)}, "0"))


WRITERS: dict[str, Callable[[Path], Any]] = {
    "text": lambda path: path.write_text("x" * BIG),
    "stream": lambda path: path.open("wb").write(bytes(BIG)),
    "safetensors": lambda path: safetensors.torch.save_file({"a": torch.zeros(BIG)}, path),
    "torch": lambda path: torch.save(torch.zeros(BIG), path),
    "tokenizers": lambda path: vocabulary().save(str(path)),
    "parquet": lambda path: pyarrow.parquet.write_table(
        pyarrow.table({"a": [os.urandom(BIG)]}), path, compression="none"
    ),
    "film": lambda path: noise().save(path, "PNG"),
}


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("earlier", [None, b"earlier"])
def test_each_writer_is_whole_or_one_sentence(tmp_path: Path, kind: str, earlier: bytes | None) -> None:
    path = tmp_path / ("a/b/file" if earlier is None else "file")
    if earlier is not None:
        path.write_bytes(earlier)
    before = tree(tmp_path)
    with (
        pytest.raises(InputError, match=r"file cannot be written \((File too large|the disk took less)"),
        file_size(5000),
        atomic.whole_file(path) as part,
    ):
        WRITERS[kind](part)
    assert tree(tmp_path) == before
    with atomic.whole_file(path) as part:
        WRITERS[kind](part)
    assert path.stat().st_size >= BIG // 10
    assert set(tree(tmp_path)) - set(before) <= {"a", "a/b", "a/b/file"}


@pytest.mark.parametrize("raised", [ZeroDivisionError, KeyboardInterrupt, SystemExit, ConnectionResetError])
def test_what_is_not_the_disks_goes_on_and_leaves_nothing(
    tmp_path: Path, raised: type[BaseException]
) -> None:
    (tmp_path / "file").write_text("earlier")
    before = tree(tmp_path)

    def fail_inside(whole: Callable[[Path], AbstractContextManager[Path]], name: str) -> None:
        with whole(tmp_path / name) as part:
            (part / "inside" if part.is_dir() else part).write_text("half")
            raise raised

    for whole in (atomic.whole_file, atomic.whole_folder):
        for name in ("file", "new/folder/file"):
            with pytest.raises(raised):
                fail_inside(whole, name)
    assert tree(tmp_path) == before


def test_a_file_that_cannot_be_read_is_not_said_to_be_written(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic.whole_file(tmp_path / "out") as part:
        part.write_bytes((tmp_path / "source").read_bytes())
    assert tree(tmp_path) == {}


def test_a_folder_is_whole_and_keeps_what_has_no_new_version(tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    for text in ("1", "2"):
        with atomic.whole_folder(out) as part:
            (part / "films").mkdir()
            (part / "films" / text).write_text(text)
            (part / "note").write_text(text)
        (out / "own").write_text("own")
    assert tree(out) == {"films": None, "films/2": b"2", "note": b"2", "own": b"own"}
    with (
        pytest.raises(InputError, match="out cannot be written"),
        file_size(10),
        atomic.whole_folder(out) as part,
    ):
        (part / "note").write_text("x" * 20)
    assert tree(tmp_path / "new") == {f"out/{name}": data for name, data in tree(out).items()} | {"out": None}


def test_a_name_without_one_and_a_device_are_refused(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path, message in ((pipe, "not an ordinary file"), (Path("/"), "name a file or folder in it")):
        with pytest.raises(InputError, match=message), atomic.whole_file(path):
            raise AssertionError
    assert pipe.is_fifo()


@pytest.mark.parametrize(
    ("name", "overwrite", "message"),
    [
        ("folder", True, "folder is a folder: name a file"),
        ("there", False, "there exists: replace it with --overwrite"),
        ("there/below/file", True, r"cannot be made \(\S+there is a file\)"),
        ("x" * 300, True, r"cannot be written \(File name too long\)"),
        ("pipe", True, "pipe is not an ordinary file"),
    ],
)
def test_what_cannot_be_written_is_known_before(
    tmp_path: Path, name: str, overwrite: bool, message: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "there").write_text("")
    os.mkfifo(tmp_path / "pipe")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match=message):
        atomic.check_file(tmp_path / name, overwrite=overwrite)
    for good in ("there", "new", "new/folder/file"):
        atomic.check_file(tmp_path / good, overwrite=True)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_disk_that_is_full_small_or_read_only(tmp_path: Path) -> None:
    with mounted(tmp_path / "small", "size=1m") as small:
        with pytest.raises(InputError, match=r"file cannot be written \(No space left on device\)"):
            atomic.write_text(small / "a" / "file", "x" * 2_000_000)
        assert tree(small) == {}
        with pytest.raises(InputError, match=r"new/model needs 0\.1 GB and its disk has 0\.0 GB: make room"):
            atomic.check_room(small / "new" / "model", 1)
    with mounted(tmp_path / "fixed", "size=1m,ro") as fixed:
        with pytest.raises(InputError, match=r"cannot be written \(Read-only file system\)"):
            atomic.write_text(fixed / "file", "")
        with pytest.raises(InputError, match=r"cannot be written \(\S+fixed is read-only\)"):
            atomic.check_file(fixed / "file", overwrite=False)


def test_what_every_disk_refuses(tmp_path: Path) -> None:
    model = tmp_path / "new" / "model"
    sentence = rf"^{model} needs 1000000000\.\d GB and its disk has \d+\.\d GB: make room$"
    with pytest.raises(InputError, match=sentence):
        atomic.check_room(model, 10**18)
    with few_rights(), pytest.raises(InputError) as refused:
        atomic.check_place(Path("/no_such_folder/run"))
    assert str(refused.value) == (
        "output folder /no_such_folder/run cannot be written (/ is read-only): choose another --out"
    )


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.ENOSPC, "text of a library"), "No space left on device"),
        (OSError(errno.EDQUOT, ""), "Disk quota exceeded"),
        (PermissionError(errno.EACCES, ""), "Permission denied"),
        (OSError("the folder is not a model"), None),  # as transformers has it
        (RuntimeError("Error while serializing: I/O error: x (os error 28)"), "No space left on device"),
        (RuntimeError("[enforce fail at inline_container.cc] unexpected pos 64 vs 0"), "took less"),
        (RuntimeError("out of memory"), None),
        (BrokenPipeError(errno.EPIPE, ""), None),
        (None, None),
    ],
)
def test_what_the_disk_says(error: BaseException | None, reason: str | None) -> None:
    found = atomic.disk_trouble(error)
    assert found is None if reason is None else reason in str(found)


WRITES = {
    "write_text", "write_bytes", "save", "save_file", "save_pretrained", "write_table", "dump", "copyfile",
    "copy2", "copytree", "to_parquet", "to_json", "to_csv", "truncate", "replace", "rename", "mkstemp",
}  # fmt: skip
PLAIN = {
    "atomic.py": "the writer itself",
    "cli/launched.py": "the null device",
    "cli/standard_input.py": "within atomic.writing, in a folder that goes away",
    "data/forms.py": "within a whole file",
    "data/phantom/disk.py": "within a whole folder",
    "data/phantom/draw.py": "within a whole folder",
    "graph/cache.py": "the lock of a database",
    "runs/jsonl.py": "a log, which grows line by line",
    "models/original_layout/side_files.py": "within atomic.writing: its folder is whole with its config.json",
    "models/original_layout/exporting.py": "within atomic.writing: its folder is whole with its config.json",
    "models/original_layout/pickles.py": "within atomic.writing, in a folder that goes away",
    "models/families/film_features.py": "into memory",
    "models/families/tiny.py": "within a whole folder",
    "doctor/machine.py": "into memory",
    "demo/runner.py": "the log of a process",
    "runs/replaced_run.py": "moves whole folders",
    "report/films.py": "into memory",
    "runs/run_lock.py": "a lock",
    "sweep/engines.py": "the log of a process",
    "sweep/loop.py": "the log of a process, within atomic.writing",
    "kg/train_models.py": "a configuration and a tokenizer, within atomic.writing",
    "yaml_files.py": "into memory",
}
"""Files that write under a final name, and why they may."""


def writes(module: ast.Module) -> list[ast.Call]:
    """Calls that write to a file, but for those under the name that `whole_file` or `whole_folder` gave."""
    inside = {
        id(node)
        for block in ast.walk(module)
        if isinstance(block, ast.With) and any("atomic.whole_" in ast.unparse(item) for item in block.items)
        for node in ast.walk(block)
    }
    return [
        node
        for node in ast.walk(module)
        if isinstance(node, ast.Call) and id(node) not in inside and (_writes(node) or _opens(node))
    ]


def _writes(call: ast.Call) -> bool:
    called = ast.unparse(call.func)
    name = called.rpartition(".")[2]
    if name == "replace":  # of a path, with one argument; of a text or a record there are others
        texts = [argument for argument in call.args if isinstance(argument, ast.Constant)]
        ours = called in ("replace", "dataclasses.replace")
        return not texts and not ours and len(call.args) == 1 and not call.keywords
    return name in WRITES and called != "atomic.write_text"


def _opens(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    modes = [*call.args, *(word.value for word in call.keywords if word.arg == "mode")]
    return name == "open" and any(
        isinstance(mode, ast.Constant) and isinstance(mode.value, str) and set(mode.value) & set("wax+")
        and set(mode.value) <= set("rwaxbt+")
        for mode in modes
    )  # fmt: skip


def test_all_that_is_written_goes_through_the_one_writer() -> None:
    found = {
        path.relative_to(SOURCES).as_posix(): [ast.unparse(call) for call in calls]
        for path in sorted(SOURCES.rglob("*.py"))
        if (calls := writes(ast.parse(path.read_text(encoding="utf-8"))))
    }
    assert {name: calls for name, calls in found.items() if name not in PLAIN} == {}
    assert PLAIN.keys() == found.keys()


@pytest.mark.parametrize(
    ("code", "count"),
    [
        ("path.write_text(text)", 1),
        ("path.open('ab')", 1),
        ("open(path, mode='w')", 1),
        ("open(path)", 0),
        ("path.open('rb')", 0),
        ("part.replace(path)", 1),
        ("save_file(tensors, path)", 1),
        ("replace(record, name=1)", 0),
        ("text.replace('a', 'b')", 0),
        ("with atomic.whole_file(path) as part:\n    part.write_text(text)", 0),
        ("with atomic.writing(path):\n    path.write_text(text)", 1),
    ],
)
def test_the_search_finds_what_writes(code: str, count: int) -> None:
    assert len(writes(ast.parse(code))) == count
