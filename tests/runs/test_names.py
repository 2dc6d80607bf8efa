"""Names that tell runs apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from chexphi.runs.names import distinct_names


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["runs/a", "runs/b"], ["a", "b"]),
        (["a/eval", "b/eval/predictions.jsonl"], ["a/eval", "b/eval"]),
        (["x/1/eval", "x/2/eval", "other"], ["1/eval", "2/eval", "other"]),
        (["a/eval", "./a/eval"], ["eval", "eval (2)"]),
        (["eval", "a/eval"], None),
        (["one"], ["one"]),
        ([], []),
    ],
)
def test_names_are_as_short_as_they_can_be(paths: list[str], names: list[str] | None) -> None:
    found = distinct_names(paths)
    assert names is None or found == names
    assert len(set(found)) == len(paths)


def test_a_folder_named_by_a_dot_has_the_name_of_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run").mkdir()
    monkeypatch.chdir(tmp_path / "run")
    assert distinct_names([Path(".")]) == ["run"]
    assert distinct_names([Path("../run"), Path("/elsewhere/run")]) == [
        f"{tmp_path.name}/run",
        "elsewhere/run",
    ]
