"""What `make walkthrough` types, and how it compares what is printed; it is not run here."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from test_repository import ROOT


@pytest.fixture(scope="module")
def walkthrough() -> ModuleType:
    spec = importlib.util.spec_from_file_location("walkthrough", ROOT / ".ci" / "walkthrough.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["walkthrough"] = module
    spec.loader.exec_module(module)
    return module


PAGE = """
```
make demo     # the whole loop
chexphi kg show \\
  "No effusion."
```

```text
effusion  absent
… 1 entity
```

Inline `make docs` is not typed.

```json
{"id": "q1"}
```

```python
print([1.0])  # [1.0]
```
"""


def test_the_commands_of_a_page_come_in_order_with_the_output_below_them(walkthrough: ModuleType) -> None:
    steps = list(walkthrough.steps_of("page.md", PAGE))
    assert [step.command for step in steps] == [
        "make demo",
        'chexphi kg show    "No effusion."',
        "python -c 'print([1.0])  # [1.0]\n'",
    ]
    assert [step.expected for step in steps] == [(), ("effusion  absent", "… 1 entity"), ("[1.0]",)]


@pytest.mark.parametrize(
    ("output", "missing"),
    [
        ("effusion   absent\nat most 1 entity\n", None),
        ("noise\neffusion absent\nnoise\n 1 entity", None),
        ("effusion present\n 1 entity\n", "effusion  absent"),
        (" 1 entity\neffusion absent\n", "… 1 entity"),
        ("", "effusion  absent"),
    ],
)
def test_a_line_that_the_output_lacks_is_named(
    walkthrough: ModuleType, output: str, missing: str | None
) -> None:
    assert walkthrough.missing_line(("effusion  absent", "", "… 1 entity"), output) == missing


def test_every_placeholder_of_the_pages_has_a_stand_in(walkthrough: ModuleType) -> None:
    commands = {
        walkthrough.filled_in(step.command)
        for page in walkthrough.PAGES
        for step in walkthrough.steps_of(page, (ROOT / page).read_text(encoding="utf-8"))
    }
    assert len(commands) > 15
    assert [command for command in commands if "/data/MIMIC" in command or "TRAIN.json" in command] == []
    shortened = "chexphi mine score --model runs/sft/model --data data/mimic/pool/train.json --out runs/mine"
    assert [command for command in commands if command.startswith(shortened)] == [
        f"{shortened} --limit 48 --max_new_tokens 48"
    ]
    assert "chexphi evaluate --model runs/first/model --data runs/demo/data/annotations/eval" in " ".join(
        commands
    )


def test_a_command_that_fails_or_prints_something_else_is_reported(
    walkthrough: ModuleType, tmp_path: Path
) -> None:
    log = tmp_path / "output.log"
    step = walkthrough.Step
    assert walkthrough.run(step("page", "echo 0.5"), tmp_path, log) is None
    assert walkthrough.run(step("page", "exit 3"), tmp_path, log) == "exit code 3"
    assert "'0.6'" in walkthrough.run(step("page", "echo 0.5", ("0.6",)), tmp_path, log)
    assert log.read_text().count("$ ") == 3
