"""A run's folder: settings, manifest, log and metrics of one stage.

`config.yaml` (resolved), `manifest.json` (command, versions, revision, data hash, seed, device),
`train.log`, `metrics.jsonl`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import hashlib
import importlib.metadata
import json
import logging
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from chexphi import __version__, processes, run_lock
from chexphi.schema import InputError

LIBRARIES = ("torch", "transformers", "trl", "peft", "accelerate", "datasets", "numpy", "pillow")

Resume = bool | Literal["auto"]
"""Whether to go on with the run in a folder; `auto`: if there is one."""
RESUME_HELP = "go on with the run in --out; auto: or begin one"
BEFORE_MANIFEST = {run_lock.NAME, "train.log", "config.yaml", "config.yaml.part", "manifest.json.part"}
"""What a run that was killed at its very start may have left."""


def default_folder(name: str) -> Path:
    """`runs/<timestamp>_<name>`, the main process's time on all processes of a run."""
    return Path("runs") / processes.gathered(f"{datetime.datetime.now():%Y%m%d-%H%M%S}_{name}")[0]


def goes_on(out: Path, resume: Resume) -> bool:
    """Whether there is a run to go on with.

    Raises:
        InputError: If there must be one and there is none.
    """
    there = (out / "manifest.json").is_file()
    if resume is True and not there:
        raise InputError(
            f"output folder {out} holds no run to go on with: leave out --resume, or use --resume auto, "
            "which begins one"
        )
    return bool(resume) and there


def check_folder(out: Path, *, resume: Resume = False, overwrite: bool = False) -> None:
    """Refuse a folder that a run must not write into; nothing is touched.

    Raises:
        InputError: If the folder holds another run and neither option is given, or both are; if it holds no
            run to go on with; if another process uses it, or it cannot be written.
    """
    if resume and overwrite:
        raise InputError("--resume and --overwrite exclude each other: choose one")
    if out.exists() and not out.is_dir():
        raise InputError(f"output folder {out} is a file: choose another --out")
    going_on = goes_on(out, resume)
    above = next((folder for folder in (out, *out.absolute().parents) if folder.exists()), out)
    if not os.access(above, os.W_OK | os.X_OK, effective_ids=True):
        raise InputError(
            f"output folder {out} cannot be written ({above} is read-only): choose another --out"
        )
    if not out.exists():
        return
    run_lock.check(out)
    rest = {path.name for path in out.iterdir()} - (BEFORE_MANIFEST if resume == "auto" else {run_lock.NAME})
    if rest and not going_on:
        if not overwrite:
            raise InputError(
                f"output folder {out} already holds a run: go on with --resume, replace it with --overwrite, "
                "or choose another --out"
                if not resume
                else f"output folder {out} holds files of no run: choose another --out"
            )
        if not (out / "manifest.json").is_file():
            raise InputError(f"output folder {out} holds files of no run: --overwrite only replaces runs")


def open_run(out: Path, *, resume: Resume = False, overwrite: bool = False) -> Path:
    """Make the folder of a run and take it; one that holds a run is only touched when the user says how.

    Raises:
        InputError: As `check_folder`, or if the folder cannot be made.
    """
    check_folder(out, resume=resume, overwrite=overwrite)
    try:
        if overwrite and out.exists():
            run_lock.acquire(out)
            shutil.rmtree(out)
        out.mkdir(parents=True, exist_ok=True)
        run_lock.acquire(out)
    except OSError as error:
        raise InputError(
            f"output folder {out} cannot be made ({error.strerror}): choose another --out"
        ) from None
    return out


