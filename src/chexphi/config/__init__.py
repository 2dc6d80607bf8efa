"""The settings of a recipe: read from YAML and flags, and checked before anything heavy is loaded."""

from chexphi.config.help_text import help_text
from chexphi.config.read import check_choices, check_required, parse, read_yaml
from chexphi.config.words import as_text, normalize_flags, split_configs

__all__ = [
    "as_text",
    "check_choices",
    "check_required",
    "help_text",
    "normalize_flags",
    "parse",
    "read_yaml",
    "split_configs",
]
