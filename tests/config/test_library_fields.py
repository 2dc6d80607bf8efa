"""TRL's fields as read from its sources, against the dataclasses that Python makes of them."""

from __future__ import annotations

import enum
import typing
from pathlib import Path
from typing import Any

import pytest
from transformers import HfArgumentParser
from trl import GRPOConfig, SFTConfig

from chexphi.config.flags import choices_of, read_flags
from chexphi.config.library_fields import Unknown, outline
from chexphi.field_values import Field, check_values, described_fields, members
from chexphi.schema import InputError
from chexphi.training import trainer_config

KINDS = [
    pytest.param(outline("trl.trainer.sft_config", "SFTConfig"), SFTConfig, id="sft"),
    pytest.param(outline("trl.trainer.grpo_config", "GRPOConfig"), GRPOConfig, id="grpo"),
]
COMPUTED = {"optim"}
"""Fields whose default is computed when transformers is imported."""
COMPUTED_CHOICES = {"log_level", "log_level_replica"}
FOREIGN = {"parallelism_config"}
"""Fields of a type that is not known without an import."""
VALUES = (
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        2.5,
        1e-3,
        "1",
        "2.5",
        "010",
        "true",
        "no",
        "none",
        "steps",
        "linear",
        "x",
    ),
    *([], ["a", "b"], [1, 2], ["1"], {"a": 1}, {"a": True}, {"a": {"b": "c"}}, "best", "adamw_torch"),
)
"""Values that YAML may hold."""
WORDS = (
    *([], ["true"], ["false"], ["no"], ["YES"], ["0"], ["1"], ["2.5"], ["-1"], ["1e-3"], ["010"], ["none"]),
    *(
        ["steps"],
        ["linear"],
        ["adamw_torch"],
        ["all"],
        ["a", "b"],
        ["1", "2"],
        ['{"a": 1}'],
        ["auto"],
        ["x y"],
    ),
)
"""What may follow a flag."""


def plain(value: Any) -> Any:
    """A value without enums of the library, and a list of one as its entry."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value.value if isinstance(value, enum.Enum) else value


def shape(hint: Any) -> Any:
    """A type with the values of its enums in place of the enums."""
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return tuple(member.value for member in hint)
    if typing.get_origin(hint) in (list, dict):
        return typing.get_origin(hint), *map(shape, typing.get_args(hint))
    kinds = members(hint)
    return hint if kinds == [hint] else (frozenset(map(shape, kinds)), type(None) in typing.get_args(hint))


@pytest.mark.parametrize(("ours", "theirs"), KINDS)
def test_the_outline_has_the_fields_of_the_library(ours: type, theirs: type) -> None:
    read, real = described_fields([ours]), described_fields([theirs])
    assert list(read) == list(real)
    for name, field in real.items():
        assert read[name].default == (Unknown.DEFAULT if name in COMPUTED else field.default), name
        assert read[name].metadata.get("help") == field.metadata.get("help"), name
        if name not in FOREIGN:
            assert shape(read[name].hint) == shape(field.hint), name
        if name not in COMPUTED_CHOICES:
            assert choices_of(read[name]) == choices_of(field), name
    groups = {field.metadata["group"] for field in read.values()}
    assert "Other" not in groups
    assert len(groups) > 25


def accepts(name: str, value: Any, kind: type) -> Any:
    try:
        return plain(check_values({name: value}, [kind], "file")[name])
    except InputError:
        return InputError


@pytest.mark.parametrize(("ours", "theirs"), KINDS)
def test_a_file_may_hold_what_the_librarys_types_take(ours: type, theirs: type) -> None:
    for name in described_fields([theirs]).keys() - FOREIGN:
        for value in VALUES:
            assert accepts(name, value, ours) == accepts(name, value, theirs), (name, value)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"logging_steps": 1}, {"logging_steps": 1, "use_cpu": True, "bf16": False}),
        ({"save_steps": 20.0, "use_cpu": False}, {"save_steps": 20.0, "use_cpu": False, "bf16": False}),
        ({"bf16": None}, {"bf16": None, "use_cpu": True}),  # TRL decides
    ],
)
def test_a_whole_number_stays_one(given: dict[str, Any], kept: dict[str, Any]) -> None:
    """Defaults are whole numbers in fields of decimal ones: TRL's, and ours of `logging_steps`."""
    values = {"output_dir": "o", "bf16": Unknown.DEFAULT, "use_cpu": Unknown.DEFAULT, **given}
    made = trainer_config.make(outline("trl.trainer.grpo_config", "GRPOConfig")(**values), "grpo")
    settled = GRPOConfig(output_dir="o", **kept)
    for name in ("save_steps", "logging_steps", "eval_delay", "warmup_steps", "use_cpu", "bf16"):
        assert repr(getattr(made, name)) == repr(getattr(settled, name)), name


