"""`chexphi doctor` on the terminal: one screen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import typer
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from chexphi.cli.options import Json, show
from chexphi.number_text import counted
from chexphi.runs import terminal


def doctor(as_json: Json = False) -> None:
    """What is installed, whether it works, what a verb would miss.

    Exit code 1 if something that is installed is broken. There is no user, host or path in the output: attach
    it to a report of a bug.
    """
    from chexphi.doctor.examine import examine

    with terminal.console().status("importing each library in a process of its own"):
        findings = examine()
    if as_json:
        show(findings, as_json=True)
    else:
        Console().print(view(findings))
    if findings["broken"]:
        raise typer.Exit(1)


def view(findings: dict[str, Any]) -> RenderableType:
    """The findings as tables and, at the end, a sentence for each thing that is broken."""
    ours = findings["chexphi"]
    revision = f", git revision {ours['revision'][:12]}" if ours["revision"] else ""
    blocks: list[RenderableType] = [f"chexphi {ours['version']}{revision}, Python {findings['python']}"]
    blocks += [
        _libraries(findings),
        _rows("\nMachine", _machine(findings)),
        _rows("\nVerbs", _verbs(findings["verbs"])),
    ]
    if findings["broken"]:
        blocks += [Text(f"broken: {sentence}", "bold red") for sentence in findings["broken"]]
    else:
        blocks.append(Text("Everything that is installed can be used.", "green"))
    return Group(*blocks)


def _rows(title: str, rows: Iterable[tuple[str, str]]) -> Table:
    """Two columns; texts are shown as they are, since `[train]` would be a style of rich."""
    table = Table(title=title, title_justify="left", show_header=False, box=None, pad_edge=False)
    table.add_column()
    table.add_column(overflow="fold")  # an install line can be copied whole
    for name, text in rows:
        table.add_row(Text(name), Text(text))
    return table


def _libraries(findings: dict[str, Any]) -> Table:
    """A row for each extra, with the versions of its libraries."""
    has_tested = any(row["tested"] for row in findings["libraries"])
    extras: dict[str, list[str]] = {}
    absent: dict[str, list[str]] = {}
    for row in findings["libraries"]:
        words = f"{row['name']} {row['installed']}"
        if has_tested and not row["is_tested"]:
            words += f" (tested: {row['tested'] or 'no'})"
        texts, names = extras.setdefault(row["extra"], []), absent.setdefault(row["extra"], [])
        (texts if row["installed"] else names).append(words if row["installed"] else row["name"])
    for extra, names in absent.items():
        extras[extra] += [f"not installed: {', '.join(names)}"] if names else []
    return _rows("\nLibraries", ((extra, ", ".join(texts)) for extra, texts in extras.items()))


def _machine(findings: dict[str, Any]) -> Iterator[tuple[str, str]]:
    facts, devices = findings["machine"], findings["devices"]
    yield "system", facts["system"]
    capability = f", torch uses {devices['cpu_capability']}" if devices else ""
    yield "CPU", f"{facts['cpu']}, {facts['usable_cores']} of {counted(facts['cores'], 'core')}{capability}"
    threads = f"OMP_NUM_THREADS is {facts['omp_num_threads'] or 'not set'}"
    yield "threads", threads + (f", torch uses {devices['threads']}" if devices else "")
    yield "memory", ", ".join(_memory(facts))
    yield "disk", f"{facts['free_disk_gb']:.0f} GB free in this folder"
    yield "GPU", "; ".join(_devices(devices))
    unreadable = [name for name, is_readable in findings["codecs"].items() if not is_readable]
    films = ", ".join(name for name, is_readable in findings["codecs"].items() if is_readable)
    yield "films", films + (f"; not {', '.join(unreadable)}" if unreadable else "")
    if syntaxes := findings["transfer_syntaxes"]:
        undecoded = [name for name, is_readable in syntaxes.items() if not is_readable]
        note = f"; not {', '.join(undecoded)}" if undecoded else ""
        yield "DICOM", f"{len(syntaxes) - len(undecoded)} of {len(syntaxes)} compressed forms{note}"


def _memory(facts: dict[str, Any]) -> Iterator[str]:
    for key, words in (("memory_gb", "in all"), ("free_memory_gb", "free"), ("memory_limit_gb", "allowed")):
        if facts[key] is not None:
            yield f"{facts[key]:.1f} GB {words}"


def _devices(devices: dict[str, Any] | None) -> Iterator[str]:
    if devices is None:
        yield "not known without torch"
        return
    for gpu in devices["cuda"]:
        yield f"{gpu['name']}, {gpu['gb']:.0f} GB, compute capability {gpu['capability']}"
    if devices["mps"]:
        yield "Apple's MPS"
    if not devices["cuda"] and not devices["mps"]:
        yield "none that torch can use" + (
            "" if devices["built_for_cuda"] else ", which is built without CUDA"
        )
    yield from devices["cuda_warnings"]


def _verbs(verbs: dict[str, dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """The verbs and features that are ready; then each install line, with those that need it."""
    from chexphi.doctor.verbs import VERBS

    ready = [name for name, row in verbs.items() if not row["missing"]]
    if all(name in ready for name in VERBS):
        ready = ["every verb", *(name for name in ready if name not in VERBS)]
    yield "ready", "; ".join(ready)
    names_of_line: dict[str, list[str]] = {}
    for name, row in verbs.items():
        if row["install"]:
            names_of_line.setdefault(row["install"], []).append(name)
        elif row["missing"]:
            yield "not here", f"{name}: this system or Python cannot have {', '.join(row['missing'])}"
    for line, names in names_of_line.items():
        yield "to install", f"{'; '.join(names)}:\n{line}"
