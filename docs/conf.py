"""The site of the docs: `make docs` builds it offline into docs/_build."""

from __future__ import annotations

import os
import re
import textwrap
from pathlib import Path

from sphinx.application import Sphinx

import chexphi

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # the modules are imported for their docstrings
DOCS = Path(__file__).parent
PACKAGE = DOCS.parent / "src" / "chexphi"

project = "CheX-Phi4MM"
author = "The CheX-Phi4MM authors"
project_copyright = author
version = release = chexphi.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
myst_heading_anchors = 4
suppress_warnings = [
    "myst.header",  # the log's entries are headings of the third level
    "ref.python",  # a type's short name that several classes have as a field
]

nitpicky = True
nitpick_ignore_regex = [
    ("py:.*", ".*")
]  # types of other libraries, whose docs are not asked over the network

autodoc_default_options = {"members": True, "member-order": "bysource", "ignore-module-all": True}
autodoc_preserve_defaults = True
toc_object_entries = False  # pages list modules, not every field
maximum_signature_line_length = 88

html_theme = "furo"
html_title = "CheX-Phi4MM"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_search_scorer = str(DOCS / "_static" / "search_order.js")
highlight_language = "bash"  # a block of a page without a language is one of commands
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
pygments_style = "friendly"
pygments_dark_style = "monokai"

NOT_IN_API = {"chexphi.__main__", "chexphi.integrations.ms_swift"}
"""The second needs ms-swift, which is not installed beside our TRL."""
CODE = re.compile(r"(``.+?``|`[^`\n]+(?:\n[^`\n]+)?`)", re.S)
"""Code in backticks, which a docstring may wrap once."""
MARK = re.compile(r"(?<!\w)(\*\w(?:[^*\n]*\w)?\*)(?!\w)|((?<!^)(?<!\n)\*|[|\\]|_(?!\w))")
"""An *emphasised* word, or what only reStructuredText reads as a mark. A `*` that begins a line is a list."""
FENCE = re.compile(r"^```\w*\n(.*?)^```$", re.S | re.M)


def modules_of(folder: Path) -> list[str]:
    """Dotted names of a folder's own modules."""
    package = ".".join(("chexphi", *folder.relative_to(PACKAGE).parts))
    files = [path for path in folder.glob("*.py") if path.stat().st_size]  # an __init__ may be empty
    names = [package if path.stem == "__init__" else f"{package}.{path.stem}" for path in files]
    return sorted(set(names) - NOT_IN_API)


def write_api_pages(app: Sphinx) -> None:
    """A page for each package, with a section for each of its modules."""
    out = DOCS / "generated"
    out.mkdir(exist_ok=True)
    for folder in sorted({path.parent for path in PACKAGE.rglob("__init__.py")} - {PACKAGE / "cli"}):
        package = ".".join(("chexphi", *folder.relative_to(PACKAGE).parts))
        lines = [".. highlight:: none", "", package, "=" * len(package), ""]
        for module in modules_of(folder):
            title = module.removeprefix("chexphi.")
            lines += [title, "-" * len(title), "", f".. automodule:: {module}", ""]
        page, text = out / f"{package}.rst", "\n".join(lines)
        if not page.exists() or page.read_text() != text:
            page.write_text(text)


def as_rest(text: str) -> str:
    """A docstring's prose as reStructuredText: code in double backticks, no other mark with a meaning."""
    pieces = CODE.split(text)
    for index, piece in enumerate(pieces):
        code = piece.strip("` ")
        pieces[index] = f"``{code}``" if index % 2 else MARK.sub(escape, piece)
    return "".join(pieces)


def escape(mark: re.Match[str]) -> str:
    """A mark that shows as itself; an emphasised word stays one."""
    return mark[1] or f"\\{mark[2]}"


def convert_docstring(
    app: Sphinx, kind: str, name: str, what: object, options: object, lines: list[str]
) -> None:
    """Turn a docstring into reStructuredText, paragraph by paragraph; examples stay as they are."""
    blocks = FENCE.sub(as_literal, "\n".join(lines)).split("\n\n")
    lines[:] = "\n\n".join(map(as_block, blocks)).split("\n")


def as_literal(fence: re.Match[str]) -> str:
    """A fenced block as an indented one."""
    return "::\n\n" + textwrap.indent(fence[1].replace("\n\n", "\n"), "    ")


def as_block(block: str) -> str:
    """A paragraph, list or section as reStructuredText; examples and literal blocks stay as they are."""
    return block if ">>>" in block or block.startswith(("::", "    ")) else as_rest(block)


def link_to_pages(app: Sphinx, page: str, source: list[str]) -> None:
    """A link to a file at the top, which a git host follows, leads to that file's page here."""
    for name, target in (("README", "index"), ("CONTRIBUTING", "contributing"), ("CHANGELOG", "changelog")):
        source[0] = source[0].replace(f"](../{name}.md", f"]({target}.md")


def setup(app: Sphinx) -> None:
    app.connect("builder-inited", write_api_pages)
    app.connect("autodoc-process-docstring", convert_docstring, priority=400)  # before napoleon
    app.connect("source-read", link_to_pages)
