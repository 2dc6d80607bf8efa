"""Every sentence that the package's errors can say, read from its syntax trees.

A sentence is a template: `{path} does not exist: check the path`. A name in braces stands for a value.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache, cached_property
from pathlib import Path
from typing import NamedTuple

from error_texts import NUMBER, VALUE, Text, has_words, is_remark

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "chexphi"
KINDS = ("InputError", "RewardError", "NotFiniteError")
REASONS = ("ValueError", "TypeError", "_RefusedError")
"""Errors that become a part of the message of an InputError."""
NEVER_SHOWN = (
    "data/film_files/", "evaluation/auroc.py", "answers/__init__.py", "graph/types.py", "kg/annotated.py",
    "graph/radgraph_annotations.py",
)  # fmt: skip
"""Modules whose own reasons a caller replaces by another sentence, or that only other code can cause."""
SHOWN = {
    "row_name", "shown", "word_shown", "type_shown", "key_shown", "shown_reference", "str", "repr",
    "len", "sorted", "join", "filter", "next", "iter", "min", "max", "tuple", "list", "set",
}  # fmt: skip
"""Functions whose result is named after what they are given."""
Function = ast.FunctionDef | ast.AsyncFunctionDef


class Sentence(NamedTuple):
    """What an error can say, and where: this names it, and an edit elsewhere does not change it."""

    file: str
    """Relative to the package's folder."""
    function: str
    """With its class: `Grid.read`."""
    kind: str
    text: Text

    def says_something(self) -> bool:
        """Whether it has words of its own, and does not only pass another sentence on."""
        return bool(has_words(self.text.template) or self.text.choices)


class Source:
    """One module: its syntax tree, its functions and constants, and the calls that make an error."""

    def __init__(self, code: str) -> None:
        self.tree = ast.parse(code)
        self.functions: dict[str, Function] = {}
        self.calls: list[tuple[ast.Call, str, str, Function | None]] = []
        """With the kind of error, and the function's name and tree."""
        self._walk(self.tree, "", None)

    def _walk(self, node: ast.AST, name: str, function: Function | None) -> None:
        for child in ast.iter_child_nodes(node):
            inner_name, inner_function = name, function
            if isinstance(child, Function | ast.ClassDef):
                inner_name = f"{name}.{child.name}".lstrip(".")
            if isinstance(child, Function):
                self.functions[child.name] = inner_function = child
            match child:
                case ast.Call(func=ast.Name(id=kind)) if kind in (*KINDS, *REASONS):
                    self.calls.append((child, kind, name, function))
            self._walk(child, inner_name, inner_function)

    @cached_property
    def constants(self) -> dict[str, str | int | float]:
        """The module's texts and numbers by name."""
        return {
            node.targets[0].id: node.value.value
            for node in self.tree.body
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
            if isinstance(node.value, ast.Constant) and type(node.value.value) in (str, int, float)
        }

    def constant(self, name: str) -> str | int | float | None:
        """The text or number of a constant, the module's own or one that it imports."""
        home = self.imported_from.get(name)
        return source(home).constants.get(name) if home in files() else self.constants.get(name)

    @cached_property
    def imported_from(self) -> dict[str, str]:
        """The module's file behind each name that was imported from the package."""
        homes: dict[str, str] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("chexphi"):
                base = "/".join((node.module or "").split(".")[1:])
                for alias in node.names:
                    inside = f"{base}/{alias.name}.py".lstrip("/")
                    homes[alias.asname or alias.name] = inside if inside in files() else f"{base}.py"
        return homes


@cache
def files() -> tuple[str, ...]:
    """Every module of the package, relative to its folder."""
    return tuple(path.relative_to(PACKAGE).as_posix() for path in sorted(PACKAGE.rglob("*.py")))


@cache
def source(name: str) -> Source:
    """A module of the package, read once."""
    return Source((PACKAGE / name).read_text(encoding="utf-8"))


def value_name(node: ast.AST) -> str:
    """What a value of a message is called: the last name of its expression."""
    match node:
        case ast.Attribute(value=ast.Call(func=ast.Name(id="type"))):
            return "type"
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name.strip("_")
        case ast.Call(func=ast.Name(id="getattr")):
            return "value"
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=[argument, *_]) if (
            name in SHOWN
        ):
            return value_name(argument)
        case ast.Call(func=ast.Name(id="int" | "range")):
            return "number"
        case ast.Call(func=ast.Attribute(value=value, attr="get"), args=[ast.Constant(value=str(key)), *_]):
            return key if key.isidentifier() else value_name(value)
        case ast.Call(func=function):
            return value_name(function)
        case ast.Subscript(slice=ast.Constant(value=str(key))) if key.isidentifier():
            return key
        case ast.Subscript(value=inner) | ast.Starred(value=inner) | ast.Await(value=inner):
            return value_name(inner)
        case ast.FormattedValue(value=inner) | ast.UnaryOp(operand=inner):
            return value_name(inner)
        case ast.BinOp(left=inner) | ast.BoolOp(values=[inner, *_]) | ast.NamedExpr(target=inner):
            return value_name(inner)
        case ast.GeneratorExp(generators=[loop, *_]) | ast.ListComp(generators=[loop, *_]):
            return value_name(loop.iter)
        case ast.IfExp(body=ast.Constant(), orelse=other):
            return value_name(other)
        case ast.IfExp(body=inner):
            return value_name(inner)
        case ast.List(elts=[inner, *_]) | ast.Tuple(elts=[inner, *_]) | ast.JoinedStr(values=[inner, *_]):
            return value_name(inner)
    return "value"


