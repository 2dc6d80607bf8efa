"""The fields of a library's dataclass, read from its installed sources: the library is not imported.

TRL's configs inherit from transformers', and importing both takes ten seconds. Here their classes are parsed,
never run. The result is a dataclass with the same fields, types, defaults and help, and without the checks of
the library. So it is always that of the installed version.
"""

from __future__ import annotations

import ast
import dataclasses
import enum
import functools
import importlib.util
import operator
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

TYPES: dict[str, Any] = {"str": str, "int": int, "float": float, "bool": bool, "list": list, "dict": dict}
TYPES |= {"Any": Any, "None": None}
FACTORIES: dict[str, Any] = {"list": list, "dict": dict}
EXPORTED = {("transformers", "TrainingArguments"): "transformers.training_args"}
"""Modules of classes that a package gives under its own name."""
GROUP = re.compile(r"    # (?:--- (.+) ---|Parameters that control (.+)|(Deprecated) parameters)")
"""A comment over a group of fields: transformers' form, and two of TRL's."""


class Unknown(enum.Enum):
    """Stands for a default that the library computes when it is imported."""

    DEFAULT = "the library's"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class _Module:
    """The text of a module of an installed package."""

    name: str
    text: str

    def class_text(self, name: str) -> str:
        """A class without its methods; empty if there is no such class."""
        match = re.search(rf"^class {name}\b.*?(?=^[^\s)#]|\Z)", self.text, re.M | re.S)
        return re.split(r"^    (?:@|def )", match[0], maxsplit=1, flags=re.M)[0] if match else ""

    def module_of(self, name: str) -> str:
        """The module from which this one imports a name; this one if it imports no such name."""
        head = self.text.split("\nclass ", 1)[0].removesuffix("@dataclass")
        for node in ast.walk(ast.parse(head)):
            if isinstance(node, ast.ImportFrom) and name in [alias.name for alias in node.names]:
                package = self.name.rsplit(".", node.level)[0] if node.level else ""
                module = ".".join(filter(None, (package, node.module)))
                return EXPORTED.get((module, name), module)
        return self.name


@functools.cache
def _module(name: str) -> _Module:
    """The text of a module.

    Raises:
        ModuleNotFoundError: If its package is not installed.
    """
    package, *submodules = name.split(".")
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"No module named {package!r}", name=package)
    path = Path(spec.origin).parent.joinpath(*submodules)
    file = path.with_suffix(".py") if not path.is_dir() else path / "__init__.py"
    return _Module(name, file.read_text(encoding="utf-8"))


@functools.cache
def outline(module: str, name: str) -> type:
    """A dataclass with the fields of a library's, in their order.

    Args:
        module: The module of the library's dataclass, such as `trl.trainer.grpo_config`.
        name: Its name.

    Raises:
        ModuleNotFoundError: If the library is not installed.
    """
    fields: dict[str, tuple[str, Any, Any]] = {}
    for owner, node in _with_bases(_module(module), name):
        lines = owner.class_text(node.name).splitlines()
        for statement in node.body:
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                key, earlier = statement.target.id, fields.get(statement.target.id)
                group = earlier[2].metadata["group"] if earlier else _group(lines[: statement.lineno])
                hint = _Types(owner).resolve(statement.annotation)
                fields[key] = (key, hint, _field(statement.value, group))
    return dataclasses.make_dataclass(name, fields.values(), namespace={"__module__": module})


def _with_bases(module: _Module, name: str) -> Iterator[tuple[_Module, ast.ClassDef]]:
    """The dataclasses that a class inherits from, the outermost first, and the class."""
    text = module.class_text(name)
    node = ast.parse(text).body[0] if text else None
    if not isinstance(node, ast.ClassDef):
        raise LookupError(f"{module.name} has no class {name}: this version of the library is not known")
    for base in node.bases:
        if isinstance(base, ast.Name):
            yield from _with_bases(_module(module.module_of(base.id)), base.id)
    yield module, node


def _group(lines: list[str]) -> str:
    """The group of the field after these lines of a class: the last comment of that form."""
    for line in reversed(lines):
        if match := GROUP.match(line):
            group = next(filter(None, match.groups())).removeprefix("the ")
            return group if group.startswith("vLLM") else f"{group[0].upper()}{group[1:]}"
    return "Other"


def _field(value: ast.expr | None, group: str) -> Any:
    """The field that this expression makes."""
    keywords: dict[str | None, ast.expr] = {"default": value} if value is not None else {}
    if isinstance(value, ast.Call):
        keywords = {keyword.arg: keyword.value for keyword in value.keywords}
    metadata: dict[str, Any] = {"group": group}
    table = keywords.get("metadata")
    for key, entry in zip(table.keys, table.values, strict=True) if isinstance(table, ast.Dict) else ():
        if isinstance(key, ast.Constant) and (content := _literal(entry)) is not Unknown.DEFAULT:
            metadata[str(key.value)] = content
    if "default" in keywords:
        return dataclasses.field(default=_literal(keywords["default"]), metadata=metadata)
    factory = keywords.get("default_factory")
    if isinstance(factory, ast.Name) and factory.id in FACTORIES:
        return dataclasses.field(default_factory=FACTORIES[factory.id], metadata=metadata)
    return dataclasses.field(default=Unknown.DEFAULT, metadata=metadata)


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return Unknown.DEFAULT


@dataclass(frozen=True, slots=True)
class _Types:
    """Resolves the annotations of a module's fields."""

    module: _Module

    def resolve(self, node: ast.expr) -> Any:
        """The type that an annotation names; `Any` for one that is not known without an import."""
        if isinstance(node, ast.Constant):
            return self.resolve(ast.parse(str(node.value), mode="eval").body) if node.value else None
        if isinstance(node, ast.Name):
            return TYPES[node.id] if node.id in TYPES else _enum(self.module, node.id)
        if isinstance(node, ast.BinOp):
            return self._union([node.left, node.right])
        if not isinstance(node, ast.Subscript):
            return Any
        generic = node.value.id if isinstance(node.value, ast.Name) else ""
        entries = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if generic == "Literal":
            return Literal[tuple(_literal(entry) for entry in entries)]
        if generic == "Optional":
            entries = [*entries, ast.Constant(None)]
        if generic in ("Optional", "Union"):
            return self._union(entries)
        return TYPES[generic][tuple(map(self.resolve, entries))] if generic in ("list", "dict") else Any

    def _union(self, nodes: list[ast.expr]) -> Any:
        return functools.reduce(operator.or_, (self.resolve(node) or type(None) for node in nodes))


@functools.cache
def _enum(module: _Module, name: str) -> Any:
    """An enum of texts with the members of the library's; `Any` for another class."""
    defining_module = module.module_of(name)
    is_near = defining_module.split(".")[0] == module.name.split(".")[0]  # others may not be installed
    text = _module(defining_module).class_text(name) if is_near else ""
    node = ast.parse(text).body[0] if text else None
    if not isinstance(node, ast.ClassDef) or not any("Enum" in ast.unparse(base) for base in node.bases):
        return Any
    members = [
        (statement.targets[0].id, statement.value.value)
        for statement in node.body
        if isinstance(statement, ast.Assign)
        and isinstance(statement.targets[0], ast.Name)
        and isinstance(statement.value, ast.Constant)
    ]
    return enum.Enum(name, members, type=str, module=defining_module)
