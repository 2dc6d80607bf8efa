"""YAML as users write it: numbers and words as JSON has them, and nothing that multiplies or runs."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from chexphi import yaml_files
from chexphi.schema import InputError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("010", "010"),  # 8 to YAML 1.1
        ("1:30", "1:30"),  # 90
        ("1_000", "1_000"),  # 1,000
        ("0x1F", "0x1F"),  # 31
        ("0o17", "0o17"),
        ("0b11", "0b11"),
        ("+1", 1),
        (".5", 0.5),
        ("2.e-5", 2e-5),
        (".", "."),
        ("2026-11-30", "2026-11-30"),  # a date
        ("12e03", 12000.0),
        ("6e-5", 6e-5),  # a text to YAML 1.1
        ("1e5", 1e5),
        ("1.0E+2", 100.0),
        ("-0.5", -0.5),
        ("0", 0),
        ("-12", -12),
        ("true", True),
        ("FALSE", False),
        ("yes", "yes"),  # true
        ("No", "No"),
        ("on", "on"),
        ("null", None),
        ("~", None),
        ("", None),
        (".inf", math.inf),
        ("inf", "inf"),
        ("'1'", "1"),
        ('"true"', "true"),
        ("=", "="),
        ("|\n  a\n  b\n", "a\nb\n"),
        ("[1, a, null, 'on']", [1, "a", None, "on"]),
        ("{b: 1e3, c: [x]}", {"b": 1000.0, "c": ["x"]}),
        ("\n- 1\n- - 2\n", [1, [2]]),
    ],
)
def test_values(text: str, value: Any) -> None:
    read = yaml_files.parse_yaml(f"a: {text}", "a text")["a"]
    assert read == value
    assert type(read) is type(value)


def test_not_a_number_is_read_so_that_it_can_be_refused() -> None:
    assert math.isnan(yaml_files.parse_yaml("a: .nan", "a text")["a"])


DOUBLED = "a0: &a0 [x, x]\n" + "".join(
    f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}, *a{n - 1}]\n" for n in range(1, 40)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (DOUBLED, "has the alias '*a0' at line 2: write the value itself"),
        ("base: &b {c: 1}\nd:\n  <<: *b\n", "has the alias '*b' at line 3"),
        ("a: !!int 010", "has the tag 'tag:yaml.org,2002:int' at line 1: leave it out"),
        (
            "a: !!python/object/apply:os.getcwd []",
            "has the tag 'tag:yaml.org,2002:python/object/apply:os.getcwd'",
        ),
        ("a: ! 1", "has the tag '!' at line 1"),
        ("!!set {a, b}", "has the tag"),
        ("a: 1\nb: 2\na: 3\n", "has the key 'a' a second time at line 3: keep one of the two"),
        ("a: {b: 1, b: 2}", "has the key 'b' a second time at line 1"),
        ("1: a", "has the key 1, which is not a text at line 1: put it in quotes"),
        ("null: a", "has the key None, which is not a text"),
        ("? [a]\n: 1", "has a key that is not a text at line 1"),
        ("a: {b: no}", "has the word no at line 1: write true or false, or put it in quotes"),
        ("a: [1, On]", "has the word On at line 1"),
        ("a: 1\n---\nb: 2", "has a second document at line 2"),
        ("a: " + "[" * 40 + "]" * 40, "has more than 32 levels at line 1"),
        ("a: " + "[" * 20_000, "has more than 32 levels at line 1"),
        ("a: " + "9" * 5000, "has a number of too many digits at line 1"),
        ("a: [", "is not valid YAML at line 1: correct it"),
        ("a: \x00", "is not valid YAML (it has a control character): correct it"),
        ("a: \ud800", "is not valid YAML (it has a control character): correct it"),
        ("a: *b", "has the alias '*b' at line 1"),
        ("a: *" + "b" * 40_000, "has the alias a text of 40001 characters at line 1"),
        ("k" * 900 + ": 1\n" + "k" * 900 + ": 2", "has the key a text of 900 characters a second time"),
        ("#" * 60_000, "has more than 50,000 bytes: settings are smaller, check the path"),
    ],
)
def test_what_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError) as refused:
        yaml_files.parse_yaml(text, "config file x.yaml")
    assert str(refused.value).startswith(f"config file x.yaml {message}")
    assert len(str(refused.value)) < 300
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (
            lambda path: path.write_bytes("a: Größe".encode("latin-1")),
            "is not UTF-8: save it in that encoding",
        ),
        (lambda path: path.write_bytes("a: 1".encode("utf-16")), "is not UTF-8: save it in that encoding"),
        (lambda path: path.write_bytes(b""), "does not hold a mapping: write one `key: value` a line"),
        (lambda path: path.write_text("- a"), "does not hold a mapping"),
        (lambda path: path.mkdir(), "is not a file: check the path"),
        (lambda path: None, "is not a file: check the path"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, write: Callable[[Path], Any], message: str) -> None:
    path = tmp_path / "x.yaml"
    write(path)
    with pytest.raises(InputError) as refused:
        yaml_files.read_yaml(path)
    assert str(refused.value).startswith(f"config file {path} {message}")


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """Whoever runs the tests: the address space of a process is a file, and its first page is not mapped."""
    path = tmp_path / "x.yaml"
    path.symlink_to("/proc/self/mem")
    with pytest.raises(InputError) as refused:
        yaml_files.read_yaml(path)
    assert str(refused.value) == f"config file {path} cannot be read (Input/output error): check the path"


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_bytes("a: Größe".encode("utf-8-sig"))
    assert yaml_files.read_yaml(tmp_path / "x.yaml") == {"a": "Größe"}


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    [
        "no",
        "ON",
        "1e5",
        "010",
        "6e-5",
        "~",
        "null",
        "1:30",
        ".inf",
        "<<",
        "=",
        "!a",
        "*a",
        "- a",
        "a: b",
        "2026-11-30",
    ]
)
NUMBERS = st.integers(-(10**6), 10**6) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda part: st.lists(part, max_size=3) | st.dictionaries(TEXTS, part, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(TEXTS, VALUES, max_size=4))
def test_what_is_written_is_read_again_as_it_was(values: dict[str, Any]) -> None:
    assert yaml_files.parse_yaml(yaml_files.dump_yaml(values) or "{}", "a text") == values


def test_one_list_that_is_there_twice_is_written_twice() -> None:
    same = [1]
    assert "&" not in yaml_files.dump_yaml({"a": same, "b": same})


@given(st.dictionaries(st.text("abc", min_size=1), VALUES, max_size=4))
def test_plain_json_is_read_as_json(values: dict[str, Any]) -> None:
    """Where both readers take a text, ours and PyYAML's differ only in what JSON has no word for."""
    text = yaml_files.dump_yaml(values)
    assert yaml.safe_load(text) == yaml_files.parse_yaml(text, "a text")