class Parser(HfArgumentParser):
    def error(self, message: str) -> Any:
        raise InputError(message)


@pytest.mark.parametrize(("ours", "theirs"), KINDS)
def test_what_the_librarys_parser_accepts_has_the_same_value(ours: type, theirs: type) -> None:
    parser, fields = Parser(theirs, allow_abbrev=False, add_help=False), described_fields([ours])
    accepted = 0
    for name, field in described_fields([theirs]).items():
        for flags in ([f"--{name}", *words] for words in WORDS):
            try:
                value = getattr(parser.parse_args(flags), name)
            except (InputError, TypeError):  # ParallelismConfig takes no word
                continue
            assert plain(read_flags(flags, [fields[name]], "verb")[name]) == plain(value), flags
            accepted += 1
        if field.default is True:
            assert read_flags([f"--no_{name}"], [fields[name]], "verb") == {name: False}
            assert getattr(parser.parse_args([f"--no_{name}"]), name) is False
    assert accepted > 1_000


SOURCES = {
    "__init__.py": "raise RuntimeError('this package is not to be imported')",
    "kinds.py": "from enum import Enum\n\nclass Shade(str, Enum):\n    DARK = 'dark'\n    PALE = 'pale'\n",
    "base.py": '''
from dataclasses import dataclass, field

@dataclass
class Base:
    """Settings.

        name (`str`): a text in a docstring is no field
    """
    # --- First group ---
    size: int = 3
    kept: list[str] = field(default_factory=list, metadata={"help": "a" "b"})

    def method(self) -> None:
        local: int = 4
''',
    "child.py": """
from dataclasses import dataclass, field
from typing import Literal, Optional, Union

from .base import Base
from .kinds import Shade
from elsewhere_and_not_installed import Foreign

@dataclass
class Child(Base):
    size: float = field(default=0.5)
    # Parameters that control the paint
    shade: Shade | str = field(default=Shade.DARK.value, metadata={"help": "shade", "choices": some.keys()})
    level: "Literal['a', 'b'] | None" = None
    either: Optional[Union[int, bool]] = None
    foreign: Foreign | None = None
    needed: dict[str, float] = field(default_factory=lambda: {})

    @property
    def half(self) -> float: ...

class Other(Base):
    more: int = 1
""",
}


def test_a_package_is_read_and_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "painted").mkdir()
    for name, text in SOURCES.items():
        (tmp_path / "painted" / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    fields = described_fields([outline("painted.child", "Child")])
    assert list(fields) == ["size", "kept", "shade", "level", "either", "foreign", "needed"]
    assert fields["size"] == Field("size", float, 0.5, {"group": "First group"})
    assert fields["kept"].default == []
    assert fields["kept"].metadata["help"] == "ab"
    assert choices_of(fields["shade"]) == ["dark", "pale"]
    assert fields["shade"].metadata == {"group": "Paint", "help": "shade"}
    assert fields["shade"].default is Unknown.DEFAULT
    assert choices_of(fields["level"]) == ["a", "b"]
    assert set(members(fields["either"].hint)) == {int, bool}
    assert members(fields["foreign"].hint) == [Any]
    assert fields["needed"].default is Unknown.DEFAULT


def test_a_library_that_is_not_there_is_named() -> None:
    with pytest.raises(ModuleNotFoundError) as missing:
        outline("no_such_library.trainer", "Config")
    assert missing.value.name == "no_such_library"
    with pytest.raises(LookupError, match="has no class NoConfig"):
        outline("trl.trainer.sft_config", "NoConfig")
