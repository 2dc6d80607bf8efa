"""`chexphi checkpoint` on a disk that takes no more, or has too little room."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import original_checkpoint
import pytest
from small_disks import ENOUGH, mounted, tree

from chexphi.models.families import tiny
from chexphi.models.merging import merge
from chexphi.models.original_layout.exporting import export
from chexphi.models.original_layout.importing import convert
from chexphi.schema import InputError

TEXTS = ["Is there an effusion?", "<think>The left lung is clear.</think><answer>no</answer>"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A checkpoint in the original layout, and in the native one."""
    original, native = (tmp_path_factory.mktemp("folders") / name for name in ("original", "native"))
    original_checkpoint.write(original, tiny.train_tokenizer(TEXTS, vocab_size=400))
    convert(original, native)
    return {"import": original, "export": native, "merge": native}


@pytest.mark.parametrize(
    ("verb", "limit", "file", "stays"),
    [
        ("import", 50, "out/conversion.json", {}),
        ("export", 50, "out/conversion.json", {}),
        ("import", 5000, "out/model-", {"out", "out/conversion.json"}),
        ("export", 5000, "out/model.safetensors", {"out", "out/conversion.json"}),
        ("merge", 5000, "out", {}),
    ],
)
def test_a_full_disk_is_one_sentence_and_the_same_command_goes_on(
    folders: dict[str, Path],
    limited: Callable[..., tuple[int, str]],
    tmp_path: Path,
    verb: str,
    limit: int,
    file: str,
    stays: set[str],
) -> None:
    command = ["checkpoint", verb, str(folders[verb]), str(tmp_path / "out")]
    code, said = limited(command, limit)
    assert code == 2, said
    [line] = [line for line in said.splitlines() if line.startswith("error:")]
    assert file in line
    assert "cannot be written (File too large): make room" in line
    assert ("give the same command again" in line) == bool(stays)
    assert "Traceback" not in said
    assert tree(tmp_path).keys() - {"out/vision-lora", "out/speech-lora"} == set(stays)
    assert limited(command, ENOUGH)[0] == 0
    assert not list(tmp_path.rglob("*.part"))


def test_room_is_asked_for_before_anything_is_made(folders: dict[str, Path], tmp_path: Path) -> None:
    with mounted(tmp_path / "small", "size=1m") as small:
        for verb, stage in (("import", convert), ("export", export), ("merge", merge)):
            with pytest.raises(InputError, match=r"out needs 0\.1 GB and its disk has 0\.0 GB: make room"):
                stage(folders[verb], small / "out")
        assert tree(small) == {}
