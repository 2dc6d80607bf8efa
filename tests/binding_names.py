"""Which names in `src` say nothing of what they hold: `python tests/binding_names.py [FOLDER]` prints them.

Counted from the syntax tree: every variable, parameter, field and attribute of `self`, each time it is
bound. A name counts when all of its words (`_`, digits and capitals part them) are in `WITHOUT_CONTENT`:
`kept` does, `kept_rows` does not. `_` alone, the name for a value that nobody reads, is not counted at all.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

SRC = Path(__file__).parents[1] / "src" / "chexphi"
# Participles, pronouns, adverbs, order: they say where a value came from or what becomes of it, and not what
# it is. Left out, because they have content here: word, piece (of a tokenizer), side, out (the folder of
# --out), run.
WITHOUT_CONTENT = frozenset(
    """
    added again allowed answered any apart around asked away back bad before begun behind both bound
    brought built called came changed chosen closed come coming counted cut different done drawn each
    either else every everything fallen far felt filled first fixed followed found fresh full gave given
    go goes going gone good got had handed has held here holds how inner it its joined just keep keeps
    kept known last late later least left lies like lost made many matter matters meant met more most
    moved named near needed new next none now odd off old one ones only open opened other others outer
    outside own paired part parts passed past picked place places plain put read ready real rest said same
    seen sent set settled shown single so some something sort sought spoken spread stand standing stands
    stated still stood stuff such taken that them then there these they thing things this those tied
    together told too took tried turned under unread use used wanted was way ways went were what when
    where which whole whose will with within without written
    """.split()  # noqa: SIM905
)


def bindings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(Line, name) of all that `tree` binds."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
                yield node.lineno, name
            case ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Store()):
                yield node.lineno, name
            case ast.ExceptHandler(name=str(name)):
                yield node.lineno, name
            case (
                ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name))
            ):
                yield node.lineno, name


def words_of(name: str) -> list[str]:
    return re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower())


def without_content(name: str) -> bool:
    words = words_of(name)
    return bool(words) and all(word in WITHOUT_CONTENT for word in words)


def count(path: Path) -> tuple[int, list[tuple[int, str]]]:
    """How many names a file binds, and (line, name) of those without content."""
    named = [(line, name) for line, name in bindings(ast.parse(path.read_text("utf-8"))) if words_of(name)]
    return len(named), sorted((line, name) for line, name in named if without_content(name))


def main(folder: Path) -> None:
    total, empty = 0, 0
    rows = []
    for path in sorted(folder.rglob("*.py")):
        bound, names = count(path)
        total, empty = total + bound, empty + len(names)
        if names:
            rows.append((len(names) / bound, path, bound, names))
    for share, path, bound, names in sorted(rows, reverse=True):
        listed = " ".join(f"{name}:{line}" for line, name in names)
        print(f"{share:6.1%} of {bound:4d}  {path.relative_to(folder)}: {listed}")  # noqa: T201
    print(f"{empty / max(total, 1):6.2%} of {total} bindings in {folder}")  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else SRC)