def texts_of(node: ast.AST, function: Function | None, module: Source, depth: int = 3) -> list[Text]:
    """Every text that an expression can be."""
    match node:
        case ast.Constant(value=str(text)):
            return [Text(text)]
        case ast.Constant():
            return []  # None, where there is no problem
        case ast.JoinedStr(values=parts):
            return [joined([part_of(part, function, module, depth) for part in parts])]
        case ast.BinOp(left=left, op=ast.Add(), right=right) if is_text(left) or is_text(right):
            return [joined([part_of(part, function, module, depth) for part in (left, right)])]
        case ast.IfExp(body=body, orelse=orelse):
            return [text for part in (body, orelse) for text in texts_of(part, function, module, depth)]
        case ast.BoolOp(op=ast.Or(), values=values):
            return [text for part in values for text in texts_of(part, function, module, depth)]
        case ast.Name(id=name) if (constant := module.constant(name)) is not None:
            return [Text(constant if isinstance(constant, str) else f"{{{constant}}}")]
        case ast.Name(id=name) if function and depth and (values := assigned(name, function)):
            return [text for value in values for text in texts_of(value, function, module, depth - 1)]
        case ast.Call(func=ast.Name() | ast.Attribute()) if depth:
            return returned(node, module, depth - 1) or [Text(f"{{{value_name(node)}}}")]
    return [Text(f"{{{value_name(node)}}}")]


def is_text(node: ast.AST) -> bool:
    """Whether a side of `+` is a text of the code, so that the other is one as well."""
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def part_of(part: ast.AST, function: Function | None, module: Source, depth: int) -> Text:
    """One part of a text: a value whose texts are all in the code has them as its choices."""
    if isinstance(part, ast.Constant):
        return Text(str(part.value))
    if isinstance(part, ast.FormattedValue) and (part.format_spec or part.conversion != -1):
        return Text(f"{{{value_name(part)}}}")
    node = part.value if isinstance(part, ast.FormattedValue) else part
    match node:
        case ast.Call(func=ast.Name(id="counted"), args=[number, noun]):
            noun_text = noun.value if isinstance(noun, ast.Constant) else f"{{{value_name(noun)}}}"
            return Text(f"{{{value_name(number)}}} {noun_text}{{s/}}", (("{s/}", ("s", "")),))
    texts = texts_of(node, function, module, depth)
    if len(texts) == 1 and (
        texts[0].choices or has_words(texts[0].template) or NUMBER.fullmatch(texts[0].template)
    ):
        return texts[0]
    flat = tuple(dict.fromkeys(text for choice in texts for text in choice.flat()))
    if isinstance(node, ast.IfExp) and all(not VALUE.search(text) for text in flat):
        return Text(f"{{{'/'.join(flat)}}}", ((f"{{{'/'.join(flat)}}}", flat),))
    name = f"{{{value_name(node)}}}"
    in_words = tuple(text for text in flat if has_words(text))
    others = tuple(text for text in flat if not has_words(text))
    return Text(name, ((name, in_words + others),)) if in_words else Text(name)


def joined(parts: list[Text]) -> Text:
    """Texts after one another."""
    return Text("".join(part.template for part in parts), sum((part.choices for part in parts), ()))


def in_order(function: Function) -> list[ast.stmt | ast.expr]:
    """The statements and expressions of a function as they are written."""
    nodes = [node for node in ast.walk(function) if isinstance(node, ast.stmt | ast.expr)]
    return sorted(nodes, key=lambda node: node.lineno)


def assigned(name: str, function: Function) -> list[ast.AST]:
    """What is assigned to a name in a function; nothing if part of it cannot be told, as of an argument."""
    values: list[ast.AST] = []
    for node in in_order(function):
        match node:
            case ast.Assign(targets=targets, value=value):
                values += [value for target in targets if isinstance(target, ast.Name) and target.id == name]
            case ast.NamedExpr(target=ast.Name(id=found), value=value) if found == name:
                values.append(value)
            case ast.AugAssign(target=ast.Name(id=found)) if found == name:
                return []
    return values


def returned(call: ast.Call, module: Source, depth: int) -> list[Text]:
    """The texts that a function of the package returns."""
    match call.func:
        case ast.Name(id=name) if name not in {*SHOWN, "install_line"}:  # that one depends on the machine
            home = module if name in module.functions else None
            if home is None and name in module.imported_from:
                home = source(module.imported_from[name])
        case ast.Attribute(value=ast.Name(id=owner), attr=name):
            file = module.imported_from.get(owner)
            home = module if owner == "self" else source(file) if file in files() else None
        case _:
            return []
    function = home.functions.get(name) if home else None
    if home is None or function is None:
        return []
    values = [node.value for node in in_order(function) if isinstance(node, ast.Return) and node.value]
    texts = [text for value in values for text in texts_of(value, function, home, depth)]
    remark = is_remark([text.template for text in texts])  # else an empty text is no message at all
    return texts if remark else [text for text in texts if text.template]


def sites_of(file: str) -> Iterator[tuple[int, tuple[Sentence, ...]]]:
    """The line of each call that makes an error in a module of the package, with what it can say."""
    module = source(file)
    for call, kind, function_name, function in module.calls:
        if kind in KINDS or not file.startswith(NEVER_SHOWN):
            texts = dict.fromkeys(texts_of(call.args[0], function, module))
            yield call.lineno, tuple(Sentence(file, function_name, kind, text) for text in texts)


def all_sentences() -> list[Sentence]:
    """Every sentence of the package, each once, by file and line."""
    found = [sentence for file in files() for _, sentences in sites_of(file) for sentence in sentences]
    return list(dict.fromkeys(found))
