"""The `README.md` of a folder of data that `data phantom` or `data import` wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chexphi.number_text import counted

NAME = "README.md"


def drawn(command: str, rows: Mapping[str, int]) -> str:
    """The page of drawn films.

    Args:
        command: The command that draws the same films, with `--out DATA`.
        rows: Rows of each file, by its path below `annotations`.
    """
    files = {
        f"annotations/{name}": (counted(count, "example"), _read_by(name)) for name, count in rows.items()
    }
    files |= {
        "images/": ("the films, a folder for each patient", "all of these, by the paths in the examples"),
        "contact_sheet.png": ("each finding alone, then a sample of the films", ""),
        "phantom.json": ("size, seed and counts", ""),
    }
    return _page(
        "Drawn chest films",
        command,
        files,
        "chexphi sft --model MODEL --data DATA/annotations/sft/train.json --out RUN",
        "No film, text or patient here is real: all of it is drawn by a program, and may be shared.",
    )


def imported(form: str, command: str, rows: Mapping[str, int], *, has_images: bool) -> str:
    """The page of an imported data set.

    Args:
        form: Name of its format, as `data import` takes it.
        command: The command that was given.
        rows: Rows of each file, by its name in the folder.
        has_images: Whether a link to the films is in the folder.
    """
    files = {name: (counted(count, "example"), _read_by(name)) for name, count in rows.items()}
    if has_images:
        files["images"] = ("a link to the films, which stay where they are", "all of these")
    first_file = next(iter(rows), "FILE")
    return _page(
        f"Examples from {form}",
        command,
        files,
        f"chexphi data check DATA/{first_file}",
        "Everything here, also in another form, is under the agreement of the data set that it comes from. "
        "Share it only where that agreement allows it.",
    )


def _read_by(name: str) -> str:
    """The stages that a file is usually given to, by its name."""
    for name_part, verbs in (
        ("pool", "`mine score`, `mine select`"),
        ("test", "`evaluate`"),
        ("valid", "`evaluate`"),
        ("uniform", "`grpo`"),
    ):
        if name_part in name:
            return verbs
    return "`sft`, `mine score`, `grpo`" if name.startswith("train") else "`sft`"


def _page(
    title: str, command: str, files: Mapping[str, Sequence[str]], next_command: str, sharing: str
) -> str:
    table = ["| file | what it is | read by |", "|---|---|---|"]
    table += [f"| `{name}` | {meaning} | {read_by} |" for name, (meaning, read_by) in files.items()]
    sections = [
        f"# {title}",
        "This folder was made by this command:",
        f"```\n{command}\n```",
        "`DATA` is the path of this folder. `chexphi` is the command line of CheX-Phi4MM; its docs have "
        "every field of an example on the page Formats.",
        "\n".join(table),
        "## How to go on",
        f"```\n{next_command}\n```",
        "## What must not be shared",
        sharing,
    ]
    return "\n\n".join(sections) + "\n"
