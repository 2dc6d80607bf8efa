"""The text of `--help` of a verb with a recipe."""

from __future__ import annotations

import dataclasses


def help_text(recipe: type, prog: str, trl: str | None = None) -> str:
    """The text of `--help`: our own fields with their docs, then where TRL's fields are documented."""
    lines = [f"usage: {prog} [--config FILE.yaml]... [--key value]...", ""]
    doc = (recipe.__doc__ or "").strip().splitlines()
    lines += [doc[0] if doc else "", ""]
    for field in dataclasses.fields(recipe):
        default = "" if field.default in (dataclasses.MISSING, None, "") else f" (default {field.default})"
        lines.append(f"  --{field.name}: {field.metadata.get('help', '')}{default}")
    if trl:
        lines += [
            "",
            f"Every field of TRL's {trl} is accepted too (trl {trl} documentation; `--learning_rate` …).",
        ]
    return "\n".join(lines)
