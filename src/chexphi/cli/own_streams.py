"""Standard output and standard error of the process, written through a wrapper of ours."""

from __future__ import annotations

import io
import sys
from typing import Literal


def wrap(name: Literal["stdout", "stderr"], wrapper: type[io.TextIOWrapper]) -> None:
    """Write a stream of the process through a wrapper from now on.

    Only the process's own stream is wrapped: a replaced one would be closed with its wrapper.
    """
    stream = getattr(sys, name)
    if type(stream) is io.TextIOWrapper and stream is getattr(sys, f"__{name}__"):
        wrapped = wrapper(
            stream.buffer,
            encoding=stream.encoding,
            errors=stream.errors,
            line_buffering=stream.line_buffering,
            write_through=stream.write_through,
        )
        setattr(sys, name, wrapped)
