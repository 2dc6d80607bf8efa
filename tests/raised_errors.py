"""Which sentences of the package's errors a run of the tests raised.

`make test` fails for one that no test raised (`--unraised=whole`). A run of some tests is not asked for all
sentences; `pytest --unraised=any tests/graph` lists those that these tests did not raise.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from error_sites import PACKAGE, REASONS, Sentence, all_sentences, sites_of

from chexphi.rewards.checked import RewardError
from chexphi.schema import InputError, NotFiniteError

Said = tuple[str, str, str, str, str, str]
"""A sentence and one of its choices: file, function, kind, template, value, text; or no value."""

NOT_HERE = {
    (
        "sweep/engines.py",
        "sweep: a run needs num_cpus {num_cpus} and num_gpus {gpu}, and no machine of the cluster has them: "
        "set both",
    ): "needs a cluster of Ray that is too small",
    ("training/recovery/finite.py", "a tensor of another process"): "needs two processes, one with damage",
}
"""What `make test` cannot raise: the file, the sentence or a text in it, and why. It may only shrink."""


class RaisedErrors:
    """Notes each sentence when an error is made with it, in every process of the run."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.said: set[Said] = set()
        self.unread: set[str] = set()
        """Places whose message is not one that `error_sites` reads there."""
        self.lines: list[str] = []
        """What is listed at the end."""

    def pytest_sessionstart(self) -> None:
        """From now on each error is noted where it is made."""
        for kind in (InputError, NotFiniteError, RewardError):
            kind.__init__ = noting(self)  # type: ignore[method-assign]

    def add(self, file: str, line: int, message: str) -> None:
        """Note the message of an error that a line of the package made."""
        sentences = sentences_of(file).get(line, ())
        for sentence in sentences:
            if (taken := sentence.text.choices_of(message)) is not None:
                self.said |= {(*name_of(sentence), *choice) for choice in taken | {("", "")}}
                break
        else:
            self.unread.add(f"{file}, line {line}")
        self.said |= {(*name_of(reason), "", "") for reason in reasons() if reason.text.is_in(message)}

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """A worker hands over what it noted; a whole run that passed fails for what nobody raised."""
        if hasattr(self.config, "workeroutput"):
            self.config.workeroutput["errors"] = [sorted(self.said), sorted(self.unread)]
        elif self.config.option.unraised == "any":
            self.lines = self.complaints()
        elif self.config.option.unraised and exitstatus == pytest.ExitCode.OK and is_whole(self.config):
            self.lines = self.complaints()
            session.exitstatus = pytest.ExitCode.TESTS_FAILED if self.lines else exitstatus

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: Any) -> None:
        """A worker of xdist has ended."""
        said, unread = getattr(node, "workeroutput", {}).get("errors", ((), ()))
        self.said |= {tuple(one) for one in said}
        self.unread |= set(unread)

    def pytest_terminal_summary(self, terminalreporter: Any, exitstatus: int) -> None:
        """List what is missing."""
        for line in self.lines:
            terminalreporter.write_line(line)

    def pytest_unconfigure(self) -> None:
        """The last line of a run says that it failed: the one before it counts passed tests only."""
        if self.lines:
            sys.stdout.write(f"{len(self.lines)} complaints about error messages, listed above the summary\n")

    def complaints(self) -> list[str]:
        """What a whole run has to be told, one line each."""
        sentences = [sentence for sentence in all_sentences() if sentence.says_something()]
        expected = {one for sentence in sentences for one in choices_of(sentence)}
        texts = {text for *_, text in self.said}  # several sentences may share a text: once is enough
        missing = {
            one
            for one in expected - self.said
            if name_here(one) not in NOT_HERE and one[5] not in texts - {""}
        }
        raised = {name_here(one) for one in self.said} & NOT_HERE.keys()
        return [
            *(f"no test raises: {place(one)}" for one in sorted(missing)),
            *(f"tests/error_sites.py does not know the message of {where}" for where in sorted(self.unread)),
            *(f"take this off NOT_HERE in tests/raised_errors.py: {name}" for name in sorted(raised)),
        ]


def noting(plugin: RaisedErrors) -> Callable[..., None]:
    """An `__init__` for a class of errors: the error's message is noted, if a line of the package made it."""

    def init(error: Exception, *words: object) -> None:
        maker = sys._getframe(1)
        file = Path(maker.f_code.co_filename)
        if file.is_relative_to(PACKAGE):
            plugin.add(file.relative_to(PACKAGE).as_posix(), maker.f_lineno, str(*words))

    return init


def name_here(said: Said) -> tuple[str, str]:
    """The file and the text by which `NOT_HERE` lists a sentence, or a text in one."""
    return said[0], said[5] or said[3]


def name_of(sentence: Sentence) -> tuple[str, str, str, str]:
    """File, function, kind and template of a sentence."""
    return (*sentence[:3], sentence.text.template)


@cache
def sentences_of(file: str) -> dict[int, tuple[Sentence, ...]]:
    """The sentences of each line of a module that makes an error."""
    found: dict[int, tuple[Sentence, ...]] = {}
    for line, sentences in sites_of(file):
        found[line] = found.get(line, ()) + sentences
    return found


@cache
def reasons() -> tuple[Sentence, ...]:
    """What becomes a part of other errors' messages."""
    return tuple(sentence for sentence in all_sentences() if sentence.kind in REASONS)


def choices_of(sentence: Sentence) -> set[Said]:
    """A sentence with each of its choices; a plural's `s` and the like are none."""
    listed = sentence.text.listed() if sentence.kind not in REASONS else ()
    choices = [(value, text) for value, texts in listed for text in texts]
    return {(*name_of(sentence), *choice) for choice in [("", ""), *choices]}


def place(said: Said) -> str:
    """A sentence as a complaint names it."""
    file, function, _, template, value, text = said
    return f"{file}, {function}: {template}" + (f"; {value} = {text}" if value else "")


def is_whole(config: pytest.Config) -> bool:
    """Whether a run has every test that `make test` has."""
    option, words = config.option, config.getini("addopts")
    chosen = (
        option.keyword
        or option.deselect
        or option.lf
        or option.collectonly
        or option.markexpr != words[words.index("-m") + 1]
        or len(option.ignore or ()) > sum(word.startswith("--ignore=") for word in words)
    )
    return config.args_source is config.ArgsSource.TESTPATHS and not chosen
