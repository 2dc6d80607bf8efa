"""What the lines look like that our commands show on standard error; any other line is a library's."""

from __future__ import annotations

import re
from collections.abc import Iterator

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
OURS = (
    r"(warning|error): .+",
    r"[\d,]+ parameters in \d+ tensors learn, .+ of the model",
    r"(sft|grpo) on [\d,]+ examples, .+",
    r"the run goes on from .+",
    r"(SIGTERM|SIGHUP): saved at step \d+, --resume auto goes on",
    r"\S+: (read as|JSON lines).*",
    r"\d+ of \d+ films .+",  # what `data check` warns of
    r"out: .+",
    r"next: chexphi .+",
    r"[a-z][\w ,/]* +[━╸╺ ]+ +(\d[\d,]*/[\d,]+|\d+:).*",  # a bar; the time alone where the whole is not known
    r" *[┏┃┡│├└].*|\s*value \[95 % interval\]; .*",  # a table
    r" (figure +arm +value .*|─+|.+ \d[\d.]* \[[-+\d., ]+\].*)",  # the table of a demo's arms
    r" +([a-z]\S* .+|\S+) +\d\.\d{3}( +[-+]\d\.\d{3})?",  # a row of it whose examples do not differ
    r"[a-z][a-z ]* [\d,]+/[\d,]+ \w+,.*",  # a line in place of a bar
    r"(loss|reward|answer|graph|accuracy|token accuracy) \d.*",  # the figures below a bar
    r"[\d,.]+ (tokens|questions)/s",
    r"([⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏] )?(loading|reading|writing|scoring) (libraries|the \w[\w -]*)",
    r"quick: a few steps .+",
    r"chexphi watch \S+ follows this run",
)
"""The kinds of lines."""


def lines_of(said: str) -> Iterator[str]:
    """The lines of a recording, without colours and movements of the cursor."""
    for line in re.split(r"[\r\n]+", ESCAPES.sub("", said)):
        if line.strip():
            yield line.rstrip()


def foreign(said: str) -> list[str]:
    """The lines that are none of ours."""
    return [line for line in lines_of(said) if not any(re.fullmatch(kind, line) for kind in OURS)]
