"""A run is not started with settings that would run the code of somebody's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from trl import GRPOConfig, SFTConfig

from chexphi.schema import InputError
from chexphi.training.preflight import refused


def config(kind: Any, out: Path, **values: Any) -> Any:
    given = {"output_dir": str(out), "use_cpu": True, "bf16": False, "report_to": "none"}
    return kind(**given, remove_unused_columns=False, **values)


@pytest.mark.parametrize(("kind", "verb"), [(GRPOConfig, "grpo"), (SFTConfig, "sft")])
def test_code_of_a_folder_cannot_be_asked_for(tmp_path: Path, kind: Any, verb: str) -> None:
    refused.check(config(kind, tmp_path), verb)
    with pytest.raises(InputError, match=f"{verb}: trust_remote_code is true, and code .* is not run"):
        refused.check(config(kind, tmp_path, trust_remote_code=True), verb)


def test_a_chat_template_comes_from_a_file(tmp_path: Path) -> None:
    """From a folder TRL would read a tokenizer, and ask whether to run the code that it names."""
    template = tmp_path / "chat.jinja"
    template.write_text("{{ messages }}")
    refused.check(config(SFTConfig, tmp_path, chat_template_path=str(template)), "sft")
    with pytest.raises(InputError, match=r"TRL would load a tokenizer .* ends in \.jinja"):
        refused.check(config(SFTConfig, tmp_path, chat_template_path=str(tmp_path)), "sft")