def sha256(path: Path) -> str:
    """Hash of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of(data: Path | None) -> str | None:
    """For the manifest: the hash of a dataset that is one file."""
    return sha256(data) if data and data.is_file() else None


def _revision() -> str | None:
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _versions() -> dict[str, str]:
    found = {"chexphi": __version__, "python": platform.python_version()}
    for library in LIBRARIES:
        try:
            found[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def write_manifest(
    out: Path, *, config: Mapping[str, Any], data: Path | None, seed: int, **extra: Any
) -> None:
    """Write `config.yaml` and `manifest.json`."""
    atomic_write(out / "config.yaml", yaml.safe_dump(dict(config), sort_keys=True, allow_unicode=True))
    manifest = {
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "started": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "versions": _versions(),
        "git_revision": _revision(),
        "data": str(data) if data else None,
        "data_sha256": sha256_of(data),
        "seed": seed,
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "processes": processes.count(),
        **extra,
    }
    atomic_write(out / "manifest.json", json.dumps(manifest, indent=2) + "\n")


def atomic_write(path: Path, text: str) -> None:
    """Write a whole file or none of it."""
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def plain(settings: Any) -> dict[str, Any]:
    """A dataclass of settings as plain YAML values; what YAML cannot hold is written as text."""
    rows = settings.to_dict() if hasattr(settings, "to_dict") else dataclasses.asdict(settings)
    return json.loads(json.dumps(rows, default=str))


def log_to(out: Path) -> None:
    """Send the package's log lines to `train.log` as well (no report text, no patient id is ever logged)."""
    logger = logging.getLogger("chexphi")
    logger.setLevel(logging.INFO)
    for handler in [h for h in logger.handlers if isinstance(h, logging.FileHandler)]:
        logger.removeHandler(handler)
        handler.close()
    handler = logging.FileHandler(out / "train.log", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger.addHandler(handler)


def own_log(path: Path) -> Path:
    """Where this process writes a run's log: the main one into it, the others nowhere."""
    return path if processes.is_main() else Path(os.devnull)


class JsonLines:
    """An append-only JSONL file whose every line is flushed; a torn last line is cut on opening."""

    def __init__(self, path: Path) -> None:
        self.path = path
        repair(path)
        # half of a surrogate pair, which UTF-8 has not, becomes its JSON escape
        self._file = path.open("a", encoding="utf-8", errors="backslashreplace")

    def write(self, *rows: Mapping[str, Any]) -> None:
        try:
            self._file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            self._file.flush()
        except OSError as error:  # which names no file
            raise InputError(
                f"{self.path} cannot be written ({error.strerror}): make room, then go on with --resume"
            ) from None

    def close(self) -> None:
        with contextlib.suppress(OSError):  # of lines that `write` failed on
            self._file.close()


def repair(path: Path) -> None:
    """Cut a last line that a kill left without its end."""
    if not path.exists():
        return
    content = path.read_bytes()
    if content and not content.endswith(b"\n"):
        path.write_bytes(content[: content.rfind(b"\n") + 1])


def read_jsonl(path: Path, *, growing: bool = False) -> Iterator[dict[str, Any]]:
    """The rows of a JSONL file; of one that is `growing`, without a last line whose end is not yet written.

    Raises:
        InputError: If a line is no JSON object; its number is named.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                row = json.loads(line)
            except ValueError:  # no JSON, or no UTF-8
                if growing and not line.endswith(b"\n"):
                    return
                raise InputError(f"{path}, line {number} is no JSON: repair or remove the line") from None
            if not isinstance(row, dict):
                raise InputError(f"{path}, line {number} is no JSON object: repair or remove the line")
            yield row


def join_parts(path: Path, ids: Sequence[str] = ()) -> None:
    """Make one JSONL file of what several processes wrote, in the order of these ids if there are any.

    All processes have to come here; parts that an interrupted run left are joined too.
    """
    with processes.agreed():
        pass  # all have written
    with processes.agreed():
        if processes.is_main():
            JsonLines(path).close()
            for part in processes.parts_of(path):
                repair(part)
                with path.open("ab") as file:
                    file.write(part.read_bytes())
                part.unlink()
            if ids:
                put_in_order(path, ids)


def put_in_order(path: Path, ids: Sequence[str]) -> None:
    """Bring the rows of a JSONL file into the order of their ids; those of no known id come first."""
    place = {name: number for number, name in enumerate(ids)}
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    order = [place.get(row["id"], -1) for row in read_jsonl(path)]
    if order != sorted(order):
        pairs = sorted(zip(order, lines, strict=True), key=lambda pair: pair[0])
        atomic_write(path, "".join(f"{line}\n" for _, line in pairs))


def cut_back(path: Path, size: int) -> None:
    """Shorten a log to what it was at a checkpoint: a resumed run writes the rest again.

    Raises:
        InputError: If it is shorter than that.
    """
    there = path.stat().st_size if path.exists() else 0
    if there < size:
        raise InputError(
            f"{path} has {there:,} bytes and the checkpoint counts on {size:,}: put the whole file back, or "
            "choose another --out"
        )
    if there > size:
        os.truncate(path, size)


def console() -> Console:
    """Where progress and tables go: standard error, so that `--json` has standard output for itself.

    Of several processes, the main one alone shows them.
    """
    return Console(stderr=True, quiet=not processes.is_main())


def bar() -> Progress:
    """A progress bar a task, on standard error."""
    columns = (TextColumn("{task.description:<28}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console())
